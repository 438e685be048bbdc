"""Public REST of the local exchange: parameters, errors, weights, consistency."""

from __future__ import annotations

from itertools import pairwise

import pytest
from local_ground import MINUTE_MS, NOON_MS, local_exchange


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/klines?interval=1m", 400, -1102),
        ("/api/v3/klines?symbol=ADAUSDT", 400, -1102),
        ("/api/v3/klines?symbol=ADAUSDT&interval=7m", 400, -1120),
        ("/api/v3/klines?symbol=NOPE&interval=1m", 400, -1121),
        ("/api/v3/klines?symbol=ada%20usdt&interval=1m", 400, -1100),
        ("/api/v3/klines?symbol=&interval=1m", 400, -1105),
        ("/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=ten", 400, -1100),
        ("/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=0", 400, -1130),
        ("/api/v3/klines?symbol=ADAUSDT&interval=1m&startTime=-5", 400, -1100),
        ("/api/v3/klines?symbol=ADAUSDT&symbol=BNBUSDT&interval=1m", 400, -1101),
        ("/api/v3/klines?symbol=ADAUSDT&interval=1m&colour=red", 400, -1104),
        ("/api/v3/time?colour=red", 400, -1101),
        ("/api/v3/depth", 400, -1102),
        ("/api/v3/depth?symbol=NOPE", 400, -1121),
        ("/api/v3/ticker/24hr?symbol=ADAUSDT&symbols=%5B%22ADAUSDT%22%5D", 400, -1128),
        ("/api/v3/ticker/24hr?symbols=ADAUSDT", 400, -1100),
        ("/api/v3/ticker/24hr?symbols=%5B%5D", 400, -1105),
        ("/api/v3/ticker/24hr?symbol=ADAUSDT&type=HUGE", 400, -1130),
        ("/api/v3/ticker/price?symbol=NOPE", 400, -1121),
        ("/api/v3/aggTrades?symbol=ADAUSDT&fromId=1&startTime=2", 400, -1128),
        ("/api/v3/exchangeInfo?symbol=NOPE", 400, -1121),
        ("/api/v3/account", 401, -2014),
    ],
)
async def test_errors_have_binances_codes(path: str, status: int, code: int) -> None:
    async with local_exchange() as ground:
        answer = await ground.get(path)
        assert (answer.status, answer.body["code"]) == (status, code)
        assert answer.body["msg"]


async def test_an_unknown_path_is_a_page() -> None:
    async with local_exchange() as ground:
        answer = await ground.get("/api/v3/klein")
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/html")


async def test_exchange_info_states_all_filters() -> None:
    async with local_exchange() as ground:
        info = (await ground.get("/api/v3/exchangeInfo?symbol=ADAUSDT")).body
        (symbol,) = info["symbols"]
        filters = {f["filterType"]: f for f in symbol["filters"]}
        assert filters["PRICE_FILTER"]["tickSize"] == "0.00010000"
        assert filters["LOT_SIZE"]["stepSize"] == "0.10000000"
        assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
        assert {"MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS"} <= set(
            filters
        )
        assert {"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "LIMIT_MAKER"} <= set(symbol["orderTypes"])
        weight = next(r for r in info["rateLimits"] if r["rateLimitType"] == "REQUEST_WEIGHT")
        assert weight["limit"] == 6_000
        both = (await ground.get("/api/v3/exchangeInfo")).body
        assert [s["symbol"] for s in both["symbols"]] == ["ADAUSDT", "BNBUSDT"]
        listed = (await ground.get("/api/v3/exchangeInfo?symbols=%5B%22BNBUSDT%22%5D")).body
        assert [s["symbol"] for s in listed["symbols"]] == ["BNBUSDT"]


async def test_klines_paging_covers_the_history_without_gap_or_overlap() -> None:
    async with local_exchange() as ground:
        opens: list[int] = []
        start = NOON_MS - 2_500 * 15 * MINUTE_MS
        while True:
            path = f"/api/v3/klines?symbol=ADAUSDT&interval=15m&limit=1000&startTime={start}"
            rows = (await ground.get(path)).body
            opens += [row[0] for row in rows]
            if len(rows) < 1_000:
                break
            start = rows[-1][0] + 1
        assert {b - a for a, b in pairwise(opens)} == {15 * MINUTE_MS}
        assert len(opens) == 2_500
        assert opens[-1] <= NOON_MS < opens[-1] + 15 * MINUTE_MS


async def test_klines_history_is_long_enough_to_warm_up() -> None:
    async with local_exchange() as ground:
        start = NOON_MS - 8_000 * 15 * MINUTE_MS
        rows = (
            await ground.get(f"/api/v3/klines?symbol=ADAUSDT&interval=15m&limit=2&startTime={start}")
        ).body
        assert rows[0][0] - start < 15 * MINUTE_MS
        start = NOON_MS - 106_000 * MINUTE_MS
        rows = (await ground.get(f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=2&startTime={start}")).body
        assert rows[0][0] - start < MINUTE_MS


async def test_klines_windows() -> None:
    async with local_exchange() as ground:

        async def opens(**asked: int) -> list[int]:
            query = "".join(f"&{name}={value}" for name, value in asked.items())
            rows = (await ground.get(f"/api/v3/klines?symbol=ADAUSDT&interval=1m{query}")).body
            return [row[0] for row in rows]

        minute = NOON_MS // MINUTE_MS * MINUTE_MS
        at = minute - 100 * MINUTE_MS
        assert await opens(startTime=at, endTime=at + 2 * MINUTE_MS) == [
            at,
            at + MINUTE_MS,
            at + 2 * MINUTE_MS,
        ]
        assert await opens(startTime=at + 1, limit=1) == [at + MINUTE_MS]
        assert await opens(endTime=at, limit=2) == [at - MINUTE_MS, at]
        assert await opens(startTime=at, endTime=at - 1) == []
        assert await opens(startTime=NOON_MS + MINUTE_MS) == []
        assert await opens(limit=1) == [minute]
        assert len(await opens()) == 500
        assert len(await opens(limit=5_000)) == 1_000


async def test_bars_of_every_interval_add_up_from_minutes() -> None:
    async with local_exchange() as ground:
        start = (NOON_MS - 20 * 60 * MINUTE_MS) // (24 * 60 * MINUTE_MS) * (24 * 60 * MINUTE_MS)
        minutes = []
        while not minutes or minutes[-1][0] < start + (24 * 60 - 1) * MINUTE_MS:
            at = minutes[-1][0] + 1 if minutes else start
            path = f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1000&startTime={at}"
            minutes += (await ground.get(path)).body
        for interval, length in (
            ("3m", 3),
            ("15m", 15),
            ("1h", 60),
            ("4h", 240),
            ("12h", 720),
            ("1d", 1_440),
        ):
            path = f"/api/v3/klines?symbol=ADAUSDT&interval={interval}&limit=1&startTime={start}"
            (bar,) = (await ground.get(path)).body
            inside = minutes[:length]
            assert bar[0] == start
            assert bar[6] == start + length * MINUTE_MS - 1
            assert bar[1] == inside[0][1]
            assert bar[2] == max((row[2] for row in inside), key=float)
            assert bar[3] == min((row[3] for row in inside), key=float)
            assert bar[4] == inside[-1][4]
            for place in (5, 7, 9, 10):
                units = sum(round(float(row[place]) * 1e8) for row in inside)
                assert abs(units - float(bar[place]) * 1e8) < 1e4
            assert bar[8] == sum(row[8] for row in inside)


async def test_the_open_bar_grows_out_of_its_seconds() -> None:
    async with local_exchange() as ground:
        minute = NOON_MS // MINUTE_MS * MINUTE_MS
        (open_bar,) = (await ground.get("/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1")).body
        path = f"/api/v3/klines?symbol=ADAUSDT&interval=1s&startTime={minute}"
        seconds = (await ground.get(path)).body
        assert len(seconds) == 31, "seconds 0 to 30 have begun at half a minute"
        assert open_bar[1] == seconds[0][1]
        assert open_bar[4] == seconds[-1][4]
        assert float(open_bar[2]) == max(float(row[2]) for row in seconds)
        assert abs(float(open_bar[5]) - sum(float(row[5]) for row in seconds)) < 1e-6
        last = (await ground.get("/api/v3/ticker/price?symbol=ADAUSDT")).body
        assert last["price"] == open_bar[4]
        trades = (await ground.get("/api/v3/trades?symbol=ADAUSDT&limit=31")).body
        assert [t["price"] for t in trades] == [row[4] for row in seconds]


async def test_the_day_ticker_agrees_with_the_minutes() -> None:
    async with local_exchange() as ground:
        ticker = (await ground.get("/api/v3/ticker/24hr?symbol=ADAUSDT")).body
        rows = (
            await ground.get(
                f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1000&startTime={ticker['openTime']}"
            )
        ).body
        rows += (
            await ground.get(
                f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1000&startTime={rows[-1][0] + 1}"
            )
        ).body
        assert len(rows) == 1_440
        assert ticker["openPrice"] == rows[0][1]
        assert ticker["highPrice"] == max((row[2] for row in rows), key=float)
        assert ticker["lowPrice"] == min((row[3] for row in rows), key=float)
        assert abs(float(ticker["volume"]) - sum(float(row[5]) for row in rows)) < 1e-3
        mini = (await ground.get("/api/v3/ticker/24hr?symbol=ADAUSDT&type=MINI")).body
        assert mini["volume"] == ticker["volume"]
        assert "bidPrice" not in mini


async def test_the_book_surrounds_the_last_price() -> None:
    async with local_exchange() as ground:
        for _ in range(30):
            await ground.advance(13_000)
            top = (await ground.get("/api/v3/ticker/bookTicker?symbol=ADAUSDT")).body
            last = (await ground.get("/api/v3/ticker/price?symbol=ADAUSDT")).body["price"]
            depth = (await ground.get("/api/v3/depth?symbol=ADAUSDT&limit=20")).body
            assert [top["bidPrice"], top["bidQty"]] == depth["bids"][0]
            assert [top["askPrice"], top["askQty"]] == depth["asks"][0]
            assert last in (top["bidPrice"], top["askPrice"])
            assert 0.00005 < float(top["askPrice"]) - float(top["bidPrice"]) < 0.00025


async def test_average_price() -> None:
    async with local_exchange() as ground:
        answer = (await ground.get("/api/v3/avgPrice?symbol=ADAUSDT")).body
        rows = (await ground.get("/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=5")).body
        assert answer["mins"] == 5
        assert min(float(r[3]) for r in rows) <= float(answer["price"]) <= max(float(r[2]) for r in rows)


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("ping", 1),
        ("time", 1),
        ("exchangeInfo", 20),
        ("klines?symbol=ADAUSDT&interval=1m", 2),
        ("depth?symbol=ADAUSDT", 5),
        ("depth?symbol=ADAUSDT&limit=500", 25),
        ("depth?symbol=ADAUSDT&limit=1000", 50),
        ("depth?symbol=ADAUSDT&limit=5000", 250),
        ("ticker/24hr?symbol=ADAUSDT", 2),
        ("ticker/24hr", 80),
        ("ticker/price?symbol=ADAUSDT", 2),
        ("ticker/bookTicker", 4),
        ("aggTrades?symbol=ADAUSDT", 4),
        ("trades?symbol=ADAUSDT", 25),
        ("avgPrice?symbol=ADAUSDT", 2),
    ],
)
async def test_weights(path: str, weight: int) -> None:
    async with local_exchange() as ground:
        answer = await ground.get(f"/api/v3/{path}")
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


async def test_too_much_weight_is_429_then_418_and_forgiven_in_venue_time() -> None:
    async with local_exchange() as ground:
        heavy = "/api/v3/depth?symbol=ADAUSDT&limit=5000"
        for _ in range(24):
            assert (await ground.get(heavy)).status == 200
        refused = await ground.get(heavy)
        assert (refused.status, refused.body["code"]) == (429, -1003)
        assert refused.headers["Retry-After"] == "30", "the minute ends in 30 venue seconds"
        await ground.advance(30_000)
        assert (await ground.get("/api/v3/time")).status == 200
        for _ in range(24):
            await ground.get(heavy)
        statuses = [(await ground.get("/api/v3/time")).status for _ in range(7)]
        assert statuses == [429] * 4 + [418] * 3, "the fifth request after the limit is a ban"
        await ground.advance(3 * MINUTE_MS)
        assert (await ground.get("/api/v3/time")).status == 200
        requests = (await ground.control("ledger")).body["requests"]
        assert {r["status"] for r in requests} == {200, 429, 418}
