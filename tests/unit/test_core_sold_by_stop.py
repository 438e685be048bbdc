"""A position that its resting stop has sold: why it left, in which bar, and what is noted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.order import Fact, OrderReport
from agent.core.position import Position, PositionState
from tests.playbook import BAR, Playbook


def holding() -> Playbook:
    play = Playbook().ready()
    play.enter()
    return play


def entry_bar_of(play: Playbook) -> int:
    open_ms = play.position().entry_bar_open_ms
    assert open_ms is not None
    return open_ms


def stop_fills(play: Playbook, at_ms: int) -> Position:
    """The exchange says that the stop was executed at `at_ms`, which may be long ago."""
    stop = play.stop()
    assert stop.stop_price is not None
    fill = replace(play.fill(stop, str(stop.stop_price), str(stop.qty)), at_ms=at_ms)
    report = OrderReport(
        stop.client_id, "77", stop.side, stop.type.value, Fact.FULLY_FILLED, stop.qty, Decimal(0), stop.qty,
        at_ms, (fill,),
    )  # fmt: skip
    play.learn(e.OrderReported(report))
    return play.position()


@pytest.mark.parametrize("bars", [0, 1, 3])
@pytest.mark.parametrize("into_the_bar_ms", [5_000, BAR])
def test_bars_are_held_up_to_the_bar_of_the_fill(bars: int, into_the_bar_ms: int) -> None:
    play = holding()
    sold_ms = entry_bar_of(play) + bars * BAR + into_the_bar_ms
    for _ in range(bars):
        play.quiet_bar()
    play.at(max(play.now_ms, sold_ms))
    sold = stop_fills(play, sold_ms)
    assert (sold.state, sold.exit_reason, sold.bars_held) == (PositionState.CLOSED, "STOP", bars)
    assert ("entry_bar_exit" in sold.notes) == (bars == 0)
    assert not sold.seen_at_close
    assert sold.exit_level == sold.levels.stop


def test_a_stop_reached_unseen_is_not_a_level_seen_late() -> None:
    """The bar arrives before the word that the stop has long sold."""
    play = holding()
    play.quiet_bar()
    stop_price = play.position().levels.stop
    play.quiet_bar(low=stop_price - 0.001)
    assert play.position().state is PositionState.EXITING
    assert play.position().notes == ("seen_at_close",)
    # The sale would have replaced the stop, which is not there any more.
    play.learn(e.CancelFailed(play.stop().client_id, -2011, "unknown order"))
    play.learn(e.PlacingBlocked(play.sale().client_id, "the stop could not be canceled"))
    sold = stop_fills(play, entry_bar_of(play) + 2 * BAR - 1)
    assert (sold.state, sold.exit_reason, sold.bars_held) == (PositionState.CLOSED, "STOP", 1)
    assert "seen_at_close" not in sold.notes
    assert not sold.seen_at_close
    assert play.is_flat


def test_a_target_that_was_wanted_but_sold_by_the_stop_is_a_stop() -> None:
    play = holding()
    play.quiet_bar()
    play.at(play.now_ms + 60_000)
    target = play.position().levels.target
    assert target is not None
    play.walk(target + 0.001)
    assert play.position().exit_reason == "FIB_61.8"
    play.learn(e.CancelFailed(play.stop().client_id, -2011, "unknown order"))
    play.learn(e.PlacingBlocked(play.sale().client_id, "the stop could not be canceled"))
    sold = stop_fills(play, play.now_ms)
    assert (sold.state, sold.exit_reason) == (PositionState.CLOSED, "STOP")
    assert sold.pnl_quote < 0


def test_what_an_exit_order_sold_keeps_the_reason_of_the_exit() -> None:
    play = holding()
    play.quiet_bar()
    play.at(play.now_ms + 60_000)
    target = play.position().levels.target
    assert target is not None
    play.walk(target + 0.001)
    sold = play.leave()
    assert (sold.state, sold.exit_reason, sold.bars_held) == (PositionState.CLOSED, "FIB_61.8", 1)


def test_what_the_stop_sold_and_is_not_booked_yet_is_no_dust() -> None:
    """The trades come after the word that all is sold: the first of them leaves what looks too little."""
    play = holding()
    stop = play.stop()
    assert stop.stop_price is not None
    price, last = str(stop.stop_price), Decimal("2.1")
    play.report(stop, Fact.FULLY_FILLED, executed=str(stop.qty))
    parts = play.fill(stop, price, str(stop.qty - last)), play.fill(stop, price, str(last))
    play.learn(e.FillsSeen(parts))
    sold = play.position()
    assert (sold.state, sold.sold_qty, sold.exit_reason) == (PositionState.CLOSED, stop.qty, "STOP")
    assert sold.held_qty == 0
    assert not [alert for alert in play.alerts(play.commands) if "more than it owned" in alert]


def test_a_purchase_is_not_booked_to_a_sale_that_had_its_number_before() -> None:
    """A testnet that began anew gives order numbers a second time."""
    play = holding()
    entry, stop = play.entry(), play.stop()
    play.fills(stop)
    sold, cash = play.position(), play.cash
    other = replace(play.fill(entry, "0.5", str(entry.qty)), client_id=stop.client_id)
    play.learn(e.FillsSeen((other,)))
    assert (play.position(), play.cash) == (sold, cash)
