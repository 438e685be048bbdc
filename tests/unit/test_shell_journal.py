"""What one step changed: found by identity, complete, and nothing that was never sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agent.core import events as e
from agent.core.commands import Alert, AlertLevel, Command, Keep, ReadBook
from agent.core.engine import step
from agent.core.events import Stamped
from agent.core.order import Fact
from agent.core.position import PositionState
from agent.core.records import EventRow
from agent.core.state import AgentState
from agent.shell.journal import Changes, changes, stores_the_same
from tests.playbook import Playbook, make_setup


def stepped(play: Playbook, event: e.Event) -> tuple[AgentState, AgentState, Changes]:
    """Step `event` beside the conversation: before, after, and what the store would get."""
    before = play.state
    after, commands = step(before, Stamped(1, play.now_ms, 1, event))
    return before, after, changes(before, after, commands)


def signalled(**setup: object) -> Playbook:
    play = Playbook(setup=make_setup(**setup)) if setup else Playbook()
    play.ready()
    play.signal()
    return play


def test_a_step_that_learned_nothing_new_writes_nothing() -> None:
    play = Playbook()
    play.ready()
    _, _, written = stepped(play, e.BarUpdated(play.last_bar))
    assert written.is_empty


def test_a_signal_that_waits_for_its_book_is_not_written() -> None:
    play = Playbook()
    play.ready()
    before = play.state
    play.signal()
    written = changes(before, play.state, play.last)
    assert play.position().state is PositionState.RISK_CHECK
    assert written.is_empty, "nothing was sent for it, so an entry costs one commit and not two"


def test_the_number_of_a_signal_is_never_given_twice() -> None:
    play = Playbook()
    play.ready()
    play.signal()
    refused = play.position().id
    play.learn(e.BookUnreadable(refused, "no answer"))
    assert play.state.durable.next_position_id == refused + 1
    play.signal()
    assert play.position().id == refused + 1


def test_an_entry_is_written_whole_in_one_step() -> None:
    play = signalled()
    before = play.state
    play.book()
    written = changes(before, play.state, play.last)
    (order,) = written.orders
    (position,) = written.positions
    assert position.state is PositionState.ENTERING
    assert order.intent.position_id == position.id
    assert {type(row).__name__ for row in written.rows} >= {"VerdictRow", "DecisionRow", "EventRow"}
    assert written.at_ms == play.now_ms


def test_only_what_is_another_object_is_written() -> None:
    play = Playbook()
    play.ready()
    play.enter()
    # A price changes neither the position nor its orders.
    bid = play.state.prices.trusted.bid if play.state.prices.trusted else Decimal(1)
    before = play.state
    play.quote(float(bid))
    written = changes(before, play.state, play.last)
    assert play.state is not before
    assert written.is_empty
    # The stop's report changes its order and nothing else of the two.
    (stop,) = [o for o in play.state.orders.values() if o.is_working]
    _, _, written = stepped(
        play, e.OrderReported(play.make_report(stop.intent, Fact.WAS_CANCELED, Decimal(0)))
    )
    assert [o.intent.client_id for o in written.orders] == [stop.intent.client_id]


def test_asking_again_about_an_order_is_not_written_but_what_is_learned_is() -> None:
    play = signalled()
    play.book()
    (entry,) = play.placed()
    play.learn(e.OutcomeUnknown(entry.client_id, "no answer"))
    play.at(play.now_ms + 700)
    before, after, written = stepped(play, e.LookupFailed(entry.client_id, "no answer"))
    assert after.orders[entry.client_id].next_lookup_ms != before.orders[entry.client_id].next_lookup_ms
    assert written.is_empty, "a start asks about it at once, whenever it was to be asked about next"
    _, after, written = stepped(play, e.LookupFoundNothing(entry.client_id))
    assert written.orders == (after.orders[entry.client_id],), "evidence against it was gathered"


def test_a_position_that_never_held_anything_is_remembered_as_such() -> None:
    play = signalled()
    play.book()
    (entry,) = play.placed()
    before = play.state
    play.report(entry, Fact.HAS_EXPIRED)
    written = changes(before, play.state, play.last)
    assert play.position().state is PositionState.MONITORING
    assert written.positions == (play.position(),), "a late fill must find it after a restart"
    assert [o.intent.client_id for o in written.orders] == [entry.client_id], "the order stays on record"


def test_a_refused_signal_leaves_its_row_and_nothing_else() -> None:
    play = signalled()
    before = play.state
    play.learn(e.BookUnreadable(play.position().id, "time-out"))
    written = changes(before, play.state, play.last)
    assert not play.state.positions
    assert not written.positions
    assert [type(row).__name__ for row in written.rows] == ["DecisionRow"]


def test_what_is_forgotten_in_memory_is_not_touched_on_disk() -> None:
    play = Playbook()
    play.ready()
    play.enter()
    closed = replace(play.position(), state=PositionState.CLOSED)
    before = replace(play.state, positions={closed.id: closed})
    after = replace(before, positions={}, orders={})
    assert changes(before, after, ()).is_empty


def test_rows_keep_their_order_and_other_commands_are_not_rows() -> None:
    play = Playbook()
    rows = [EventRow(i, "INFO", "test", str(i)) for i in range(3)]
    commands: list[Command] = [
        Keep(rows[0]),
        Alert(AlertLevel.INFO, "test", "0"),
        Keep(rows[1]),
        ReadBook(1),
        Keep(rows[2]),
    ]
    assert changes(play.state, play.state, commands).rows == tuple(rows)


def test_a_step_stores_something_when_one_of_three_is_another_object() -> None:
    state = Playbook().state
    assert stores_the_same(state, replace(state, now_ms=state.now_ms + 1))
    for other in (
        replace(state, orders=dict(state.orders)),
        replace(state, positions=dict(state.positions)),
        replace(state, durable=replace(state.durable)),
    ):
        assert not stores_the_same(state, other)
