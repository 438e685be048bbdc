"""What the operator asks for: start, pause, stop, emergency, clearing a halt, in every phase."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.core import events as e
from agent.core.boot import latched_halt
from agent.core.commands import Alert, AlertLevel, CancelOrder, ClearLatch, ReadAccount, ReadBook, SetLatch
from agent.core.events import Impairment
from agent.core.gate import entries_blocked_by
from agent.core.order import OrderStatus, Purpose
from agent.core.phase import Phase
from agent.core.reconcile import LOOK_AGAIN_MS, RECONCILE_EVERY_MS
from agent.core.snapshot import snapshot
from tests.playbook import MINUTE, D, Playbook, PositionState, make_setup


def running() -> Playbook:
    return Playbook().ready()


def holding() -> Playbook:
    play = running()
    play.enter("0.4981")
    return play


def sell_all(play: Playbook) -> None:
    """The exchange carries out what the agent asks for until it is flat."""
    for _ in range(20):
        for order in tuple(play.state.orders.values()):
            if order.is_settled:
                continue
            if order.intent.purpose is Purpose.EXIT:
                for stop in play.resting_stops():
                    play.canceled(stop)
                play.fills(order.intent)
            elif order.cancel_sent_ms is not None:
                play.canceled(order.intent)
        if play.is_flat:
            return
        play.later(1_000)
    raise AssertionError("never flat")


# --- starting ------------------------------------------------------------------------------------------


def test_it_runs_once_exchange_history_account_and_price_are_there() -> None:
    play = Playbook()
    play.learn(e.StartRequested("window"))
    assert play.answer().ok
    assert play.state.phase is Phase.STARTING
    play.learn(e.InstrumentSeen(play.instrument))
    play.account(USDT="10000")
    play.warm_up()
    assert play.state.phase is Phase.STARTING
    assert play.state.watch is PositionState.MONITORING
    play.quote(0.48)
    assert play.state.phase is Phase.RUNNING
    play.learn(e.StartRequested("window"))
    assert play.answer().text == "already RUNNING"


def test_a_running_agent_runs_again_after_a_restart_and_a_paused_one_stays_paused() -> None:
    play = running()
    play.restart().come_back()
    assert play.state.phase is Phase.STARTING
    play.account_agrees()
    play.quote(0.48)
    assert play.state.phase is Phase.RUNNING
    play.learn(e.PauseRequested("x"))
    play.restart().come_back()
    play.account_agrees()
    play.quote(0.48)
    assert play.state.phase is Phase.PAUSED


# --- pausing -------------------------------------------------------------------------------------------


def test_paused_signals_do_not_enter_and_exits_go_on() -> None:
    play = holding()
    play.learn(e.PauseRequested("window"))
    assert play.answer().ok
    play.quiet_bar()
    play.walk(0.5040)
    play.leave()
    assert play.position().state is PositionState.CLOSED
    play.signal()
    assert not play.asked(ReadBook)
    assert play.decisions()[-1].outcome == "blocked"
    assert play.decisions()[-1].reason == "the agent is PAUSED"
    play.learn(e.ResumeRequested("window"))
    play.quote(0.48)
    assert play.state.phase is Phase.RUNNING


def test_a_pause_drops_the_signal_that_waits_for_its_book() -> None:
    play = running()
    play.signal()
    play.learn(e.PauseRequested("window"))
    assert play.is_flat
    play.book(asked_by=1)
    assert not play.sent(play.commands)
    assert play.decisions()[-1].reason == "paused by the operator"


def test_an_entry_on_its_way_is_not_undone_by_a_pause() -> None:
    play = running()
    play.signal()
    play.book()
    play.learn(e.PauseRequested("window"))
    play.fills(play.entry())
    assert play.position().state is PositionState.IN_POSITION
    assert play.resting_stops() or play.stop()


def test_there_is_nothing_to_pause_in_a_stopped_agent() -> None:
    play = Playbook()
    play.learn(e.PauseRequested("window"))
    assert not play.answer().ok


# --- stopping ------------------------------------------------------------------------------------------


def test_stopping_flat_stops() -> None:
    play = running()
    play.learn(e.StopRequested("cli", flatten=False))
    assert play.state.phase is Phase.STOPPED


def test_stopping_with_a_position_manages_it_to_its_exit_and_then_stops() -> None:
    play = holding()
    play.learn(e.StopRequested("cli", flatten=False))
    assert play.state.phase is Phase.EXITS_ONLY
    assert not play.sent()
    play.signal()
    assert play.decisions()[-1].outcome in ("in_position", "blocked")
    play.walk(0.5040)
    play.leave()
    assert play.state.phase is Phase.STOPPED


def test_stopping_flat_at_once_sells() -> None:
    play = holding()
    play.learn(e.StopRequested("cli", flatten=True))
    assert play.position().exit_reason == "MANUAL"
    play.leave()
    assert play.state.phase is Phase.STOPPED


def test_stopping_while_an_entry_is_on_its_way_that_fills_nothing_ends_in_stopped() -> None:
    play = running()
    play.signal()
    play.book()
    play.learn(e.StopRequested("cli", flatten=False))
    assert play.state.phase is Phase.EXITS_ONLY
    play.expires(play.entry())
    assert play.state.phase is Phase.STOPPED


def test_stopping_flat_while_an_entry_is_on_its_way_sells_what_it_brings() -> None:
    play = running()
    play.signal()
    play.book()
    play.learn(e.StopRequested("cli", flatten=True))
    play.restart().come_back()
    assert play.state.durable.flattening
    play.fills(play.entry(), "0.4981")
    assert play.position().exit_reason == "MANUAL"
    play.fills(play.sale(), "0.4980")
    assert play.state.phase is Phase.STOPPED


def test_starting_again_forgets_that_everything_should_be_sold() -> None:
    play = running()
    play.learn(e.StopRequested("cli", flatten=True))
    play.learn(e.StartRequested("cli"))
    play.quote(0.48)
    play.enter()
    assert play.position().state is PositionState.IN_POSITION


# --- emergency: in every situation ---------------------------------------------------------------------


def entering() -> Playbook:
    play = running()
    play.signal()
    play.book()
    return play


def resting_entry() -> Playbook:
    play = entering()
    play.works(play.entry())
    return play


def unknown_entry() -> Playbook:
    play = entering()
    play.loses_answer(play.entry())
    return play


def half_filled_entry() -> Playbook:
    play = entering()
    play.partly(play.entry(), "0.4981", "700")
    return play


def waiting_signal() -> Playbook:
    play = running()
    play.signal()
    return play


def leaving() -> Playbook:
    play = holding()
    play.quiet_bar()
    play.walk(0.5040)
    return play


def unknown_exit() -> Playbook:
    play = leaving()
    play.loses_answer(play.sale())
    return play


def stop_on_its_way() -> Playbook:
    play = entering()
    play.fills(play.entry())
    return play


def starting() -> Playbook:
    play = Playbook()
    play.learn(e.StartRequested("x"))
    return play


def paused() -> Playbook:
    play = holding()
    play.learn(e.PauseRequested("x"))
    return play


def broken() -> Playbook:
    play = holding()
    play.learn(e.Impaired(Impairment.CREDENTIALS_REFUSED, "key revoked", permanent=True))
    return play


def exits_only() -> Playbook:
    play = holding()
    play.learn(e.StopRequested("x", flatten=False))
    return play


EVERY_SITUATION = (
    Playbook,
    starting,
    running,
    waiting_signal,
    entering,
    resting_entry,
    unknown_entry,
    half_filled_entry,
    stop_on_its_way,
    holding,
    paused,
    broken,
    exits_only,
    leaving,
    unknown_exit,
)


@pytest.mark.parametrize("situation", EVERY_SITUATION, ids=lambda f: f.__name__)
def test_an_emergency_latches_sells_everything_and_never_enters_again(
    situation: Callable[[], Playbook],
) -> None:
    play = situation()
    play.learn(e.EmergencyRequested("button"))
    assert play.answer().ok
    assert play.state.phase is Phase.HALTED
    assert [c.reason for c in play.asked(SetLatch)] == ["emergency"]
    assert any(a.level is AlertLevel.CRITICAL for a in play.asked(Alert))
    assert not play.state.pending, "no signal waits for its book any more"
    entries = [i for i in play.sent(play.commands) if i.purpose is Purpose.ENTRY]
    for order in tuple(play.state.orders.values()):
        if order.intent.purpose is Purpose.ENTRY and order.status is OrderStatus.UNKNOWN:
            play.fills(order.intent, "0.4981")
        elif order.intent.purpose is Purpose.ENTRY and order.status is OrderStatus.PENDING_NEW:
            play.learn(e.PlacingBlocked(order.intent.client_id, "the halt latch is set"))
        elif order.status is OrderStatus.PENDING_NEW and order.intent.purpose is Purpose.PROTECT:
            play.works(order.intent)
        elif order.status is OrderStatus.UNKNOWN:
            play.fills(order.intent)
    if not play.is_flat:
        sell_all(play)
    assert play.is_flat
    if play.state.instrument is not None:
        play.learn(e.FeedReported(play.state.source, fresh=True))
        play.account_agrees()
        play.signal()
        play.book(asked_by=99)
    assert [i for i in play.sent(play.commands) if i.purpose is Purpose.ENTRY] == entries
    assert play.state.phase is Phase.HALTED
    play.learn(e.StartRequested("operator"))
    assert not play.answer().ok
    play.learn(e.ResumeRequested("operator"))
    assert play.state.phase is Phase.HALTED


def test_an_emergency_cancels_an_entry_that_rests() -> None:
    play = resting_entry()
    play.learn(e.EmergencyRequested("button"))
    assert [c.client_id for c in play.asked(CancelOrder)] == [play.entry().client_id]


def test_what_a_canceled_entry_still_brought_is_sold() -> None:
    play = resting_entry()
    play.learn(e.EmergencyRequested("button"))
    play.canceled(play.entry(), ("0.4981", "300"))
    assert play.position().exit_reason == "EMERGENCY"
    assert play.sale().qty == play.instrument.qty(D(300) * D("0.9995"))


def test_an_emergency_after_a_daily_loss_takes_its_place() -> None:
    play = holding()
    play.learn(e.EmergencyRequested("a"))
    since = play.state.durable.halt
    play.learn(e.EmergencyRequested("b"))
    assert play.state.durable.halt == since, "the latch falls once"


def test_the_halt_survives_a_restart_and_goes_on_selling() -> None:
    play = holding()
    play.learn(e.EmergencyRequested("button"))
    play.restart().come_back()
    assert play.state.phase is Phase.HALTED
    sale = play.sale()
    assert play.order(sale).status is OrderStatus.UNKNOWN
    for stop in play.resting_stops():
        play.canceled(stop)
    play.later(18_000)
    for _ in range(3):
        play.finds_nothing(sale)
    assert play.sale().client_id != sale.client_id
    play.fills(play.sale(), "0.4981")
    assert play.is_flat


def test_a_latch_file_alone_halts() -> None:
    """The emergency stop ran as its own process, or the row was lost."""
    play = holding()
    play.restart(latched=latched_halt("emergency", play.now_ms)).come_back()
    assert play.state.phase is Phase.HALTED
    assert play.position().exit_reason == "EMERGENCY"


def test_a_damaged_latch_halts_nothing_and_sells_nothing() -> None:
    """It lets no entry through; what is held keeps its exits. Both are the same at a start and later."""
    assert latched_halt("garbage\0", 1) is None
    play = holding()
    play.restart(latched=latched_halt("garbage\0", play.now_ms)).come_back()
    play.learn(e.Impaired(e.Impairment.HALT_LATCH, "the halt latch is damaged"))
    assert play.state.phase is not Phase.HALTED
    assert play.position().state is PositionState.IN_POSITION
    assert any("damaged" in reason for reason in entries_blocked_by(play.state))
    assert any(line.startswith("CRITICAL halt latch") for line in play.alerts())


def test_a_damaged_latch_is_written_anew_by_clearing_it_when_flat() -> None:
    play = holding()
    play.learn(e.Impaired(e.Impairment.HALT_LATCH, "the halt latch is damaged"))
    play.learn(e.ClearHaltRequested("operator"))
    assert "not flat yet" in play.answer().text
    play = running()
    play.learn(e.Impaired(e.Impairment.HALT_LATCH, "the halt latch is damaged"))
    play.learn(e.ClearHaltRequested("operator"))
    assert play.answer().ok
    assert play.asked(ClearLatch)
    assert play.state.phase is Phase.RUNNING
    assert not play.state.impairments


# --- clearing the halt ------------------------------------------------------------------------------------


def halted_flat() -> Playbook:
    play = running()
    play.learn(e.EmergencyRequested("button"))
    play.later(1_000)
    return play


def refusal(play: Playbook) -> str:
    play.learn(e.ClearHaltRequested("operator"))
    assert not play.answer().ok
    assert play.state.durable.halt is not None
    assert not play.asked(ClearLatch)
    return play.answer().text


def test_a_halt_is_cleared_when_flat_and_reconciled_after_it() -> None:
    play = halted_flat()
    assert "not reconciled since" in refusal(play)
    play.account_agrees()
    play.learn(e.ClearHaltRequested("operator"))
    assert play.answer().ok
    assert play.asked(ClearLatch)
    assert play.state.phase is Phase.STOPPED
    assert play.state.durable.halt is None
    play.learn(e.StartRequested("operator"))
    play.quote(0.48)
    assert play.state.phase is Phase.RUNNING


def test_a_flat_halt_is_compared_at_once_and_then_as_usual() -> None:
    play = running()
    play.account_agrees()
    play.learn(e.EmergencyRequested("button"))
    assert not play.asked(ReadAccount, play.later(LOOK_AGAIN_MS - 1_000))
    assert play.asked(ReadAccount, play.later(1_000)), "nobody waits a minute to go on"
    play.account_agrees()
    assert not play.asked(ReadAccount, play.later(RECONCILE_EVERY_MS - 1_000))
    play.learn(e.ClearHaltRequested("operator"))
    assert play.answer().ok


def test_a_halt_is_not_cleared_while_something_is_held() -> None:
    play = holding()
    play.learn(e.EmergencyRequested("button"))
    assert "not flat yet" in refusal(play)


def test_a_halt_is_not_cleared_while_an_order_is_unresolved() -> None:
    play = unknown_entry()
    play.learn(e.EmergencyRequested("button"))
    assert "not flat yet" in refusal(play)
    play.later(18_000)
    for _ in range(3):
        play.finds_nothing(play.entry())
    assert "not reconciled since" in refusal(play)


def test_a_halt_is_not_cleared_while_the_cash_is_in_doubt() -> None:
    play = halted_flat()
    play.account_agrees()
    play.account(USDT="1")
    assert "not reconciled" in refusal(play)


def test_without_a_halt_there_is_nothing_to_clear() -> None:
    play = running()
    play.learn(e.ClearHaltRequested("operator"))
    assert not play.answer().ok
    assert play.state.phase is Phase.RUNNING


def test_the_snapshot_of_a_halt_says_what_is_left() -> None:
    play = holding()
    play.learn(e.EmergencyRequested("button"))
    shown = snapshot(play.state, "1")["halt"]
    assert (shown["reason"], shown["flat"], shown["by"]) == ("emergency", False, "button")
    assert shown["remaining"][0].startswith("position 1: 2006.5962 ADA")
    play.leave()
    assert snapshot(play.state, "1")["halt"]["flat"]


# --- health ---------------------------------------------------------------------------------------------


def test_an_impairment_blocks_entries_and_nothing_else() -> None:
    play = holding()
    play.learn(e.Impaired(Impairment.EXCHANGE_UNREACHABLE, "DNS"))
    assert play.state.phase is Phase.RUNNING
    assert entries_blocked_by(play.state) == ("exchange unreachable: DNS",)
    play.quiet_bar()
    play.walk(0.5040)
    assert play.position().state is PositionState.EXITING
    play.learn(e.Healed(Impairment.EXCHANGE_UNREACHABLE))
    assert entries_blocked_by(play.state) == ()
    assert sum("exchange unreachable" in line for line in play.alerts()) == 2


def test_what_cannot_heal_by_itself_is_an_error_told_even_when_it_began_as_less() -> None:
    play = holding()
    play.learn(e.Impaired(Impairment.CREDENTIALS_REFUSED, "time-out"))
    play.learn(e.Impaired(Impairment.CREDENTIALS_REFUSED, "key revoked", permanent=True))
    assert play.state.phase is Phase.ERROR
    assert "key revoked" in play.alerts()[-1]
    told = len(play.alerts())
    play.learn(e.Impaired(Impairment.CREDENTIALS_REFUSED, "key revoked", permanent=True))
    assert len(play.alerts()) == told, "not again and again"
    assert play.resting_stops(), "the position stays protected"
    play.learn(e.Healed(Impairment.CREDENTIALS_REFUSED))
    assert play.state.phase is Phase.ERROR, "somebody must start it again"
    play.learn(e.StartRequested("operator"))
    play.quote(0.4980)
    assert play.state.phase is Phase.RUNNING


def test_a_permanent_error_drops_a_waiting_signal() -> None:
    play = waiting_signal()
    play.learn(e.Impaired(Impairment.CREDENTIALS_REFUSED, "key revoked", permanent=True))
    assert play.is_flat
    assert play.decisions()[-1].outcome == "blocked"


def test_without_auto_resume_the_first_impairment_pauses() -> None:
    play = Playbook(make_setup(auto_resume=False)).ready()
    play.learn(e.Impaired(Impairment.FEED_STALE, "silent"))
    assert play.state.phase is Phase.PAUSED
    play.learn(e.Healed(Impairment.FEED_STALE))
    assert play.state.phase is Phase.PAUSED
    play.learn(e.ResumeRequested("operator"))
    play.quote(0.48)
    assert play.state.phase is Phase.RUNNING


def test_every_change_of_phase_leaves_a_row() -> None:
    play = running()
    play.learn(e.PauseRequested("x"))
    rows = [c for c in play.commands if "phase" in repr(c) and "EventRow" in repr(c)]
    assert len(rows) == 3
    play.later(MINUTE)


# --- what is said of what will be sold -------------------------------------------------------------------


def entering() -> Playbook:
    play = running()
    play.signal()
    play.book()
    assert play.state.in_flight()
    return play


@pytest.mark.parametrize(
    ("play", "emergency", "stop"),
    [
        (running, "nothing is held to sell", "stopped, nothing is held"),
        (
            entering,
            "selling what the entry under way buys",
            "stopping: selling what the entry under way buys",
        ),
        (holding, "selling 1 position", "stopping: selling 1 position at market"),
    ],
)
def test_what_will_be_sold_is_said_plainly(play: Callable[[], Playbook], emergency: str, stop: str) -> None:
    one = play()
    one.learn(e.StopRequested("window", flatten=True))
    assert one.answer().text.startswith(stop)
    one.learn(e.EmergencyRequested("window"))
    assert one.answer().text == (
        f"emergency stop by window: canceling orders, {emergency}, entries latched off"
    )
