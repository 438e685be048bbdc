"""No answer is not a refusal: unknown outcomes, the evidence that ends them, and fills that come late."""

from __future__ import annotations

import pytest

from agent.core import events as e
from agent.core.commands import Alert, AlertLevel, CancelOrder, LookUpOrder, PlaceOrder, ReadFills
from agent.core.gate import entries_blocked_by, entry_overtaken
from agent.core.market import DAY_MS
from agent.core.order import Fact, Intent, OrderStatus
from tests.playbook import MINUTE, D, Playbook, PositionState, make_setup

PROOF_MS = 18_000


@pytest.fixture
def play() -> Playbook:
    """An entry order has left and is not answered yet."""
    play = Playbook().ready()
    play.signal()
    play.book()
    assert play.position().state is PositionState.ENTERING
    return play


def lost(play: Playbook) -> Intent:
    entry = play.entry()
    play.loses_answer(entry)
    return entry


def answer_lookups(play: Playbook, intent: Intent, until_ms: int) -> None:
    """Every look-up until then is answered: no such order."""
    while play.now_ms < until_ms:
        asked = play.later(min(500, until_ms - play.now_ms))
        for command in play.asked(LookUpOrder, asked):
            assert command.client_id == intent.client_id
            play.finds_nothing(intent)


# --- becoming unknown ------------------------------------------------------------------------------


def test_a_lost_answer_is_unknown_and_looked_up_at_once(play: Playbook) -> None:
    entry = lost(play)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    assert [c.client_id for c in play.asked(LookUpOrder)] == [entry.client_id]
    assert play.position().state is PositionState.ENTERING
    assert "1 order(s) of unknown outcome" in entries_blocked_by(play.state)
    assert not play.sent(), "entries are never retried"


def test_silence_for_the_order_timeout_is_unknown_too(play: Playbook) -> None:
    entry = play.entry()
    play.later(29_999)
    assert play.order(entry).status is OrderStatus.PENDING_NEW
    assert play.asked(LookUpOrder, play.later(1))
    assert play.order(entry).status is OrderStatus.UNKNOWN


def test_a_lost_answer_after_the_order_was_seen_changes_nothing(play: Playbook) -> None:
    entry = play.entry()
    play.works(entry)
    lost(play)
    assert play.order(entry).status is OrderStatus.NEW


def test_a_second_signal_cannot_enter_while_an_outcome_is_unknown() -> None:
    limits = Playbook().setup.limits
    three = make_setup(limits=type(limits)(**{**_fields(limits), "max_open_positions": 3}))
    play = Playbook(three).ready()
    play.signal()
    play.book()
    lost(play)
    play.signal()
    assert play.decisions()[-1].outcome == "blocked"
    assert "unknown outcome" in play.decisions()[-1].reason


def test_an_entry_that_has_not_left_is_overtaken_by_another_orders_unknown_outcome(play: Playbook) -> None:
    entry = play.entry()
    assert entry_overtaken(play.state, "another") is None
    play.loses_answer(entry)
    assert entry_overtaken(play.state, entry.client_id) is None, "its own doubt is no reason"
    assert "unknown outcome" in (entry_overtaken(play.state, "another") or "")


def _fields(limits: object) -> dict[str, object]:
    return {name: getattr(limits, name) for name in type(limits).__slots__}  # type: ignore[attr-defined]


# --- resolved by evidence ----------------------------------------------------------------------------


def test_found_filled_is_the_position(play: Playbook) -> None:
    entry = lost(play)
    play.later(1_000)
    play.fills(entry)
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == entry.qty
    assert not any("unknown" in reason for reason in entries_blocked_by(play.state))


def test_found_filled_without_its_fills_waits_for_own_trades(play: Playbook) -> None:
    entry = lost(play)
    play.report(entry, Fact.FULLY_FILLED, executed=str(entry.qty))
    assert [c.client_id for c in play.asked(ReadFills)] == [entry.client_id]
    assert play.position().state is PositionState.ENTERING, "fills are the truth, not a total"
    fills = (play.fill(entry, "0.4981", "1000"), play.fill(entry, "0.4982", str(entry.qty - 1000)))
    play.learn(e.FillsSeen(fills))
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == entry.qty
    assert "late_fill" not in play.position().notes, "nothing was late here"


def test_missing_trades_are_asked_for_again_until_they_come(play: Playbook) -> None:
    entry = lost(play)
    play.report(entry, Fact.FULLY_FILLED, executed=str(entry.qty))
    part = play.fill(entry, "0.4981", "1000")
    play.learn(e.FillsSeen((part,)))
    assert play.position().state is PositionState.IN_POSITION
    for _ in range(3):
        assert play.asked(ReadFills, play.later(8_000))
        play.learn(e.FillsSeen((part,)))
        assert play.position().bought_qty == 1000
    play.learn(e.FillsSeen((part, play.fill(entry, "0.4982", str(entry.qty - 1000)))))
    assert play.position().bought_qty == entry.qty
    assert not play.asked(ReadFills, play.later(60_000))


@pytest.mark.parametrize("not_founds", [3, 30])
def test_never_placed_is_not_concluded_before_eighteen_seconds(play: Playbook, not_founds: int) -> None:
    entry = lost(play)
    for _ in range(not_founds):
        play.finds_nothing(entry)
    play.later(PROOF_MS - 1)
    play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    play.later(1)
    play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.NOT_PLACED
    assert play.position().state is PositionState.MONITORING


def test_never_placed_needs_three_definite_answers(play: Playbook) -> None:
    entry = lost(play)
    play.later(10 * MINUTE)
    for expected in (OrderStatus.UNKNOWN, OrderStatus.UNKNOWN, OrderStatus.NOT_PLACED):
        play.finds_nothing(entry)
        assert play.order(entry).status is expected


def test_time_that_nobody_lived_through_proves_nothing(play: Playbook) -> None:
    """The clock is set an hour ahead, or the machine sleeps: stale answers may be as near as before."""
    entry = lost(play)
    answer_lookups(play, entry, play.now_ms + 10_000)
    assert play.order(entry).not_found >= 3
    play.at(play.now_ms + 60 * MINUTE)
    play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    answer_lookups(play, entry, play.now_ms + PROOF_MS - 1)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    answer_lookups(play, entry, play.now_ms + 8_000)
    assert play.order(entry).status is OrderStatus.NOT_PLACED


def test_network_errors_never_count_as_evidence(play: Playbook) -> None:
    entry = lost(play)
    asked = 0
    for _ in range(20):
        asked += len(play.asked(LookUpOrder, play.later(8_000)))
        play.learn(e.LookupFailed(entry.client_id, "no route to host"))
    assert asked >= 19, "never gives up looking"
    assert play.order(entry).status is OrderStatus.UNKNOWN
    assert play.order(entry).not_found == 0


def test_eighteen_seconds_count_from_when_the_answer_was_given_up() -> None:
    """A request may leave long after it was decided: it stood in a queue, the disk was slow."""
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.at(play.now_ms + 25_000)
    play.loses_answer(entry)
    for _ in range(5):
        play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    answer_lookups(play, entry, play.now_ms + PROOF_MS + 8_000)
    assert play.order(entry).status is OrderStatus.NOT_PLACED


def test_proof_takes_no_longer_than_needed(play: Playbook) -> None:
    entry = lost(play)
    answer_lookups(play, entry, play.now_ms + PROOF_MS + 8_000)
    assert play.order(entry).status is OrderStatus.NOT_PLACED
    assert not any("unknown" in reason for reason in entries_blocked_by(play.state))
    assert play.is_flat


def test_evidence_gathered_before_a_restart_is_gathered_again(play: Playbook) -> None:
    entry = lost(play)
    for _ in range(5):
        play.finds_nothing(entry)
    play.at(play.now_ms + MINUTE)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    assert play.asked(LookUpOrder)
    play.finds_nothing(entry)
    play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.UNKNOWN
    play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.NOT_PLACED


def test_an_order_without_an_answer_is_unknown_after_a_restart(play: Playbook) -> None:
    entry = play.entry()
    play.restart()
    assert play.order(entry).status is OrderStatus.UNKNOWN
    play.learn(e.InstrumentSeen(play.instrument))
    assert [c.client_id for c in play.asked(LookUpOrder)] == [entry.client_id]
    assert not play.asked(PlaceOrder), "a request is never repeated"
    for _ in range(5):
        play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.UNKNOWN, "it may have left right before the end"


def test_a_refusal_that_arrives_after_all_ends_the_doubt(play: Playbook) -> None:
    entry = lost(play)
    play.refuses(entry, -1013, "LOT_SIZE")
    assert play.order(entry).status is OrderStatus.REJECTED
    assert play.position().state is PositionState.MONITORING
    asked = play.later(10 * MINUTE)
    assert not play.asked(LookUpOrder, asked)
    assert not play.asked(ReadFills, asked), "there is nothing left to ask about"


# --- late fills --------------------------------------------------------------------------------------


def proven_absent(play: Playbook) -> Intent:
    entry = lost(play)
    play.later(PROOF_MS)
    for _ in range(3):
        play.finds_nothing(entry)
    assert play.order(entry).status is OrderStatus.NOT_PLACED
    return entry


def test_a_fill_after_never_placed_is_adopted_protected_and_told(play: Playbook) -> None:
    entry = proven_absent(play)
    cash = play.cash
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", str(entry.qty)),)))
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert "late_fill" in position.notes
    assert play.order(entry).status is OrderStatus.FILLED
    assert play.cash == cash - D("0.4981") * entry.qty
    assert play.stop().qty == play.instrument.qty(position.held_qty)
    assert any(line.startswith("ERROR late fill") for line in play.alerts())


def test_a_part_of_a_never_placed_order_revives_it_until_its_end_is_known(play: Playbook) -> None:
    entry = proven_absent(play)
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", "500"),)))
    assert play.order(entry).status is OrderStatus.PARTIALLY_FILLED, "more of it may follow"
    assert [c.client_id for c in play.asked(LookUpOrder)] == [entry.client_id]
    play.canceled(entry)
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == 500


def test_a_never_placed_entry_that_turns_up_working_is_canceled(play: Playbook) -> None:
    entry = proven_absent(play)
    play.works(entry)
    assert [c.client_id for c in play.asked(CancelOrder)] == [entry.client_id]


def test_a_late_fill_while_halted_is_sold(play: Playbook) -> None:
    entry = proven_absent(play)
    play.learn(e.EmergencyRequested("operator"))
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", str(entry.qty)),)))
    assert play.position().state is PositionState.EXITING
    assert play.position().exit_reason == "EMERGENCY"
    assert play.sale().qty == play.instrument.qty(play.position().held_qty)


def test_a_late_fill_while_stopped_wakes_the_agent_for_its_exit(play: Playbook) -> None:
    entry = proven_absent(play)
    play.learn(e.StopRequested("operator", flatten=False))
    assert play.state.phase == "STOPPED"
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", str(entry.qty)),)))
    assert play.state.phase == "EXITS_ONLY"
    assert play.position().state is PositionState.IN_POSITION


def test_a_late_entry_fill_of_a_closed_position_is_sold_and_booked_once() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.expires(entry, ("0.4981", "1000"))
    play.works(play.stop())
    play.quiet_bar()
    play.walk(0.5040)
    play.leave()
    first = play.position().pnl_quote
    assert play.position().state is PositionState.CLOSED
    assert play.state.durable.account.realized_pnl == first
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", "500"),)))
    assert play.position().state is PositionState.EXITING
    assert play.sale().qty == D("499.7")
    play.fills(play.sale())
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert play.state.durable.account.realized_pnl == position.pnl_quote
    day = play.state.durable.day
    assert day is not None
    assert (day.trades, day.wins, day.losses) == (1, 1, 0)


def test_a_sale_thought_dead_that_executes_beside_its_retry_is_told_and_survived() -> None:
    """Foreign coins on the account make this possible; the ledger says so and does not crash."""
    play = Playbook().ready()
    play.enter()
    play.quiet_bar()
    play.walk(0.5040)
    first = play.sale()
    for stop in play.resting_stops():
        play.canceled(stop)
    play.loses_answer(first)
    play.later(PROOF_MS)
    for _ in range(3):
        play.finds_nothing(first)
    play.later(1_000)
    second = play.sale()
    assert second.client_id != first.client_id
    cash = play.cash
    play.fills(second)
    play.learn(e.FillsSeen((play.fill(first, "0.5040", str(first.qty)),)))
    assert play.position().state is PositionState.CLOSED
    assert play.cash > cash
    assert play.state.durable.account.realized_pnl == play.position().pnl_quote
    assert any(a.level is AlertLevel.CRITICAL and a.kind == "oversold" for a in play.asked(Alert))
    play.later(MINUTE)


def test_a_sale_thought_dead_that_executes_in_the_middle_of_its_retry_is_survived() -> None:
    play = Playbook().ready()
    play.enter()
    play.quiet_bar()
    play.walk(0.5040)
    first = play.sale()
    for stop in play.resting_stops():
        play.canceled(stop)
    play.loses_answer(first)
    play.at(play.now_ms + PROOF_MS)
    for _ in range(3):
        play.finds_nothing(first)
    play.later(1_000)
    second = play.sale()
    play.partly(second, "0.5040", "500")
    play.learn(e.FillsSeen((play.fill(first, "0.5040", str(first.qty)),)))
    play.expires(second)
    assert play.position().state is PositionState.CLOSED
    assert play.position().held_qty < 1


# --- reports in any order ----------------------------------------------------------------------------


def test_fills_before_the_acknowledgement(play: Playbook) -> None:
    entry = play.entry()
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", "700"),)))
    play.works(entry)
    assert play.order(entry).status is OrderStatus.PARTIALLY_FILLED
    play.expires(entry)
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == 700


def test_a_fill_told_three_times_counts_once(play: Playbook) -> None:
    entry = play.entry()
    cash = play.cash
    fill = play.fill(entry, "0.4981", str(entry.qty))
    report = play.make_report(entry, Fact.FULLY_FILLED, entry.qty, (fill,))
    play.learn(e.OrderReported(report))
    play.learn(e.OrderReported(report))
    play.learn(e.FillsSeen((fill, fill)))
    assert play.position().bought_qty == entry.qty
    assert play.cash == cash - entry.qty * D("0.4981")
    assert play.state.durable.day is not None
    assert play.state.durable.day.trades == 1


def test_an_expiry_that_overtakes_its_fills_waits_for_them(play: Playbook) -> None:
    entry = play.entry()
    play.report(entry, Fact.HAS_EXPIRED, executed="700")
    assert play.asked(ReadFills)
    assert play.position().state is PositionState.ENTERING
    play.learn(e.FillsSeen((play.fill(entry, "0.4981", "700"),)))
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().bought_qty == 700


def test_a_cancel_reported_before_the_fill_that_beat_it(play: Playbook) -> None:
    entry = play.entry()
    play.works(entry)
    assert play.asked(CancelOrder, play.later(30_000))
    play.canceled(entry)
    assert play.position().state is PositionState.MONITORING
    play.fills(entry)
    assert play.order(entry).status is OrderStatus.FILLED
    assert play.position().state is PositionState.IN_POSITION


def test_words_about_orders_nobody_sent_are_ignored(play: Playbook) -> None:
    entry = play.entry()
    stranger = Intent(**{**{n: getattr(entry, n) for n in Intent.__slots__}, "client_id": "web0123"})
    before = play.state
    play.learn(e.OrderRefused("web0123", -2010, "no"))
    play.learn(e.OutcomeUnknown("web0123", "no"))
    play.learn(e.LookupFoundNothing("web0123"))
    play.learn(e.CancelFailed("web0123", -2011, "no"))
    play.learn(e.PlacingBlocked("web0123", "no"))
    play.learn(e.FillsSeen((play.fill(stranger, "0.4", "10"),)))
    play.learn(e.OrderReported(play.make_report(stranger, Fact.FULLY_FILLED, stranger.qty)))
    assert play.state.orders == before.orders
    assert play.state.positions == before.positions
    assert play.cash == before.durable.account.cash


# --- forgetting --------------------------------------------------------------------------------------


def test_orders_stay_known_for_a_day_after_their_position_ended(play: Playbook) -> None:
    entry = proven_absent(play)
    for _ in range(23):
        play.later(DAY_MS // 24)
        play.learn(e.Woke())
    assert entry.client_id in play.state.orders
    play.later(DAY_MS // 12)
    play.learn(e.Woke())
    assert entry.client_id not in play.state.orders
    assert not play.state.positions


def test_nothing_unresolved_is_ever_forgotten() -> None:
    play = Playbook().ready()
    play.enter()
    play.quiet_bar()
    play.walk(0.5040)
    sale = play.sale()
    for stop in play.resting_stops():
        play.canceled(stop)
    # The exchange reports more executed than the trades it shows: the rest must still be found.
    play.report(sale, Fact.FULLY_FILLED, ("0.5040", str(sale.qty)), executed=str(sale.qty + 1))
    play.at(play.now_ms + 3 * DAY_MS)
    play.learn(e.Woke())
    assert sale.client_id in play.state.orders
    play.learn(e.FillsSeen((play.fill(sale, "0.5040", "1"),)))
    play.learn(e.Woke())
