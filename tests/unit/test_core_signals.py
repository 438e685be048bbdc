"""One closed bar, one decision: what becomes of a signal before any order, and of several at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.commands import PlaceOrder, ReadBook
from agent.core.events import ClosedBy, Impairment
from agent.core.gate import entries_blocked_by
from agent.core.order import Purpose
from agent.core.position import OPEN_STATES
from agent.core.signal import SignalWindow
from tests.playbook import (
    BAR,
    EXITS,
    LIMITS,
    MINUTE,
    SELLER,
    D,
    Playbook,
    PositionState,
    make_instrument,
    make_setup,
    quiet_candle,
    signal_candle,
)


def last(play: Playbook) -> tuple[str, str]:
    row = play.decisions()[-1]
    return row.outcome.value, row.reason


# --- every bar has one row -------------------------------------------------------------------------------


def test_a_bar_without_a_signal_says_which_conditions_failed() -> None:
    play = Playbook().ready()
    play.quiet_bar()
    outcome, reason = last(play)
    assert outcome == "no_signal"
    assert "volume z" in reason
    assert "not above 1" in reason
    row = play.decisions()[-1]
    assert row.bar_open_ms == play.last_bar.open_ms
    assert not row.exhaustion


def test_a_bar_is_decided_once_however_often_it_is_delivered() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    for by in ClosedBy:
        play.learn(e.BarClosed(play.last_bar, by))
    assert len(play.decisions()) == 1
    assert len(play.sent(play.commands)) == 1


def test_a_bar_that_differs_from_the_decided_one_is_told_and_not_decided_again() -> None:
    play = Playbook().ready()
    play.quiet_bar()
    theirs = signal_candle(play.history[-2])
    play.learn(e.BarDiffered(play.last_bar, theirs))
    assert len(play.decisions()) == 1
    assert any(line.startswith("WARNING candle differs") for line in play.alerts())


def test_bars_before_the_first_start_are_never_judged() -> None:
    play = Playbook().ready()
    for candle in play.history[-5:]:
        play.learn(e.BarClosed(candle, ClosedBy.BACKFILL))
    assert play.decisions() == []


def test_after_a_restart_no_bar_is_judged_twice_and_none_is_missed() -> None:
    play = Playbook().ready()
    play.quiet_bar()
    decided = play.last_bar
    missed = [quiet_candle(decided)]
    missed.append(quiet_candle(missed[0]))
    play.at(missed[-1].open_ms + BAR + MINUTE)
    play.restart().come_back()
    for candle in (decided, *missed):
        play.learn(e.BarClosed(candle, ClosedBy.BACKFILL))
    assert [d.bar_open_ms for d in play.decisions()] == [c.open_ms for c in (decided, *missed)]


def test_history_older_than_a_delivered_bar_is_not_used() -> None:
    """It would leave a hole in the window, and indicators that nobody computed."""
    play = Playbook()
    play.learn(e.InstrumentSeen(play.instrument))
    play.quiet_bar()
    old = play.history[:-1]
    window = SignalWindow.warm(SELLER, EXITS, old)
    play.learn(e.WarmedUp(window, old[-1].open_ms, old[-1].close))
    assert play.state.window is None
    assert any("it is not used" in line for line in play.alerts())
    play.warm_up()
    assert play.state.window is not None


def test_bars_that_came_while_history_was_loaded_are_judged_when_they_come_again() -> None:
    play = Playbook().ready()
    play.quiet_bar()
    known = list(play.history)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    play.quiet_bar()
    play.signal()
    early = play.history[len(known) :]
    assert play.state.window is None
    assert len(play.decisions()) == 1, "no window, no decision"
    window = SignalWindow.warm(SELLER, EXITS, known)
    play.learn(e.WarmedUp(window, known[-1].open_ms, known[-1].close, early[-1].open_ms))
    assert play.state.window is not None
    for candle in early:
        play.learn(e.BarClosed(candle, ClosedBy.FLAG))
    assert [d.bar_open_ms for d in play.decisions()] == [c.open_ms for c in (known[-1], *early)]
    assert play.decisions()[-1].exhaustion


@pytest.mark.parametrize(("shift", "flag"), [(0.0, True), (1e-7, True), (-1e-7, True), (1e-4, False)])
def test_a_z_score_at_its_threshold_is_marked_borderline(shift: float, flag: bool) -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    volume_z = play.decisions()[-1].vol_z
    assert volume_z is not None
    other = Playbook(make_setup(seller=replace(SELLER, vol_z=volume_z + shift))).ready()
    other.signal()
    other.book()
    row = other.decisions()[-1]
    assert row.borderline is flag
    assert row.exhaustion is (shift < 0), "strictly above"


# --- late signals --------------------------------------------------------------------------------------


def test_a_signal_found_within_the_time_is_taken() -> None:
    play = Playbook().ready()
    play.signal(delay_ms=30_000)
    assert play.asked(ReadBook)


def test_a_signal_found_too_late_is_skipped_and_recorded() -> None:
    play = Playbook().ready()
    play.signal(delay_ms=30_001)
    assert not play.asked(ReadBook)
    assert last(play) == ("late", "found 30.0 s after the close, 30 s allowed")


def test_a_late_signal_is_entered_when_the_config_says_so() -> None:
    play = Playbook(make_setup(late_signal="enter")).ready()
    play.signal(delay_ms=200_000)
    assert play.asked(ReadBook)
    play.book()
    play.fills(play.entry())
    assert play.position().state is PositionState.IN_POSITION


def test_a_signal_older_than_one_bar_is_not_entered_whatever_the_config_says() -> None:
    play = Playbook(make_setup(late_signal="enter")).ready()
    play.signal(delay_ms=BAR + 1)
    assert not play.asked(ReadBook)
    assert last(play) == ("late", f"found {BAR / 1000:.1f} s after the close, {BAR // 1000} s allowed")


def test_an_entry_in_a_later_bar_than_the_backtester_is_noted() -> None:
    play = Playbook(make_setup(late_signal="enter")).ready()
    play.signal(delay_ms=BAR)
    play.at(play.now_ms + 5_000)
    play.book()
    play.fills(play.entry())
    assert "entered_late" in play.position().notes
    assert play.position().entry_bar_open_ms == play.position().plan.signal_open_ms + 2 * BAR


def test_back_filled_signals_are_late_in_order() -> None:
    play = Playbook().ready()
    play.at(play.now_ms + 4 * BAR)
    play.quiet_bar(by=ClosedBy.BACKFILL)
    play.bar(signal_candle(play.last_bar), by=ClosedBy.BACKFILL)
    play.quiet_bar(by=ClosedBy.BACKFILL)
    assert [d.outcome.value for d in play.decisions()] == ["no_signal", "late", "no_signal"]


# --- no ladder, no room -----------------------------------------------------------------------------


def test_without_a_ladder_there_is_no_trade() -> None:
    play = Playbook(make_setup(exits=replace(EXITS, fib_swing_lookback=2, fib_swing_lookahead=2))).ready()
    play.signal()
    assert last(play)[0] == "no_ladder"
    assert not play.asked(ReadBook)


def test_without_fibonacci_exits_no_ladder_is_needed() -> None:
    exits = replace(EXITS, use_fib_exits=False, fib_swing_lookback=2, fib_swing_lookahead=2)
    play = Playbook(make_setup(exits=exits)).ready()
    play.signal()
    assert play.asked(ReadBook)


def test_without_room_to_the_first_exit_there_is_no_trade() -> None:
    play = Playbook(make_setup(exits=replace(EXITS, policy="first_level"))).ready()
    play.signal()
    play.book()
    outcome, reason = last(play)
    assert outcome == "no_room"
    assert "first exit 0.4955" in reason
    assert not play.sent(play.commands)
    assert play.is_flat


def test_room_is_judged_by_the_price_of_the_book() -> None:
    play = Playbook().ready()
    play.signal()
    play.book(0.5023)
    assert last(play)[0] == "no_room"


def test_enter_without_room_enters() -> None:
    play = Playbook(make_setup(exits=replace(EXITS, policy="first_level"), enter_without_room=True)).ready()
    play.signal()
    play.book()
    assert last(play)[0] == "entered"


# --- blocked -----------------------------------------------------------------------------------------


def blocked_by(play: Playbook) -> str:
    play.signal()
    outcome, reason = last(play)
    assert outcome == "blocked"
    assert not play.sent(play.commands)
    return reason


def test_blocked_while_not_running() -> None:
    play = Playbook().ready()
    play.learn(e.PauseRequested("x"))
    assert blocked_by(play) == "the agent is PAUSED"


@pytest.mark.parametrize("by", list(Impairment))
def test_blocked_by_every_impairment(by: Impairment) -> None:
    play = Playbook().ready()
    play.learn(e.Impaired(by, "why"))
    assert blocked_by(play) == f"{by.value}: why"


def test_blocked_while_history_is_too_short() -> None:
    play = Playbook(make_setup(seller=replace(SELLER, ema_slow=200)))
    play.ready()
    assert "too little history" in blocked_by(play)


def test_blocked_while_the_data_is_not_fresh() -> None:
    play = Playbook().ready()
    play.learn(e.FeedReported(play.state.source, fresh=False))
    assert blocked_by(play) == "market data is not fresh"


def test_blocked_while_the_pair_is_not_trading() -> None:
    play = Playbook(instrument=make_instrument(trading=False)).ready()
    assert "not in trading status" in blocked_by(play)


def test_blocked_while_quotes_are_not_trusted() -> None:
    play = Playbook().ready()
    candle = signal_candle(play.last_bar)
    play.at(candle.open_ms + BAR)
    play.quote(0.49, trusted=False)
    play.bar(candle)
    assert last(play) == ("blocked", "quotes are not trusted at the moment")


def test_blocked_reasons_come_together() -> None:
    play = Playbook()
    reasons = entries_blocked_by(play.state)
    assert reasons == (
        "the agent is STOPPED",
        "history is not loaded yet",
        "the pair's rules are not known yet",
        "the account is not reconciled yet",
        "market data is not fresh",
        "no trusted price yet",
    )
    play.learn(e.WarmupAdvanced(40, 7000))
    assert "warming up: 40 of 7000 bars" in entries_blocked_by(play.state)


def test_what_begins_to_block_while_the_book_is_on_its_way_blocks() -> None:
    play = Playbook().ready()
    play.signal()
    play.learn(e.Impaired(Impairment.CLOCK_OFFSET, "800 ms"))
    play.book()
    assert last(play) == ("blocked", "entries allowed: clock offset: 800 ms")
    assert not play.sent(play.commands)


# --- one position ------------------------------------------------------------------------------------


def test_a_signal_while_holding_or_entering_is_ignored() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.signal()
    assert last(play) == ("in_position", "1 of 1 positions are open or in flight")
    play.fills(play.entry(), "0.4700")
    play.signal()
    assert last(play)[0] == "in_position"
    assert len([i for i in play.sent(play.commands) if i.purpose is Purpose.ENTRY]) == 1


def leaving_at_a_signal() -> Playbook:
    """The time limit ends the position on the very bar that is a signal again."""
    play = Playbook(make_setup(exits=replace(EXITS, use_stop_loss=False, max_hold=1))).ready()
    play.enter()
    play.quiet_bar()
    play.signal()
    assert play.position().id == 2
    assert play.state.positions[1].exit_reason == "TIME"
    assert not play.asked(ReadBook), "there is no room yet"
    return play


def test_a_signal_on_the_exit_bar_waits_until_the_position_is_gone() -> None:
    play = leaving_at_a_signal()
    play.fills(play.sale())
    assert [c.asked_by for c in play.asked(ReadBook)] == [2]
    play.book()
    play.fills(play.entry())
    assert play.position().id == 2
    assert play.position().state is PositionState.IN_POSITION
    assert len(play.state.open_positions()) == 1


def test_a_signal_on_the_exit_bar_does_not_wait_for_ever() -> None:
    play = leaving_at_a_signal()
    play.later(30_000)
    assert last(play)[0] == "late"
    play.fills(play.sale())
    assert not play.asked(ReadBook)
    assert play.is_flat


# --- several positions -------------------------------------------------------------------------------


def three(**changes: object) -> Playbook:
    limits = replace(LIMITS, max_open_positions=3, **changes)
    exits = replace(EXITS, use_fib_exits=False, use_stop_loss=False, use_time_exit=False)
    return Playbook(make_setup(limits=limits, exits=exits)).ready()


def calm(play: Playbook) -> None:
    """So many quiet bars that the next capitulation stands out again."""
    for _ in range(9):
        play.quiet_bar()


def enter_next(play: Playbook) -> None:
    calm(play)
    play.signal()
    play.book()
    play.fills(play.entry())


def test_later_bars_open_further_positions_up_to_the_limit() -> None:
    play = three()
    for n in (1, 2, 3):
        enter_next(play)
        assert len(play.state.open_positions()) == n
    calm(play)
    play.signal()
    assert last(play) == ("in_position", "3 of 3 positions are open or in flight")
    assert [p.id for p in play.state.open_positions()] == [1, 2, 3]
    assert {p.state for p in play.state.open_positions()} <= OPEN_STATES


def test_one_bar_opens_one_position() -> None:
    play = three()
    play.signal()
    play.book()
    play.book(asked_by=1)
    play.learn(e.BarClosed(play.last_bar, ClosedBy.REST))
    assert len([i for i in play.sent(play.commands) if i.purpose is Purpose.ENTRY]) == 1


def test_the_sum_of_all_positions_stays_within_free_capital() -> None:
    play = three(max_position_size_percent=D(45), risk_per_trade_percent=D(10))
    enter_next(play)
    enter_next(play)
    calm(play)
    play.signal()
    play.book()
    outcome, reason = last(play)
    assert outcome == "refused"
    assert "free capital" in reason
    assert play.cash > 0


def test_what_is_promised_to_an_entry_on_its_way_is_not_free() -> None:
    for order_type in ("limit", "market"):
        limits = replace(LIMITS, max_open_positions=3, max_position_size_percent=D(60))
        # The next bar closes before the first entry has been answered for good.
        limits = replace(limits, risk_per_trade_percent=D(10), order_timeout_ms=10 * BAR)
        exits = replace(EXITS, use_fib_exits=False, use_stop_loss=False, atr_stop_mult=0.1)
        play = Playbook(make_setup(limits=limits, exits=exits, entry_order=order_type)).ready()
        play.signal()
        play.book()
        play.works(play.entry())
        play.signal()
        play.book()
        outcome, reason = last(play)
        assert outcome == "refused", order_type
        assert "free capital" in reason


def test_each_position_is_sold_for_itself() -> None:
    play = three()
    enter_next(play)
    enter_next(play)
    play.learn(e.CloseRequested("x", 1))
    sale = play.sale()
    assert sale.position_id == 1
    assert sale.qty <= play.state.positions[1].held_qty
    play.fills(sale)
    assert [p.id for p in play.state.open_positions()] == [2]
    play.learn(e.CloseRequested("x", None))
    assert [i.position_id for i in play.sent()] == [2]


def test_a_full_house_that_leaves_lets_a_waiting_signal_in() -> None:
    play = three()
    for _ in range(3):
        enter_next(play)
    calm(play)
    candle = signal_candle(play.last_bar)
    play.at(candle.open_ms + BAR)
    play.learn(e.CloseRequested("x", 2))
    play.bar(candle)
    assert not play.asked(ReadBook)
    play.fills(play.sale())
    assert play.asked(ReadBook)
    play.book()
    assert play.asked(PlaceOrder)
