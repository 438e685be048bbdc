"""Steering the local exchange: clock, market, account, ledger."""

from __future__ import annotations

import time

import pytest
from local_ground import MINUTE_MS, NOON_MS, closed_bars, frame, local_exchange

QUARTER_MS = 15 * MINUTE_MS
KLINES = "/api/v3/klines?symbol=ADAUSDT"


async def test_the_clock_runs_at_its_speed_and_can_be_changed() -> None:
    async with local_exchange(paused=False, speed=60) as ground:

        async def pace(machine_s: float) -> float:
            began, venue = time.monotonic(), (await ground.control("clock")).body["now_ms"]
            while time.monotonic() - began < machine_s:
                later = (await ground.control("clock")).body["now_ms"]
            return float((later - venue) / 1_000 / (time.monotonic() - began))

        assert 30 < await pace(0.2) < 62
        assert (await ground.control("clock", {"speed": 2_000})).body["speed"] == 2_000
        assert 800 < await pace(0.2) < 2_050
        assert (await ground.control("clock", {"pause": True})).body["paused"] is True
        assert await pace(0.05) == 0
        stopped = (await ground.get("/api/v3/time")).body["serverTime"]
        await ground.advance(12_345)
        assert (await ground.get("/api/v3/time")).body["serverTime"] == stopped + 12_345


@pytest.mark.parametrize(
    "body", [{"speed": 0}, {"speed": 2_001}, {"speed": True}, {"advance_ms": -1}, {"pause": 1}, {"colour": 1}]
)
async def test_the_clock_refuses_nonsense(body: object) -> None:
    async with local_exchange() as ground:
        answer = await ground.control("clock", body)
        assert answer.status == 400
        assert answer.body["error"]
        assert (await ground.get("/api/v3/time")).body["serverTime"] == NOON_MS


async def test_the_price_moves_at_once_and_stays_there() -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@kline_1m") as socket:
        before = (await ground.get(f"{KLINES}&interval=1m&limit=3")).body
        assert (await ground.control("market", {"price": "0.8"})).status == 200
        assert (await ground.get(f"{KLINES}&interval=1m&limit=3")).body == before, "the past stays as it was"
        await ground.advance(1_000)
        assert (await ground.get("/api/v3/ticker/price?symbol=ADAUSDT")).body["price"] == "0.80000000"
        await ground.advance(10 * MINUTE_MS)
        first, *later = await closed_bars(socket, 10)
        assert (first["h"], first["c"]) == ("0.80000000", "0.80000000")
        assert first["l"] == before[-1][3]
        assert all(0.77 < float(bar[key]) < 0.83 for bar in later for key in "olhc")
        rows = (await ground.get(f"{KLINES}&interval=5m&startTime={first['t']}&limit=1")).body
        inside = [bar for bar in later if rows[0][0] <= bar["t"] <= rows[0][6]]
        assert len(inside) == 5
        assert rows[0][2] == max((bar["h"] for bar in inside), key=float)
        assert abs(float(rows[0][7]) - sum(float(bar["q"]) for bar in inside)) < 1e-3
        other = (await ground.get("/api/v3/ticker/price?symbol=BNBUSDT")).body["price"]
        assert float(other) > 100, "the other pair is not concerned"


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 1), ("15m", 15), ("1h", 60)])
async def test_a_candle_comes_as_ordered(interval: str, minutes: int) -> None:
    candle = {"open": "0.5", "high": 0.52, "low": "0.47", "close": "0.51", "volume": "123456.7"}
    async with local_exchange() as ground:
        answer = await ground.control("market", {"candle": {**candle, "interval": interval}})
        assert answer.status == 200, answer.text
        open_ms = answer.body["open_ms"]
        assert 0 < open_ms - NOON_MS <= minutes * MINUTE_MS
        await ground.advance(2 * minutes * MINUTE_MS)
        path = f"{KLINES}&interval={interval}&startTime={open_ms}&limit=2"
        bar, after = (await ground.get(path)).body
        assert [float(bar[n]) for n in range(1, 6)] == [0.5, 0.52, 0.47, 0.51, 123456.7]
        assert after[1] == "0.51000000", "the market goes on from there"


@pytest.mark.parametrize("bounce", [None, "0.7"])
async def test_a_signal_can_be_forced(bounce: str | None) -> None:
    async with local_exchange() as ground, ground.socket("/ws/adausdt@kline_15m") as socket:
        before = (await ground.get(f"{KLINES}&interval=15m&limit=2")).body
        asked = {"signal": True if bounce is None else {"bounce": bounce}}
        forced = (await ground.control("market", asked)).body
        assert forced["vol_z"] > 2
        assert forced["tr_z"] > 1.2
        assert forced["cloc"] > 0.6
        assert (await ground.get(f"{KLINES}&interval=15m&limit=2")).body == before
        await ground.advance(forced["close_ms"] + 1 - NOON_MS)
        bars = await closed_bars(socket, forced["bars_before"] + 1)
        bar = bars[-1]
        assert bar["t"] == forced["open_ms"]
        low, high, close = (float(bar[key]) for key in "lhc")
        assert abs((close - low) / (high - low) - forced["cloc"]) < 1e-9
        if bounce is not None:
            await ground.advance(8 * QUARTER_MS)
            after = await closed_bars(socket, 8)
            assert float(after[-1]["c"]) > close * 1.01


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "price, candle or signal"),
        ({"price": 1, "signal": True}, "price, candle or signal"),
        ({"price": "-1"}, "positive"),
        ({"price": "high"}, "positive"),
        ({"price": 1, "symbol": "NOPE"}, "NOPE"),
        ({"price": 1, "colour": "red"}, "colour"),
        ({"candle": {"open": 1}}, "no high"),
        ({"candle": {"open": 1, "high": 2, "low": 3, "close": 1, "volume": 1}}, "enclose"),
        ({"candle": {"open": 1, "high": 1, "low": 1, "close": 1, "volume": 1, "interval": "7m"}}, "7m"),
        ({"signal": "now"}, "signal is true"),
        ({"signal": {"colour": 1}}, "colour"),
        ({"signal": {"interval": "1d"}}, "too few"),
    ],
)
async def test_the_market_refuses_nonsense(body: object, says: str) -> None:
    async with local_exchange() as ground:
        answer = await ground.control("market", body)
        assert answer.status == 400
        assert says in answer.body["error"]


async def test_bodies_must_be_json_objects() -> None:
    async with local_exchange() as ground:
        url = f"{ground.running.control}/clock"
        for data in (b"speed=2", b"[]", b""):
            async with ground.session.post(url, data=data) as response:
                assert response.status == 400
                assert (await response.json())["error"]


async def test_the_ledger_tells_balances_and_requests() -> None:
    async with local_exchange() as ground:
        await ground.get("/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1")
        await ground.get("/api/v3/nothing")
        async with ground.socket("/ws/adausdt@trade"):
            pass
        ledger = (await ground.control("ledger")).body
        assert ledger["balances"] == {"USDT": {"free": "10000", "locked": "0"}}
        assert (ledger["orders"], ledger["fills"]) == ([], [])
        assert [(r["method"], r["path"], r["status"], r["ts"]) for r in ledger["requests"]] == [
            ("GET", "/api/v3/klines", 200, NOON_MS),
            ("GET", "/api/v3/nothing", 404, NOON_MS),
            ("GET", "/ws/adausdt@trade", 101, NOON_MS),
        ]
        assert ledger["requests"][0]["query"] == "symbol=ADAUSDT&interval=1m&limit=1"


async def test_the_socket_api_answers_time_and_refuses_the_rest() -> None:
    async with local_exchange() as ground, ground.socket("/ws-api/v3") as socket:
        await socket.send('{"id":"1","method":"time"}')
        assert (await frame(socket))["result"]["serverTime"] == NOON_MS
        await socket.send('{"id":"2","method":"order.place","params":{}}')
        refused = await frame(socket)
        assert (refused["id"], refused["status"], refused["error"]["code"]) == ("2", 400, -1102)
        await socket.send("nonsense")
        assert (await frame(socket))["error"]["code"] == -1135
