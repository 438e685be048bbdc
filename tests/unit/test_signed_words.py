"""The exchange's words, pure: every status, every way to be unreadable, and whatever else JSON can be."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.money import Price, Qty
from agent.core.order import Fact, Intent, OrderReport, OrderType, Purpose, Side, TimeInForce
from agent.exchange.signed.account_words import read_balances, read_order_ids, read_trades
from agent.exchange.signed.awaited_events import AwaitedEvents
from agent.exchange.signed.classify import classify, read_halves
from agent.exchange.signed.fields import FieldError
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.order_params import named, new_order, replacing
from agent.exchange.signed.order_words import NotUnderstood, Pair, Unreadable, answers, read_order
from agent.exchange.signed.permissions import read_key_rights
from agent.exchange.signed.stream_words import Other, SocketAnswer, read_stream_frame

D = Decimal
PAIR = Pair.of("ADA/USDT")

ORDER: dict[str, Any] = {
    "symbol": "ADAUSDT",
    "orderId": 28457,
    "orderListId": -1,
    "clientOrderId": "tst1",
    "transactTime": 1507725176595,
    "price": "0.50000000",
    "origQty": "10.00000000",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "SELL",
}
FILL = {"price": "0.5", "qty": "4", "commission": "0.002", "commissionAsset": "USDT", "tradeId": 56}

INTENT = Intent(
    client_id="tst1",
    position_id=1,
    purpose=Purpose.EXIT,
    side=Side.SELL,
    type=OrderType.LIMIT,
    qty=Qty(D(10)),
    price=Price(D("0.50")),
    stop_price=None,
    time_in_force=TimeInForce.GTC,
    created_ms=0,
    reason="test",
)


@pytest.mark.parametrize(
    ("status", "executed", "fact", "reason"),
    [
        ("NEW", "0", Fact.WORKING, ""),
        ("PENDING_NEW", "0", Fact.WORKING, ""),
        ("PENDING_CANCEL", "0", Fact.WORKING, ""),
        ("PARTIALLY_FILLED", "4", Fact.PART_FILLED, ""),
        ("FILLED", "10", Fact.FULLY_FILLED, ""),
        ("CANCELED", "4", Fact.WAS_CANCELED, ""),
        ("REJECTED", "0", Fact.WAS_REFUSED, ""),
        ("EXPIRED", "4", Fact.HAS_EXPIRED, ""),
        ("EXPIRED_IN_MATCH", "4", Fact.HAS_EXPIRED, "EXPIRED_IN_MATCH"),
    ],
)
def test_every_status_of_the_exchange_is_a_fact(status: str, executed: str, fact: Fact, reason: str) -> None:
    report = read_order({**ORDER, "status": status, "executedQty": executed}, PAIR)
    assert isinstance(report, OrderReport)
    assert (report.fact, report.executed_qty, report.reason) == (fact, D(executed), reason)
    assert (report.exchange_order_id, report.at_ms) == ("28457", 1507725176595)


def test_a_reason_to_expire_is_kept() -> None:
    report = read_order({**ORDER, "status": "EXPIRED", "expiryReason": "INSUFFICIENT_LIQUIDITY"}, PAIR)
    assert isinstance(report, OrderReport)
    assert report.reason == "INSUFFICIENT_LIQUIDITY"


@pytest.mark.parametrize("status", ["LIMBO", "new", "SETTLING"])
def test_a_status_nobody_listed_has_a_type_of_its_own(status: str) -> None:
    assert read_order({**ORDER, "status": status}, PAIR) == NotUnderstood("tst1", status)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "PARTIALLY_FILLED", "executedQty": "11"},
        {"status": "FILLED", "executedQty": "9"},
        {"status": "PARTIALLY_FILLED", "executedQty": "3", "fills": [FILL]},
        {"fills": {}},
        {"fills": [7]},
        {"fills": [{**FILL, "qty": "0"}], "executedQty": "4"},
        {"fills": [{**FILL, "commissionAsset": ""}], "executedQty": "4"},
        {"origQty": "0"},
        {"origQty": "1e1"},
        {"origQty": "١٠"},
        {"price": "-1"},
        {"orderId": True},
        {"orderId": -1},
        {"orderId": 2**63},
        {"clientOrderId": ""},
        {"clientOrderId": "x" * 101},
        {"side": "buy"},
        {"transactTime": "now"},
    ],
)
def test_an_order_that_contradicts_itself_is_unreadable(change: dict[str, Any]) -> None:
    assert isinstance(read_order({**ORDER, **change}, PAIR), Unreadable)


@pytest.mark.parametrize("key", ["symbol", "orderId", "clientOrderId", "status", "side", "type", "origQty"])
def test_an_order_without_what_matters_is_unreadable(key: str) -> None:
    assert isinstance(read_order({k: v for k, v in ORDER.items() if k != key}, PAIR), Unreadable)


def test_a_fee_of_nothing_may_have_no_currency() -> None:
    fill = {**FILL, "commission": "0", "commissionAsset": None}
    report = read_order({**ORDER, "executedQty": "4", "status": "PARTIALLY_FILLED", "fills": [fill]}, PAIR)
    assert isinstance(report, OrderReport)
    assert (report.fills[0].fee, report.fills[0].fee_currency) == (0, "USDT")


def test_an_answer_to_a_cancel_goes_by_the_orders_own_id() -> None:
    canceled = {**ORDER, "status": "CANCELED", "origClientOrderId": "tst1", "clientOrderId": "xyz"}
    report = read_order(canceled, PAIR)
    assert isinstance(report, OrderReport)
    assert report.client_id == "tst1"


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({}, True),
        ({"clientOrderId": "xyz"}, False),
        ({"clientOrderId": "xyz", "origClientOrderId": "tst1"}, True),
        ({"clientOrderId": "xyz", "status": "CANCELED"}, True),
        ({"clientOrderId": "xyz", "status": "CANCELED", "side": "BUY"}, False),
        ({"clientOrderId": "xyz", "status": "CANCELED", "origQty": "11"}, False),
        ({"clientOrderId": "xyz", "status": "CANCELED", "origQty": None}, False),
        ({"clientOrderId": "xyz", "status": "CANCELED", "type": "MARKET"}, False),
    ],
)
def test_an_answer_is_only_about_the_order_that_was_asked_about(change: dict[str, Any], ours: bool) -> None:
    assert answers({**ORDER, **change}, INTENT) is ours


def test_an_order_in_the_exchanges_parameters() -> None:
    assert new_order(INTENT, PAIR) == {
        "symbol": "ADAUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "10",
        "price": "0.5",
        "newClientOrderId": "tst1",
        "newOrderRespType": "FULL",
    }
    assert named(INTENT, PAIR) == {"symbol": "ADAUSDT", "origClientOrderId": "tst1"}
    both = replacing(INTENT, INTENT, PAIR)
    assert both["cancelOrigClientOrderId"] == both["newClientOrderId"] == "tst1"
    assert (both["cancelReplaceMode"], both["cancelRestrictions"]) == ("STOP_ON_FAILURE", "ONLY_NEW")


# --- what is remembered --------------------------------------------------------------------------------


def test_the_first_client_id_of_an_order_stays() -> None:
    ids = OrderIds()
    ids.learn("tst1", "5")
    ids.learn("cancelrequest", "5")
    assert (ids.client_of("5"), ids.order_of("tst1"), ids.order_of("cancelrequest")) == ("tst1", "5", None)


def test_only_so_many_orders_are_remembered_and_the_used_ones_longest() -> None:
    ids = OrderIds(remembered=2)
    for number in "12":
        ids.learn(f"c{number}", number)
    ids.learn("c1", "1")
    ids.learn("c3", "3")
    assert [ids.client_of(n) for n in "123"] == ["c1", None, "c3"]
    assert ids.order_of("c2") is None


def reported(executed: str, client_id: str = "tst1") -> OrderReport:
    status = "NEW" if executed == "0" else "PARTIALLY_FILLED"
    report = read_order(
        {**ORDER, "executedQty": executed, "status": status, "clientOrderId": client_id}, PAIR
    )
    assert isinstance(report, OrderReport)
    return report


def test_an_order_is_overdue_until_the_stream_told_as_much_as_rest_knows() -> None:
    awaited = AwaitedEvents(patience_ms=100)
    awaited.expect(reported("4"), now_ms=0)
    awaited.heard(reported("3"))
    assert awaited.overdue(99) is None
    assert awaited.overdue(100) == "tst1"
    awaited.heard(reported("4"))
    assert awaited.overdue(1_000) is None


def test_events_that_overtook_their_answer_count() -> None:
    awaited = AwaitedEvents(patience_ms=100)
    awaited.heard(reported("4"))
    awaited.heard(reported("0"))
    awaited.expect(reported("4"), now_ms=0)
    assert awaited.overdue(1_000) is None
    awaited.expect(reported("5"), now_ms=0)
    assert awaited.overdue(1_000) == "tst1"
    awaited.forget()
    assert awaited.overdue(1_000) is None


def test_what_was_heard_is_not_remembered_for_ever() -> None:
    awaited = AwaitedEvents(patience_ms=100)
    for number in range(1_000):
        awaited.heard(reported("0", f"c{number}"))
    assert len(awaited._heard) == 64


# --- the socket ------------------------------------------------------------------------------------------


def test_an_answer_on_the_socket_tells_weight_and_silence() -> None:
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "count": 1},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "count": 321},
    ]
    frame = {"id": "a", "status": 200, "result": {}, "rateLimits": limits}
    assert read_stream_frame(json.dumps(frame), PAIR) == SocketAnswer("a", 200, None, "", 321, None)
    error = {"code": -1003, "msg": "way too much", "data": {"serverTime": 1_000, "retryAfter": 31_000}}
    frame = {"id": "a", "status": 418, "error": error}
    assert read_stream_frame(json.dumps(frame), PAIR) == SocketAnswer(
        "a", 418, -1003, "way too much", None, 30_000
    )
    assert read_stream_frame('{"id": null, "status": 500}', PAIR) == SocketAnswer(
        "", 500, -500, "", None, None
    )


def test_events_that_are_none_of_ours_are_passed_over() -> None:
    assert read_stream_frame('{"event": {"e": "listStatus", "s": "ADAUSDT"}}', PAIR) == Other("listStatus")
    assert read_stream_frame('{"event": {"e": "executionReport", "s": "BNBUSDT"}}', PAIR) == Other(
        "executionReport"
    )


# --- anything at all -----------------------------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ADAUSDT", "NEW", "BUY", "10", "-1", "1e999", "TRADE", "executionReport", "FILLED"])
)
KEYS = st.sampled_from(
    [*ORDER, *FILL, *"escSoqpXxizTtlLnNCrP", "event", "status", "error", "code", "msg", "data"]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=12),
    max_leaves=30,
)
SPOILT = st.dictionaries(st.sampled_from([*ORDER, "fills"]), JSON, max_size=3)


@settings(max_examples=150, deadline=None)
@given(JSON, SPOILT)
def test_nothing_that_json_can_say_breaks_a_reader(anything: Any, spoilt: dict[str, Any]) -> None:
    for answer in (anything, {**ORDER, **spoilt}):
        assert isinstance(read_order(answer, PAIR), OrderReport | Unreadable | NotUnderstood)
        answers(answer, INTENT)
        read_halves(answer)
        read_key_rights(answer, 0)
        for read in (read_balances, lambda a: read_trades(a, PAIR), lambda a: read_order_ids(a, PAIR)):
            try:
                read(answer)
            except FieldError:
                pass
        text = json.dumps(answer)
        for status in (200, 400, 409, 500):
            classify(status, text, places=True)
        read_stream_frame(text, PAIR)
        read_stream_frame(json.dumps({"event": answer}), PAIR)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.text(max_size=60))
def test_nothing_that_is_no_json_breaks_a_reader(raw: bytes, text: str) -> None:
    read_stream_frame(raw, PAIR)
    classify(200, text, places=True)
    classify(400, text, places=False)


def test_a_number_given_again_after_a_reset_belongs_to_the_new_order() -> None:
    ids = OrderIds()
    ids.learn("old", "7")
    ids.learn("new", "7")
    assert ids.client_of("7") == "old", "it may be the id of a cancel request"
    ids.placed("new", "7")
    assert (ids.client_of("7"), ids.order_of("new"), ids.order_of("old")) == ("new", "7", None)


@pytest.mark.parametrize(
    ("trade_id", "at_ms", "anew"),
    [(8, 60_000, False), (7, 1_500, False), (6, 1_500, False), (3, 60_000, True)],
)
def test_trades_that_are_counted_anew_tell_that_orders_are(trade_id: int, at_ms: int, anew: bool) -> None:
    """Also where no answer to placing came since, so that no number is certainly another order's."""
    ids = OrderIds()
    ids.learn("old", "2")
    ids.traded(7, 1_000)
    ids.traded(trade_id, at_ms)
    assert ids.client_of("2") == (None if anew else "old")


def test_where_a_certain_number_is_given_again_all_numbers_of_before_are_forgotten() -> None:
    ids = OrderIds()
    ids.placed("first", "7")
    ids.placed("second", "8")
    ids.placed("second", "8")
    assert ids.client_of("7") == "first"
    ids.placed("anew", "7")
    assert (ids.client_of("7"), ids.client_of("8"), ids.order_of("second")) == ("anew", None, None)
