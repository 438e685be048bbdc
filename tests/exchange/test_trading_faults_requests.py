"""Requests and answers that get lost, fail or come too late: what the client learns and what was executed."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from local_ground import until_closed
from trading_ground import Account, Stream, account, lost

ORDER = {"symbol": "ADAUSDT", "side": "SELL", "type": "MARKET", "quantity": "30"}
POST = {"method": "POST", "path": "/api/v3/order"}


async def executed(a: Account) -> bool:
    return bool((await a.ledger())["orders"])


def sell(a: Account) -> Any:
    return a.ask("POST", "order", **ORDER)


@pytest.mark.parametrize(("fault", "done"), [("F1", False), ("F2", True)])
async def test_a_request_or_its_answer_is_cut_off(fault: str, done: bool) -> None:
    async with account() as a:
        await a.fault(fault, match=POST)
        assert (await a.ask("GET", "account")).status == 200, "another request is not concerned"
        assert await lost(sell(a)) == "ServerDisconnectedError"
        assert await executed(a) is done
        assert await a.fired(fault) == 1
        assert (await sell(a)).status == 200
        asked = [(r["method"], r["status"]) for r in (await a.ledger())["requests"]]
        assert ("POST", 499) in asked, "what came in is on record, answered or not"


@pytest.mark.parametrize(("fault", "done"), [("F1", False), ("F2", True)])
async def test_nothing_comes_back_until_the_client_gives_up(fault: str, done: bool) -> None:
    async with account() as a:
        await a.fault(fault, params={"variant": "silent"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sell(a)
        assert await executed(a) is done


async def test_a_silence_ends_with_a_reset() -> None:
    async with account() as a:
        await a.fault("F1", params={"variant": "silent", "hold_ms": 60})
        assert await lost(sell(a)) == "ServerDisconnectedError"


@pytest.mark.parametrize(("fault", "status", "done"), [("F3", 503, False), ("F4", 502, True)])
@pytest.mark.parametrize("variant", ["text", "json", "html"])
async def test_the_server_fails_before_or_after(fault: str, status: int, done: bool, variant: str) -> None:
    async with account() as a:
        await a.fault(fault, params={"variant": variant})
        answer = await sell(a)
        assert answer.status == status
        if variant == "json":
            assert answer.body["code"] == -1000
        else:
            assert not answer.text.startswith("{")
        assert await executed(a) is done


async def test_a_failing_server_with_another_status() -> None:
    async with account() as a:
        await a.fault("F3", params={"status": 504}, count=2)
        assert [(await sell(a)).status for _ in range(3)] == [504, 504, 200]


@pytest.mark.parametrize(
    ("variant", "status"), [("-1006", 500), ("-1007", 504), ("-1000", 500), ("-1001", 500), ("-1008", 503)]
)
@pytest.mark.parametrize("done", [True, False])
async def test_the_exchange_does_not_know_itself(variant: str, status: int, done: bool) -> None:
    async with account() as a:
        await a.fault("F5", params={"variant": variant, "executed": done})
        answer = await sell(a)
        assert (answer.status, answer.body["code"]) == (status, int(variant))
        assert await executed(a) is done


async def test_faults_of_orders_leave_the_public_side_alone_unless_it_is_named() -> None:
    async with account() as a:
        await a.fault("F3", count=5)
        assert (await a.get("/api/v3/time")).status == 200
        assert await a.fired("F3") == 0
        await a.control(
            "faults", {"add": [{"id": "named", "fault": "F3", "match": {"path": "/api/v3/time"}}]}
        )
        assert (await a.get("/api/v3/time")).status == 503


async def test_the_nth_request_only() -> None:
    async with account() as a:
        await a.fault("F3", match={**POST, "nth": 2})
        assert [(await sell(a)).status for _ in range(3)] == [200, 503, 200]


@pytest.mark.parametrize(("variant", "status"), [("inside", 200), ("outside", 400)])
async def test_a_request_that_arrives_at_the_edge_of_its_window(variant: str, status: int) -> None:
    """Just inside it is executed although the client has given up; just outside it is refused."""
    async with account() as a:
        await a.fault("F10", params={"variant": variant})
        asking = asyncio.create_task(a.ask("POST", "order", **ORDER, recvWindow=5_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(asking)
        assert not await executed(a)
        await a.advance(4_900 if variant == "inside" else 5_100)
        answer = await asking
        assert answer.status == status
        assert await executed(a) is (variant == "inside")
        if variant == "outside":
            assert answer.body["code"] == -1021


async def test_a_client_that_gave_up_is_executed_all_the_same() -> None:
    async with account() as a:
        await a.fault("F10", params={"variant": "inside"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await sell(a)
        await a.advance(4_900)
        for _ in range(500):
            if await executed(a):
                break
            await asyncio.sleep(0.01)
        assert await executed(a)


@pytest.mark.parametrize(
    ("fault", "params", "status", "done"),
    [
        ("F3", {}, 503, False),
        ("F4", {"status": 500}, 500, True),
        ("F5", {}, 500, True),
        ("F5", {"executed": False}, 500, False),
    ],
)
async def test_frames_fail_like_requests(fault: str, params: dict[str, Any], status: int, done: bool) -> None:
    async with account() as a, a.socket("/ws-api/v3") as socket:
        await a.fault(fault, match={"path": "/ws-api/v3/order.place"}, params=params)
        stream = Stream(socket)
        assert (await stream.call("time", {}))["status"] == 200
        answer = await stream.signed("order.place", a.now_ms, **ORDER)
        assert answer["status"] == status
        assert answer["error"]["code"] < 0
        assert await executed(a) is done


@pytest.mark.parametrize(("fault", "done"), [("F1", False), ("F2", True)])
@pytest.mark.parametrize("variant", ["silent", "reset"])
async def test_frames_get_lost_like_requests(fault: str, done: bool, variant: str) -> None:
    async with account() as a, a.socket("/ws-api/v3") as socket:
        await a.fault(fault, match={"method": "WS", "path": "*order.place"}, params={"variant": variant})
        stream = Stream(socket)
        placing = asyncio.create_task(stream.signed("order.place", a.now_ms, **ORDER))
        if variant == "reset":
            await asyncio.wait({placing})
            assert placing.exception() is not None
            await until_closed(socket)
        else:
            await asyncio.wait({placing}, timeout=0.1)
            assert not placing.done()
            placing.cancel()
        assert await executed(a) is done


async def test_a_broken_answer_was_executed() -> None:
    """The faults of any answer concern orders too."""
    async with account() as a:
        await a.fault("F9", match=POST)
        with pytest.raises(aiohttp.ClientError):
            await sell(a)
        assert await executed(a)
