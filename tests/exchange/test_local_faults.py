"""Every fault of the market side, set, seen and lifted."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import aiohttp
import orjson
import pytest
from local_ground import MINUTE_MS, closed_bars, frame, local_exchange, until_closed
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

TIME = "/api/v3/time"
KLINES = "/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=5"
MINUTES = "/ws/adausdt@kline_1m"


async def test_f6_holds_off_until_retry_after() -> None:
    async with local_exchange() as ground:
        await ground.fault("F6", match={"path": "/api/v3/klines"}, params={"retry_after": 7})
        assert (await ground.get(TIME)).status == 200, "another path is not concerned"
        refused = await ground.get(KLINES)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
        await ground.advance(6_900)
        assert (await ground.get(TIME)).status == 429
        await ground.advance(200)
        assert (await ground.get(KLINES)).status == 200
        assert await ground.fired("F6") == 1


async def test_f7_bans_and_clearing_pardons() -> None:
    async with local_exchange() as ground:
        await ground.fault("F7", params={"retry_after": 120})
        banned = await ground.get(TIME)
        assert (banned.status, banned.headers["Retry-After"], banned.body["code"]) == (418, "120", -1003)
        assert (await ground.control("faults", {"clear": ["F7"]})).status == 200
        assert (await ground.get(TIME)).status == 200


async def test_f8_cuts_requests_sockets_and_handshakes() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F8")
        await until_closed(socket)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ground.get(TIME)
        with pytest.raises((InvalidHandshake, ConnectionError)):
            async with ground.socket(MINUTES):
                pass
        assert await ground.fired("F8") >= 2
        await ground.control("faults", {"clear": "all"})
        assert (await ground.get(TIME)).status == 200


async def test_f8_for_a_while() -> None:
    async with local_exchange() as ground:
        await ground.fault("F8", for_ms=300)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ground.get(TIME)
        began = time.monotonic()
        while True:
            try:
                assert (await ground.get(TIME)).status == 200
                break
            except aiohttp.ClientConnectionError:
                assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("variant", "status", "kind", "readable"),
    [
        ("truncated_json", 200, "application/json", False),
        ("html", 502, "text/html", False),
        ("wrong_content_type", 200, "text/plain", True),
        ("empty", 200, "application/json", False),
        ("garbage", 200, "application/json", False),
        ("error_500", 500, "text/plain", False),
    ],
)
async def test_f9_spoils_one_answer(variant: str, status: int, kind: str, readable: bool) -> None:
    async with local_exchange() as ground:
        await ground.fault("F9", params={"variant": variant})
        url = ground.running.rest + TIME
        async with ground.session.get(url) as response:
            assert (response.status, response.content_type) == (status, kind)
            body = await response.read()
        assert _is_json(body) is readable
        assert (await ground.get(TIME)).body["serverTime"] > 0
        assert await ground.fired("F9") == 1


async def test_f9_resets_in_mid_body() -> None:
    async with local_exchange() as ground:
        await ground.fault("F9", match={"method": "GET", "path": "/api/v3/k*", "nth": 2})
        assert len((await ground.get(KLINES)).body) == 5
        with pytest.raises(aiohttp.ClientError):
            await ground.get(KLINES)
        assert len((await ground.get(KLINES)).body) == 5


@pytest.mark.parametrize("executed", [True, False])
async def test_f10_delays_before_or_after_execution(executed: bool) -> None:
    async with local_exchange() as ground:
        await ground.fault("F10", params={"delay_ms": 500, "executed": executed})
        before = (await ground.control("clock")).body["now_ms"]
        slow = asyncio.create_task(ground.get(KLINES))
        while not await ground.fired("F10"):
            pass
        await ground.advance(10 * MINUTE_MS)
        assert not slow.done()
        newest = (await slow).body[-1][0]
        assert (newest <= before) is executed


async def test_f22_silences_but_answers_pings() -> None:
    async with local_exchange(paused=False, speed=60) as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F22", match={"stream": "*@kline_1m"})
        while True:
            try:
                async with asyncio.timeout(0.5):
                    await socket.recv()
            except TimeoutError:
                break
        pong = await socket.ping()
        async with asyncio.timeout(2):
            await pong
        assert await ground.fired("F22") >= 1
        await ground.control("faults", {"clear": "all"})
        assert (await frame(socket))["e"] == "kline"


async def test_f22_can_leave_new_sockets_alone() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as old:
        await frame(old)
        await ground.fault("F22", params={"new_sockets": False})
        async with ground.socket(MINUTES) as new:
            await ground.advance(10 * MINUTE_MS)
            assert len(await closed_bars(new, 10)) == 10
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await old.recv()


async def test_f23_leaves_out_closing_frames() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await ground.fault("F23", count=2, match={"nth": 3})
        await ground.advance(10 * MINUTE_MS)
        times = [bar["t"] for bar in await closed_bars(socket, 8)]
        assert [(b - a) // MINUTE_MS for a, b in pairwise(times)] == [1, 3, 1, 1, 1, 1, 1]
        assert await ground.fired("F23") == 2


async def test_f24_differs_from_rest() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await ground.fault("F24", params={"ticks": 9})
        await ground.advance(2 * MINUTE_MS)
        told, next_told = await closed_bars(socket, 2)
        true, next_true = (await ground.get(f"{KLINES}&startTime={told['t']}")).body[:2]
        assert round((float(told["c"]) - float(true[4])) * 1e4) == 9
        assert float(told["h"]) >= float(told["c"])
        assert next_told["c"] == next_true[4]


async def test_f24_corrects_a_bar_later() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await ground.fault("F24", params={"variant": "late_copy", "delay_ms": 90_000})
        await ground.advance(MINUTE_MS)
        (first,) = await closed_bars(socket, 1)
        await ground.advance(2 * MINUTE_MS)
        bars = await closed_bars(socket, 3)
        (copy,) = [bar for bar in bars if bar["t"] == first["t"]]
        assert copy["c"] != first["c"]


async def test_f25_gap_is_whole_and_can_include_rest() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F25", count=3, match={"nth": 2}, params={"variant": "gap", "rest": True})
        await ground.advance(8 * MINUTE_MS)
        times = [bar["t"] for bar in await closed_bars(socket, 5)]
        assert sorted((b - a) // MINUTE_MS for a, b in pairwise(times)) == [1, 1, 1, 4]
        rows = (await ground.get(f"{KLINES}&startTime={times[0]}")).body
        assert [row[0] for row in rows] == times


async def test_f25_duplicate_swapped_and_empty_bars() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        wanted = [
            _bars("twice", 1, "duplicate"),
            _bars("swap", 3, "out_of_order"),
            _bars("empty", 6, "zero_volume"),
        ]
        await ground.control("faults", {"add": wanted})
        await ground.advance(7 * MINUTE_MS)
        bars = await closed_bars(socket, 8)
        assert [(b["t"] - bars[0]["t"]) // MINUTE_MS for b in bars] == [0, 0, 1, 3, 2, 4, 5, 6]
        assert [float(b["v"]) == 0 for b in bars] == [False] * 6 + [True, False]


@pytest.mark.parametrize("variant", ["gap", "duplicate", "out_of_order"])
async def test_f25_over_rest(variant: str) -> None:
    async with local_exchange() as ground:
        path = KLINES.replace("limit=5", "limit=4") if variant == "out_of_order" else KLINES
        whole = (await ground.get(path)).body
        await ground.fault("F25", match={"path": "/api/v3/klines"}, params={"variant": variant})
        broken = (await ground.get(path)).body
        at = len(whole) - 3
        expected = {
            "gap": whole[:at] + whole[at + 1 :],
            "duplicate": [*whole[: at + 1], *whole[at:]],
            "out_of_order": [*whole[:at], whole[at + 1], whole[at], *whole[at + 2 :]],
        }[variant]
        assert broken == expected
        assert (await ground.get(path)).body == whole


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ("nan", lambda k: k["c"] == "NaN"),
        ("negative", lambda k: k["c"].startswith("-")),
        ("overflow", lambda k: k["c"] == "1e999"),
        ("spike", lambda k: float(k["c"]) > 1.2 * float(k["h"])),
        ("high_below_low", lambda k: float(k["h"]) < float(k["l"])),
        ("missing_field", lambda k: "c" not in k),
    ],
)
async def test_f26_impossible_numbers(variant: str, told: Any) -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F26", params={"variant": variant})
        await ground.advance(2_000)
        assert told((await frame(socket))["k"])
        await ground.advance(2_000)
        assert not told((await frame(socket))["k"])
        await ground.control("faults", {"clear": "all"})
        await ground.fault("F26", match={"path": "/api/v3/klines"}, params={"variant": variant})
        row = (await ground.get(KLINES)).body[-1]
        if variant == "missing_field":
            assert len(row) == 4
        else:
            assert told(dict(zip("tohlcv", row, strict=False)))


async def test_f26_quotes_and_unreadable_frames() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@bookTicker") as socket:
        right = float((await frame(socket))["b"])
        await ground.fault("F26", params={"variant": "spike", "field": "b", "factor": 0.5})
        await ground.advance(30_000)
        assert float((await frame(socket))["b"]) < 0.6 * right
        await ground.control("faults", {"clear": "all"})
        await ground.fault("F26", params={"variant": "garbage"})
        await ground.advance(30_000)
        assert not _is_json(await socket.recv())
        await ground.control("faults", {"clear": "all"})
        await ground.fault("F26", params={"variant": "unknown_event"})
        await ground.advance(30_000)
        assert [(await frame(socket)).get("e") for _ in range(2)] == [None, "somethingNew"]


async def test_f27_disconnects_after_notice() -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F27", params={"variant": "shutdown", "grace_ms": 100})
        assert (await frame(socket))["e"] == "serverShutdown"
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize(("variant", "code"), [("disconnect", 1001), ("abort", None)])
async def test_f27_disconnects_at_once(variant: str, code: int | None) -> None:
    async with local_exchange() as ground, ground.socket(MINUTES) as socket:
        await frame(socket)
        await ground.fault("F27", params={"variant": variant})
        with pytest.raises(ConnectionClosed) as closed:
            await frame(socket)
        assert (closed.value.rcvd.code if closed.value.rcvd else None) == code
        assert await ground.fired("F27") == 1
        async with ground.socket(MINUTES) as again:
            assert (await frame(again))["e"] == "kline"


async def test_f27_refuses_reconnects() -> None:
    async with local_exchange() as ground:
        await ground.fault("F27", count=2, params={"variant": "refuse"})
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                async with ground.socket(MINUTES):
                    pass
            assert refused.value.response.status_code == 429
        async with ground.socket(MINUTES) as socket:
            assert (await frame(socket))["e"] == "kline"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"fault": "F28"}, "not the venue's"),
        ({"fault": "F99"}, "no fault 'F99'"),
        ({"fault": "F9", "params": {"variant": "comic"}}, "no variant 'comic'"),
        ({"fault": "F9", "params": {"colour": "red"}}, "no 'colour'"),
        ({"fault": "F10", "params": {"delay_ms": "long"}}, "delay_ms"),
        ({"fault": "F6", "count": 0}, "count"),
        ({"fault": "F6", "match": {"nth": -1}}, "nth"),
        ({"fault": "F6", "match": {"colour": 1}}, "colour"),
        ({"fault": "F6", "id": "all"}, "id"),
        ("F6", "object"),
    ],
)
async def test_what_cannot_be_set_is_a_sentence(entry: object, says: str) -> None:
    async with local_exchange() as ground:
        answer = await ground.control("faults", {"add": [entry]})
        assert answer.status == 400
        assert says in answer.body["error"]
        assert (await ground.control("faults")).body == {"faults": []}


async def test_faults_are_listed_and_cleared_by_id() -> None:
    async with local_exchange() as ground:
        await ground.fault("F9", count=3, match={"path": "/api/v3/time"})
        (listed,) = (await ground.control("faults")).body["faults"]
        assert (listed["id"], listed["count"], listed["fired"], listed["active"]) == ("F9", 3, 0, True)
        assert (await ground.control("faults", {"add": [{"id": "F9", "fault": "F6"}]})).status == 400
        assert (await ground.control("faults", {"clear": ["F9"]})).body == {"faults": []}
        assert (await ground.control("faults", {"clear": ["F9"]})).status == 400


def _bars(ident: str, nth: int, variant: str) -> dict[str, object]:
    return {"id": ident, "fault": "F25", "match": {"nth": nth}, "params": {"variant": variant}}


def _is_json(body: str | bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
