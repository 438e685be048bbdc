"""Order lists: of a pair only one trades, and a working order brings the pending ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.localexchange.venue.order import Order
from agent.localexchange.venue.outcomes import PlacedList, Which
from agent.localexchange.venue.refusals import RefusedError, filter_failure
from agent.localexchange.venue.twist import Twist
from tests.venue_ground import Desk, desk, levels

D = Decimal


def _orders(d: Desk, placed: PlacedList) -> list[Order]:
    return [d.now(p.order) for p in placed.orders]


def test_an_oco_sets_its_quantity_aside_once() -> None:
    d = desk()
    placed = d.oco("SELL", "600", stop="0.48", goal="0.52")
    stop, goal = _orders(d, placed)
    assert (stop.status, stop.working, goal.status, goal.working) == ("NEW", False, "NEW", True)
    assert stop.list_id == goal.list_id == placed.list.id == 1
    assert (d.locked("ADA"), d.free("ADA")) == (D(600), D(400))
    assert d.told() == ["NEW c1", "NEW c2", "list EXECUTING", "ADA"]


def test_the_stop_of_an_oco_ends_its_partner() -> None:
    d = desk()
    placed = d.oco("SELL", "600", stop="0.48", goal="0.52")
    d.news()
    d.book.bids = levels(("0.479", "9000"))
    d.trade("0.48")
    stop, goal = _orders(d, placed)
    assert (stop.status, goal.status, goal.expiry) == ("FILLED", "EXPIRED", "OCO_TRIGGER")
    assert d.told() == ["EXPIRED c2 OCO_TRIGGER", "NEW c1", "TRADE c1 600@0.479", "list ALL_DONE", "ADA USDT"]
    assert (d.locked("ADA"), d.free("ADA")) == (0, D(400))
    assert d.venue.registry.order_list(1).done


def test_the_first_fill_of_the_limit_leg_ends_the_stop() -> None:
    d = desk()
    placed = d.oco("SELL", "600", stop="0.48", goal="0.52")
    d.trade("0.52", "100")
    stop, goal = _orders(d, placed)
    assert (stop.expiry, goal.status, goal.filled) == ("OCO_TRIGGER", "PARTIALLY_FILLED", D(100))
    assert d.locked("ADA") == D(500)
    assert not d.venue.registry.order_list(1).done
    d.trade("0.52", "1000")
    assert d.venue.registry.order_list(1).done


def test_a_triggered_stop_limit_that_does_not_fill_leaves_neither() -> None:
    d = desk(bids=[])
    placed = d.oco("SELL", "600", stop="0.48", stop_limit="0.479", goal="0.52")
    d.trade("0.47")
    stop, goal = _orders(d, placed)
    assert (stop.resting, stop.filled, goal.status) == (True, D(0), "EXPIRED")


def test_a_purchase_pair_sets_the_dearer_leg_aside() -> None:
    d = desk()
    d.oco("BUY", "100", stop="0.52", stop_limit="0.53", goal="0.48")
    assert d.locked("USDT") == D(53)
    d.trade("0.48", "40")
    assert (d.locked("USDT"), d.free("USDT")) == (D("28.8"), D("952"))


@pytest.mark.parametrize("leg", [0, 1])
def test_canceling_a_leg_cancels_the_list(leg: int) -> None:
    d = desk()
    placed = d.oco("SELL", "600", stop="0.48", goal="0.52")
    d.news()
    canceled = d.cancel(placed.orders[leg].order)
    assert [o.status for o in canceled.orders] == ["CANCELED", "CANCELED"]
    assert canceled.list is not None
    assert canceled.list.done
    assert d.told() == ["CANCELED c1", "CANCELED c2", "list ALL_DONE", "ADA"]
    assert d.free("ADA") == 1000
    with pytest.raises(RefusedError, match="Unknown order"):
        d.venue.cancel_list("ADAUSDT", Which(placed.list.id), "x", d.book)


def test_a_list_is_canceled_by_its_own_names() -> None:
    d = desk()
    first = d.oco("SELL", "100", stop="0.48", goal="0.52")
    second = d.oco("SELL", "100", stop="0.48", goal="0.52")
    d.venue.cancel_list("ADAUSDT", Which(first.list.id), "x", d.book)
    d.venue.cancel_list("ADAUSDT", Which(None, second.list.client_id), "x", d.book)
    assert d.venue.registry.open_orders() == []


@pytest.mark.parametrize(
    ("side", "stop", "goal"),
    [("SELL", "0.5", "0.52"), ("SELL", "0.48", "0.5"), ("SELL", "0.52", "0.48"), ("BUY", "0.48", "0.52")],
)
def test_the_last_price_lies_between_the_legs(side: str, stop: str, goal: str) -> None:
    d = desk()
    with pytest.raises(RefusedError, match="relationship of the prices"):
        d.oco(side, "100", stop=stop, goal=goal)


def test_a_list_is_refused_whole() -> None:
    d = desk()
    before = d.state()
    for wrong in ("999999", "0.05"):
        with pytest.raises(RefusedError):
            d.oco("SELL", wrong, stop="0.48", goal="0.52")
    with pytest.raises(RefusedError, match="insufficient"):
        d.oco("SELL", "1000.1", stop="0.48", goal="0.52")
    assert d.state() == before


def _oto(d: Desk, pending: str = "MARKET", **more: str) -> PlacedList:
    return d.list(
        "OTO",
        d.terms("BUY", "LIMIT", "200", price=more.pop("at", "0.49")),
        d.terms("SELL", pending, more.pop("qty", "199.8"), **more),
    )


def test_a_pending_order_waits_until_the_working_one_is_filled_whole() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = _oto(d, "STOP_LOSS", stop="0.45")
    assert [o.status for o in _orders(d, placed)] == ["NEW", "PENDING_NEW"]
    d.trade("0.49", "100")
    assert _orders(d, placed)[1].status == "PENDING_NEW"
    d.news()
    d.trade("0.49", "1000")
    working, pending = _orders(d, placed)
    assert (working.status, pending.status, pending.waiting) == ("FILLED", "NEW", True)
    assert d.locked("ADA") == D("199.8")
    assert d.told() == ["TRADE c1 100@0.49", "NEW c2", "USDT ADA"]


def test_a_pending_order_at_the_market_trades_at_once() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = _oto(d, "MARKET")
    d.trade("0.49")
    assert [o.status for o in _orders(d, placed)] == ["FILLED", "FILLED"]
    assert d.venue.registry.order_list(1).done
    assert d.free("ADA") == 0


def test_the_answer_shows_a_pending_order_as_pending_also_when_it_trades_at_once() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = _oto(d, "MARKET", at="0.51")
    assert [p.order.status for p in placed.orders] == ["FILLED", "PENDING_NEW"]
    assert _orders(d, placed)[1].status == "FILLED"


def test_a_pending_order_for_more_than_is_owned_expires() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = _oto(d, "LIMIT", qty="200", price="0.55")
    d.trade("0.49")
    pending = _orders(d, placed)[1]
    assert (pending.status, pending.expiry) == ("EXPIRED", "REJECTED"), "the commission was paid in ADA"
    assert d.venue.registry.order_list(1).done


def test_a_pending_stop_that_would_trigger_expires() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = _oto(d, "STOP_LOSS", stop="0.485")
    d.trade("0.48")
    assert _orders(d, placed)[1].expiry == "REJECTED"


def test_a_pending_order_can_be_rejected_by_fate() -> None:
    d = desk(funds={"USDT": "1000"})
    refusal = Twist(pending_refusal=filter_failure("NOTIONAL"))
    placed = d.list(
        "OTO", d.terms("BUY", "LIMIT", "200", price="0.49"), d.terms("SELL", "MARKET", "199"), twist=refusal
    )
    d.trade("0.49")
    assert [str(o.expiry) for o in _orders(d, placed)] == ["None", "REJECTED"]
    assert d.free("ADA") == D("199.8")


def test_an_unfilled_working_order_takes_the_pending_ones_along() -> None:
    d = desk()
    canceled = _oto(d, "STOP_LOSS", stop="0.45")
    d.cancel(canceled.orders[0].order)
    assert [o.status for o in _orders(d, canceled)] == ["CANCELED", "CANCELED"]
    gone = _oto(d, "STOP_LOSS", stop="0.45")
    d.venue.expire_all(d.book)
    assert [o.expiry for o in _orders(d, gone)] == ["EXCHANGE_CANCELED", "EXCHANGE_CANCELED"]
    at_once = d.list(
        "OTO",
        d.terms("BUY", "LIMIT", "200", price="0.49", force="IOC"),
        d.terms("SELL", "MARKET", "199"),
    )
    assert [o.expiry for o in _orders(d, at_once)] == [
        "UNFILLED_IOC_QUANTITY_EXPIRED",
        "OTO_PHASE_ONE_EXPIRED",
    ]


def test_an_otoco_buys_and_then_protects() -> None:
    d = desk(funds={"USDT": "1000"})
    placed = d.list(
        "OTO",
        d.terms("BUY", "LIMIT", "200", price="0.49"),
        d.terms("SELL", "STOP_LOSS", "199.8", stop="0.45"),
        d.terms("SELL", "LIMIT_MAKER", "199.8", price="0.55"),
    )
    d.trade("0.49")
    assert [o.status for o in _orders(d, placed)] == ["FILLED", "NEW", "NEW"]
    assert d.locked("ADA") == D("199.8")
    d.book.bids = levels(("0.449", "1000"))
    d.trade("0.45")
    assert [o.status for o in _orders(d, placed)] == ["FILLED", "FILLED", "EXPIRED"]
    assert d.venue.registry.order_list(1).done
    assert d.free("ADA") == d.locked("ADA") == 0
