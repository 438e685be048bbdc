"""Canceling: too old, raced by a fill, refused, lost, and orders that vanish."""

from __future__ import annotations

import pytest

from agent.core import events as e
from agent.core.commands import CancelOrder, LookUpOrder, ReadFills, ReplaceOrder
from agent.core.order import Fact, Intent, OrderStatus
from tests.playbook import MINUTE, Playbook, PositionState, make_setup

TIMEOUT_MS = 30_000


@pytest.fixture
def play() -> Playbook:
    """An entry rests at the exchange (a venue that ignores immediate-or-cancel) for too long."""
    play = Playbook().ready()
    play.signal()
    play.book()
    play.works(play.entry())
    return play


def cancels(play: Playbook, ms: int) -> list[str]:
    return [c.client_id for c in play.asked(CancelOrder, play.later(ms))]


def test_an_entry_is_canceled_after_the_order_timeout(play: Playbook) -> None:
    assert cancels(play, TIMEOUT_MS - 1) == []
    assert cancels(play, 1) == [play.entry().client_id]
    play.canceled(play.entry())
    assert play.position().state is PositionState.MONITORING
    assert play.is_flat


def test_what_was_filled_when_the_cancel_arrived_is_the_position(play: Playbook) -> None:
    play.partly(play.entry(), "0.4981", "700")
    assert cancels(play, TIMEOUT_MS) == [play.entry().client_id]
    play.canceled(play.entry())
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == 700
    assert play.stop().qty == play.instrument.qty(play.position().held_qty)


def test_a_refused_cancel_is_looked_up_because_it_may_have_filled(play: Playbook) -> None:
    entry = play.entry()
    play.later(TIMEOUT_MS)
    play.learn(e.CancelFailed(entry.client_id, -2011, "unknown order"))
    assert [c.client_id for c in play.asked(LookUpOrder)] == [entry.client_id]
    play.fills(entry)
    assert play.position().state is PositionState.IN_POSITION


def test_a_cancel_that_changes_nothing_is_repeated_but_not_at_network_speed(play: Playbook) -> None:
    """An exchange whose look-up lags says 'working' for half a minute after it refused the cancel."""
    entry = play.entry()
    play.later(TIMEOUT_MS)
    requests = 0
    start = play.now_ms
    while play.now_ms < start + 30_000:
        for command in play.last:
            if isinstance(command, CancelOrder):
                requests += 1
                play.learn(e.CancelFailed(entry.client_id, -2011, "unknown order"))
                requests += len(play.asked(LookUpOrder))
                play.works(entry)
                assert not play.asked(CancelOrder), "not again in the same breath"
                break
            if isinstance(command, LookUpOrder):
                requests += 1
                play.works(entry)
                break
        else:
            play.later(100)
    assert 20 <= requests <= 120
    play.canceled(entry)
    assert play.position().state is PositionState.MONITORING


def test_a_cancel_without_any_answer_is_looked_up_after_the_timeout(play: Playbook) -> None:
    entry = play.entry()
    play.later(TIMEOUT_MS)
    assert play.asked(LookUpOrder, play.later(TIMEOUT_MS))
    play.works(entry)
    assert [c.client_id for c in play.asked(CancelOrder)] == [entry.client_id]


def test_a_word_about_the_order_while_its_cancel_travels_does_not_cancel_twice(play: Playbook) -> None:
    play.later(TIMEOUT_MS)
    play.partly(play.entry(), "0.4981", "10")
    assert not play.asked(CancelOrder)


# --- the resting stop ------------------------------------------------------------------------------


def leaving() -> tuple[Playbook, Intent, Intent]:
    """The target is reached: the stop is to be replaced by the sale."""
    play = Playbook().ready()
    play.enter()
    stop = play.stop()
    play.quiet_bar()
    play.walk(0.5040)
    sale = play.sale()
    assert [c.cancel_client_id for c in play.asked(ReplaceOrder)] == [stop.client_id]
    return play, stop, sale


def test_cancel_failed_because_the_stop_has_filled() -> None:
    play, stop, sale = leaving()
    play.learn(e.CancelFailed(stop.client_id, -2011, "unknown order"))
    assert [c.client_id for c in play.asked(LookUpOrder)] == [stop.client_id]
    play.learn(e.PlacingBlocked(sale.client_id, "the resting order could not be canceled"))
    assert not play.sent(), "nothing is sold while the stop may have sold it"
    play.fills(stop, "0.4790")
    assert play.position().state is PositionState.CLOSED
    assert not play.sent(play.later(MINUTE))


def test_cancel_failed_and_the_stop_still_rests() -> None:
    play, stop, sale = leaving()
    play.learn(e.CancelFailed(stop.client_id, -2011, "unknown order"))
    play.learn(e.PlacingBlocked(sale.client_id, "the resting order could not be canceled"))
    play.works(stop)
    assert not play.sent()
    asked = play.later(2_000)
    assert play.asked(LookUpOrder, asked)
    play.works(stop)
    assert [c.cancel_client_id for c in play.asked(ReplaceOrder)] == [stop.client_id]
    assert play.sale().client_id != sale.client_id
    play.leave()
    assert play.position().state is PositionState.CLOSED


def test_both_answers_of_a_replacement_lost() -> None:
    play, stop, sale = leaving()
    play.learn(e.CancelFailed(stop.client_id, None, "read timed out"))
    play.loses_answer(sale)
    assert not play.sent(play.later(10_000))
    play.canceled(stop)
    assert not play.sent(), "the sale may be there"
    play.fills(sale)
    assert play.position().state is PositionState.CLOSED


def test_a_replacement_without_any_answer_is_resolved_and_does_not_wait_for_ever() -> None:
    """The task that sent it died: no word about either order will ever come by itself."""
    play, stop, sale = leaving()
    looked = {c.client_id for c in play.asked(LookUpOrder, play.later(2 * TIMEOUT_MS))}
    assert looked == {stop.client_id, sale.client_id}
    play.works(stop)
    for _ in range(3):
        play.finds_nothing(sale)
    play.later(2_000)
    assert play.sale().client_id != sale.client_id
    play.leave()
    assert play.position().state is PositionState.CLOSED


def test_a_stop_of_many_hours_is_asked_about_again_within_a_second_when_a_sale_waits_for_it() -> None:
    play = Playbook().ready()
    play.enter()
    stop = play.stop()
    play.later(20 * MINUTE)
    play.quiet_bar()
    play.walk(0.5040)
    play.learn(e.CancelFailed(stop.client_id, None, "canceled, and the exchange does not show the order"))
    play.learn(e.PlacingBlocked(play.sale().client_id, "the resting order could not be canceled"))
    play.learn(e.LookupFailed(stop.client_id, "EAPI:Rate limit exceeded"))
    assert [c.client_id for c in play.asked(LookUpOrder, play.later(1_000))] == [stop.client_id]
    play.canceled(stop)
    play.leave()
    assert play.position().state is PositionState.CLOSED


# --- vanished orders -----------------------------------------------------------------------------------


def test_an_accepted_order_the_exchange_denies_is_not_given_up_on_stale_answers() -> None:
    """Answers may be stale for 30 s: a working stop must not be replaced by a second one."""
    play = Playbook().ready()
    play.enter()
    stop = play.stop()
    for _ in range(7):
        play.finds_nothing(stop)
        assert [c.client_id for c in play.asked(ReadFills)] == [stop.client_id]
        assert not play.sent(play.later(5_900))
    play.works(stop)
    assert play.order(stop).status is OrderStatus.NEW
    assert play.order(stop).not_found == 0


def test_a_stop_that_vanished_is_told_and_replaced_within_a_minute() -> None:
    play = Playbook().ready()
    play.enter()
    stop, since_ms = play.stop(), play.now_ms
    for _ in range(20):
        play.finds_nothing(stop)
        if play.order(stop).status is OrderStatus.EXPIRED:
            break
        play.later(4_000)
    assert play.order(stop).status is OrderStatus.EXPIRED
    assert any("vanished" in line for line in play.alerts())
    assert play.now_ms < since_ms + 60_000
    play.later(2_000)
    assert play.stop().client_id != stop.client_id


def test_a_sale_that_vanished_is_sent_anew() -> None:
    play = Playbook(make_setup(protective_stop=False)).ready()
    play.enter()
    play.quiet_bar()
    play.walk(0.5040)
    sale = play.sale()
    play.works(sale)
    play.report(sale, Fact.PART_FILLED, ("0.5040", "500"))
    for _ in range(30):
        play.finds_nothing(sale)
        play.later(3_000)
        if play.sale() != sale:
            break
    again = play.sale()
    assert again.client_id != sale.client_id
    assert again.qty == play.instrument.qty(play.position().held_qty)
    play.fills(again)
    assert play.position().state is PositionState.CLOSED
