"""Stop and target resting as one order list: when, instead of what, and everything that may happen to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core import events as e
from agent.core.commands import CancelOrder, LookUpOrder, PlaceOrder, PlacePair, ReplaceByPair, ReplaceOrder
from agent.core.exits import ExitHit, profit_hit
from agent.core.order import Fact, Intent, OrderStatus, OrderType, Purpose
from agent.core.snapshot import snapshot
from tests.playbook import BAR, EXITS, MINUTE, D, Playbook, PositionState, make_instrument, make_setup

PAIRS = make_instrument(order_types=frozenset({"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS"}))


def legs(play: Playbook) -> tuple[Intent, Intent]:
    """The last list that was asked for."""
    pairs = [c.pair for c in play.commands if isinstance(c, PlacePair | ReplaceByPair)]
    assert pairs, "no list was ever asked for"
    return pairs[-1].legs


def pair_rests(play: Playbook) -> tuple[Intent, Intent]:
    stop, target = legs(play)
    play.works(stop)
    play.works(target)
    return stop, target


def holding(**setup: Any) -> Playbook:
    """In position, a stop resting alone, in the entry bar."""
    play = Playbook(make_setup(**setup), PAIRS).ready()
    play.enter("0.4981")
    return play


def level(play: Playbook) -> ExitHit:
    position = play.position()
    hit = profit_hit(position.levels, position.plan.exits)
    assert hit is not None
    return hit


def listed(**setup: Any) -> tuple[Playbook, Intent, Intent]:
    """In position in the bar after the entry bar, stop and target resting as a list."""
    play = holding(**setup)
    alone = play.stop()
    play.quiet_bar()
    play.quote(0.4985)
    play.canceled(alone)
    stop, target = pair_rests(play)
    return play, stop, target


# --- from the stop alone to the list --------------------------------------------------------------


def test_in_the_entry_bar_the_stop_rests_alone() -> None:
    play = holding()
    play.later(5 * MINUTE)
    assert not [c for c in play.commands if isinstance(c, PlacePair | ReplaceByPair)]
    assert play.position().levels.target is not None


def test_with_the_next_bar_the_stop_is_exchanged_for_a_list() -> None:
    play = holding()
    alone = play.stop()
    asked = play.later(2 * BAR)
    [exchanged] = play.asked(ReplaceByPair, asked)
    assert exchanged.cancel_client_id == alone.client_id
    stop, target = exchanged.pair.legs
    assert (stop.type, stop.stop_price, stop.qty) == (OrderType.STOP_LOSS, alone.stop_price, alone.qty)
    assert (target.type, target.qty) == (OrderType.LIMIT_MAKER, alone.qty)
    assert target.price == play.instrument.price(level(play).price, "up")
    assert stop.list_id == target.list_id not in (stop.client_id, target.client_id)
    first = play.position().entry_bar_open_ms
    assert first is not None
    assert stop.created_ms >= first + BAR


def test_where_the_entry_bar_counts_the_list_follows_the_fill_at_once() -> None:
    play = Playbook(make_setup(entry_bar_exits="all"), PAIRS).ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    assert len(play.asked(PlacePair)) == 1
    assert not play.asked(PlaceOrder)


def test_near_the_stop_nothing_is_exchanged() -> None:
    """Without a stop for one round trip, there of all places, is worse than no resting target."""
    play = holding()
    stop_price = play.stop().stop_price
    assert stop_price is not None
    play.walk(float(stop_price) + 0.001)
    play.quiet_bar(close=float(stop_price) + 0.001)
    play.later(MINUTE)
    assert not [c for c in play.commands if isinstance(c, ReplaceByPair)]
    play.walk(0.4985)
    asked = play.later(10_000)
    assert len(play.asked(ReplaceByPair, asked)) == 1


def test_without_a_believed_price_nothing_is_exchanged() -> None:
    play = holding()
    play.quote(0.4985, trusted=False)
    asked = play.later(2 * BAR)
    assert not play.asked(ReplaceByPair, asked)


def test_where_lists_are_not_offered_the_stop_stays_alone() -> None:
    play = Playbook(instrument=replace(PAIRS, lists_allowed=False)).ready()
    play.enter("0.4981")
    assert not play.asked(ReplaceByPair, play.later(2 * BAR))


def test_a_disaster_stop_rests_with_the_target_as_well() -> None:
    exits = replace(EXITS, use_stop_loss=False)
    play = holding(exits=exits, disaster_stop_percent=D(10))
    assert play.stop().stop_price == D("0.4482")
    [exchanged] = play.asked(ReplaceByPair, play.later(2 * BAR))
    assert exchanged.pair.legs[0].stop_price == D("0.4482")


def test_a_take_profit_below_the_target_is_what_rests() -> None:
    exits = replace(EXITS, use_traditional_tp=True, reward_r=0.1)
    play, _, target = listed(exits=exits, enter_without_room=True)
    take_profit = play.position().levels.take_profit
    assert take_profit is not None
    assert target.price == play.instrument.price(take_profit, "up")
    play.at(play.now_ms + 1_000)
    play.fills(target, str(target.price))
    assert play.position().exit_reason == "TP_0.1R"


# --- the exchange of the two fails ----------------------------------------------------------------


def exchanging() -> tuple[Playbook, Intent]:
    play = holding()
    alone = play.stop()
    play.quiet_bar()
    play.quote(0.4985)
    assert [c for c in play.commands if isinstance(c, ReplaceByPair)]
    return play, alone


def test_while_it_is_exchanged_the_position_counts_as_unprotected_from_the_cancel_on() -> None:
    play, alone = exchanging()
    play.canceled(alone)
    assert play.position().unprotected_since_ms == play.now_ms
    assert not play.sent(), "the list is on its way"
    assert not any("unprotected" in line for line in play.alerts())
    play.at(play.now_ms + 70)
    pair_rests(play)
    position = play.position()
    assert (position.unprotected_since_ms, position.unprotected_ms) == (None, 70)


def test_a_list_that_is_refused_leaves_no_gap_behind() -> None:
    play, alone = exchanging()
    play.canceled(alone)
    stop, target = legs(play)
    play.refuses(stop, -2010, "too many orders")
    play.refuses(target, -2010, "too many orders")
    again = play.stop()
    assert again not in (alone, stop)
    assert again.list_id is None
    assert play.asked(PlaceOrder), "the stop alone follows at once"
    play.works(again)
    assert not play.asked(ReplaceByPair, play.later(50_000))
    asked = play.later(30_000)
    assert play.asked(ReplaceByPair, asked), "a minute later the list has another chance"


def test_a_stop_that_could_not_be_canceled_stays_and_the_list_was_never_sent() -> None:
    play, alone = exchanging()
    stop, target = legs(play)
    play.learn(e.CancelFailed(alone.client_id, None, "timed out"))
    for leg in (stop, target):
        play.learn(e.PlacingBlocked(leg.client_id, "the resting order could not be canceled"))
    assert play.order(stop).status is OrderStatus.REJECTED
    play.later(2_000)
    play.works(alone)
    assert play.resting_stops() == [alone]
    assert not play.sent()
    assert play.position().unprotected_since_ms is None


def test_a_cancel_that_worked_without_an_answer_is_followed_by_a_stop_at_once() -> None:
    play, alone = exchanging()
    stop, target = legs(play)
    play.learn(e.CancelFailed(alone.client_id, None, "timed out"))
    for leg in (stop, target):
        play.learn(e.PlacingBlocked(leg.client_id, "the resting order could not be canceled"))
    play.canceled(alone)
    [again] = play.placed()
    assert (again.purpose, again.list_id) == (Purpose.PROTECT, None)
    assert not any("ERROR unprotected" in line for line in play.alerts())


def test_a_stop_that_sold_instead_of_being_canceled_ends_the_position() -> None:
    play, alone = exchanging()
    stop, target = legs(play)
    play.learn(e.CancelFailed(alone.client_id, -2011, "unknown order"))
    for leg in (stop, target):
        play.learn(e.PlacingBlocked(leg.client_id, "the resting order could not be canceled"))
    play.fills(alone, str(alone.stop_price))
    assert play.position().state is PositionState.CLOSED
    assert play.position().exit_reason == "STOP"
    assert not play.sent(play.later(MINUTE))


@pytest.mark.parametrize("exists", [True, False])
def test_a_list_of_unknown_outcome_is_looked_up_leg_by_leg(exists: bool) -> None:
    play, alone = exchanging()
    play.canceled(alone)
    stop, target = legs(play)
    play.loses_answer(stop)
    play.loses_answer(target)
    assert {c.client_id for c in play.asked(LookUpOrder, play.commands)} >= {stop.client_id, target.client_id}
    assert not play.sent(play.later(10_000)), "nothing is placed beside what may be there"
    if exists:
        play.works(stop)
        play.works(target)
        assert play.position().unprotected_since_ms is None
        return
    play.later(18_000)
    for leg in (stop, target):
        for _ in range(3):
            play.finds_nothing(leg)
    sent = play.sent(play.later(5_000))
    assert [i.purpose for i in sent] == [Purpose.PROTECT], "never placed: the stop alone at once, or a list"


# --- it does its work -----------------------------------------------------------------------------


def test_a_filled_target_is_the_exit_at_its_price() -> None:
    play, stop, target = listed()
    play.at(play.now_ms + 1_000)
    play.expires(stop, reason="OCO_TRIGGER")
    assert play.position().state is PositionState.IN_POSITION
    play.fills(target, str(target.price))
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "FIB_61.8")
    assert position.exit_price == target.price
    assert position.exit_level == level(play).price
    assert position.bars_held == 1
    assert "resting_target" in position.notes
    assert not play.sent(play.later(MINUTE))
    assert not any("unprotected" in line for line in play.alerts())


def test_the_fill_may_be_told_before_the_other_leg_has_ended() -> None:
    play, stop, target = listed()
    play.fills(target, str(target.price))
    assert play.position().state is PositionState.CLOSED
    asked = play.later(2_000)
    assert not play.asked(CancelOrder, asked), "the list is done; nothing is left to cancel"
    assert stop.client_id in {c.client_id for c in play.asked(LookUpOrder, asked)}
    play.expires(stop, reason="OCO_TRIGGER")
    assert play.order(stop).is_settled


def test_a_triggered_stop_of_a_list_is_the_exit() -> None:
    play, stop, target = listed()
    play.expires(target, reason="OCO_TRIGGER")
    play.fills(stop, "0.4790")
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "STOP")
    assert not play.sent(play.later(MINUTE))


def test_a_price_at_the_target_is_left_to_the_order_that_rests_there() -> None:
    play, _, target = listed()
    play.walk(float(target.price or 0))
    assert play.position().state is PositionState.IN_POSITION
    assert not play.sent()
    play.fills(target, str(target.price))
    assert play.position().exit_reason == "FIB_61.8"


def test_a_target_that_is_reached_and_does_not_fill_goes_to_the_market() -> None:
    play, stop, target = listed()
    play.walk(float(target.price or 0))
    asked = play.later(3_000)
    [replaced] = play.asked(ReplaceOrder, asked)
    assert replaced.cancel_client_id == stop.client_id
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.EXITING, "FIB_61.8")
    play.canceled(stop)
    play.fills(play.sale())
    play.canceled(target)
    assert play.position().state is PositionState.CLOSED
    assert play.position().exit_reason == "FIB_61.8"


def test_a_target_that_fills_in_part_is_completed_at_the_market() -> None:
    play, stop, target = listed()
    play.expires(stop, reason="OCO_TRIGGER")
    play.partly(target, str(target.price), "1000")
    assert not play.sent()
    sent = play.later(3_000)
    assert [c.client_id for c in play.asked(CancelOrder, sent)] == [target.client_id]
    assert not play.asked(ReplaceOrder, sent), "until it is gone it may sell what the sale would sell"
    play.canceled(target, (str(target.price), "200"))
    [placed] = play.asked(PlaceOrder)
    assert placed.approved.intent.qty == target.qty - 1200
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED
    assert play.position().exit_reason == "FIB_61.8"


def test_a_stop_reached_while_the_target_is_partly_filled_sells_the_rest_at_once() -> None:
    play, stop, target = listed()
    play.expires(stop, reason="OCO_TRIGGER")
    play.partly(target, str(target.price), "1000")
    play.walk(play.position().levels.stop - 0.001)
    assert [c.client_id for c in play.asked(CancelOrder)] == [target.client_id]
    assert play.position().exit_reason == "STOP"
    play.canceled(target)
    assert [c.approved.intent.qty for c in play.asked(PlaceOrder)] == [target.qty - 1000]


def test_a_target_seen_only_in_the_closed_bar_is_left_to_its_order_for_a_moment() -> None:
    play, stop, target = listed()
    assert target.price is not None
    play.quiet_bar(high=float(target.price) + 0.001)
    assert not play.sent()
    play.expires(stop, reason="OCO_TRIGGER")
    play.fills(target, str(target.price))
    position = play.position()
    assert position.exit_reason == "FIB_61.8"
    assert not position.seen_at_close


def test_a_target_touched_in_a_bar_and_not_filled_leaves_late_and_says_so() -> None:
    play, _, target = listed()
    assert target.price is not None
    play.quiet_bar(high=float(target.price) + 0.001)
    assert len(play.asked(ReplaceOrder, play.later(4_000))) == 1
    position = play.position()
    assert position.exit_reason == "FIB_61.8"
    assert position.seen_at_close
    assert "seen_at_close" in position.notes


# --- leaving under it -----------------------------------------------------------------------------


def test_a_sale_under_a_list_is_one_request_that_names_one_leg() -> None:
    play, stop, target = listed()
    play.learn(e.CloseRequested("operator", None))
    [replaced] = play.asked(ReplaceOrder)
    assert replaced.cancel_client_id == stop.client_id
    assert replaced.approved.intent.qty == stop.qty
    assert not play.asked(CancelOrder)
    play.canceled(stop)
    play.fills(play.sale())
    asked = play.later(1_000)
    assert target.client_id in {c.client_id for c in play.asked(LookUpOrder, asked)}
    play.canceled(target)
    assert play.position().state is PositionState.CLOSED
    assert not play.sent(play.later(MINUTE))


def test_a_list_that_cannot_be_replaced_because_it_is_selling_is_no_double_exit() -> None:
    play, stop, target = listed()
    play.learn(e.CloseRequested("operator", None))
    sale = play.sale()
    play.learn(e.CancelFailed(stop.client_id, -2011, "unknown order"))
    play.learn(e.PlacingBlocked(sale.client_id, "the cancel failed"))
    assert not play.sent()
    play.expires(stop, reason="OCO_TRIGGER")
    assert not play.sent(), "what the target sold is not known yet"
    play.fills(target, str(target.price))
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.exit_reason == "FIB_61.8"
    assert position.sold_qty == target.qty
    assert not play.sent(play.later(MINUTE))


def test_the_new_half_failed_and_the_rest_is_sold_when_the_list_is_known_to_be_gone() -> None:
    play, stop, target = listed()
    play.learn(e.CloseRequested("operator", None))
    first = play.sale()
    play.canceled(stop)
    play.refuses(first, -2010, "insufficient balance")
    assert not play.sent(), "the other leg has not told its end yet"
    play.canceled(target)
    assert play.sale() != first
    assert len(play.asked(PlaceOrder)) == 1
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_a_list_that_an_exchange_will_not_replace_is_canceled_first() -> None:
    play, stop, target = listed()
    play.learn(e.CloseRequested("operator", None))
    for _ in range(2):
        sale = play.sale()
        play.learn(e.CancelFailed(stop.client_id, -1013, "not for orders of a list"))
        play.learn(e.PlacingBlocked(sale.client_id, "refused as a whole"))
        play.later(3_000)
        play.works(stop)
        play.works(target)
        play.later(3_000)
    assert [c.client_id for c in play.asked(CancelOrder, play.commands)] == [stop.client_id]
    play.canceled(stop)
    play.canceled(target)
    assert play.asked(PlaceOrder)
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


# --- it ends by itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_a_list_canceled_by_somebody_is_told_once_and_placed_again(first: int) -> None:
    play, *pair = listed()
    play.canceled(pair[first])
    assert not play.sent()
    play.canceled(pair[1 - first])
    assert sum("ERROR unprotected" in line for line in play.alerts()) == 1
    sent = play.later(2_000)
    assert len(play.asked(PlacePair, sent)) + len(play.placed(sent)) == 1
    assert play.position().state is PositionState.IN_POSITION


def test_a_leg_whose_partner_never_tells_is_asked_for() -> None:
    play, stop, target = listed()
    play.canceled(target)
    asked = play.later(1_000)
    assert stop.client_id in {c.client_id for c in play.asked(LookUpOrder, asked)}


def test_late_fills_that_enlarge_the_position_enlarge_what_rests() -> None:
    play, stop, _ = listed()
    entry = play.entry()
    more = play.fill(entry, "0.4981", "500")
    play.learn(e.FillsSeen((more,)))
    [exchanged] = play.asked(ReplaceByPair)
    assert exchanged.pair.legs[0].qty > stop.qty
    assert exchanged.cancel_client_id == stop.client_id


def test_after_a_restart_the_list_is_looked_up_and_goes_on_protecting() -> None:
    play, stop, target = listed()
    play.restart().come_back()
    asked = {c.client_id for c in play.asked(LookUpOrder, play.commands)}
    assert {stop.client_id, target.client_id} <= asked
    play.works(stop)
    play.works(target)
    play.quote(0.4985)
    assert not play.sent(play.later(10_000))
    assert play.resting_stops() == [stop]


# --- where stops are limits -----------------------------------------------------------------------

LIMITS_ONLY = make_instrument(order_types=frozenset({"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"}))


def limit_stop() -> tuple[Playbook, Intent]:
    play = Playbook(instrument=LIMITS_ONLY).ready()
    play.enter("0.4981")
    return play, play.stop()


def triggered(play: Playbook, intent: Intent) -> tuple[Any, ...]:
    report = play.make_report(intent, Fact.WORKING, D(0))
    return play.learn(e.OrderReported(replace(report, triggered=True)))


def test_without_stop_loss_a_stop_loss_limit_rests_with_room_below() -> None:
    _, stop = limit_stop()
    assert stop.type is OrderType.STOP_LOSS_LIMIT
    assert stop.stop_price is not None
    assert stop.price is not None
    assert stop.price == LIMITS_ONLY.price(stop.stop_price * D("0.97"), "down")


def test_a_triggered_limit_that_does_not_fill_goes_to_the_market_in_time() -> None:
    play, stop = limit_stop()
    triggered(play, stop)
    assert not play.sent(play.later(2_999))
    [replaced] = play.asked(ReplaceOrder, play.later(1))
    assert replaced.cancel_client_id == stop.client_id
    assert replaced.approved.intent.type is OrderType.MARKET
    assert play.position().exit_reason == "STOP"


def test_a_triggered_limit_that_fills_needs_no_help() -> None:
    play, stop = limit_stop()
    triggered(play, stop)
    play.fills(stop, str(stop.price))
    assert play.position().state is PositionState.CLOSED
    assert not play.sent(play.later(MINUTE))


def test_a_triggered_limit_is_known_again_after_a_restart() -> None:
    play, stop = limit_stop()
    triggered(play, stop)
    play.restart().come_back()
    triggered(play, stop)
    play.quote(0.4985)
    assert len(play.asked(ReplaceOrder, play.later(4_000))) == 1


# --- shown ----------------------------------------------------------------------------------------


def test_the_snapshot_tells_what_protects_at_what_price_and_when_that_was_last_confirmed() -> None:
    play, stop, target = listed()
    play.at(play.now_ms + 12_000)
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["protected_by"] == stop.client_id
    assert shown["protected_at"] == shown["stop"] == str(stop.stop_price)
    assert shown["target"] == str(target.price)
    assert shown["target_rests_as"] == target.client_id
    assert shown["protection_verified_at"] is not None
    assert shown["unprotected_since"] is None
    before = shown["protection_verified_at"]
    play.account_agrees()
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["protection_verified_at"] > before
    rows = {o["client_id"]: o for o in snapshot(play.state, "1")["orders"]}
    assert rows[stop.client_id]["list_id"] == rows[target.client_id]["list_id"] == stop.list_id


def test_seconds_without_protection_go_on_counting_while_there_is_none() -> None:
    play, stop, target = listed()
    play.canceled(stop)
    play.canceled(target)
    play.learn(e.PauseRequested("operator"))
    play.at(play.now_ms + 1_500)
    play.learn(e.ExchangeReported(True, 1.0, 0, 1))
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["protected_by"] is None
    assert shown["unprotected_seconds"] == 1.5


def test_an_exchange_that_says_triggered_of_every_stop_sells_nothing_by_that() -> None:
    play = Playbook(instrument=LIMITS_ONLY).ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    triggered(play, play.stop())
    assert not play.sent(play.later(MINUTE))
    assert play.position().state is PositionState.IN_POSITION
