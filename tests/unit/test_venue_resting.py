"""Orders that wait: in the book for the market to come, or for their stop price."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.localexchange.venue.outcomes import Which
from tests.venue_ground import NOON, desk, levels

D = Decimal


def test_a_resting_purchase_fills_at_its_own_price_as_much_as_the_market_trades() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49").order
    d.trade("0.4901", "1000")
    assert d.now(order).filled == 0, "the market was not there yet"
    d.trade("0.48", "300")
    partly = d.now(order)
    assert (partly.status, partly.filled, d.locked("USDT")) == ("PARTIALLY_FILLED", D(300), D(98))
    d.trade("0.49", "300")
    assert d.now(order).status == "FILLED"
    trades = d.venue.registry.trades
    assert [(t.price, t.qty, t.maker) for t in trades] == [
        (D("0.49"), D(300), True),
        (D("0.49"), D(200), True),
    ]
    assert (d.locked("USDT"), d.free("USDT"), d.free("ADA")) == (D(0), D(755), D("1499.5"))


def test_price_goes_before_time() -> None:
    d = desk()
    early = d.place("SELL", "LIMIT", "100", price="0.52").order
    better = d.place("SELL", "LIMIT", "100", price="0.51").order
    late = d.place("SELL", "LIMIT", "100", price="0.52").order
    d.trade("0.53", "150")
    assert [d.now(o).filled for o in (better, early, late)] == [D(100), D(50), D(0)]


def test_what_arrives_with_a_trade_does_not_share_in_it() -> None:
    d = desk()
    d.book.at_ms += 1_000
    order = d.place("BUY", "LIMIT", "100", price="0.49").order
    d.venue.pass_trade(d.book, D("0.49"), D(1000))
    assert d.now(order).filled == 0


def test_a_stop_sells_at_the_market_when_the_price_falls_to_it() -> None:
    d = desk()
    order = d.place("SELL", "STOP_LOSS", "700", stop="0.48").order
    assert (order.status, order.working, d.locked("ADA")) == ("NEW", False, D(700))
    d.news()
    d.book.bids = levels(("0.4795", "500"), ("0.479", "500"))
    d.trade("0.4801")
    assert d.now(order).waiting
    d.trade("0.48")
    sold = d.now(order)
    assert (sold.status, sold.filled, sold.quote_filled) == ("FILLED", D(700), D("335.55"))
    assert sold.working_ms == NOON + 2_000
    assert d.told() == ["NEW c1", "TRADE c1 500@0.4795", "TRADE c1 200@0.479", "ADA USDT"]
    assert d.locked("ADA") == 0


def test_a_stop_limit_rests_at_its_limit_when_the_market_has_gone_through() -> None:
    d = desk()
    order = d.place("SELL", "STOP_LOSS_LIMIT", "700", stop="0.48", price="0.475").order
    d.book.bids = levels(("0.476", "100"), ("0.47", "9000"))
    d.trade("0.479", "5000")
    resting = d.now(order)
    assert (resting.status, resting.filled, resting.resting) == ("PARTIALLY_FILLED", D(100), True)
    d.trade("0.474", "5000")
    assert d.now(order).filled == D(100)
    d.trade("0.475", "250")
    assert d.now(order).filled == D(350)


@pytest.mark.parametrize(
    ("side", "kind", "stop", "wrong", "reached"),
    [
        ("SELL", "STOP_LOSS", "0.49", "0.5", "0.489"),
        ("BUY", "STOP_LOSS", "0.51", "0.5", "0.511"),
        ("SELL", "TAKE_PROFIT", "0.51", "0.5", "0.51"),
        ("BUY", "TAKE_PROFIT", "0.49", "0.5", "0.49"),
    ],
)
def test_which_way_conditional_orders_look(side: str, kind: str, stop: str, wrong: str, reached: str) -> None:
    d = desk()
    assert d.refused(side, kind, "100", stop=wrong) == "-2010 Order would trigger immediately."
    order = d.place(side, kind, "100", stop=stop).order
    d.trade("0.5")
    assert d.now(order).waiting
    d.trade(reached)
    assert d.now(order).status == "FILLED"


def test_a_stop_purchase_that_became_too_dear_expires() -> None:
    d = desk(funds={"USDT": "100"})
    order = d.place("BUY", "STOP_LOSS", "190", stop="0.52").order
    assert d.locked("USDT") == D("98.8")
    d.book.asks = levels(("0.56", "1000"))
    d.trade("0.55")
    gone = d.now(order)
    assert (gone.status, gone.expiry, gone.filled) == ("EXPIRED", "REJECTED", D(0))
    assert (d.free("USDT"), d.locked("USDT")) == (D(100), D(0))


def test_cancel_frees_what_was_held_and_what_is_gone_cannot_be_canceled() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49").order
    d.trade("0.49", "200")
    d.news()
    canceled = d.cancel(order).orders[0]
    assert (canceled.status, canceled.filled, canceled.cancel_id) == ("CANCELED", D(200), "cancel")
    assert d.told() == ["CANCELED c1", "USDT"]
    assert (d.locked("USDT"), d.free("USDT")) == (D(0), D(902))
    with pytest.raises(Exception, match="Unknown order sent"):
        d.cancel(order)


def test_cancel_restrictions() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49").order
    for restriction in ("ONLY_PARTIALLY_FILLED", "ONLY_NEW"):
        if restriction == "ONLY_NEW":
            d.trade("0.49", "1")
        with pytest.raises(Exception, match="restrictions"):
            d.cancel(d.now(order), restriction)
    assert d.cancel(order, "ONLY_PARTIALLY_FILLED").orders[0].status == "CANCELED"


def test_an_order_is_named_by_id_or_client_id_and_both_must_agree() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49", client_id="mine").order
    with pytest.raises(Exception, match="not correct for this order"):
        d.venue.cancel("ADAUSDT", Which(order.id, "yours"), "x", "", d.book)
    with pytest.raises(Exception, match="Unknown"):
        d.venue.cancel("BNBUSDT", Which(order.id), "x", "", d.book)
    d.venue.cancel("ADAUSDT", Which(None, "mine"), "x", "", d.book)
    assert not d.now(order).open


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    d = desk()
    first = d.place("BUY", "LIMIT", "500", price="0.49", client_id="same").order
    assert d.refused("SELL", "MARKET", "10", client_id="same") == "-2010 Duplicate order sent."
    d.cancel(first)
    second = d.place("BUY", "LIMIT", "100", price="0.49", client_id="same").order
    assert d.venue.registry.find("ADAUSDT", None, "same") == second
    d.cancel(second)
    third = d.place("SELL", "MARKET", "10", client_id="same").order
    assert third.status == "FILLED"
    assert d.venue.registry.find("ADAUSDT", None, "same") == third


def test_the_exchange_can_end_everything() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49").order
    pair = d.oco("SELL", "500", stop="0.45", goal="0.55").orders
    d.venue.expire_all(d.book)
    for one in (order, *(p.order for p in pair)):
        assert (d.now(one).status, d.now(one).expiry) == ("EXPIRED", "EXCHANGE_CANCELED")
    assert (d.locked("USDT"), d.locked("ADA")) == (0, 0)
    assert all(one.done for one in d.venue.registry.lists())


def test_the_past_can_be_asked_for() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "500", price="0.49").order
    d.trade("0.49", "200", seconds=10)
    d.book.at_ms += 10_000
    d.cancel(order)
    registry = d.venue.registry

    def then(at_ms: int) -> str | None:
        found = registry.find("ADAUSDT", order.id, None, at_ms)
        return None if found is None else str(found.status)

    assert [then(NOON + ms) for ms in (-1, 0, 9_999, 10_000, 20_000)] == [
        None,
        "NEW",
        "NEW",
        "PARTIALLY_FILLED",
        "CANCELED",
    ]
    assert [len(registry.open_as_of("ADAUSDT", NOON + ms)) for ms in (-1, 0, 20_000)] == [0, 1, 0]
    usdt = [d.venue.ledger.balances(NOON + ms).get("USDT") for ms in (-1, 0, 10_000)]
    assert usdt[0] is None
    assert [(b.free, b.locked) for b in usdt[1:] if b] == [(D(755), D(245)), (D(755), D(147))]


def test_deposits_and_withdrawals() -> None:
    d = desk()
    d.venue.deposit("BTC", D("0.5"), NOON)
    d.venue.withdraw("USDT", D(400), NOON)
    assert (d.free("BTC"), d.free("USDT")) == (D("0.5"), D(600))
    with pytest.raises(Exception, match="insufficient"):
        d.venue.withdraw("USDT", D("600.1"), NOON)
    d.venue.wipe({"USDT": D(7)}, NOON)
    assert {a: b.free for a, b in d.venue.ledger.balances().items()} == {"USDT": 7}
    assert d.place("BUY", "LIMIT", "12", price="0.5").order.id == 1
