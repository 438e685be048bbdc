"""A resting order of unknown outcome while look-ups fail: readings of the account prove that it is absent."""

from __future__ import annotations

import pytest

from agent.core import events as e
from agent.core.commands import LookUpOrder, ReadAccount
from agent.core.order import Fact, Fill, Intent, OrderReport, OrderStatus, Purpose
from tests.playbook import MINUTE, D, Playbook, PositionState, make_instrument

#: Even an answer that is 30 s old tells then of the time when the order could come no more.
TELLABLE_MS = 48_000
PROOF_MS = 35_000


@pytest.fixture
def play() -> Playbook:
    """A position is held, and the answer to placing its stop was lost."""
    play = Playbook().ready()
    play.signal()
    play.book()
    play.fills(play.entry())
    play.loses_answer(play.stop())
    return play


def pass_time(play: Playbook, until_ms: int) -> list[ReadAccount]:
    """Every look-up fails until then; what was asked of the account meanwhile, not answered."""
    asked: list[ReadAccount] = []
    while play.now_ms < until_ms:
        commands = play.later(min(500, until_ms - play.now_ms))
        asked += play.asked(ReadAccount, commands)
        for look_up in play.asked(LookUpOrder, commands):
            play.learn(e.LookupFailed(look_up.client_id, "HTTP 503"))
    return asked


def reads(
    play: Playbook,
    *,
    cash: str = "0",
    coins: str = "0",
    locked: str = "0",
    working: tuple[OrderReport, ...] = (),
    fills: tuple[Fill, ...] = (),
    since_ms: int = 0,
    age_ms: int | None = 0,
) -> None:
    """A reading that says what the ledger says, and what else it is given."""
    held = sum((p.held_qty for p in play.state.open_positions()), D(coins))
    holdings = {
        "USDT": e.Holding(play.cash + D(cash), D(0)),
        "ADA": e.Holding(held - D(locked), D(locked)),
    }
    known = tuple(f for o in play.state.orders.values() for f in o.fills if f.at_ms >= since_ms)
    asked_ms = None if age_ms is None else play.now_ms - age_ms
    play.learn(e.AccountSeen(holdings, working, (*known, *fills), since_ms, asked_ms))


def status(play: Playbook, intent: Intent) -> OrderStatus:
    return play.order(intent).status


def search(play: Playbook, first_ms: int, **readings: object) -> None:
    """Readings every ten seconds, from `first_ms` after the answer was lost until all is proven."""
    since = play.order(play.stop()).unknown_since_ms
    assert since is not None
    for at_ms in range(since + first_ms, since + first_ms + PROOF_MS + 10_000, 10_000):
        pass_time(play, at_ms)
        reads(play, **readings)  # type: ignore[arg-type]


def reads_three_times(play: Playbook) -> None:
    """As soon as a reading counts: what is left to be proven is that it stays so."""
    pass_time(play, play.now_ms + TELLABLE_MS)
    for _ in range(3):
        reads(play)


def test_a_stop_that_readings_show_nowhere_is_replaced_though_look_ups_fail(play: Playbook) -> None:
    lost = play.stop()
    search(play, TELLABLE_MS)
    assert status(play, lost) is OrderStatus.NOT_PLACED
    assert any("neither rests nor has it traded" in told for told in play.alerts())
    pass_time(play, play.now_ms + 5_000)
    again = play.stop()
    assert again.client_id != lost.client_id
    assert again.qty == lost.qty


def test_the_account_is_read_as_often_as_that_takes_and_no_sooner(play: Playbook) -> None:
    reads(play)
    lost, lost_ms = play.stop(), play.now_ms
    assert not pass_time(play, lost_ms + TELLABLE_MS - 500)
    while status(play, lost) is OrderStatus.UNKNOWN:
        assert pass_time(play, play.now_ms + 500) or play.now_ms < lost_ms + 100_000
        if play.asked(ReadAccount) or play.state.account_asked_ms is not None:
            reads(play)
    assert play.now_ms <= lost_ms + 90_000


@pytest.mark.parametrize("first_ms", [1_000, 10_000])
def test_readings_before_the_order_could_come_no_more_prove_nothing(play: Playbook, first_ms: int) -> None:
    lost, lost_ms = play.stop(), play.now_ms
    for at_ms in range(lost_ms + first_ms, lost_ms + TELLABLE_MS + PROOF_MS, 3_000):
        pass_time(play, at_ms)
        reads(play)
        assert status(play, lost) is OrderStatus.UNKNOWN
    pass_time(play, lost_ms + TELLABLE_MS + PROOF_MS + 3_000)
    reads(play)
    assert status(play, lost) is OrderStatus.NOT_PLACED


def test_what_counts_is_when_a_reading_was_begun_not_when_it_came(play: Playbook) -> None:
    lost, lost_ms = play.stop(), play.now_ms
    for _ in range(4):
        pass_time(play, play.now_ms + TELLABLE_MS)
        reads(play, age_ms=play.now_ms - lost_ms - TELLABLE_MS + 1)
        reads(play, age_ms=None)
    assert status(play, lost) is OrderStatus.UNKNOWN
    assert play.order(lost).not_found == 0


def test_two_readings_a_moment_apart_are_one(play: Playbook) -> None:
    """Open orders of now and trades of 30 s ago miss what was sold between the two."""
    lost, lost_ms = play.stop(), play.now_ms
    pass_time(play, lost_ms + 5 * MINUTE)
    for _ in range(5):
        reads(play)
    first_ms = play.now_ms
    pass_time(play, first_ms + PROOF_MS - 500)
    reads(play)
    pass_time(play, first_ms + PROOF_MS)
    reads(play, age_ms=1)
    assert status(play, lost) is OrderStatus.UNKNOWN
    reads(play)
    assert status(play, lost) is OrderStatus.NOT_PLACED


def test_two_readings_are_not_enough_however_far_apart(play: Playbook) -> None:
    lost = play.stop()
    pass_time(play, play.now_ms + TELLABLE_MS)
    reads(play)
    pass_time(play, play.now_ms + 2 * PROOF_MS)
    reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN
    reads(play)
    assert status(play, lost) is OrderStatus.NOT_PLACED


def test_a_stop_that_a_reading_shows_is_there(play: Playbook) -> None:
    lost = play.stop()
    pass_time(play, play.now_ms + TELLABLE_MS)
    reads(play)
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play, working=(play.make_report(lost, Fact.WORKING, D(0)),))
    assert status(play, lost) is OrderStatus.NEW
    assert play.order(lost).not_found == 0
    assert not play.state.missed_since_ms


def test_a_stop_that_sold_before_the_second_reading_is_booked(play: Playbook) -> None:
    lost = play.stop()
    reads_three_times(play)
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play, fills=(play.fill(lost, "0.4800", str(lost.qty)),))
    assert status(play, lost) is OrderStatus.FILLED
    assert play.position().state is PositionState.CLOSED


@pytest.mark.parametrize(
    "doubt",
    [
        pytest.param({"cash": "479.5"}, id="cash that the ledger does not know"),
        pytest.param({"coins": "-10"}, id="coins that are missing"),
        pytest.param({"locked": "2006.5"}, id="coins held back for an order that is not shown"),
    ],
)
def test_a_reading_that_leaves_a_doubt_proves_nothing(play: Playbook, doubt: dict[str, object]) -> None:
    lost = play.stop()
    assert lost.qty == D("2006.5")
    search(play, TELLABLE_MS, **doubt)
    assert status(play, lost) is OrderStatus.UNKNOWN
    assert play.order(lost).not_found == 0


def test_a_reading_that_does_not_reach_back_proves_nothing(play: Playbook) -> None:
    lost = play.stop()
    search(play, TELLABLE_MS, since_ms=lost.created_ms - 1_000)
    assert status(play, lost) is OrderStatus.UNKNOWN
    assert play.order(lost).not_found == 0


def test_a_reading_that_disagrees_begins_the_proof_anew(play: Playbook) -> None:
    lost = play.stop()
    reads_three_times(play)
    pass_time(play, play.now_ms + PROOF_MS - 5_000)
    reads(play, cash="479.5")
    pass_time(play, play.now_ms + 5_000)
    reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play)
    assert status(play, lost) is OrderStatus.NOT_PLACED


def test_time_that_nobody_lived_through_begins_the_proof_anew(play: Playbook) -> None:
    lost = play.stop()
    reads_three_times(play)
    play.at(play.now_ms + 60 * MINUTE)
    reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN
    back_ms = play.now_ms
    pass_time(play, back_ms + TELLABLE_MS - 1_000)
    reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN
    pass_time(play, back_ms + TELLABLE_MS)
    for _ in range(3):
        reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN, "what was read before counts for nothing"
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play)
    assert status(play, lost) is OrderStatus.NOT_PLACED


def test_a_restart_begins_the_proof_anew(play: Playbook) -> None:
    lost = play.stop()
    reads_three_times(play)
    pass_time(play, play.now_ms + PROOF_MS - 1_000)
    play.restart().come_back()
    pass_time(play, play.now_ms + 1_000)
    reads(play)
    assert status(play, lost) is OrderStatus.UNKNOWN


def test_both_legs_of_a_list_are_searched_for_together() -> None:
    types = frozenset({"LIMIT", "MARKET", "STOP_LOSS", "LIMIT_MAKER"})
    play = Playbook(instrument=make_instrument(order_types=types)).ready()
    play.enter()
    stop = play.stop()
    play.quiet_bar()
    play.canceled(stop)
    legs = [o.intent for o in play.state.orders.values() if o.intent.list_id is not None]
    assert {leg.purpose for leg in legs} == {Purpose.PROTECT, Purpose.TARGET}
    for leg in legs:
        play.loses_answer(leg)
    reads_three_times(play)
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play)
    assert {status(play, leg) for leg in legs} == {OrderStatus.NOT_PLACED}
    pass_time(play, play.now_ms + 5_000)
    waiting = [o for o in play.state.orders.values() if o.status is OrderStatus.PENDING_NEW]
    assert waiting
    assert all(o.intent.rests and o.intent not in legs for o in waiting)


def test_a_position_being_left_is_sold_once_its_lost_stop_is_proven_absent(play: Playbook) -> None:
    # Coins of others beside it: the sale must not find what the stop may still be for.
    lost = play.stop()
    reads(play, coins="5000")
    play.learn(e.CloseRequested("operator", None))
    pass_time(play, play.now_ms + TELLABLE_MS)
    for _ in range(3):
        reads(play, coins="5000")
    assert not [i for i in play.sent(play.commands) if i.purpose is Purpose.EXIT]
    pass_time(play, play.now_ms + PROOF_MS)
    reads(play, coins="5000")
    assert status(play, lost) is OrderStatus.NOT_PLACED
    assert play.sale().qty == lost.qty


def test_an_entry_waits_for_its_look_ups() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    entry = play.entry()
    play.loses_answer(entry)
    for _ in range(12):
        pass_time(play, play.now_ms + 30_000)
        reads(play)
    assert status(play, entry) is OrderStatus.UNKNOWN
    assert play.order(entry).not_found == 0


def test_a_sale_waits_for_its_look_ups(play: Playbook) -> None:
    play.works(play.stop())
    play.learn(e.CloseRequested("operator", None))
    sale = play.sale()
    play.canceled(play.stop())
    play.loses_answer(sale)
    for _ in range(12):
        pass_time(play, play.now_ms + 30_000)
        reads(play, coins="5000")
    assert status(play, sale) is OrderStatus.UNKNOWN
    assert play.order(sale).not_found == 0


def test_an_absent_stop_that_turns_up_after_all_is_adopted_and_the_other_canceled(play: Playbook) -> None:
    lost = play.stop()
    search(play, TELLABLE_MS)
    pass_time(play, play.now_ms + 5_000)
    again = play.stop()
    play.works(again)
    play.works(lost)
    assert status(play, lost) is OrderStatus.NEW
    assert len([o for o in play.state.orders.values() if o.cancel_sent_ms is not None]) == 1
