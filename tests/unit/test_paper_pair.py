"""Stop and target as one list on paper: what is locked, who ends whom, and what a restart finds."""

from __future__ import annotations

from dataclasses import replace

from agent.core.events import (
    AccountSeen,
    BarClosed,
    ClosedBy,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    QuoteSeen,
)
from agent.core.order import Fact, OrderStatus, Purpose
from agent.core.verdict import ApprovedPair
from agent.exchange.paper.account import cancel, place, place_pair, tick
from agent.exchange.paper.misbehaviour import Misbehaviour
from agent.exchange.paper.settlement import settle
from agent.exchange.paper.state import Moved, PaperState, Refusal
from tests.paper_desk import (
    BAR,
    NOON,
    TERMS,
    D,
    Desk,
    approved,
    book,
    book_at,
    candle,
    executions,
    holding,
    pair,
    quote_at,
    sell,
)

LATER = NOON + 60_000


def listed(qty: str = "100", base: str = "100") -> PaperState:
    moved = place_pair(holding(base), *pair(qty, "0.2900", "0.3100"), book_at("0.3000"), TERMS, NOON)
    assert isinstance(moved, Moved), moved
    return moved.state


def ended(moved: Moved) -> dict[str, tuple[OrderStatus, str]]:
    return {o.ticket.client_id: (o.status, o.reason) for o in moved.orders}


def test_both_legs_lock_what_one_of_them_sells() -> None:
    state = listed()
    assert (state.balances["ADA"].free, state.balances["ADA"].locked) == (0, 100)
    assert len(state.open_orders) == 2


def test_neither_leg_is_taken_when_one_cannot_be() -> None:
    state = holding("100")
    for legs, why in (
        (pair("100", "0.2900", "0.2999"), "immediately match"),
        (pair("100", "0.3000", "0.3100"), "trigger immediately"),
        (pair("100", "0.3100", "0.2900"), "relationship of the prices"),
        (pair("101", "0.2900", "0.3100"), "insufficient balance"),
    ):
        refused = place_pair(state, *legs, book_at("0.3000"), TERMS, NOON)
        assert isinstance(refused, Refusal), legs
        assert why in refused.detail


def test_a_reached_target_trades_at_its_price_and_ends_the_stop() -> None:
    moved = tick(listed(), book([("0.3105", "500")], [("0.3107", "9")]), TERMS, LATER)
    assert executions(moved.fills) == [("0.3100", "100")]
    assert ended(moved) == {"s": (OrderStatus.EXPIRED, "OCO_TRIGGER"), "t": (OrderStatus.FILLED, "")}
    assert moved.state.balances["ADA"].locked == 0


def test_a_target_that_is_filled_in_part_ends_the_stop_and_keeps_its_rest_locked() -> None:
    moved = tick(listed(), book([("0.3105", "40")], [("0.3107", "9")]), TERMS, LATER)
    assert executions(moved.fills) == [("0.3100", "40")]
    assert ended(moved)["s"] == (OrderStatus.EXPIRED, "OCO_TRIGGER")
    assert (moved.state.balances["ADA"].free, moved.state.balances["ADA"].locked) == (0, 60)


def test_a_reached_stop_ends_the_target_before_it_trades() -> None:
    moved = tick(listed(), book([("0.2890", "30")], [("0.2892", "9")]), TERMS, LATER)
    assert sum(f.qty for f in moved.fills) == 30
    assert ended(moved) == {"t": (OrderStatus.EXPIRED, "OCO_TRIGGER"), "s": (OrderStatus.EXPIRED, "")}
    assert moved.state.balances["ADA"].free == 70


def test_canceling_one_leg_cancels_both() -> None:
    for leg in ("s", "t"):
        moved = cancel(listed(), leg, TERMS, LATER)
        assert isinstance(moved, Moved)
        assert {s for s, _ in ended(moved).values()} == {OrderStatus.CANCELED}
        assert moved.state.balances["ADA"].free == 100


def test_a_candle_that_reaches_both_books_the_loss() -> None:
    moved = settle(listed(), candle(0.30, 0.32, 0.28, 0.30, NOON + BAR), BAR, TERMS)
    assert [f.client_id for f in moved.fills] == ["s"]
    assert ended(moved)["t"] == (OrderStatus.EXPIRED, "OCO_TRIGGER")


def test_a_candle_that_reaches_the_target_alone() -> None:
    moved = settle(listed(), candle(0.30, 0.3105, 0.2950, 0.31, NOON + BAR), BAR, TERMS)
    assert executions(moved.fills) == [("0.3100", "100")]
    assert ended(moved)["s"] == (OrderStatus.EXPIRED, "OCO_TRIGGER")


def test_what_a_list_locks_cannot_be_sold_besides() -> None:
    refused = place(listed(), sell("x", "10"), book_at("0.3000"), TERMS, LATER)
    assert isinstance(refused, Refusal)


# --- the broker -------------------------------------------------------------------------------------


def approved_pair(qty: str = "100") -> ApprovedPair:
    stop, target = pair(qty, "0.2900", "0.3100")
    return ApprovedPair(approved(stop, Purpose.PROTECT), approved(target, Purpose.TARGET))


async def test_the_broker_answers_for_both_legs_and_finds_them_after_a_restart() -> None:
    desk = Desk(holding("100"))
    both = approved_pair()
    for word in await desk.broker.place_pair(both):
        assert isinstance(word, OrderReported)
        assert word.report.fact is Fact.WORKING
    again = desk.hire()
    for leg in both.legs:
        found = await again.look_up(leg)
        assert isinstance(found, OrderReported)
        assert found.report.fact is Fact.WORKING
        assert not found.report.triggered
    seen = await again.account(0)
    assert isinstance(seen, AccountSeen)
    assert {r.client_id for r in seen.open_orders} == {"s", "t"}


async def test_a_refused_list_is_refused_for_both() -> None:
    desk = Desk(holding("99"))
    for word in await desk.broker.place_pair(approved_pair()):
        assert isinstance(word, OrderRefused)
    assert isinstance(await desk.broker.look_up(approved_pair().legs[0]), LookupFoundNothing)


async def test_a_lost_answer_leaves_a_list_that_is_found() -> None:
    desk = Desk(holding("100"), misbehave=lambda _: Misbehaviour(lose_answer=True))
    both = approved_pair()
    assert all(isinstance(word, OutcomeUnknown) for word in await desk.broker.place_pair(both))
    assert isinstance(await desk.broker.look_up(both.legs[1]), OrderReported)


async def test_a_market_that_cannot_be_read_places_nothing() -> None:
    desk = Desk(holding("100"))
    desk.market.fails = "no book"
    assert all(isinstance(word, OrderRefused) for word in await desk.broker.place_pair(approved_pair()))


async def test_the_other_leg_tells_its_end_unasked() -> None:
    desk = Desk(holding("100"))
    both = approved_pair()
    await desk.broker.place_pair(both)
    canceled = await desk.broker.cancel(both.legs[0])
    assert isinstance(canceled, OrderReported)
    [told] = await desk.working()
    assert isinstance(told, OrderReported)
    assert (told.report.client_id, told.report.fact) == ("t", Fact.WAS_CANCELED)


async def test_a_quote_at_the_target_fills_it_and_tells_both_ends() -> None:
    desk = Desk(holding("100"))
    await desk.broker.place_pair(approved_pair())
    desk.market.now = book([("0.3105", "500")], [("0.3107", "9")])
    told = await desk.working(QuoteSeen(quote_at("0.3106"), trusted=True))
    facts = {e.report.client_id: e.report.fact for e in told if isinstance(e, OrderReported)}
    assert facts == {"s": Fact.HAS_EXPIRED, "t": Fact.FULLY_FILLED}


async def test_what_happened_during_an_outage_is_told_from_its_candle() -> None:
    desk = Desk(holding("100"))
    await desk.broker.place_pair(approved_pair())
    desk.clock.at_ms = NOON + 3 * BAR
    told = await desk.working(BarClosed(candle(0.30, 0.32, 0.295, 0.31, NOON + BAR), ClosedBy.BACKFILL))
    facts = {e.report.client_id: e.report.fact for e in told if isinstance(e, OrderReported)}
    assert facts == {"s": Fact.HAS_EXPIRED, "t": Fact.FULLY_FILLED}


def test_a_list_is_not_accepted_where_none_are_offered() -> None:
    terms = replace(TERMS, instrument=replace(TERMS.instrument, lists_allowed=False))
    refused = place_pair(holding("100"), *pair("100", "0.29", "0.31"), book_at("0.30"), terms, NOON)
    assert isinstance(refused, Refusal)
    assert D(0) == holding("100").balances["ADA"].locked
