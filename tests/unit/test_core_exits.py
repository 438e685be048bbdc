"""Leaving: which level, when, under which name, and how the sale goes on until nothing is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.commands import Keep, PlaceOrder
from agent.core.events import ClosedBy
from agent.core.order import Fact, Intent, OrderStatus, OrderType, Purpose, Side
from agent.core.records import BalanceRow, DustRow
from tests.playbook import (
    BAR,
    EXITS,
    MINUTE,
    D,
    Playbook,
    PositionState,
    make_instrument,
    make_setup,
    quiet_candle,
)

BOTH = pytest.mark.parametrize("policy", ["target", "first_level"])


def holding(**changes: object) -> Playbook:
    """In position since a bar ago, at 0.4981; target 0.5027, stop 0.4796 (first level 0.4956)."""
    exits = {name: changes.pop(name) for name in tuple(changes) if name in EXITS.__slots__}
    play = Playbook(make_setup(exits=replace(EXITS, **exits), **changes)).ready()
    play.enter("0.4981")
    return play


def without_stop(**changes: object) -> Playbook:
    return holding(protective_stop=False, **changes)


# --- which exit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "reason"), [("target", "STOP"), ("first_level", "stop")])
def test_the_stop_at_once_in_the_entry_bar(policy: str, reason: str) -> None:
    play = without_stop(policy=policy, fib_target_level=0.618, enter_without_room=True)
    stop = play.position().levels.stop
    play.walk(stop + 0.0002)
    assert play.position().state is PositionState.IN_POSITION
    play.walk(stop - 0.0001)
    assert play.position().exit_reason == reason
    sale = play.sale()
    assert (sale.side, sale.type, sale.purpose) == (Side.SELL, OrderType.MARKET, Purpose.EXIT)
    play.fills(sale)
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.bars_held == 0
    assert "entry_bar_exit" in position.notes


@pytest.mark.parametrize(("policy", "reason"), [("target", "FIB_61.8"), ("first_level", "fib_38.2")])
def test_the_ladder_level_of_the_policy(policy: str, reason: str) -> None:
    play = without_stop(policy=policy, enter_without_room=True)
    play.walk(0.4940)
    play.quiet_bar(0.4940, low=0.4939)
    target = play.position().levels.target
    assert target is not None
    play.walk(target - 0.0002)
    assert play.position().state is PositionState.IN_POSITION
    play.walk(target + 0.0001)
    assert play.position().exit_reason == reason
    assert play.position().exit_level == target


@pytest.mark.parametrize(("policy", "reason"), [("target", "TP_2.0R"), ("first_level", "tp")])
def test_the_take_profit(policy: str, reason: str) -> None:
    play = without_stop(policy=policy, use_fib_exits=False, use_traditional_tp=True)
    play.quiet_bar()
    take_profit = play.position().levels.take_profit
    assert take_profit == pytest.approx(0.4981 + 2 * (0.4981 - play.position().levels.stop))
    play.walk(take_profit + 0.0001)
    assert play.position().exit_reason == reason


@pytest.mark.parametrize(("policy", "reason"), [("target", "TIME"), ("first_level", "time")])
def test_the_time_limit_at_the_close_of_its_bar(policy: str, reason: str) -> None:
    play = without_stop(policy=policy, max_hold=3, use_fib_exits=False)
    for _ in range(3):
        assert play.position().exit_reason is None
        play.quiet_bar()
    play.quiet_bar()
    position = play.position()
    assert position.exit_reason == reason
    assert position.bars_held == 3, "counted as the backtester counts"
    assert not position.seen_at_close


@pytest.mark.parametrize(("policy", "reasons"), [("target", "STOP_GAP"), ("first_level", "stop_gap")])
def test_a_bar_that_opens_below_the_stop_unseen(policy: str, reasons: str) -> None:
    play = without_stop(policy=policy, enter_without_room=True)
    play.quiet_bar()
    stop = play.position().levels.stop
    gapped = replace(quiet_candle(play.last_bar, stop - 0.002), open=stop - 0.001, high=stop - 0.0005)
    play.bar(gapped, by=ClosedBy.REST)
    assert play.position().exit_reason == reasons
    assert play.position().seen_at_close


def test_the_stop_comes_before_everything_else_on_one_bar() -> None:
    play = without_stop(max_hold=1, use_traditional_tp=True)
    play.quiet_bar()
    stop = play.position().levels.stop
    play.quiet_bar(high=0.60, low=stop - 0.001)
    assert play.position().exit_reason == "STOP"


def test_fibonacci_comes_before_the_take_profit_and_the_time_limit() -> None:
    play = without_stop(max_hold=1, use_traditional_tp=True)
    play.quiet_bar()
    play.quiet_bar(high=0.60)
    assert play.position().exit_reason == "FIB_61.8"


# --- the entry bar -----------------------------------------------------------------------------------


def test_the_target_waits_for_the_bar_after_the_entry_bar() -> None:
    play = without_stop()
    play.walk(0.5050)
    assert play.position().state is PositionState.IN_POSITION
    play.quiet_bar(0.5050)
    assert play.position().state is PositionState.IN_POSITION, "the entry bar itself is not examined"
    play.traded(0.5050)
    assert play.position().exit_reason == "FIB_61.8"


def test_with_all_exits_on_the_entry_bar_the_target_counts_at_once() -> None:
    play = without_stop(entry_bar_exits="all")
    play.walk(0.5050)
    position = play.position()
    assert position.exit_reason == "FIB_61.8"
    assert position.bars_held == 0
    assert "entry_bar_exit" in position.notes


def test_a_touch_nobody_saw_live_leaves_at_the_close_and_says_so() -> None:
    play = without_stop()
    play.quiet_bar()
    play.quiet_bar(high=0.5100)
    position = play.position()
    assert position.exit_reason == "FIB_61.8"
    assert position.seen_at_close
    assert "seen_at_close" in position.notes
    assert position.bars_held == 1
    assert play.sale().type is OrderType.MARKET


# --- after an outage -------------------------------------------------------------------------------


def test_back_filled_bars_are_checked_one_by_one() -> None:
    play = without_stop()
    play.at(play.now_ms + 5 * BAR)
    play.quiet_bar(by=ClosedBy.BACKFILL)
    play.quiet_bar(by=ClosedBy.BACKFILL)
    assert play.position().state is PositionState.IN_POSITION
    play.quiet_bar(high=0.5100, by=ClosedBy.BACKFILL)
    assert play.position().bars_held == 2
    play.quiet_bar(by=ClosedBy.BACKFILL)
    position = play.position()
    assert (position.exit_reason, position.bars_held) == ("FIB_61.8", 2)
    assert position.seen_at_close


def test_an_overdue_time_limit_leaves_at_once_and_says_so() -> None:
    play = without_stop(max_hold=3, use_fib_exits=False)
    play.at(play.now_ms + 8 * BAR)
    for _ in range(4):
        play.quiet_bar(by=ClosedBy.BACKFILL)
    position = play.position()
    assert (position.exit_reason, position.bars_held) == ("TIME", 3)
    assert position.seen_at_close


def test_a_bar_that_is_delivered_twice_is_held_once() -> None:
    play = without_stop(max_hold=3, use_fib_exits=False)
    play.quiet_bar()
    play.quiet_bar()
    play.learn(e.BarClosed(play.last_bar, ClosedBy.REST))
    play.learn(e.BarClosed(play.last_bar, ClosedBy.BACKFILL))
    assert play.position().bars_held == 1


def test_bars_before_the_entry_do_not_count() -> None:
    play = without_stop(max_hold=1, use_fib_exits=False)
    for old in play.history[-4:]:
        play.learn(e.BarClosed(old, ClosedBy.BACKFILL))
    assert play.position().bars_held == 0
    assert play.position().state is PositionState.IN_POSITION


# --- the sale ----------------------------------------------------------------------------------------


def at_target(play: Playbook) -> Playbook:
    play.quiet_bar()
    play.walk(0.5040)
    assert play.position().state is PositionState.EXITING
    return play


def test_a_sale_books_profit_cash_day_and_rows() -> None:
    play = at_target(without_stop())
    cash, position = play.cash, play.position()
    sale = play.sale()
    assert sale.qty == play.instrument.qty(position.held_qty)
    play.fills(sale, "0.5040")
    proceeds = sale.qty * D("0.5040")
    fee = proceeds * D("0.0005")
    assert play.cash == cash + proceeds - fee
    closed = play.position()
    assert closed.state is PositionState.CLOSED
    assert closed.pnl_quote == proceeds - fee - position.buy_cost
    assert play.state.durable.account.realized_pnl == closed.pnl_quote
    day = play.state.durable.day
    assert day is not None
    assert (day.trades, day.wins, day.losses) == (1, 1, 0)
    assert [c for c in play.last if isinstance(c, Keep) and isinstance(c.row, BalanceRow)]
    assert play.is_flat


def test_a_refused_sale_is_tried_again_at_once_and_then_ever_more_patiently() -> None:
    play = at_target(without_stop())
    ids = {play.sale().client_id}
    waits = []
    play.refuses(play.sale(), -1015, "too many orders")
    for _ in range(8):
        start = play.now_ms
        while play.sale().client_id in ids:
            play.later(500)
        waits.append(play.now_ms - start)
        ids.add(play.sale().client_id)
        play.refuses(play.sale(), -1015, "too many orders")
    assert waits == [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
    assert len(ids) == 9, "each try is a new intent"
    assert sum("sold nothing" in line for line in play.alerts()) == 9
    play.later(30_000)
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_the_rest_of_a_half_executed_sale_is_sold_at_once() -> None:
    play = at_target(without_stop())
    first = play.sale()
    play.expires(first, ("0.5040", "1500"))
    second = play.sale()
    assert second.client_id != first.client_id
    assert second.qty == first.qty - 1500
    assert play.position().state is PositionState.EXITING
    play.fills(second)
    assert play.position().state is PositionState.CLOSED


def test_a_thin_book_is_not_sold_into_at_the_speed_of_the_network() -> None:
    play = at_target(without_stop())
    sales = []
    start = play.now_ms
    while play.now_ms < start + 10_000:
        if not sales or play.sale().client_id != sales[-1]:
            sales.append(play.sale().client_id)
            play.expires(play.sale(), ("0.5040", "20"))
        play.later(100)
    assert 10 <= len(sales) <= 12, "one at once, then one a second"


def test_a_sale_of_unknown_outcome_blocks_a_second_sale_until_it_is_resolved() -> None:
    """Coins that are not ours lie beside the position: sold twice, the second sale would be theirs."""
    play = without_stop()
    play.foreign = D(50_000)
    play.account_agrees()
    at_target(play)
    first = play.sale()
    play.loses_answer(first)
    for _ in range(10):
        play.traded(0.5040)
        assert not play.sent(play.later(1_000))
    play.learn(e.CloseRequested("operator", None))
    assert not play.sent()
    for _ in range(3):
        assert not play.sent(play.finds_nothing(first))
    assert not play.sent(), "not yet proven"
    play.later(8_000)
    assert not play.sent(play.finds_nothing(first)), "this answer may be from before the sale"
    play.later(29_000)
    assert not play.sent(play.finds_nothing(first))
    play.later(1_000)
    assert len(play.sent(play.finds_nothing(first))) == 1
    assert play.sale().client_id != first.client_id


def test_a_sale_that_is_missed_for_a_moment_and_cannot_oversell_is_made_again() -> None:
    """Nothing else is on the account: should the first sale still arrive, there is nothing left for it."""
    play = at_target(without_stop())
    first = play.sale()
    play.loses_answer(first)
    assert not play.sent(play.finds_nothing(first)), "it may be just arriving"
    play.at(play.now_ms + 3_000)
    assert len(play.sent(play.finds_nothing(first))) == 1
    second = play.sale()
    assert second.client_id != first.client_id
    play.refuses(second, -2010, "insufficient balance")
    third = play.sale()
    play.fills(first)
    play.refuses(third, -2010, "insufficient balance")
    assert play.position().state is PositionState.CLOSED
    assert play.position().sold_qty == first.qty
    assert not play.sent(play.later(MINUTE))


def test_a_sale_that_is_missed_is_not_made_again_beside_a_purchase_without_an_answer() -> None:
    """Should both have arrived, a second sale would sell what the purchase brought."""
    setup = make_setup(protective_stop=False)
    play = Playbook(replace(setup, limits=replace(setup.limits, max_open_positions=2))).ready()
    first = play.enter()
    play.quiet_bar()
    play.signal()
    play.book()
    play.loses_answer(play.entry())
    play.learn(e.CloseRequested("operator", first.id))
    sale = play.sale()
    play.loses_answer(sale)
    play.at(play.now_ms + 3_500)
    assert not [i for i in play.sent(play.finds_nothing(sale)) if i.purpose is Purpose.EXIT]


def beside_a_second_position() -> tuple[Playbook, Intent]:
    """The first of two positions is being sold, the sale has executed, and nothing told of it."""
    setup = make_setup(protective_stop=False)
    play = Playbook(replace(setup, limits=replace(setup.limits, max_open_positions=2))).ready()
    first = play.enter()
    play.quiet_bar()
    play.signal()
    play.book()
    second = play.entry()
    play.learn(e.CloseRequested("operator", first.id))
    sale = play.sale()
    play.loses_answer(sale)
    play.loses_answer(second)
    return play, sale


def sales_made(play: Playbook, sale: Intent, answers: int, every_ms: int) -> list[Intent]:
    """All the while the exchange answers from before the sale, which it does not know there."""
    made: list[Intent] = []
    for _ in range(answers):
        play.at(play.now_ms + every_ms)
        made += [i for i in play.sent(play.finds_nothing(sale)) if i.purpose is Purpose.EXIT]
    return made


def test_stale_answers_do_not_sell_the_coins_of_another_position() -> None:
    """The coins of the second position are there for a second sale of the first to take."""
    play, sale = beside_a_second_position()
    play.fills(play.entry())
    assert not sales_made(play, sale, 30, 1_000)
    assert play.order(sale).status is OrderStatus.UNKNOWN
    play.fills(sale)
    assert not play.sent(), "it was executed, as the next answer that is not stale says"
    assert play.state.positions[sale.position_id].state is PositionState.CLOSED


def test_stale_answers_that_hide_a_purchase_do_not_sell_what_it_brought() -> None:
    """The same answers that hide the sale say of the second purchase that it was never placed."""
    play, sale = beside_a_second_position()
    second = play.entry()
    for _ in range(3):
        play.at(play.now_ms + 7_000)
        play.finds_nothing(second)
    assert play.order(second).status is OrderStatus.NOT_PLACED
    assert not sales_made(play, sale, 8, 1_000), "the purchase may have been executed as well"
    assert sales_made(play, sale, 2, 10_000), "no answer is as old as that"


def test_a_sale_of_unknown_outcome_that_executed_ends_the_position() -> None:
    play = at_target(without_stop())
    play.loses_answer(play.sale())
    play.later(2_000)
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED
    assert not play.sent(play.later(MINUTE))


def test_the_first_reason_stays() -> None:
    play = at_target(without_stop())
    play.walk(0.4700)
    play.learn(e.CloseRequested("operator", None))
    assert play.position().exit_reason == "FIB_61.8"
    assert len([i for i in play.sent(play.commands) if i.purpose is Purpose.EXIT]) == 1


def test_a_position_too_large_for_one_order_is_sold_in_pieces() -> None:
    play = Playbook(
        make_setup(protective_stop=False), make_instrument(market_max_qty=D(800), max_qty=D(900_000))
    ).ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    at_target(play)
    sold = []
    while play.position().state is PositionState.EXITING:
        sold.append(play.sale().qty)
        play.fills(play.sale())
    assert sold == [800, 800, D("406.5")]


def test_a_remainder_below_the_minimum_is_dust_and_closes_the_position() -> None:
    play = at_target(without_stop())
    play.expires(play.sale(), ("0.5040", str(play.sale().qty - 5)))
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert position.dust_qty == D("5.0962")
    [row] = [c.row for c in play.last if isinstance(c, Keep) and isinstance(c.row, DustRow)]
    assert (row.currency, row.qty, row.position_id) == ("ADA", D("5.0962"), 1)
    assert position.held_qty == 0


def test_reported_but_missing_fills_hold_the_next_sale_back() -> None:
    play = at_target(without_stop())
    first = play.sale()
    play.report(first, Fact.HAS_EXPIRED, executed="1500")
    assert not play.sent(play.later(10_000)), "what is left is not known before the fills are"
    play.learn(e.FillsSeen((play.fill(first, "0.5040", "1500"),)))
    assert play.sale().qty == first.qty - 1500


def test_a_manual_close_sells_one_position_or_says_why_not() -> None:
    play = without_stop()
    play.learn(e.CloseRequested("window", 7))
    assert not play.answer().ok
    play.learn(e.CloseRequested("window", 1))
    assert play.answer().ok
    assert [c.approved.intent.reason for c in play.asked(PlaceOrder)] == ["MANUAL"]
    play.learn(e.CloseRequested("window", 1))
    assert "1 already leaving" in play.answer().text
    play.fills(play.sale())
    assert play.position().exit_reason == "MANUAL"
    play.learn(e.CloseRequested("window", None))
    assert not play.answer().ok


@pytest.mark.parametrize(("foreign", "again"), [("0", True), ("500", False)])
def test_a_missed_part_of_a_sale_is_not_made_again_where_the_last_part_would_sell_what_is_not_ours(
    foreign: str, again: bool
) -> None:
    play = Playbook(make_setup(protective_stop=False), make_instrument(market_max_qty=D("600"))).ready()
    play.enter("0.4981")
    play.foreign = D(foreign)
    play.later(31_000)
    play.account_agrees()
    play.learn(e.CloseRequested("test", position_id=None))
    first = play.sale()
    assert first.qty == D("600"), "less than is held"
    play.loses_answer(first)
    for _ in range(3):
        play.finds_nothing(first)
        play.later(2_000)
    assert (play.sale().client_id != first.client_id) is again


def test_dust_is_nobodys_at_once_and_not_only_with_the_next_reading() -> None:
    play = at_target(without_stop())
    sale = play.sale()
    bought = play.position().held_qty
    play.account(USDT=str(play.cash), ADA=str(bought + 70))
    play.expires(sale, ("0.5040", str(sale.qty - 5)))
    assert play.position().state is PositionState.CLOSED
    left = 70 + bought - sale.qty + 5
    assert play.state.durable.account.foreign == {"ADA": left}, "what the account holds is somebody's"
    play.account(USDT=str(play.cash), ADA=str(left))
    assert play.state.durable.account.foreign == {"ADA": left}
