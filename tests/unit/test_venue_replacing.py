"""Cancel-replace, which can succeed by half, and orders that fate meddles with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.localexchange.venue.order import Terms
from agent.localexchange.venue.outcomes import Canceled, Placed, Replaced, Which
from agent.localexchange.venue.refusals import RefusedError, would_trigger
from agent.localexchange.venue.twist import Twist
from agent.localexchange.venue.words import Status
from tests.venue_ground import Desk, desk

D = Decimal


def _replace(
    d: Desk, which: Which, terms: Terms, *, stop: bool = True, twist: Twist | None = None
) -> Replaced:
    return d.venue.cancel_replace(which, "x", "", terms, d.book, stop_on_failure=stop, twist=twist or Twist())


def test_both_halves() -> None:
    d = desk()
    old = d.place("SELL", "STOP_LOSS", "1000", stop="0.45", client_id="mine").order
    done = _replace(d, Which(old.id), d.terms("SELL", "MARKET", "1000", client_id="mine"))
    assert isinstance(done.canceled, Canceled)
    assert isinstance(done.placed, Placed)
    assert (done.canceled.orders[0].status, done.placed.order.status) == ("CANCELED", "FILLED")
    assert d.free("ADA") == d.locked("ADA") == 0, "the coins of the stop were there for the sale"


def test_nothing_is_placed_when_the_cancel_fails() -> None:
    d = desk()
    done = _replace(d, Which(77), d.terms("SELL", "MARKET", "100"))
    assert isinstance(done.canceled, RefusedError)
    assert (done.canceled.code, done.canceled.text) == (-2011, "Unknown order sent.")
    assert done.placed is None
    assert d.free("ADA") == 1000


def test_unless_that_is_allowed() -> None:
    d = desk()
    done = _replace(d, Which(77), d.terms("SELL", "MARKET", "100"), stop=False)
    assert isinstance(done.canceled, RefusedError)
    assert isinstance(done.placed, Placed)
    both = _replace(d, Which(77), d.terms("SELL", "MARKET", "5000"), stop=False)
    assert isinstance(both.canceled, RefusedError)
    assert isinstance(both.placed, RefusedError)


def test_the_cancel_stays_when_the_new_order_fails() -> None:
    d = desk()
    old = d.place("SELL", "STOP_LOSS", "1000", stop="0.45").order
    done = _replace(d, Which(old.id), d.terms("SELL", "LIMIT_MAKER", "1000", price="0.4"))
    assert isinstance(done.canceled, Canceled)
    assert isinstance(done.placed, RefusedError)
    assert done.placed.text == "Order would immediately match and take."
    assert (d.free("ADA"), d.locked("ADA")) == (1000, 0)


def test_filters_come_before_either_half() -> None:
    d = desk()
    old = d.place("SELL", "STOP_LOSS", "1000", stop="0.45").order
    with pytest.raises(RefusedError, match="LOT_SIZE"):
        _replace(d, Which(old.id), d.terms("SELL", "MARKET", "0.05"))
    assert d.now(old).open


def test_canceling_a_leg_to_replace_it_cancels_the_list() -> None:
    d = desk()
    placed = d.oco("SELL", "1000", stop="0.45", goal="0.55")
    done = _replace(d, Which(placed.orders[0].order.id), d.terms("SELL", "MARKET", "1000"))
    assert isinstance(done.canceled, Canceled)
    assert len(done.canceled.orders) == 2
    assert done.canceled.list is not None
    assert isinstance(done.placed, Placed)
    assert done.placed.order.status == "FILLED"


# -- fate -----------------------------------------------------------------------------------------------


def test_many_tiny_fills_and_then_the_end() -> None:
    d = desk()
    twist = Twist(share=D("0.4"), pieces=7)
    order = d.place("BUY", "LIMIT", "1000", price="0.5001", twist=twist).order
    trades = d.venue.registry.trades
    assert (order.status, order.expiry, order.filled) == ("EXPIRED", "EXCHANGE_CANCELED", D(400))
    assert len(trades) == 8
    assert {t.qty for t in trades[:-1]} == {D("57.1")}
    assert d.locked("USDT") == 0


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("MARKET", {}, "INSUFFICIENT_LIQUIDITY"),
        ("LIMIT", {"price": "0.51", "force": "IOC"}, "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("LIMIT", {"price": "0.51", "force": "FOK"}, "UNFILLED_FOK_ORDER_EXPIRED"),
    ],
)
def test_half_a_fill(kind: str, more: dict[str, str], why: str) -> None:
    d = desk()
    order = d.place("BUY", kind, "100", twist=Twist(share=D("0.5")), **more).order
    filled = D(0) if more.get("force") == "FOK" else D(50)
    assert (order.status, order.expiry, order.filled) == ("EXPIRED", why, filled)


def test_half_a_fill_of_an_order_in_quote_currency() -> None:
    order = desk().place("BUY", "MARKET", quote_qty="100", twist=Twist(share=D("0.5"))).order
    assert (order.status, order.filled) == ("EXPIRED", D("99.9"))
    assert order.qty > order.filled


def test_fate_waits_for_a_resting_order_and_for_a_stop() -> None:
    d = desk()
    twist = Twist(share=D("0.5"), pieces=3)
    resting = d.place("BUY", "LIMIT", "100", price="0.49", twist=twist).order
    stop = d.place("SELL", "STOP_LOSS", "100", stop="0.485", twist=twist).order
    assert resting.status == stop.status == "NEW"
    d.trade("0.49", "1")
    assert (d.now(resting).status, d.now(resting).filled) == ("EXPIRED", D(50))
    d.trade("0.485")
    assert (d.now(stop).status, d.now(stop).filled) == ("EXPIRED", D(50))


def test_expired_in_match() -> None:
    twist = Twist(share=D(0), rest_ends=Status.EXPIRED_IN_MATCH)
    for kind, more in (("MARKET", {}), ("LIMIT", {"price": "0.4"})):
        order = desk().place("BUY", kind, "100", twist=twist, **more).order
        assert (order.status, order.filled, order.prevented) == ("EXPIRED_IN_MATCH", D(0), D(100))


def test_a_refusal_by_fate() -> None:
    d = desk()
    says = "-2010 Order would trigger immediately."
    assert d.refused("SELL", "STOP_LOSS", "100", twist=Twist(refusal=would_trigger()), stop="0.4") == says
    with pytest.raises(RefusedError, match="trigger immediately"):
        d.list(
            "OCO",
            d.terms("SELL", "STOP_LOSS", "100", stop="0.4"),
            d.terms("SELL", "LIMIT_MAKER", "100", price="0.6"),
            twist=Twist(refusal=would_trigger()),
        )


def test_commissions_by_fate() -> None:
    d = desk(funds={"USDT": "1000", "BNB": "1"})
    mixed = d.place("BUY", "MARKET", "1500", twist=Twist(bnb_fills=1)).trades
    assert [t.fee_asset for t in mixed] == ["BNB", "ADA"]
    free = d.place("BUY", "MARKET", "100", twist=Twist(bnb_fills=0, fee_rate=D(0))).trades
    assert [(t.fee, t.fee_asset) for t in free] == [(D(0), "ADA")]


def test_one_request_can_become_two_orders_with_one_client_id() -> None:
    d = desk()
    d.place("BUY", "LIMIT", "100", price="0.49", client_id="twin", twist=Twist(doubled=True))
    orders = list(d.venue.registry.all_orders())
    assert [o.terms.client_id for o in orders] == ["twin", "twin"]
    assert d.locked("USDT") == 98
    poor = desk(funds={"USDT": "60"})
    poor.place("BUY", "LIMIT", "100", price="0.49", twist=Twist(doubled=True))
    assert len(list(poor.venue.registry.all_orders())) == 1


@pytest.mark.parametrize(
    ("share", "status", "filled"), [("1", "FILLED", "100"), ("0.4", "PARTIALLY_FILLED", "40")]
)
def test_somebody_trades_with_an_order_just_before_it_is_canceled(
    share: str, status: str, filled: str
) -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "100", price="0.4").order
    d.venue.fill_by_fate(order, D(share), d.book)
    now = d.now(order)
    assert (now.status, now.filled, now.quote_filled) == (status, D(share) * 100, D(share) * 40)
    stop = d.place("SELL", "STOP_LOSS", "100", stop="0.4").order
    d.venue.fill_by_fate(stop, D(share), d.book)
    assert d.now(stop).status == "FILLED"
