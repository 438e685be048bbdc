"""Frames of Binance's market streams, and everything that only looks like one."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.exchange.binance_frames import ShutdownFrame, read_frame
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable

KLINE: dict[str, Any] = {
    "e": "kline",
    "E": 1_700_000_001_000,
    "s": "ADAUSDT",
    "k": {
        "t": 1_700_000_000_000,
        "T": 1_700_000_059_999,
        "s": "ADAUSDT",
        "i": "1m",
        "o": "0.3500",
        "c": "0.3512",
        "h": "0.3520",
        "l": "0.3499",
        "v": "12345.6",
        "x": True,
    },
}
TOP: dict[str, Any] = {"u": 400900217, "s": "ADAUSDT", "b": "0.3511", "B": "31.2", "a": "0.3512", "A": "40.6"}


def read(message: object) -> object:
    return read_frame(orjson.dumps(message), "ADAUSDT")


def kline(**changes: object) -> object:
    return read({**KLINE, "k": {**KLINE["k"], **changes}})


def combined(message: object) -> object:
    return {"stream": "adausdt@kline_1m", "data": message}


@pytest.mark.parametrize("message", [KLINE, combined(KLINE)])
def test_a_kline_with_its_flag(message: object) -> None:
    frame = read(message)
    assert isinstance(frame, KlineFrame)
    assert frame.closed
    assert frame.interval == "1m"
    candle = frame.candle
    assert (candle.open_ms, candle.open, candle.high, candle.low, candle.close, candle.volume) == (
        1_700_000_000_000,
        0.35,
        0.352,
        0.3499,
        0.3512,
        12345.6,
    )


@pytest.mark.parametrize("message", [TOP, combined(TOP)])
def test_best_bid_and_ask_are_decimals_born_from_text(message: object) -> None:
    assert read(message) == TopFrame(
        400900217, Decimal("0.3511"), Decimal("31.2"), Decimal("0.3512"), Decimal("40.6")
    )


def test_a_shutdown_is_announced() -> None:
    assert read({"e": "serverShutdown", "E": 1_770_123_456_789}) == ShutdownFrame()
    assert read(combined({"e": "serverShutdown", "E": 1})) == ShutdownFrame()


@pytest.mark.parametrize(
    "message",
    [
        {"result": None, "id": 1},
        {"e": "somethingNew", "s": "ADAUSDT"},
        {**KLINE, "k": {**KLINE["k"], "s": "BNBUSDT"}},
        {**TOP, "s": "BNBUSDT"},
    ],
)
def test_what_does_not_concern_us_is_no_frame(message: object) -> None:
    assert read(message) is None


def test_a_candle_that_cannot_be_believed_is_still_a_candle() -> None:
    nan, huge = kline(c="NaN"), kline(h="1e999")
    assert isinstance(nan, KlineFrame)
    assert math.isnan(nan.candle.close)
    assert isinstance(huge, KlineFrame)
    assert huge.candle.faults(60_000) == ("a number is not finite",)


@pytest.mark.parametrize(
    "raw",
    [
        b"{ not json at all ]",
        b"",
        b"\xff\xfe\x00",
        b"[1,2,3]",
        b"7",
        b'{"data": 7}',
        b"[" * 5_000,
        orjson.dumps({**KLINE, "k": 7}),
        orjson.dumps({**KLINE, "k": {"s": "ADAUSDT"}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "t": "1700000000000"}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "t": 1.5}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "t": True}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "t": -1}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "t": 2**60}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "x": "true"}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "o": None}}),
        orjson.dumps({**KLINE, "k": {**KLINE["k"], "o": "cheap"}}),
        orjson.dumps({**TOP, "b": 0.35}),
        orjson.dumps({**TOP, "b": "NaN"}),
        orjson.dumps({**TOP, "a": "-0.1"}),
        orjson.dumps({**TOP, "a": "0"}),
        orjson.dumps({**TOP, "b": "1e999"}),
        orjson.dumps({**TOP, "B": "-1"}),
        orjson.dumps({"s": "ADAUSDT", "b": "1", "a": "2"}),
    ],
)
def test_garbage_is_told_as_such_in_one_short_line(raw: bytes) -> None:
    frame = read_frame(raw, "ADAUSDT")
    assert isinstance(frame, Unreadable)
    assert "\n" not in frame.detail
    assert len(frame.detail) < 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ebaskBAu"), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=200), json_values.map(orjson.dumps)))
def test_nothing_that_arrives_raises(raw: bytes) -> None:
    read_frame(raw, "ADAUSDT")


@given(st.sampled_from(sorted(KLINE["k"])), json_values)
def test_no_field_of_a_kline_can_raise(field: str, value: object) -> None:
    read_frame(orjson.dumps({**KLINE, "k": {**KLINE["k"], field: value}}), "ADAUSDT")
