"""The user's own stream: subscribed by signature, caught up by REST, watched for deafness, renewed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from agent.core.events import (
    AccountSeen,
    Event,
    Healed,
    Impaired,
    Impairment,
    OrderReported,
)
from agent.core.order import Fact, OrderType, Side, TimeInForce
from agent.exchange.signed import user_stream
from tests.exchange.signed_faults import instead
from tests.exchange.signed_ground import QUICK, Ground, approved, ground
from tests.exchange.signed_stub import execution

D = Decimal
STREAM = Impairment.USER_STREAM


def reports(here: Ground, client_id: str) -> list[OrderReported]:
    return [e for e in here.told(OrderReported) if e.report.client_id == client_id]


def steps(here: Ground) -> list[type[Event]]:
    """What the stream's state did, and the readings, in order."""
    return [
        type(e)
        for e in here.events
        if isinstance(e, AccountSeen) or (isinstance(e, Impaired | Healed) and e.by is STREAM)
    ]


async def test_entries_are_blocked_until_the_account_was_read_after_the_subscription() -> None:
    async with ground() as here, here.running():
        assert steps(here) == [Impaired, AccountSeen, Healed]
        assert here.stub.subscriptions == 1
        subscribed = [s for s in here.stub.seen if s.kind.endswith("account")]
        assert len(subscribed) == 1


async def test_an_order_is_told_with_its_fills_once_each() -> None:
    async with ground() as here, here.running():
        here.stub.plan = [("0.50", "4"), ("0.51", "6")]
        intent = here.intent()
        answer = await here.exchange.place(approved(intent))
        await here.until(lambda: len(reports(here, intent.client_id)) == 3)
        told = [e.report for e in reports(here, intent.client_id)]
        assert [r.fact for r in told] == [Fact.WORKING, Fact.PART_FILLED, Fact.FULLY_FILLED]
        assert [r.executed_qty for r in told] == [0, D(4), D(10)]
        assert isinstance(answer, OrderReported)
        # The same executions under the same numbers, so that they count once.
        assert tuple(f for r in told for f in r.fills) == answer.report.fills


async def test_a_cancel_is_told_under_the_orders_own_id() -> None:
    async with ground() as here, here.running():
        stop = here.stop()
        await here.exchange.place(approved(stop))
        await here.exchange.cancel(stop)
        await here.until(lambda: len(reports(here, stop.client_id)) == 2)
        assert reports(here, stop.client_id)[-1].report.fact is Fact.WAS_CANCELED


async def test_an_expiry_says_why() -> None:
    async with ground() as here, here.running():
        intent = here.intent(OrderType.LIMIT, price="0.5", tif=TimeInForce.IOC)
        await here.exchange.place(approved(intent))
        order = here.stub.order(intent.client_id)
        assert order is not None
        event = execution({**order, "status": "EXPIRED_IN_MATCH"}, "TRADE_PREVENTION", 5, None)
        await here.stub.push({**event, "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"})
        await here.until(lambda: bool(reports(here, intent.client_id)[2:]))
        report = reports(here, intent.client_id)[-1].report
        assert report.fact is Fact.HAS_EXPIRED
        assert report.reason == "EXPIRED_IN_MATCH, UNFILLED_IOC_QUANTITY_EXPIRED"


async def test_what_happened_in_a_gap_is_read_before_the_stream_is_trusted() -> None:
    async with ground() as here, here.running():
        stop = here.stop()
        await here.exchange.place(approved(stop))
        # The stop is executed while nobody listens.
        await here.stub.drop_sockets()
        order = here.stub.order(stop.client_id)
        assert order is not None
        here.stub.plan = [("0.4", "100")]
        await here.stub.fill(order, here.stub.now_ms())
        mark = len(here.events)
        await here.until(lambda: Healed(STREAM) in here.events[mark:])
        after = here.events[mark:]
        seen = [e for e in after if isinstance(e, AccountSeen)]
        assert [f.client_id for f in seen[-1].fills] == [stop.client_id]
        assert after.index(seen[-1]) < after.index(Healed(STREAM))
        assert isinstance(after[0], Impaired | AccountSeen)
        assert here.stub.subscriptions == 2


async def test_a_reading_that_fails_is_repeated_and_entries_stay_blocked() -> None:
    async with ground() as here, here.running():
        read = here.stub.count("GET /api/v3/account")
        here.stub.fault("GET /api/v3/account", instead(500, ""))
        await here.stub.push_raw("a frame is lost")
        await here.until(lambda: here.impaired(STREAM))
        await here.until(lambda: here.stub.count("GET /api/v3/account") == read + 1)
        assert here.impaired(STREAM)
        await here.until(lambda: not here.impaired(STREAM))
        assert here.stub.count("GET /api/v3/account") == read + 2


async def test_without_a_stream_the_account_is_polled() -> None:
    async with ground() as here, here.running():
        here.stub.ignore_subscriptions = 1_000
        await here.stub.drop_sockets()
        mark = len(here.told(AccountSeen))
        await here.until(lambda: len(here.told(AccountSeen)) >= mark + 3)
        assert here.impaired(STREAM)


@pytest.mark.parametrize(
    "frame",
    [
        "no json",
        "[]",
        "{}",
        '{"event": 7}',
        '{"event": {"E": 1}}',
        '{"subscriptionId": 0, "event": {"e": "executionReport", "s": "ADAUSDT"}}',
        "\u0000",
    ],
)
async def test_a_frame_that_cannot_be_read_is_a_gap(frame: str) -> None:
    async with ground() as here, here.running():
        await here.stub.push_raw(frame)
        await here.until(lambda: len(steps(here)) == 6)
        assert steps(here)[3:] == [Impaired, AccountSeen, Healed]
        # The connection lives on.
        assert here.stub.subscriptions == 1
        await here.exchange.place(approved(stop := here.stop()))
        await here.until(lambda: bool(reports(here, stop.client_id)))


def broken(change: dict[str, Any]) -> dict[str, Any]:
    order = {
        "symbol": "ADAUSDT", "orderId": 9, "clientOrderId": "tstx", "side": "BUY", "type": "LIMIT",
        "timeInForce": "GTC", "origQty": "10", "executedQty": "10", "price": "0.5", "stopPrice": "0",
        "status": "FILLED",
    }  # fmt: skip
    trade = {"qty": "10", "price": "0.5", "commission": "0.01", "commissionAsset": "ADA", "id": 3, "time": 5}
    return {**execution(order, "TRADE", 5, trade), **change}


@pytest.mark.parametrize(
    "change",
    [
        {"t": -1},
        {"t": "3"},
        {"l": "0"},
        {"L": "-0.5"},
        {"z": "11"},
        {"l": "11"},
        {"z": "9"},
        {"q": "Infinity"},
        {"i": None},
        {"S": "HOLD"},
        {"n": "0.1", "N": None},
        {"T": 1.5},
        {"c": ""},
    ],
)
async def test_a_report_with_a_field_that_makes_no_sense_is_not_told(change: dict[str, Any]) -> None:
    async with ground() as here, here.running():
        await here.stub.push(broken(change))
        await here.until(lambda: len(steps(here)) == 6)
        assert reports(here, "tstx") == []
        await here.stub.push(broken({}))
        await here.until(lambda: bool(reports(here, "tstx")))


async def test_a_status_nobody_knows_is_read_by_rest_and_blocks_entries() -> None:
    async with ground() as here, here.running():
        await here.stub.push(broken({"X": "LIMBO"}))
        await here.until(lambda: len(steps(here)) == 6)
        assert here.impaired(Impairment.NOT_UNDERSTOOD)
        await here.stub.push(broken({}))
        await here.until(lambda: not here.impaired(Impairment.NOT_UNDERSTOOD))


async def test_events_of_no_concern_are_passed_over() -> None:
    async with ground() as here, here.running():
        for event in ({"e": "listStatus", "s": "ADAUSDT"}, {"e": "brandNew"}, broken({"s": "BNBUSDT"})):
            await here.stub.push(event)
        await here.stub.push(broken({}))
        await here.until(lambda: bool(reports(here, "tstx")))
        assert len(here.told(OrderReported)) == 1
        assert not here.impaired(STREAM)


@pytest.mark.parametrize(
    "event",
    [
        {"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "100.0", "T": 1},
        {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": []},
        {"e": "externalLockUpdate", "E": 1, "a": "USDT", "d": "1.0", "T": 1},
    ],
)
async def test_balances_that_move_are_read_once_they_rest(event: dict[str, Any]) -> None:
    async with ground() as here, here.running():
        mark = len(here.told(AccountSeen))
        for _ in range(50):
            await here.stub.push(event)
        here.stub.free["USDT"] = D(1_100)
        await here.until(lambda: len(here.told(AccountSeen)) > mark)
        assert here.told(AccountSeen)[-1].holdings["USDT"].total == 1_100
        await asyncio.sleep(0.2)
        assert len(here.told(AccountSeen)) == mark + 1
        assert not here.impaired(STREAM)


async def test_an_ended_subscription_is_made_again() -> None:
    async with ground() as here, here.running():
        await here.stub.push({"e": "eventStreamTerminated", "E": 1})
        await here.until(lambda: here.stub.subscriptions == 2 and steps(here)[-1] is Healed)
        assert steps(here)[3] is Impaired


async def test_an_announced_shutdown_is_answered_by_a_second_connection_without_a_gap() -> None:
    async with ground() as here, here.running():
        await here.stub.push({"e": "serverShutdown", "E": 1})
        await here.until(lambda: here.stub.subscriptions == 2)
        await here.until(lambda: len(here.told(AccountSeen)) == 2)
        assert steps(here) == [Impaired, AccountSeen, Healed, AccountSeen]
        await here.until(lambda: sum(not s.closed for s in here.stub.sockets) == 1)
        await here.exchange.place(approved(stop := here.stop()))
        await here.until(lambda: bool(reports(here, stop.client_id)))
        assert len(reports(here, stop.client_id)) == 1


async def test_a_connection_is_renewed_before_it_is_cut() -> None:
    async with ground() as here:
        assert here.exchange._stream is not None
        here.exchange._stream._lifetime_ms = 150.0
        async with here.running():
            await here.until(lambda: here.stub.subscriptions >= 3)
        assert Impaired not in steps(here)[1:]


async def test_a_renewal_that_fails_leaves_the_old_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_stream, "_ANSWER_WITHIN_MS", 50.0)
    async with ground() as here, here.running():
        here.stub.ignore_subscriptions = 1
        await here.stub.push({"e": "serverShutdown", "E": 1})
        await here.until(lambda: here.stub.ignore_subscriptions == 0)
        await asyncio.sleep(0.1)
        await here.exchange.place(approved(stop := here.stop()))
        await here.until(lambda: bool(reports(here, stop.client_id)))
        assert not here.impaired(STREAM)


async def test_a_stream_that_went_deaf_is_noticed_by_the_order_it_does_not_tell() -> None:
    patience = replace(QUICK, silent_order_ms=150.0)
    async with ground(patience=patience) as here, here.running():
        here.stub.deaf = True
        stop = here.stop()
        await here.exchange.place(approved(stop))
        await here.until(lambda: here.impaired(STREAM))
        here.stub.deaf = False
        await here.until(lambda: not here.impaired(STREAM))
        assert here.stub.subscriptions == 2
        assert stop.client_id in [o.client_id for o in here.told(AccountSeen)[-1].open_orders]
        detail = [e.detail for e in here.told(Impaired) if e.by is STREAM][-1]
        assert stop.client_id in detail


async def test_a_stream_that_tells_is_left_alone() -> None:
    patience = replace(QUICK, silent_order_ms=100.0)
    async with ground(patience=patience) as here, here.running():
        here.stub.plan = [("0.5", "100")]
        for _ in range(5):
            await here.exchange.place(approved(here.intent()))
        await asyncio.sleep(0.3)
        assert here.stub.subscriptions == 1
        assert not here.impaired(STREAM)


async def test_a_missing_pong_ends_the_connection() -> None:
    patience = replace(QUICK, ping_interval_s=0.1)
    async with ground(patience=patience) as here, here.running():
        (socket,) = here.stub.sockets
        # The server stops reading: pings arrive and are not answered.
        assert socket._req is not None
        socket._req.transport.pause_reading()  # type: ignore[union-attr]
        await here.until(lambda: here.impaired(STREAM))
        await here.until(lambda: here.stub.subscriptions == 2)
        detail = [e.detail for e in here.told(Impaired) if e.by is STREAM][-1]
        assert "no pong" in detail


async def test_a_gap_while_the_account_is_read_needs_another_reading() -> None:
    async with ground() as here, here.running():
        original, held = here.stub.execute, asyncio.Event()

        async def execute(kind: str, p: dict[str, str]) -> Any:
            if kind.endswith("account") and not held.is_set():
                held.set()
                # A second frame is lost after this reading has begun.
                await here.stub.push_raw("lost too")
                await asyncio.sleep(0.1)
            return await original(kind, p)

        here.stub.execute = execute  # type: ignore[method-assign]
        await here.stub.push_raw("lost")
        await here.until(lambda: len(steps(here)) == 7)
        assert steps(here)[3:] == [Impaired, AccountSeen, AccountSeen, Healed]


async def test_a_fill_told_while_the_account_is_read_makes_it_read_again() -> None:
    async with ground() as here, here.running():
        original, readings = here.stub.execute, []

        async def execute(kind: str, p: dict[str, str]) -> Any:
            answer = await original(kind, p)
            if kind.endswith("account"):
                readings.append(kind)
                # Balances that say nothing about when they changed.
                answer.pop("updateTime")
                if len(readings) == 1:
                    await here.stub.push(broken({}))
                    await here.until(lambda: bool(reports(here, "tstx")))
            return answer

        here.stub.execute = execute  # type: ignore[method-assign]
        assert isinstance(await here.exchange.account(here.clock.now_ms() - 1_000), AccountSeen)
        assert len(readings) == 2


async def test_a_connection_that_breaks_while_it_is_renewed_is_a_gap() -> None:
    async with ground() as here, here.running():
        here.stub.ignore_subscriptions = 1
        await here.stub.push({"e": "serverShutdown", "E": 1})
        await here.until(lambda: here.stub.ignore_subscriptions == 0)
        # The new connection waits for its subscription; the old one goes meanwhile.
        await here.stub.drop_sockets()
        await here.until(lambda: here.impaired(STREAM), 1.0)
        await here.until(lambda: not here.impaired(STREAM))
        assert here.stub.subscriptions == 2


# --- refusals --------------------------------------------------------------------------------------------


async def test_a_refused_key_is_permanent_and_tried_again_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_stream, "_KEY_REFUSED_PAUSE_MS", 1_200.0)
    async with ground() as here:
        here.stub.socket_refusals.append(
            {"status": 401, "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions."}}
        )
        async with here.running():
            refused = [e for e in here.told(Impaired) if e.by is Impairment.CREDENTIALS_REFUSED]
            assert [e.permanent for e in refused] == [True]
            assert not here.impaired(Impairment.CREDENTIALS_REFUSED)


async def test_a_revoked_session_is_noticed_at_once() -> None:
    async with ground() as here, here.running():
        error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        await here.stub.push_raw(json.dumps({"id": None, "status": 401, "error": error}))
        await here.until(lambda: here.impaired(STREAM))


async def test_a_wish_for_silence_on_the_socket_is_everybodys() -> None:
    async with ground() as here:
        now = here.clock.exchange_ms()
        data = {"serverTime": now, "retryAfter": now + 60_000}
        error = {"code": -1003, "msg": "Too much request weight used", "data": data}
        here.stub.socket_refusals.append({"status": 429, "error": error})
        task = asyncio.create_task(here.exchange.run(here.hear))
        await here.until(lambda: bool(here.blocked))
        assert here.blocked == [pytest.approx(here.clock.now_ms() + 61_000, abs=2_000)]
        assert here.gate.used_weight == 7
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_clock_that_is_wrong_is_measured_and_the_subscription_repeated() -> None:
    async with ground() as here:
        here.clock.ahead_ms = 3_600_000
        here.exchange._client.time.offset_ms = 0
        async with here.running():
            assert here.exchange._client.time.offset_ms == pytest.approx(3_600_000, abs=500)


async def test_after_the_machine_slept_the_stream_is_made_again() -> None:
    patience = replace(QUICK, look_every_ms=110.0)
    async with ground(patience=patience) as here, here.running():
        await asyncio.sleep(0.3)
        here.clock.ahead_ms += 3_600_000
        await here.until(lambda: here.stub.subscriptions == 2)
        assert "time jumped" in [e.detail for e in here.told(Impaired) if e.by is STREAM][-1]


# --- side --------------------------------------------------------------------------------------------------


async def test_the_whole_path_holds_when_venue_time_runs_sixty_times_as_fast() -> None:
    async with ground(speed=60.0) as here, here.running():
        here.stub.plan = [("0.5", "4"), ("0.5", "6")]
        intent = here.intent()
        answer = await here.exchange.place(approved(intent))
        assert isinstance(answer, OrderReported)
        await here.until(lambda: len(reports(here, intent.client_id)) == 3)
        sale = here.intent(side=Side.SELL)
        here.stub.plan = [("0.5", "10")]
        assert isinstance(await here.exchange.place(approved(sale)), OrderReported)
        seen = await here.exchange.account(here.clock.now_ms() - 300_000)
        assert isinstance(seen, AccountSeen)
        assert len(seen.fills) == 3
