"""The stop that rests on the exchange: placed, counted, replaced, triggered, and when there can be none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.commands import CancelOrder, PlaceOrder, ReplaceOrder
from agent.core.order import Fact, OrderStatus, Purpose
from agent.core.snapshot import snapshot
from tests.playbook import EXITS, MINUTE, D, Playbook, PositionState, make_instrument, make_setup


@pytest.fixture
def play() -> Playbook:
    play = Playbook().ready()
    play.enter("0.4981")
    return play


def stops(play: Playbook) -> list[str]:
    return [i.client_id for i in play.sent() if i.purpose is Purpose.PROTECT]


# --- where it rests --------------------------------------------------------------------------------


def test_without_a_stop_loss_nothing_rests() -> None:
    play = Playbook(make_setup(exits=replace(EXITS, use_stop_loss=False))).ready()
    play.enter()
    assert not play.resting_stops()
    assert not stops(play)


def test_without_protective_stop_nothing_rests_though_the_stop_is_watched() -> None:
    play = Playbook(make_setup(protective_stop=False)).ready()
    play.enter()
    assert not play.resting_stops()


@pytest.mark.parametrize(("percent", "stop"), [("10", "0.4482"), ("50", "0.249")])
def test_a_disaster_stop_rests_far_below_even_without_a_stop_loss(percent: str, stop: str) -> None:
    exits = replace(EXITS, use_stop_loss=False)
    play = Playbook(make_setup(exits=exits, disaster_stop_percent=D(percent))).ready()
    play.enter("0.4981")
    assert play.stop().stop_price == D(stop)


def test_a_real_stop_rests_instead_of_the_disaster_stop() -> None:
    play = Playbook(make_setup(disaster_stop_percent=D(50))).ready()
    position = play.enter("0.4981")
    assert play.stop().stop_price == play.instrument.price(position.levels.stop, "down")


# --- it ends ------------------------------------------------------------------------------------------


def test_a_triggered_stop_ends_the_position(play: Playbook) -> None:
    stop = play.stop()
    play.fills(stop, "0.4790")
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.exit_reason == "STOP"
    assert position.dust_qty == position.bought_qty - position.base_fees - stop.qty
    assert play.is_flat
    assert not play.sent(play.later(MINUTE))


def test_a_stop_that_triggered_without_selling_everything_sells_the_rest_at_once(play: Playbook) -> None:
    """A market order that ran out of book: the stop level was reached, whatever the price does now."""
    stop = play.stop()
    play.expires(stop, ("0.4790", "1200"), reason="INSUFFICIENT_LIQUIDITY")
    assert play.position().state is PositionState.EXITING
    assert play.position().exit_reason == "STOP"
    assert play.sale().qty == stop.qty - 1200
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_a_stop_canceled_by_somebody_is_told_and_replaced(play: Playbook) -> None:
    stop = play.stop()
    play.canceled(stop)
    assert any("ERROR unprotected" in line for line in play.alerts(play.last))
    assert play.position().unprotected_since_ms == play.now_ms
    assert not stops(play)
    asked = play.later(2_000)
    assert len([i for i in play.placed(asked) if i.purpose is Purpose.PROTECT]) == 1
    play.works(play.stop())
    assert play.stop().client_id != stop.client_id
    assert play.position().unprotected_since_ms is None
    assert play.position().unprotected_ms == 2_000


def test_a_stop_refused_again_and_again_is_retried_ever_more_patiently() -> None:
    play = Playbook().ready()
    play.enter()
    play.canceled(play.stop())
    waits = []
    for _ in range(7):
        start, before = play.now_ms, play.stop()
        while play.stop() == before:
            play.later(500)
        waits.append(play.now_ms - start)
        play.refuses(play.stop(), -2010, "MAX_NUM_ALGO_ORDERS")
    assert waits == [2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]


def test_a_stop_that_would_trigger_at_once_means_leaving_now() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    play.refuses(play.stop(), -2010, "Stop price would trigger immediately.")
    assert play.position().state is PositionState.EXITING
    assert play.position().exit_reason == "STOP"
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_a_stop_of_unknown_outcome_is_resolved_before_another_is_placed() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    stop = play.stop()
    play.loses_answer(stop)
    assert not [i for i in play.sent(play.later(15_000)) if i.purpose is Purpose.PROTECT]
    play.works(stop)
    assert play.order(stop).status is OrderStatus.NEW
    assert play.resting_stops() == [stop]


def test_where_stops_are_not_offered_the_agent_says_that_it_watches_alone() -> None:
    play = Playbook(instrument=make_instrument(order_types=frozenset({"LIMIT", "MARKET"}))).ready()
    play.enter()
    assert not play.resting_stops()
    assert sum("no STOP_LOSS orders" in line for line in play.alerts()) == 1
    play.quiet_bar()
    play.learn(e.InstrumentSeen(play.instrument))
    assert sum("no STOP_LOSS orders" in line for line in play.alerts()) == 1, "told once"
    assert "no_resting_stop" in play.position().notes


def test_a_stop_too_small_for_the_exchange_is_told() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.expires(play.entry(), ("0.4981", "10.4"))
    assert not stops(play)
    assert any("below the minimum 5" in line for line in play.alerts())
    assert play.position().state is PositionState.IN_POSITION


# --- leaving under it ----------------------------------------------------------------------------------


def test_a_sale_under_a_resting_stop_is_one_request(play: Playbook) -> None:
    stop = play.stop()
    play.quiet_bar()
    play.walk(0.5040)
    [replaced] = play.asked(ReplaceOrder)
    assert replaced.cancel_client_id == stop.client_id
    assert not play.asked(PlaceOrder)
    assert not play.asked(CancelOrder)
    play.leave()
    assert play.position().state is PositionState.CLOSED


def test_a_sale_waits_for_the_answer_about_the_stop() -> None:
    play = Playbook(make_setup(entry_bar_exits="all")).ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    play.walk(0.5040)
    assert play.position().state is PositionState.EXITING
    assert not play.sent(), "the stop may or may not be there"
    play.works(play.stop())
    assert len(play.asked(ReplaceOrder)) == 1


def test_replacing_failed_the_second_half_is_sold_at_the_market_at_once(play: Playbook) -> None:
    play.quiet_bar()
    play.walk(0.5040)
    first = play.sale()
    play.canceled(play.stop())
    assert not play.sent()
    play.refuses(first, -2010, "insufficient balance")
    second = play.sale()
    assert second.client_id != first.client_id
    assert len(play.asked(PlaceOrder)) == 1
    play.fills(second)
    assert play.position().state is PositionState.CLOSED


def test_a_stop_that_triggers_while_it_is_being_replaced(play: Playbook) -> None:
    stop = play.stop()
    play.quiet_bar()
    play.walk(0.5040)
    play.report(stop, Fact.PART_FILLED, ("0.4790", "1000"))
    play.learn(e.CancelFailed(stop.client_id, -2011, "unknown order"))
    play.learn(e.PlacingBlocked(play.sale().client_id, "the resting order could not be canceled"))
    play.fills(stop, "0.4790")
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.sold_qty == stop.qty
    assert not play.sent(play.later(MINUTE))


def test_a_stop_partly_executed_before_its_cancel_leaves_less_to_sell(play: Playbook) -> None:
    stop = play.stop()
    play.quiet_bar()
    play.walk(0.5040)
    play.canceled(stop, ("0.4790", "1000"))
    play.refuses(play.sale(), -2010, "insufficient balance")
    assert play.sale().qty == stop.qty - 1000
    play.fills(play.sale())
    assert play.position().sold_qty == stop.qty


def test_one_stop_too_many_is_canceled(play: Playbook) -> None:
    """A stop thought never placed turns up beside its successor: together they sell more than is held."""
    first = play.stop()
    play.canceled(first)
    play.later(2_000)
    second = play.stop()
    play.loses_answer(second)
    play.later(18_000)
    for _ in range(3):
        play.finds_nothing(second)
    play.later(4_000)
    third = play.stop()
    play.works(third)
    play.works(second)
    assert [c.client_id for c in play.asked(CancelOrder)] == [second.client_id]
    play.canceled(second)
    assert play.resting_stops() == [third]


def test_of_two_stops_one_is_canceled_before_anything_is_sold(play: Playbook) -> None:
    play.canceled(play.stop())
    play.later(2_000)
    second = play.stop()
    play.loses_answer(second)
    play.later(18_000)
    for _ in range(3):
        play.finds_nothing(second)
    play.later(4_000)
    third = play.stop()
    play.works(third)
    play.learn(e.CloseRequested("operator", None))
    first_sale = play.sale()
    play.works(second)
    play.learn(e.CancelFailed(third.client_id, None, "timed out"))
    play.refuses(first_sale, -2010, "insufficient balance")
    play.later(1_000)
    play.works(third)
    assert [c.client_id for c in play.asked(CancelOrder)] == [second.client_id]
    assert not play.sent()
    play.canceled(second)
    assert [c.cancel_client_id for c in play.asked(ReplaceOrder)] == [third.client_id]
    play.leave()
    assert play.position().state is PositionState.CLOSED


def test_a_stop_that_turns_up_after_the_position_closed_is_canceled(play: Playbook) -> None:
    first = play.stop()
    play.canceled(first)
    play.later(2_000)
    second = play.stop()
    play.loses_answer(second)
    play.later(18_000)
    for _ in range(3):
        play.finds_nothing(second)
    play.learn(e.CloseRequested("operator", None))
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED
    play.works(second)
    assert [c.client_id for c in play.asked(CancelOrder)] == [second.client_id]


# --- told and counted -----------------------------------------------------------------------------


def test_the_snapshot_names_the_protecting_order_or_since_when_there_is_none(play: Playbook) -> None:
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["protected_by"] == play.stop().client_id
    assert shown["unprotected_since"] is None
    play.canceled(play.stop())
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["protected_by"] is None
    assert shown["unprotected_since"] is not None


def test_seconds_unprotected_are_added_up_to_the_end(play: Playbook) -> None:
    play.canceled(play.stop())
    play.learn(e.CloseRequested("operator", None))
    play.at(play.now_ms + 3_000)
    play.fills(play.sale())
    assert play.position().unprotected_ms == 3_000


# --- while the entry is not over ------------------------------------------------------------------


def test_what_an_entry_has_bought_so_far_is_protected_after_a_moment_and_the_rest_when_it_comes() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.partly(entry, "0.4981", "800")
    assert not stops(play), "the next fills are on their way"
    [first] = [i for i in play.placed(play.later(1_000)) if i.purpose is Purpose.PROTECT]
    assert first.qty == play.instrument.qty(play.position().held_qty)
    play.works(first)
    play.fills(entry, "0.4981")
    [replaced] = play.asked(ReplaceOrder)
    assert replaced.cancel_client_id == first.client_id
    assert replaced.approved.intent.purpose is Purpose.PROTECT
    assert replaced.approved.intent.qty == play.instrument.qty(play.position().held_qty)


def test_an_entry_that_is_over_at_once_gets_its_stop_at_once() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    assert len(stops(play)) == 1
