"""What ccxt.pro makes of each exchange's frames, read out of its caches by our sockets, without a network.

The frames are written after the exchanges' documentation; those that ccxt recorded are tried where they are
at hand (see test_ccxt_fixtures).
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from agent.core.market import Candle
from agent.exchange.addresses import Addresses
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from agent.exchange.unified.hints import _Life as HintLife
from agent.exchange.unified.pro_client import closed, pro_instance
from agent.exchange.unified.sockets import UnifiedCounters, _Life
from tests.clocks import ManualClock
from tests.exchange.recorded import at_hand, market_of
from tests.exchange.test_unified_requests import PAIR, market

OPEN_MS = 1_750_000_020_000
BYBIT = "/v5/public/spot"
FRAMES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "bybit": (
        BYBIT,
        [
            {
                "topic": "kline.1.ADAUSDT", "type": "snapshot", "ts": OPEN_MS + 5_000,
                "data": [{
                    "start": OPEN_MS, "end": OPEN_MS + 59_999, "interval": "1", "open": "0.5",
                    "close": "0.52",
                    "high": "0.53", "low": "0.49", "volume": "1000.5", "turnover": "510", "confirm": False,
                    "timestamp": OPEN_MS + 5_000,
                }],
            },
            {
                "topic": "orderbook.1.ADAUSDT", "type": "snapshot", "ts": OPEN_MS + 5_000,
                "data": {
                    "s": "ADAUSDT", "b": [["0.5199", "10.5"]], "a": [["0.5201", "20"]], "u": 1, "seq": 1,
                },
            },
        ],
    ),
    "okx": (
        "/ws/v5/business",
        [
            {
                "arg": {"channel": "candle1m", "instId": "ADA-USDT"},
                "data": [[str(OPEN_MS), "0.5", "0.53", "0.49", "0.52", "1000.5", "510", "510", "0"]],
            },
            {
                "arg": {"channel": "tickers", "instId": "ADA-USDT"},
                "data": [{
                    "instType": "SPOT", "instId": "ADA-USDT", "last": "0.52", "lastSz": "3",
                    "askPx": "0.5201", "askSz": "20", "bidPx": "0.5199", "bidSz": "10.5", "open24h": "0.51",
                    "high24h": "0.6", "low24h": "0.4", "sodUtc0": "0.5", "sodUtc8": "0.5",
                    "volCcy24h": "500", "vol24h": "1000", "ts": str(OPEN_MS + 5_000),
                }],
            },
        ],
    ),
    "kraken": (
        "/v2",
        [
            {
                "channel": "ohlc", "type": "update", "timestamp": "2025-06-15T15:07:05Z",
                "data": [{
                    "symbol": PAIR, "open": 0.5, "high": 0.53, "low": 0.49, "close": 0.52, "trades": 3,
                    "volume": 1000.5, "vwap": 0.51, "interval_begin": "2025-06-15T15:07:00.000000000Z",
                    "interval": 1, "timestamp": "2025-06-15T15:08:00.000000Z",
                }],
            },
            {
                "channel": "ticker", "type": "update",
                "data": [{
                    "symbol": PAIR, "bid": 0.5199, "bid_qty": 10.5, "ask": 0.5201, "ask_qty": 20,
                    "last": 0.52, "volume": 1, "vwap": 0.5,
                    "low": 0.4, "high": 0.6, "change": 0, "change_pct": 0,
                }],
            },
        ],
    ),
}  # fmt: skip


#: What comes between them and tells nothing of the market.
ASIDE: dict[str, list[dict[str, Any]]] = {
    "bybit": [{"success": True, "ret_msg": "subscribe", "conn_id": "c1", "req_id": "1", "op": "subscribe"}],
    "okx": [{"event": "subscribe", "arg": {"channel": "candle1m", "instId": "ADA-USDT"}, "connId": "c1"}],
    "kraken": [
        {"channel": "status", "type": "update", "data": [{"version": "2.0.10", "system": "online"}]},
        {
            "method": "subscribe", "req_id": 1, "success": True, "time_in": "2025-06-15T15:07:04.1Z",
            "result": {"channel": "ohlc", "interval": 1, "snapshot": True, "symbol": PAIR},
        },
        {"channel": "heartbeat"},
    ],
}  # fmt: skip


class Heard:
    def __init__(self) -> None:
        self.klines: list[KlineFrame] = []
        self.tops: list[TopFrame] = []
        self.unreadable: list[Unreadable] = []

    def socket_up(self) -> None:
        return None

    def socket_down(self, why: str) -> None:
        return None

    def socket_kline(self, frame: KlineFrame) -> None:
        self.klines.append(frame)

    def socket_top(self, frame: TopFrame) -> None:
        self.tops.append(frame)

    def socket_unreadable(self, frame: Unreadable) -> None:
        self.unreadable.append(frame)


@pytest.mark.parametrize("exchange", sorted(FRAMES))
async def test_candles_and_prices_come_out_of_the_caches(exchange: str) -> None:
    heard = Heard()
    life = _Life(PAIR, "1m", ManualClock(OPEN_MS), heard, UnifiedCounters(), lambda: None)
    made = pro_instance(
        Addresses.replaced(exchange, "http://127.0.0.1:1", "ws://127.0.0.1:1"), life, ping_interval_ms=20_000
    )
    path, frames = FRAMES[exchange]
    try:
        made.set_markets([market(exchange)])
        life.made = made
        client = made.client(f"ws://127.0.0.1:1{path}")
        for frame in (*ASIDE[exchange], *frames):
            made.handle_message(client, frame)
        assert heard.unreadable == []
        candle = Candle(OPEN_MS, 0.5, 0.53, 0.49, 0.52, 1000.5)
        assert heard.klines == [KlineFrame("1m", candle, closed=False)]
        (top,) = heard.tops
        assert (top.bid, top.bid_qty, top.ask, top.ask_qty) == (
            Decimal("0.5199"),
            Decimal("10.5"),
            Decimal("0.5201"),
            Decimal(20),
        )
        for frame in frames:
            made.handle_message(client, frame)
        assert (len(heard.klines), len(heard.tops)) == (1, 1), "what does not change is not told again"
        made.handle_message(client, "not json at all")
        made.handle_message(client, {"topic": "kline.1.ADAUSDT", "channel": "ohlc", "data": [None]})
        assert not life.over.is_set(), "a frame without sense ends nothing"
    finally:
        await closed(made)
    await asyncio.sleep(0)


async def test_a_socket_to_another_host_and_any_request_are_stopped() -> None:
    life = _Life(PAIR, "1m", ManualClock(OPEN_MS), Heard(), UnifiedCounters(), lambda: None)
    made = pro_instance(
        Addresses.replaced("okx", "http://127.0.0.1:1", "ws://127.0.0.1:1"), life, ping_interval_ms=20_000
    )
    try:
        with pytest.raises(Exception, match="a socket to evil"):
            made.client("wss://evil.example/ws")
        with pytest.raises(Exception, match="sockets ask nothing"):
            await made.fetch("http://127.0.0.1:1/api/v5/public/time")
        assert made.streaming["keepAlive"] == 18_000
        assert made.streaming["maxPingPongMisses"] == 2
    finally:
        await closed(made)


#: What each exchange tells of an order and of its trade, by the path of the socket that tells it.
PRIVATE: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "kraken": (
        "/v2",
        [{
            "channel": "executions", "type": "update", "sequence": 4,
            "data": [{
                "order_id": "77", "order_userref": 0, "exec_id": "T9", "exec_type": "trade", "trade_id": 9,
                "symbol": PAIR, "side": "buy", "last_qty": 40.0, "last_price": 0.5, "cost": 20.0,
                "liquidity_ind": "t", "order_status": "filled", "order_type": "market", "order_qty": 40.0,
                "cum_qty": 40.0, "cum_cost": 20.0, "avg_price": 0.5, "time_in_force": "GTC",
                "fees": [{"asset": "USDT", "qty": 0.08}], "timestamp": "2025-06-15T15:07:05.100000Z",
            }],
        }],
    ),
    "bybit": (
        "/v5/private",
        [
            {
                "topic": "order.spot", "id": "1", "creationTime": OPEN_MS,
                "data": [{
                    "category": "spot", "symbol": "ADAUSDT", "orderId": "77", "orderLinkId": "ours",
                    "side": "Buy", "orderType": "Market", "orderStatus": "Filled", "qty": "40",
                    "cumExecQty": "40", "cumExecValue": "20", "cumExecFee": "0.04", "avgPrice": "0.5",
                    "price": "0", "leavesQty": "0", "timeInForce": "IOC", "createdTime": str(OPEN_MS),
                    "updatedTime": str(OPEN_MS), "triggerPrice": "",
                }],
            },
        ],
    ),
    "okx": (
        "/ws/v5/private",
        [
            {
                "arg": {"channel": "orders", "instType": "SPOT", "uid": "1"},
                "data": [{
                    "ordId": "77", "clOrdId": "ours", "instId": "ADA-USDT", "instType": "SPOT",
                    "side": "buy", "ordType": "market", "state": "filled", "px": "", "sz": "40",
                    "accFillSz": "40", "avgPx": "0.5", "fee": "-0.04", "feeCcy": "ADA",
                    "cTime": str(OPEN_MS), "uTime": str(OPEN_MS), "tgtCcy": "base_ccy", "tradeId": "",
                }],
            },
        ],
    ),
    "coinbase": (
        "",
        [
            {
                "channel": "user", "client_id": "", "timestamp": "2025-06-15T15:07:05.1Z", "sequence_num": 1,
                "events": [{
                    "type": "update",
                    "orders": [{
                        "order_id": "77", "client_order_id": "ours", "cumulative_quantity": "40",
                        "leaves_quantity": "0", "avg_price": "0.5", "total_fees": "0.2", "status": "FILLED",
                        "product_id": "ADA-USDT", "creation_time": "2025-06-15T15:07:05.0Z",
                        "order_side": "BUY", "order_type": "Market",
                    }],
                }],
            },
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("exchange", sorted(PRIVATE))
async def test_what_happens_to_an_order_names_it(exchange: str) -> None:
    touched: list[str] = []
    life = HintLife(touched.append, lambda: None)
    made = pro_instance(
        Addresses.replaced(exchange, "http://127.0.0.1:1", "ws://127.0.0.1:1"), life, ping_interval_ms=20_000
    )
    path, frames = PRIVATE[exchange]
    try:
        made.set_markets([market(exchange)])
        life.made = made
        client = made.client(f"ws://127.0.0.1:1{path}")
        for frame in frames:
            made.handle_message(client, frame)
        assert set(touched) == {"77"}, exchange
        heard = len(touched)
        for frame in frames:
            made.handle_message(client, frame)
        assert len(touched) == heard, "what does not change is not hinted at again"
        assert not life.over.is_set()
    finally:
        await closed(made)
    await asyncio.sleep(0)


#: Bybit's `watchTicker` is not among them: our sockets ask it for best prices by `watchBidsAsks`.
RECORDED = [
    ("kraken", "watchTicker"), ("kraken", "watchOHLCV"),
    ("bybit", "watchBidsAsks"), ("bybit", "watchOHLCV"),
    ("okx", "watchBidsAsks"), ("okx", "watchTicker"), ("okx", "watchOHLCV"),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "method"), RECORDED)
async def test_frames_that_ccxt_recorded_come_out_of_the_caches(exchange: str, method: str) -> None:
    for case in at_hand("ws", exchange)["methods"][method]:
        pair = case["input"][0] if isinstance(case["input"][0], str) else case["input"][0][0]
        if ":" in pair:
            continue
        heard = Heard()
        life = _Life(pair, "1m", ManualClock(OPEN_MS), heard, UnifiedCounters(), lambda: None)
        made = pro_instance(
            Addresses.replaced(exchange, "http://127.0.0.1:1", "ws://127.0.0.1:1"),
            life,
            ping_interval_ms=20_000,
        )
        try:
            made.set_markets([market_of(exchange, pair)])
            life.made = made
            client = made.client(f"ws://127.0.0.1:1/{case['url'].split('/', 3)[3]}")
            for frame in case["messages"]:
                made.handle_message(client, frame)
            assert heard.unreadable == []
            if method == "watchOHLCV":
                first = case["parsedResponses"][0]
                assert first[-1] in [[k.candle.open_ms, *candle_numbers(k)] for k in heard.klines]
            else:
                recorded = case["parsedResponses"][0]
                recorded = recorded.get(pair, recorded)
                wanted = [recorded[name] for name in ("bid", "bidVolume", "ask", "askVolume")]
                tops = [[top.bid, top.bid_qty, top.ask, top.ask_qty] for top in heard.tops]
                assert [Decimal(str(number)) for number in wanted] in tops
        finally:
            await closed(made)
        await asyncio.sleep(0)


def candle_numbers(frame: KlineFrame) -> list[float]:
    candle = frame.candle
    return [candle.open, candle.high, candle.low, candle.close, candle.volume]
