"""From a signal to a position: the book, the order, its fills, and when nothing comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.commands import PlaceOrder, ReadBook
from agent.core.exits import entered_at
from agent.core.market import Book
from agent.core.order import OrderStatus, OrderType, Purpose, Side, TimeInForce
from tests.playbook import BAR, EXITS, MINUTE, D, Playbook, PositionState, make_instrument, make_setup


@pytest.fixture
def play() -> Playbook:
    return Playbook().ready()


def test_a_signal_asks_for_the_book_and_nothing_else(play: Playbook) -> None:
    play.signal()
    assert [c.asked_by for c in play.asked(ReadBook)] == [1]
    assert not play.sent()
    assert play.position().state is PositionState.RISK_CHECK
    assert play.decisions() == [], "a bar is decided when it is known what becomes of it"


def test_the_book_leads_to_one_limit_order_that_takes_or_expires(play: Playbook) -> None:
    play.signal()
    ask = play.state.prices.trusted.ask if play.state.prices.trusted else None
    play.book()
    entry = play.entry()
    assert (entry.side, entry.type, entry.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.IOC)
    mid = D("0.49805")
    assert ask == D("0.4981")
    assert entry.price == play.instrument.price(mid * D("1.005"), "down"), "the tolerance is the limit"
    assert entry.qty == play.instrument.qty(D(1000) / D("0.4981")), "ten percent of 10,000"
    assert play.position().state is PositionState.ENTERING
    assert play.order(entry).status is OrderStatus.PENDING_NEW
    [decision] = play.decisions()
    assert (decision.outcome, decision.position_id) == ("entered", 1)
    [verdict] = play.verdicts()
    assert verdict.approved
    assert verdict.client_id == entry.client_id


def test_a_market_entry_has_no_limit() -> None:
    play = Playbook(make_setup(entry_order="market")).ready()
    play.signal()
    play.book()
    entry = play.entry()
    assert (entry.type, entry.price, entry.time_in_force) == (OrderType.MARKET, None, None)
    play.fills(entry)
    assert play.position().state is PositionState.IN_POSITION


def test_a_filled_entry_is_a_position_with_levels_and_a_resting_stop(play: Playbook) -> None:
    play.signal()
    play.book()
    play.fills(play.entry(), "0.4981")
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert position.levels == entered_at(position.plan.levels, 0.4981, EXITS)
    assert position.entry_bar_open_ms == position.plan.signal_open_ms + BAR
    assert position.held_qty == play.entry().qty * D("0.9995"), "the fee was taken in base currency"
    stop = play.stop()
    assert (stop.purpose, stop.side, stop.type) == (Purpose.PROTECT, Side.SELL, OrderType.STOP_LOSS)
    assert stop.qty == play.instrument.qty(position.held_qty)
    assert stop.stop_price == play.instrument.price(position.levels.stop, "down")
    play.works(stop)
    assert play.position().unprotected_since_ms is None


def test_partly_filled_then_expired_the_filled_part_is_the_position(play: Playbook) -> None:
    play.signal()
    play.book()
    play.expires(play.entry(), ("0.4981", "300"), ("0.4985", "200"))
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert position.bought_qty == 500
    assert position.levels.entry_price == pytest.approx(0.49826)
    assert play.stop().qty == play.instrument.qty(position.held_qty)
    assert not [i for i in play.sent() if i.purpose is Purpose.ENTRY], "an entry is never retried"


def test_nothing_filled_is_no_position(play: Playbook) -> None:
    play.signal()
    play.book()
    play.expires(play.entry(), reason="UNFILLED_IOC")
    assert play.position().state is PositionState.MONITORING
    assert play.is_flat
    assert play.cash == 10_000
    assert play.state.durable.day is not None
    assert play.state.durable.day.trades == 0
    assert "nothing filled (UNFILLED_IOC)" in play.alerts()[-1]
    assert not play.sent(play.later(120_000))


def test_a_refused_entry_is_told_and_not_retried(play: Playbook) -> None:
    play.signal()
    play.book()
    play.refuses(play.entry(), -2010, "insufficient balance")
    assert play.order(play.entry()).status is OrderStatus.REJECTED
    assert play.position().state is PositionState.MONITORING
    assert any("insufficient balance (-2010)" in line for line in play.alerts())
    assert not play.sent(play.later(120_000))


def test_an_entry_that_was_never_sent_is_no_position(play: Playbook) -> None:
    play.signal()
    play.book()
    play.learn(e.PlacingBlocked(play.entry().client_id, "the halt latch is set"))
    assert play.position().state is PositionState.MONITORING
    assert "the halt latch is set" in play.alerts()[-1]


def test_a_fill_stamped_before_the_signal_closed_belongs_to_the_entry_bar(play: Playbook) -> None:
    """The exchange stamps fills with another clock than the one that closed the bar."""
    play.signal()
    play.book()
    entry = play.entry()
    closed_ms = play.last_bar.open_ms + BAR
    fill = replace(play.fill(entry, "0.4981", str(entry.qty)), at_ms=closed_ms - 3)
    play.learn(e.FillsSeen((fill,)))
    assert play.position().entry_bar_open_ms == closed_ms
    assert "entered_late" not in play.position().notes


# --- while an entry is half filled -------------------------------------------------------------------


def test_the_stop_is_enforced_from_the_first_fill(play: Playbook) -> None:
    """The rest of the order is still unknown while the market falls through the stop."""
    play.signal()
    play.book()
    entry = play.entry()
    play.partly(entry, "0.4981", "500")
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert position.levels.entry_price == pytest.approx(0.4981)
    play.walk(position.levels.stop - 0.001)
    assert play.position().state is PositionState.EXITING
    assert play.position().exit_reason == "STOP"
    assert play.sale().qty == D("499.7")
    play.fills(play.sale())
    assert play.position().state is PositionState.EXITING, "the entry may still bring more"
    play.canceled(entry, ("0.4790", "100"))
    assert play.sale().qty == D("100.0")
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_levels_follow_the_average_until_the_entry_has_ended() -> None:
    play = Playbook(make_setup(exits=replace(EXITS, use_traditional_tp=True))).ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.partly(entry, "0.4981", "500")
    assert play.position().levels.entry_price == pytest.approx(0.4981)
    play.partly(entry, "0.4991", "500")
    assert play.position().levels.entry_price == pytest.approx(0.4986)
    assert not [i for i in play.sent() if i.purpose is Purpose.PROTECT]
    play.expires(entry)
    position = play.position()
    assert position.levels == entered_at(position.plan.levels, 0.4986, position.plan.exits)
    assert play.stop().qty == D("999.5")
    assert [line for line in play.alerts() if "bought" in line] == [
        "INFO position: position 1: bought 1000 at 0.4986"
    ]


# --- the book ----------------------------------------------------------------------------------------


def test_a_book_that_cannot_be_read_is_a_refusal_with_its_reason(play: Playbook) -> None:
    play.signal()
    play.learn(e.BookUnreadable(1, "HTTP 503"))
    assert play.is_flat
    assert play.decisions()[-1].outcome == "blocked"
    assert "HTTP 503" in play.decisions()[-1].reason


def test_a_book_that_does_not_come_makes_the_signal_late(play: Playbook) -> None:
    play.signal()
    play.later(29_999)
    assert play.decisions() == []
    play.later(1)
    assert play.decisions()[-1].outcome == "late"
    assert play.is_flat


def test_a_book_that_comes_too_late_enters_nothing(play: Playbook) -> None:
    play.signal()
    play.at(play.now_ms + 30_000)
    play.book(asked_by=1)
    assert play.asked(PlaceOrder) == []
    assert play.decisions()[-1].outcome == "late"


def test_a_second_book_for_the_same_signal_is_ignored(play: Playbook) -> None:
    play.signal()
    play.book(asked_by=1)
    assert len(play.sent()) == 1
    play.book(asked_by=1)
    assert play.sent() == []


def test_an_empty_book_is_refused(play: Playbook) -> None:
    play.signal()
    play.learn(e.BookSeen(Book((), (), play.now_ms), 1))
    assert play.decisions()[-1].outcome == "refused"
    assert not play.sent(play.commands)


# --- fees in every currency --------------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["ADA", "USDT", "BNB"])
def test_what_can_be_sold_is_what_is_left_after_the_fee(currency: str) -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.fills(entry, "0.4981", fee_currency=currency)
    position = play.position()
    fee = entry.qty * D("0.0005")
    held = entry.qty - fee if currency == "ADA" else entry.qty
    assert position.held_qty == held
    assert play.stop().qty == play.instrument.qty(held)
    paid = entry.qty * D("0.4981")
    cash_fee = paid * D("0.0005") if currency == "USDT" else D(0)
    assert play.cash == 10_000 - paid - cash_fee
    assert ("fee_in_BNB" in position.notes) is (currency == "BNB")


def test_a_coarse_step_leaves_dust_and_never_oversells() -> None:
    play = Playbook(instrument=make_instrument(step=D(1), min_qty=D(1))).ready()
    play.enter("0.4981")
    play.quiet_bar()
    play.walk(0.5040)
    assert play.sale().qty == 2005, "2007 bought, 1.0035 taken as fee"
    play.leave()
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.dust_qty == D("0.9965")
    assert position.held_qty == 0
    assert "dust" in position.notes


def test_an_entry_without_enough_money_by_the_exchanges_word_stops_entries_until_somebody_looks() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.refuses(play.entry(), -2010, "Account has insufficient balance for requested action.")
    assert play.state.phase.value == "ERROR"
    assert any("ERROR order" in line and "starts again" in line for line in play.alerts())
    assert not play.sent(play.later(MINUTE))
    play.learn(e.StartRequested("test"))
    play.quote(play.last_bar.close)
    assert play.state.phase.value == "RUNNING"
