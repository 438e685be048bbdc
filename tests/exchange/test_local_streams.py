"""Market sockets of the local exchange, through a plain WebSocket client."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from local_ground import MINUTE_MS, NOON_MS, Ground, ask, closed_bars, frame, local_exchange, until_closed
from websockets.exceptions import InvalidStatus

from agent.localexchange.connection import Pulse


async def test_combined_address_wraps_every_stream() -> None:
    names = ["adausdt@kline_15m", "adausdt@bookTicker", "adausdt@depth20@100ms", "bnbusdt@miniTicker"]
    async with (
        local_exchange(paused=False) as ground,
        ground.socket(f"/stream?streams={'/'.join(names)}") as socket,
    ):
        seen = {}
        while len(seen) < len(names):
            event = await frame(socket)
            seen[event["stream"]] = event["data"]
        assert seen["adausdt@kline_15m"]["e"] == "kline"
        assert set(seen["adausdt@bookTicker"]) == {"u", "s", "b", "B", "a", "A"}
        assert float(seen["adausdt@bookTicker"]["b"]) < float(seen["adausdt@bookTicker"]["a"])
        assert len(seen["adausdt@depth20@100ms"]["bids"]) == 20
        assert seen["bnbusdt@miniTicker"]["e"] == "24hrMiniTicker"


@pytest.mark.parametrize("path", ["/ws", "/stream/ws", "/stream/ws/3", "/ws/0"])
async def test_subscribe_frames_on_raw_addresses(path: str) -> None:
    async with local_exchange(paused=False) as ground, ground.socket(path) as socket:
        assert await ask(socket, "LIST_SUBSCRIPTIONS", []) == {"result": [], "id": 1}
        assert await ask(socket, "SUBSCRIBE", ["adausdt@kline_1m"], 2) == {"result": None, "id": 2}
        event = await frame(socket)
        assert (event["e"], event["s"], event["k"]["i"]) == ("kline", "ADAUSDT", "1m")
        assert (await ask(socket, "LIST_SUBSCRIPTIONS", [], "three"))["result"] == ["adausdt@kline_1m"]
        assert await ask(socket, "UNSUBSCRIBE", ["adausdt@kline_1m"], 4) == {"result": None, "id": 4}
        assert (await ask(socket, "LIST_SUBSCRIPTIONS", [], 5))["result"] == []


async def test_streams_may_stand_in_a_raw_address() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@bookTicker/adausdt@kline_1m") as socket:
        assert "data" not in await frame(socket)
        assert len((await ask(socket, "LIST_SUBSCRIPTIONS", []))["result"]) == 2


async def test_combined_form_can_be_switched_on() -> None:
    async with local_exchange(paused=False) as ground, ground.socket("/ws") as socket:
        assert (await ask(socket, "GET_PROPERTY", ["combined"]))["result"] is False
        assert (await ask(socket, "SET_PROPERTY", ["combined", True], 2))["result"] is None
        await ask(socket, "SUBSCRIBE", ["adausdt@kline_1m"], 3)
        assert (await frame(socket))["stream"] == "adausdt@kline_1m"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ('{"method":"SUBSCRIBE","params":["adausdt@nothing"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["nopeusdt@trade"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["ADAUSDT@trade"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["adausdt@kline_7m"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"adausdt@trade","id":1}', 2),
        ('{"method":"DANCE","params":[],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', 0),
        ("not json", 3),
        ("[]", 2),
    ],
)
async def test_wrong_frames_get_an_error_and_change_nothing(sent: str, code: int) -> None:
    async with local_exchange() as ground, ground.socket("/ws") as socket:
        await socket.send(sent)
        assert (await frame(socket))["error"]["code"] == code
        assert (await ask(socket, "LIST_SUBSCRIPTIONS", []))["result"] == []


async def test_an_address_with_an_unknown_stream_is_refused() -> None:
    async with local_exchange() as ground:
        with pytest.raises(InvalidStatus) as refused:
            async with ground.socket("/ws/adausdt@klein_1m"):
                pass
        assert refused.value.response.status_code == 400


async def test_at_most_1024_streams() -> None:
    kinds = [f"{s}@{k}" for s in ("adausdt", "bnbusdt") for k in ("trade", "bookTicker")]
    async with local_exchange() as ground, ground.socket("/ws") as socket:
        many = [f"adausdt@kline_{'1' * n}m" for n in range(1, 1030)]
        assert (await ask(socket, "SUBSCRIBE", many))["error"]["code"] == 2
        assert (await ask(socket, "SUBSCRIBE", kinds, 2))["result"] is None


async def test_every_closed_bar_arrives_when_time_is_advanced() -> None:
    names = "adausdt@kline_1m/adausdt@kline_15m/bnbusdt@kline_1h"
    async with local_exchange() as ground, ground.socket(f"/stream?streams={names}") as socket:
        await ground.advance(24 * 60 * MINUTE_MS)
        events = []
        while len(events) < 1_440 + 96 + 24:
            event = (await frame(socket))["data"]
            if event["k"]["x"]:
                events.append(event)
        closes = [event["E"] for event in events]
        assert closes == sorted(closes), "bars of all streams come in the order in which they closed"
        minutes = [e["k"]["t"] for e in events if e["k"]["i"] == "1m"]
        assert {b - a for a, b in pairwise(minutes)} == {MINUTE_MS}
        assert minutes[0] == NOON_MS // MINUTE_MS * MINUTE_MS


async def test_closed_bars_equal_rest() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@kline_5m") as socket:
        await ground.advance(60 * MINUTE_MS)
        bars = await closed_bars(socket, 12)
        rows = (await ground.get(f"/api/v3/klines?symbol=ADAUSDT&interval=5m&startTime={bars[0]['t']}")).body
        for bar, row in zip(bars, rows, strict=False):
            assert [bar[key] for key in "tohlcvTqnVQ"] == row[:11]


async def test_at_full_speed_no_closed_bar_is_missing_and_ordinary_frames_are_few() -> None:
    async with (
        local_exchange(paused=False, speed=2_000) as ground,
        ground.socket("/stream?streams=adausdt@kline_1m/adausdt@bookTicker") as socket,
    ):
        began = time.monotonic()
        closed: list[int] = []
        ordinary = {"adausdt@kline_1m": 0, "adausdt@bookTicker": 0}
        while len(closed) < 60:
            event = await frame(socket)
            if event["data"].get("e") == "kline" and event["data"]["k"]["x"]:
                closed.append(event["data"]["k"]["t"])
            else:
                ordinary[event["stream"]] += 1
        took_s = time.monotonic() - began
        assert {b - a for a, b in pairwise(closed)} == {MINUTE_MS}
        assert max(ordinary.values()) <= 20 * took_s + 2


async def test_depth_updates_are_without_gaps_and_lead_to_the_snapshot() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@depth@100ms") as socket:
        before = (await ground.get("/api/v3/depth?symbol=ADAUSDT&limit=1000")).body
        book = {side: dict(before[side]) for side in ("bids", "asks")}
        last = before["lastUpdateId"]
        for _ in range(20):
            await ground.advance(700)
            event = await frame(socket)
            assert event["U"] == last + 1
            last = event["u"]
            for side, key in (("bids", "b"), ("asks", "a")):
                book[side].update(event[key])
        after = (await ground.get("/api/v3/depth?symbol=ADAUSDT&limit=1000")).body
        assert after["lastUpdateId"] == last
        for side in ("bids", "asks"):
            left = {price: size for price, size in book[side].items() if float(size)}
            assert left == dict(after[side])


async def test_trades_come_one_by_one_at_ordinary_speed() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@trade") as socket:
        ids = []
        for _ in range(5):
            await ground.advance(1_000)
            event = await frame(socket)
            assert event["e"] == "trade"
            ids.append(event["t"])
        assert {b - a for a, b in pairwise(ids)} == {1}


async def test_ticker_streams_have_all_fields() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@ticker") as socket:
        event = await frame(socket)
        assert set(event) == set("eEspPwxcQbBaAohlvqOCFLn")
        assert (await ask(socket, "SUBSCRIBE", ["!miniTicker@arr"]))["result"] is None
        await ground.advance(1_000)
        arrays = [event for _ in range(2) if isinstance(event := await frame(socket), list)]
        assert [row["s"] for row in arrays[0]] == ["ADAUSDT", "BNBUSDT"]


async def test_pings_carry_a_payload_and_silent_clients_are_dropped() -> None:
    async with local_exchange(pulse=Pulse(ping_every_s=0.25, pong_within_s=0.5)) as ground:
        async with ground.socket("/ws/adausdt@bookTicker") as living:
            await asyncio.sleep(0.9)
            assert (await ask(living, "LIST_SUBSCRIPTIONS", []))["result"], "who answers stays"
        reader, writer = await _handshake(ground)
        async with asyncio.timeout(5):
            rest = await reader.read()
        assert b"\x89" in rest, "it was pinged"
        assert b"no pong" in rest
        writer.close()


async def _handshake(ground: Ground) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A socket that never answers anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ground.running.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_who_talks_too_much_is_disconnected() -> None:
    async with local_exchange() as ground, ground.socket("/ws") as socket:
        for ident in range(6):
            await socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{ident}}}')
        closed = await until_closed(socket)
        assert closed.rcvd is not None
        assert (closed.rcvd.code, closed.rcvd.reason) == (1008, "Too many requests")


async def test_who_does_not_read_is_disconnected_and_others_are_served() -> None:
    async with (
        local_exchange(pulse=Pulse(read_within_s=0.3)) as ground,
        ground.socket("/ws/adausdt@kline_1m", max_queue=1) as lazy,
        ground.socket("/ws/adausdt@kline_15m") as quick,
    ):
        days = 30
        await ground.advance(days * 24 * 60 * MINUTE_MS)
        bars = await closed_bars(quick, days * 96)
        assert len(bars) == days * 96
        assert (await until_closed(lazy)).rcvd is None, "cut off without a word"
