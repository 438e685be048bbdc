"""The UTC day: its start, its trades, and the loss that ends trading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.commands import Alert, AlertLevel, ClearLatch, SetLatch
from agent.core.events import ClosedBy
from agent.core.gate import entries_blocked_by
from agent.core.market import DAY_MS, DataSource
from agent.core.order import Purpose
from agent.core.phase import Phase
from agent.core.worth import day_pnl, equity
from tests.playbook import (
    BAR,
    EXITS,
    LIMITS,
    MINUTE,
    D,
    Playbook,
    PositionState,
    make_setup,
    quiet_candle,
)

NO_EXITS = replace(EXITS, use_stop_loss=False, use_time_exit=False, use_fib_exits=False)


def holder(cap: str = "99", **changes: object) -> Playbook:
    """Holding with the whole account and no exit of its own, so that only the day's loss ends it."""
    limits = replace(LIMITS, max_position_size_percent=D(cap), risk_per_trade_percent=D(10))
    play = Playbook(make_setup(exits=NO_EXITS, limits=limits, **changes)).ready()
    play.enter("0.4981")
    return play


def to_midnight(play: Playbook, beyond_ms: int = 500) -> int:
    midnight = (play.now_ms // DAY_MS + 1) * DAY_MS
    play.at(midnight + beyond_ms)
    return midnight


# --- the start of the day ------------------------------------------------------------------------------


def test_the_first_day_starts_when_the_account_is_known() -> None:
    play = Playbook().ready("7777")
    day = play.state.durable.day
    assert day is not None
    assert day.start_equity == 7777


def test_a_new_day_starts_with_the_equity_of_its_first_trusted_price() -> None:
    play = holder("10")
    held = play.position().held_qty
    play.walk(0.5100)
    to_midnight(play)
    play.learn(e.Woke())
    assert play.state.durable.day is not None
    assert play.state.durable.day.start_equity is None, "yesterday's price is not today's"
    play.traded(0.5110)
    assert play.state.durable.day.start_equity == play.cash + held * D("0.5110")
    assert day_pnl(play.state) == 0
    play.traded(0.5120)
    assert day_pnl(play.state) == held * D("0.0010")


def test_a_flat_day_needs_no_price_to_start() -> None:
    play = Playbook().ready()
    to_midnight(play)
    play.learn(e.Woke())
    assert play.state.durable.day is not None
    assert play.state.durable.day.start_equity == 10_000


def test_a_restart_resets_nothing_of_the_day() -> None:
    play = holder("10")
    play.walk(0.5000)
    day, pnl = play.state.durable.day, day_pnl(play.state)
    play.restart().come_back()
    play.traded(0.5000)
    assert play.state.durable.day == day
    assert day_pnl(play.state) == pnl


def test_after_an_outage_over_midnight_the_day_starts_at_its_first_candle() -> None:
    play = holder("10")
    held = play.position().held_qty
    midnight = to_midnight(play, 6 * 60 * MINUTE)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    play.account_agrees()
    play.quote(0.4700, source=DataSource.REST)
    assert day_pnl(play.state) == 0, "nothing is known of the night yet"
    while play.last_bar.open_ms < midnight:
        play.quiet_bar(0.4980 if play.last_bar.open_ms + 2 * BAR <= midnight else None, by=ClosedBy.BACKFILL)
    assert play.last_bar.open_ms == midnight
    day = play.state.durable.day
    assert day is not None
    assert day.start_equity == play.cash + held * D("0.4980")
    play.quote(0.4700, source=DataSource.REST)
    assert day_pnl(play.state) == held * (D("0.4700") - D("0.4980"))


def test_a_stop_that_sold_during_the_outage_counts_as_this_days_loss() -> None:
    play = Playbook().ready()
    play.enter("0.4981")
    held, stop = play.position().held_qty, play.stop()
    cash = play.cash
    midnight = to_midnight(play, 6 * 60 * MINUTE)
    fill = replace(play.fill(stop, "0.4790", str(stop.qty)), at_ms=midnight + 3 * 60 * MINUTE)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    play.learn(e.FillsSeen((fill,)))
    assert play.position().state is PositionState.CLOSED
    while play.last_bar.open_ms < midnight:
        play.bar(quiet_candle(play.last_bar, 0.4980), by=ClosedBy.BACKFILL)
    assert day_pnl(play.state) == play.cash - cash - held * D("0.4980")
    day = play.state.durable.day
    assert day is not None
    assert (day.trades, day.wins, day.losses) == (0, 0, 1), "opened yesterday, closed today"


def test_a_day_marked_in_time_is_not_marked_again_by_its_first_bar() -> None:
    play = holder("10")
    to_midnight(play)
    play.traded(0.4990)
    day = play.state.durable.day
    play.bar(replace(quiet_candle(play.last_bar, 0.47), open_ms=play.now_ms // DAY_MS * DAY_MS, open=0.47))
    assert play.state.durable.day == day


# --- trades of the day ----------------------------------------------------------------------------------


def test_a_trade_counts_once_on_the_day_of_its_first_fill() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    assert play.state.durable.day is not None
    assert play.state.durable.day.trades == 0, "an intent is not a trade"
    for qty in ("100", "200", "300"):
        play.partly(entry, "0.4981", qty)
    play.expires(entry)
    assert play.state.durable.day.trades == 1


def test_a_fill_of_yesterday_that_is_learned_today_is_yesterdays_trade() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.loses_answer(entry)
    fill = play.fill(entry, "0.4981", str(entry.qty))
    to_midnight(play)
    play.learn(e.FillsSeen((fill,)))
    assert play.position().state is PositionState.IN_POSITION
    assert play.state.durable.day is not None
    assert play.state.durable.day.trades == 0


def test_the_daily_limit_of_trades_blocks_until_midnight_also_after_a_restart() -> None:
    play = Playbook(make_setup(limits=replace(LIMITS, max_daily_trades=1))).ready()
    play.enter()
    play.quiet_bar()
    play.walk(0.5040)
    play.leave()
    assert any("the daily limit is used up" in r for r in entries_blocked_by(play.state))
    play.restart().come_back()
    play.account_agrees()
    play.quote(0.5040)
    assert any("the daily limit is used up" in r for r in entries_blocked_by(play.state))
    to_midnight(play)
    play.account_agrees()
    play.quote(0.5040)
    assert entries_blocked_by(play.state) == ()


# --- the daily loss -------------------------------------------------------------------------------------


def fall(play: Playbook, to: float) -> None:
    """The market falls to `to` step by step."""
    play.walk(to)


def test_the_loss_limit_sells_everything_latches_and_tells() -> None:
    play = holder()
    fall(play, 0.4760)
    assert play.state.phase is Phase.RUNNING
    fall(play, 0.4730)
    assert play.state.phase is Phase.HALTED
    assert [c.reason for c in play.asked(SetLatch)] == ["daily_loss"]
    assert any(a.level is AlertLevel.CRITICAL and a.kind == "daily_loss" for a in play.asked(Alert))
    assert play.position().exit_reason == "DAILY_LOSS"
    assert play.sale().qty == play.instrument.qty(play.position().held_qty)
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED
    assert play.state.durable.day is not None
    assert play.state.durable.day.loss_limit_hit


def test_exactly_the_limit_is_the_limit() -> None:
    play = Playbook().ready("10000")
    day = play.state.durable.day
    assert day is not None
    assert day.start_equity == 10_000
    play.enter("0.4981")
    account = replace(play.state.durable.account, cash=D(9500) - play.position().held_qty * D("0.4980"))
    play.state = replace(play.state, durable=replace(play.state.durable, account=account))
    play.quote(0.4980)
    assert equity(play.state) == 9500
    assert play.state.phase is Phase.HALTED


def test_realised_loss_counts_without_any_position() -> None:
    play = Playbook(make_setup(limits=replace(LIMITS, max_position_size_percent=D(99)))).ready()
    play.enter("0.4981")
    cash = play.cash
    play.fills(play.stop(), "0.2000")
    assert play.cash > cash
    assert play.state.phase is Phase.RUNNING
    play.signal()
    play.book()
    assert play.state.phase is Phase.HALTED
    assert not [i for i in play.sent(play.commands) if i.purpose is Purpose.ENTRY][1:]


def test_a_level_that_is_reached_with_the_same_price_names_the_exit() -> None:
    limits = replace(LIMITS, max_position_size_percent=D(99), risk_per_trade_percent=D(10))
    play = Playbook(make_setup(limits=replace(limits, max_daily_loss_percent=D("3.5")))).ready()
    play.enter("0.4981")
    play.quote(0.4790)
    assert play.position().exit_reason == "STOP"
    assert play.state.phase is Phase.HALTED


def test_the_liquidation_waits_for_a_price_somebody_confirmed_and_then_goes_on() -> None:
    play = holder()
    fall(play, 0.4730)
    first = play.sale()
    play.quote(0.4730, trusted=False)
    play.refuses(first, -1015, "too many orders")
    assert not play.sent()
    assert not play.sent(play.later(2 * MINUTE)), "not into a price nobody confirmed"
    play.quote(0.4700, source=DataSource.REST)
    assert play.sale().client_id != first.client_id, "and never forgotten"
    play.fills(play.sale())
    assert play.is_flat


def test_an_emergency_does_not_wait_for_the_price_that_the_liquidation_waits_for() -> None:
    play = holder()
    fall(play, 0.4730)
    first = play.sale()
    play.quote(0.4730, trusted=False)
    play.refuses(first, -1015, "too many orders")
    assert not play.sent(play.later(2 * MINUTE)), "the day's loss alone waits"
    play.learn(e.EmergencyRequested("button"))
    assert play.sale().client_id != first.client_id
    play.fills(play.sale())
    assert play.is_flat


def test_an_emergency_does_not_wait_out_the_pause_after_failed_sales() -> None:
    play = holder()
    fall(play, 0.4730)
    for _ in range(6):
        play.refuses(play.sale(), -1015, "too many orders")
        play.later(16_000)
    failed = play.sale().client_id
    play.refuses(play.sale(), -1015, "too many orders")
    assert not play.sent()
    play.learn(e.EmergencyRequested("button"))
    assert play.sale().client_id != failed


def test_an_untrusted_price_does_not_end_the_day() -> None:
    play = holder()
    play.quote(0.4740, trusted=False)
    assert play.state.phase is Phase.RUNNING
    play.quote(0.10)
    assert play.state.phase is Phase.RUNNING, "a jump waits for REST"


def test_a_fill_that_arrives_after_the_halt_is_sold() -> None:
    play = holder()
    fall(play, 0.4730)
    play.fills(play.sale())
    entry = play.entry()
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", "300"),)))
    assert play.position().state is PositionState.EXITING
    play.fills(play.sale())
    assert play.is_flat


def test_after_a_daily_loss_no_entry_until_the_next_day_even_when_cleared_and_restarted() -> None:
    play = holder()
    fall(play, 0.4730)
    play.fills(play.sale())
    play.later(1_000)
    play.account_agrees()
    play.learn(e.ClearHaltRequested("operator"))
    assert play.answer().ok
    assert "no entries until the next UTC day" in play.answer().text
    assert play.asked(ClearLatch)
    play.learn(e.StartRequested("operator"))
    play.traded(0.4730)
    assert play.state.phase is Phase.RUNNING
    assert any("daily loss limit reached" in r for r in entries_blocked_by(play.state))
    play.restart().come_back()
    play.account_agrees()
    play.traded(0.4730)
    assert play.state.phase is Phase.RUNNING
    assert any("daily loss limit reached" in r for r in entries_blocked_by(play.state))
    to_midnight(play)
    play.account_agrees()
    play.traded(0.4730)
    assert entries_blocked_by(play.state) == ()


def test_the_halt_itself_outlives_midnight() -> None:
    play = holder()
    fall(play, 0.4730)
    play.fills(play.sale())
    to_midnight(play)
    play.quote(0.4730)
    assert play.state.phase is Phase.HALTED
    assert entries_blocked_by(play.state)[0].startswith("halted (daily loss)")


@pytest.mark.parametrize("flow", ["5000", "-3000"])
def test_a_flow_neither_hides_nor_makes_a_loss(flow: str) -> None:
    play = holder("50")
    pnl = day_pnl(play.state)
    for _ in range(10):
        play.account(USDT=str(play.cash + D(flow)) if play.state.durable.day and play.state.durable.day.flows
                     == 0 else str(play.cash), ADA=str(play.position().held_qty))  # fmt: skip
        play.later(5_000)
    assert day_pnl(play.state) == pnl
    play.quote(0.4980)
    assert play.state.phase is Phase.RUNNING
