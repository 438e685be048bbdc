"""The first state of a run: what is believed of what the last run left behind."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.boot import boot, fresh, latched_halt
from agent.core.engine import step
from agent.core.market import DataSource
from agent.core.order import OrderStatus
from agent.core.phase import Phase
from agent.core.state import HaltReason
from tests.playbook import BAR, Playbook, PositionState, make_setup, quiet_candle


def test_nothing_stored_is_a_stopped_agent_that_owns_nothing() -> None:
    state = boot(make_setup(), None, (), (), 1_000, None)
    assert state.phase is Phase.STOPPED
    assert state.durable == fresh(1_000)
    assert not state.positions


@pytest.mark.parametrize(
    ("stored", "first"),
    [
        (Phase.STOPPED, Phase.STOPPED),
        (Phase.STARTING, Phase.STARTING),
        (Phase.RUNNING, Phase.STARTING),
        (Phase.PAUSED, Phase.PAUSED),
        (Phase.EXITS_ONLY, Phase.EXITS_ONLY),
        (Phase.ERROR, Phase.STARTING),
    ],
)
def test_every_phase_comes_back_as_far_as_it_may(stored: Phase, first: Phase) -> None:
    durable = replace(fresh(1), phase=stored)
    assert boot(make_setup(), durable, (), (), 1_000, None).phase is first
    halted = boot(make_setup(), durable, (), (), 1_000, latched_halt("daily_loss", 900))
    assert halted.phase is Phase.HALTED
    assert halted.durable.halt is not None
    assert halted.durable.halt.reason is HaltReason.DAILY_LOSS


def test_a_signal_that_waited_for_its_book_is_gone_and_its_bar_is_judged_again() -> None:
    """Nothing had been sent for it, so taking it up once more is not taking it up twice."""
    play = Playbook().ready()
    play.signal()
    candle = play.last_bar
    play.history.pop()
    play.restart().come_back()
    assert not play.state.positions
    play.account_agrees()
    play.quote(candle.close)
    play.learn(e.BarClosed(candle, e.ClosedBy.BACKFILL))
    play.book()
    assert play.entry().qty > 0
    assert [d.outcome.value for d in play.decisions()] == ["entered"]


def test_a_signal_that_became_an_order_is_never_taken_up_again() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    candle = play.last_bar
    play.history.pop()
    play.restart().come_back()
    play.account_agrees()
    play.quote(candle.close)
    play.learn(e.BarClosed(candle, e.ClosedBy.BACKFILL))
    assert play.state.positions[1].state is PositionState.ENTERING
    assert len(play.state.orders) == 1
    assert len(play.decisions()) == 1


def test_a_machine_whose_clock_was_set_back_decides_no_bar_a_second_time() -> None:
    """Its ledger refuses a second row about a bar, and everything that was to be written behind it."""
    play = Playbook().ready()
    play.quiet_bar()
    play.quiet_bar()
    decided, late = play.state.durable.decided_open_ms, play.history[-2:]
    del play.history[-2:]
    play.now_ms -= 4 * BAR
    play.restart().come_back()
    assert play.state.durable.decided_open_ms == decided == late[-1].open_ms
    for candle in late:
        play.learn(e.BarClosed(candle, e.ClosedBy.BACKFILL))
    assert len(play.decisions()) == len({row.bar_open_ms for row in play.decisions()})
    play.bar(quiet_candle(late[-1]))
    assert play.decisions()[-1].bar_open_ms == play.last_bar.open_ms > late[-1].open_ms


def test_a_position_keeps_the_plan_of_its_entry_whatever_the_config_becomes() -> None:
    play = Playbook().ready()
    before = play.enter("0.4981")
    other = make_setup(
        exits=replace(play.setup.exits, use_fib_exits=False, max_hold=999, policy="first_level"),
        config_hash="other",
    )
    play.restart(setup=other).come_back()
    position = play.position()
    assert position.plan == before.plan
    assert position.levels == before.levels
    play.account_agrees()
    play.quote(0.4980)
    play.quiet_bar()
    play.walk(0.5040)
    assert play.position().exit_reason == "FIB_61.8"


def test_orders_come_back_as_what_is_certain_about_them() -> None:
    play = Playbook().ready()
    play.enter()
    entry, stop = play.entry(), play.stop()
    play.restart()
    assert play.order(entry).status is OrderStatus.FILLED
    assert play.order(stop).status is OrderStatus.NEW
    play.learn(e.InstrumentSeen(play.instrument))
    assert [c.client_id for c in play.last if type(c).__name__ == "LookUpOrder"] == [stop.client_id]


# --- step is a function --------------------------------------------------------------------------------


def conversation() -> list[e.Stamped]:
    """A long and varied sequence of events, as they were stamped."""
    seen: list[e.Stamped] = []

    class Recording(Playbook):
        def learn(self, event: e.Event):  # type: ignore[no-untyped-def]
            seen.append(e.Stamped(len(seen), self.now_ms, len(seen) * 7919, event))
            return super().learn(event)

    play = Recording().ready()
    play.enter()
    play.canceled(play.stop())
    play.later(3_000)
    play.works(play.stop())
    play.quiet_bar()
    play.walk(0.5040)
    play.loses_answer(play.sale())
    play.canceled(play.stop())
    play.later(5_000)
    play.fills(play.sale())
    play.account_agrees()
    play.quote(0.1)
    play.quote(0.1, source=DataSource.REST)
    play.learn(e.EmergencyRequested("x"))
    play.learn(e.ClearHaltRequested("x"))
    return seen


def test_the_same_events_give_the_same_states_and_commands() -> None:
    events = conversation()
    assert len(events) > 50

    def run() -> list[bytes]:
        state = boot(make_setup(), None, (), (), events[0].at_ms, None)
        trail = []
        for stamped in events:
            state, commands = step(state, stamped)
            trail.append(pickle.dumps((state.durable, state.positions, state.orders, commands)))
        return trail

    assert run() == run()


def test_a_step_never_changes_the_state_it_was_given() -> None:
    state = boot(make_setup(), None, (), (), 0, None)
    for stamped in conversation():
        before = pickle.dumps(state)
        kept = copy.copy(state)
        after, _ = step(state, stamped)
        assert pickle.dumps(state) == before
        assert state == kept
        state = after


def test_time_never_runs_backwards_inside() -> None:
    play = Playbook().ready()
    later = play.state.now_ms
    state, _ = step(play.state, e.Stamped(1, later - 60_000, 1, e.Woke()))
    assert state.now_ms == later
