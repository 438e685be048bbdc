"""Conversations with the paper broker: orders, questions, quotes, bars, kills and failing disks."""

from __future__ import annotations

import asyncio
from dataclasses import replace as changed
from decimal import Decimal

import pytest

from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    BarClosed,
    CancelFailed,
    ClosedBy,
    FillsSeen,
    Holding,
    InstrumentSeen,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    QuoteSeen,
)
from agent.core.order import Fact, Intent
from agent.core.ports import Exchange
from agent.exchange.paper.broker import NOT_PLACED, PaperBroker
from agent.exchange.paper.misbehaviour import Misbehaviour
from agent.exchange.paper.state import Ticket
from tests.paper_desk import (
    BAR,
    NOON,
    PAIR,
    D,
    Desk,
    approved,
    book_at,
    buy,
    candle,
    quote_at,
    sell,
    settle_down,
    stop,
)

MINUTE = 60_000


def intent(asked: Ticket) -> Intent:
    return approved(asked).intent


async def report(desk: Desk, asked: Ticket) -> OrderReported:
    answer = await desk.broker.place(approved(asked))
    assert isinstance(answer, OrderReported), answer
    return answer


async def holdings(desk: Desk) -> dict[str, Holding]:
    seen = await desk.broker.account(0)
    assert isinstance(seen, AccountSeen), seen
    return dict(seen.holdings)


async def with_stop(desk: Desk, stop_price: str = "0.2900") -> None:
    """Buy 100 at 0.3000 and rest a stop under 99.9 of them."""
    await report(desk, buy("e", "100"))
    await report(desk, stop("s", "99.9", stop_price))


def quote(mid: str, at_ms: int = NOON, trusted: bool = True) -> QuoteSeen:
    return QuoteSeen(quote_at(mid, at_ms), trusted)


def backfilled(open_: float, high: float, low: float, close: float, open_ms: int = NOON) -> BarClosed:
    return BarClosed(candle(open_, high, low, close, open_ms), ClosedBy.BACKFILL)


def test_the_broker_is_an_exchange() -> None:
    def trades_with(_: Exchange) -> None: ...

    trades_with(Desk().broker)


# --- orders and questions ----------------------------------------------------------------------


async def test_a_new_account_holds_the_initial_balance() -> None:
    desk = Desk()
    assert await holdings(desk) == {"ADA": Holding(D(0), D(0)), "USDT": Holding(D(1000), D(0))}
    assert desk.store.state is not None
    assert desk.store.state.opened_ms == NOON


async def test_an_order_is_answered_with_its_fills_and_found_afterwards() -> None:
    desk = Desk()
    answer = await report(desk, buy("e", "100"))
    assert answer.report.fact is Fact.FULLY_FILLED
    assert [(f.price, f.qty) for f in answer.report.fills] == [(D("0.3002"), D(100))]
    found = await desk.broker.look_up(intent(buy("e", "100")))
    assert isinstance(found, OrderReported)
    assert (found.report.fact, found.report.executed_qty) == (Fact.FULLY_FILLED, D(100))
    assert found.report.fills == (), "a look-up carries no fills"
    assert await desk.broker.fills_of(intent(buy("e", "100"))) == FillsSeen(answer.report.fills)


async def test_the_account_shows_open_orders_and_own_trades_since() -> None:
    desk = Desk()
    await report(desk, buy("e", "100"))
    desk.clock.at_ms = NOON + MINUTE
    await report(desk, stop("s", "99.9", "0.2900"))
    seen = await desk.broker.account(NOON)
    assert isinstance(seen, AccountSeen)
    assert seen.asked_ms == NOON + MINUTE
    assert [(r.client_id, r.fact) for r in seen.open_orders] == [("s", Fact.WORKING)]
    assert [f.client_id for f in seen.fills] == ["e"]
    assert seen.holdings["ADA"] == Holding(D(0), D("99.9"))
    later = await desk.broker.account(NOON + 1)
    assert isinstance(later, AccountSeen)
    assert (later.fills, later.fills_since_ms) == ((), NOON + 1)


async def test_a_refusal_carries_the_code() -> None:
    answer = await Desk().broker.place(approved(sell("x", "100")))
    assert isinstance(answer, OrderRefused)
    assert (answer.client_id, answer.code) == ("x", -2010)


async def test_an_unknown_order_cannot_be_found_or_canceled() -> None:
    broker = Desk().broker
    nobody = intent(buy("n", "100"))
    assert await broker.look_up(nobody) == LookupFoundNothing("n")
    assert await broker.cancel(nobody) == CancelFailed("n", -2011, "Unknown order sent.")
    assert await broker.fills_of(nobody) == FillsSeen(())


async def test_canceling_is_reported_once_and_refused_the_second_time() -> None:
    desk = Desk()
    await with_stop(desk)
    first = await desk.broker.cancel(intent(stop("s", "99.9", "0.2900")))
    assert isinstance(first, OrderReported)
    assert first.report.fact is Fact.WAS_CANCELED
    second = await desk.broker.cancel(intent(stop("s", "99.9", "0.2900")))
    assert isinstance(second, CancelFailed)
    assert second.code == -2011


async def test_an_exit_replaces_the_stop_above_it_in_one_write() -> None:
    desk = Desk()
    await with_stop(desk)
    saves = desk.store.saves
    canceled, placed = await desk.broker.replace(
        intent(stop("s", "99.9", "0.2900")), approved(sell("x", "99.9"))
    )
    assert isinstance(canceled, OrderReported)
    assert isinstance(placed, OrderReported)
    assert (canceled.report.fact, placed.report.fact) == (Fact.WAS_CANCELED, Fact.FULLY_FILLED)
    assert desk.store.saves == saves + 1
    assert (await holdings(desk))["ADA"].total == 0


async def test_a_replacement_is_not_tried_when_the_cancel_fails() -> None:
    desk = Desk()
    await report(desk, buy("e", "100"))
    gone = intent(stop("s", "99.9", "0.2900"))
    assert await desk.broker.replace(gone, approved(sell("x", "99.9"))) == (
        CancelFailed("s", -2011, "Unknown order sent."),
        None,
    )
    assert await desk.broker.look_up(intent(sell("x", "99.9"))) == LookupFoundNothing("x")


async def test_a_refused_replacement_reports_both_halves() -> None:
    desk = Desk()
    await with_stop(desk)
    canceled, placed = await desk.broker.replace(
        intent(stop("s", "99.9", "0.2900")), approved(sell("x", "150"))
    )
    assert isinstance(canceled, OrderReported)
    assert isinstance(placed, OrderRefused)
    assert placed.code == -2010


# --- books that do not come --------------------------------------------------------------------


async def test_without_a_book_the_order_was_certainly_not_placed() -> None:
    desk = Desk()
    desk.market.fails = "502 from the exchange"
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OrderRefused)
    assert (answer.code, "502 from the exchange" in answer.detail) == (NOT_PLACED, True)
    assert await desk.broker.look_up(intent(buy("e", "100"))) == LookupFoundNothing("e")


async def test_a_book_that_hangs_is_given_up() -> None:
    desk = Desk(book_timeout_ms=1)
    desk.market.arrives = asyncio.Event()
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OrderRefused)
    assert "did not come within 1 ms" in answer.detail


async def test_a_crossed_book_is_not_traded_against() -> None:
    desk = Desk()
    desk.market.now = book_at("0.3", half_spread="-0.0001")
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OrderRefused)
    assert "crossed" in answer.detail


async def test_without_a_book_a_replacement_leaves_the_stop_alone() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.market.fails = "timeout"
    protecting = intent(stop("s", "99.9", "0.2900"))
    canceled, placed = await desk.broker.replace(protecting, approved(sell("x", "99.9")))
    assert isinstance(canceled, CancelFailed)
    assert (canceled.code, placed) == (None, None)
    found = await desk.broker.look_up(protecting)
    assert isinstance(found, OrderReported)
    assert found.report.fact is Fact.WORKING


# --- quotes ------------------------------------------------------------------------------------


async def test_a_quote_that_reaches_a_stop_sells_against_a_fresh_book() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.market.now = book_at("0.2890")
    desk.clock.at_ms = NOON + MINUTE
    reported, fills = await desk.working(quote("0.2895", NOON + MINUTE))
    assert isinstance(reported, OrderReported)
    assert (reported.report.client_id, reported.report.fact) == ("s", Fact.FULLY_FILLED)
    assert fills == FillsSeen(reported.report.fills)
    assert [(f.price, f.at_ms) for f in reported.report.fills] == [(D("0.2888"), NOON + MINUTE)]
    assert desk.store.state is not None
    assert desk.store.state.open_orders == ()


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(quote("0.2902"), id="above the stop"),
        pytest.param(quote("0.2895", trusted=False), id="not trusted"),
        pytest.param(QuoteSeen(quote_at("0.2895", half_spread="-0.0001"), True), id="crossed"),
    ],
)
async def test_other_quotes_do_not_even_ask_for_a_book(seen: QuoteSeen) -> None:
    desk = Desk()
    await with_stop(desk)
    asked = desk.market.asked
    assert await desk.working(seen) == []
    assert desk.market.asked == asked


async def test_a_bad_tick_that_the_book_does_not_confirm_reaches_nothing() -> None:
    desk = Desk()
    await with_stop(desk)
    assert await desk.working(quote("0.1500")) == []
    assert (await holdings(desk))["ADA"].locked == D("99.9")
    desk.market.now = book_at("0.2890")
    assert len(await desk.working(quote("0.2890"))) == 2


async def test_a_touched_stop_waits_for_a_book_and_is_then_executed_although_the_price_came_back() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.market.fails = "timeout"
    assert await desk.working(quote("0.2899")) == []
    assert 1_000 in desk.clock.slept_ms
    desk.market.fails = None
    desk.market.now = book_at("0.2950")
    told = await desk.working()
    assert isinstance(told[0], OrderReported)
    assert told[0].report.fact is Fact.FULLY_FILLED


async def test_a_quote_touches_no_order_that_is_younger() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.market.arrives = asyncio.Event()
    assert await desk.working(quote("0.2899")) == []
    desk.market.arrives = None
    await desk.broker.cancel(intent(stop("s", "99.9", "0.2900")))
    await report(desk, stop("s2", "99.9", "0.2950"))
    assert await desk.working() == []
    assert (await holdings(desk))["ADA"].locked == D("99.9")


async def test_a_quote_seen_before_the_account_was_loaded_still_counts() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.broker = desk.hire()
    desk.market.now = book_at("0.2890")
    desk.broker.observe(quote("0.2890"))
    told = await desk.working()
    assert isinstance(told[0], OrderReported)
    assert told[0].report.client_id == "s"


# --- bars --------------------------------------------------------------------------------------


async def test_a_stop_is_settled_from_the_bars_of_the_downtime() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.broker = desk.hire()
    downtime = [
        backfilled(0.30, 0.31, 0.20, 0.30),
        backfilled(0.30, 0.31, 0.2950, 0.30, open_ms=NOON + BAR),
        backfilled(0.30, 0.31, 0.28, 0.30, open_ms=NOON + 2 * BAR),
    ]
    # The order came one second into the first bar, whose low may be older.
    assert desk.store.state is not None
    (order,) = desk.store.state.open_orders
    late = changed(order, accepted_ms=NOON + 1_000, phase_since_ms=NOON + 1_000)
    desk.store.state = changed(desk.store.state, open_orders=(late,))
    reported, fills = await desk.working(*downtime)
    assert isinstance(reported, OrderReported)
    assert isinstance(fills, FillsSeen)
    assert [(f.client_id, f.price, f.at_ms) for f in fills.fills] == [("s", D("0.2898"), NOON + 3 * BAR - 1)]


async def test_bars_observed_before_a_question_are_settled_before_its_answer() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.broker = desk.hire()
    desk.broker.observe(backfilled(0.30, 0.31, 0.28, 0.30, open_ms=NOON + BAR))
    seen = await desk.broker.account(NOON)
    assert isinstance(seen, AccountSeen)
    assert seen.open_orders == ()
    assert [f.client_id for f in seen.fills] == ["e", "s"]
    assert len(await desk.working()) == 2, "and told once"
    assert await desk.working() == []


async def test_a_settled_bar_is_forgotten() -> None:
    desk = Desk()
    desk.broker.observe(backfilled(0.30, 0.31, 0.28, 0.30))
    await desk.working()
    assert not desk.broker._observed.bars


async def test_a_second_order_reached_while_the_book_is_on_its_way_gets_a_book_of_its_own() -> None:
    desk = Desk()
    await report(desk, buy("e", "100"))
    await report(desk, stop("s", "40", "0.2900"))
    await report(desk, stop("u", "50", "0.2850"))
    asked, arrived = desk.market.asked, asyncio.Event()
    desk.market.arrives = arrived
    run = asyncio.ensure_future(desk.broker.run(desk.told.append))
    await settle_down()
    desk.broker.observe(quote("0.2900"))
    await settle_down()
    desk.broker.observe(quote("0.2850"))
    desk.market.now = book_at("0.2860")
    arrived.set()
    await settle_down()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert [e.report.client_id for e in desk.told if isinstance(e, OrderReported)] == ["s", "u"]
    assert desk.market.asked == asked + 2


async def test_a_bar_that_quotes_covered_settles_nothing() -> None:
    desk = Desk()
    await with_stop(desk)
    bar_open = NOON + BAR
    watching = [quote("0.3000", bar_open - 1 + minute * MINUTE) for minute in range(16)]
    live = BarClosed(candle(0.30, 0.31, 0.28, 0.30, open_ms=bar_open), ClosedBy.FLAG)
    assert await desk.working(*watching, live) == []
    assert (await holdings(desk))["ADA"].locked == D("99.9")


@pytest.mark.parametrize("missing", [0, 7, 15])
async def test_a_bar_with_a_hole_in_its_quotes_is_settled(missing: int) -> None:
    desk = Desk()
    await with_stop(desk)
    bar_open = NOON + BAR
    seen = [quote("0.3000", bar_open - 1 + minute * MINUTE) for minute in range(16) if minute != missing]
    if missing == 15:
        seen.pop()
    live = BarClosed(candle(0.30, 0.31, 0.28, 0.30, open_ms=bar_open), ClosedBy.FLAG)
    reported, _ = await desk.working(*seen, live)
    assert isinstance(reported, OrderReported)
    assert reported.report.fact is Fact.FULLY_FILLED


async def test_a_new_view_of_the_instrument_is_used() -> None:
    desk = Desk()
    desk.broker.observe(InstrumentSeen(changed(PAIR, min_notional=Decimal(100))))
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OrderRefused)
    assert "NOTIONAL" in answer.detail


# --- kills and disks ---------------------------------------------------------------------------


async def test_the_account_survives_a_restart() -> None:
    desk = Desk()
    await with_stop(desk)
    before = await holdings(desk)
    desk.broker = desk.hire()
    assert await holdings(desk) == before
    found = await desk.broker.look_up(intent(buy("e", "100")))
    assert isinstance(found, OrderReported)
    assert found.report.fact is Fact.FULLY_FILLED


async def test_an_order_whose_caller_died_before_the_answer_is_found() -> None:
    desk = Desk()
    committed = asyncio.Event()

    async def save_and_hang(*args: object) -> None:
        await usual(*args)  # type: ignore[arg-type]
        committed.set()
        await asyncio.Event().wait()

    await holdings(desk)
    usual = desk.store.save
    desk.store.save = save_and_hang  # type: ignore[assignment,method-assign]
    placing = asyncio.ensure_future(desk.broker.place(approved(buy("e", "100"))))
    await committed.wait()
    placing.cancel()
    await asyncio.gather(placing, return_exceptions=True)
    desk.store.save = usual  # type: ignore[method-assign]
    found = await desk.broker.look_up(intent(buy("e", "100")))
    assert isinstance(found, OrderReported), "although nobody knows whether the write ended"
    assert (await holdings(desk))["ADA"].free == D("99.9")


@pytest.mark.parametrize("fault", ["fail_before", "fail_after"])
async def test_an_order_whose_write_failed_is_unknown_until_it_is_written(fault: str) -> None:
    desk = Desk()
    await holdings(desk)
    asked = intent(buy("e", "100"))
    setattr(desk.store, fault, True)
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OutcomeUnknown)
    assert isinstance(await desk.broker.look_up(asked), LookupFailed), "neither found nor missing"
    refused = await desk.broker.place(approved(buy("f", "100")))
    assert isinstance(refused, OrderRefused)
    assert refused.code == NOT_PLACED
    setattr(desk.store, fault, False)
    assert isinstance(await desk.broker.look_up(asked), OrderReported)
    fills = await desk.broker.fills_of(asked)
    assert isinstance(fills, FillsSeen)
    assert [f.trade_id for f in fills.fills] == ["1"]
    assert (await holdings(desk))["ADA"].total == D("99.9")
    assert await desk.broker.look_up(intent(buy("f", "100"))) == LookupFoundNothing("f")


@pytest.mark.parametrize(("fault", "happened"), [("fail_before", False), ("fail_after", True)])
async def test_after_a_restart_the_disk_says_whether_a_failed_write_happened(
    fault: str, happened: bool
) -> None:
    desk = Desk()
    await holdings(desk)
    setattr(desk.store, fault, True)
    assert isinstance(await desk.broker.place(approved(buy("e", "100"))), OutcomeUnknown)
    setattr(desk.store, fault, False)
    desk.broker = desk.hire()
    found = await desk.broker.look_up(intent(buy("e", "100")))
    assert isinstance(found, OrderReported) is happened
    assert (await holdings(desk))["ADA"].total == (D("99.9") if happened else 0)


async def test_run_writes_what_could_not_be_written() -> None:
    desk = Desk()
    await holdings(desk)
    desk.store.fail_before = True
    assert isinstance(await desk.broker.place(approved(buy("e", "100"))), OutcomeUnknown)
    desk.store.fail_before = False
    assert await desk.working() == []
    assert list(desk.store.fills) == ["1"]


async def test_a_failed_write_of_a_cancel_or_a_replacement_is_no_answer() -> None:
    desk = Desk()
    await with_stop(desk)
    protecting = intent(stop("s", "99.9", "0.2900"))
    desk.store.fail_before = True
    both = await desk.broker.replace(protecting, approved(stop("s2", "99.9", "0.2800")))
    assert both == (CancelFailed("s", None, "disk full"), OutcomeUnknown("s2", "disk full"))
    desk.store.fail_before = False
    found = await desk.broker.look_up(protecting)
    assert isinstance(found, OrderReported)
    assert found.report.fact is Fact.WAS_CANCELED
    desk.store.fail_before = True
    canceled = await desk.broker.cancel(intent(stop("s2", "99.9", "0.2800")))
    assert canceled == CancelFailed("s2", None, "disk full")


async def test_an_account_that_cannot_be_read_refuses_orders_and_proves_nothing() -> None:
    desk = Desk()
    desk.store.fail_reads = True
    asked = intent(buy("e", "100"))
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert isinstance(answer, OrderRefused)
    assert answer.code == NOT_PLACED
    assert await desk.broker.look_up(asked) == LookupFailed("e", "disk on fire")
    assert await desk.broker.fills_of(asked) == LookupFailed("e", "disk on fire")
    assert await desk.broker.account(0) == AccountUnreadable("disk on fire")
    assert await desk.broker.cancel(asked) == CancelFailed("e", None, "disk on fire")
    not_tried = CancelFailed("e", None, "not tried: disk on fire")
    assert await desk.broker.replace(asked, approved(buy("f", "100"))) == (not_tried, None)


async def test_run_says_once_that_the_account_cannot_be_written_and_settles_when_it_can() -> None:
    desk = Desk()
    await with_stop(desk)
    desk.market.now = book_at("0.2890")
    desk.store.fail_before = True
    assert await desk.working(quote("0.2890")) == [AccountUnreadable("disk full")]
    assert len(desk.clock.slept_ms) > 1
    desk.store.fail_before = False
    assert len(await desk.working()) == 2
    assert desk.store.state is not None
    assert desk.store.state.open_orders == ()


# --- misbehaviour ------------------------------------------------------------------------------


def misbehaving(*first: Misbehaviour) -> Desk:
    """A desk whose first requests go wrong in these ways, one after the other."""
    rules = iter(first)
    return Desk(misbehave=lambda _: next(rules, Misbehaviour()))


async def test_a_lost_answer_is_unknown_although_the_order_was_executed() -> None:
    desk = misbehaving(Misbehaviour(lose_answer=True))
    answer = await desk.broker.place(approved(buy("e", "100")))
    assert answer == OutcomeUnknown("e", "the answer was lost")
    assert (await holdings(desk))["ADA"].free == D("99.9")


async def test_lost_answers_to_a_cancel_and_a_replacement() -> None:
    good, lost = Misbehaviour(), Misbehaviour(lose_answer=True)
    desk = misbehaving(good, good, lost, lost)
    await with_stop(desk)
    protecting = intent(stop("s", "99.9", "0.2900"))
    canceled, placed = await desk.broker.replace(protecting, approved(stop("s2", "99.9", "0.2950")))
    assert isinstance(canceled, CancelFailed)
    assert isinstance(placed, OutcomeUnknown)
    answer = await desk.broker.cancel(intent(stop("s2", "99.9", "0.2950")))
    assert answer == CancelFailed("s2", None, "the answer was lost")
    assert (await holdings(desk))["ADA"] == Holding(D("99.9"), D(0))


async def test_a_thin_book_fills_in_part() -> None:
    desk = misbehaving(Misbehaviour(book_qty=D("40")))
    answer = await report(desk, buy("e", "100"))
    assert (answer.report.fact, answer.report.executed_qty) == (Fact.HAS_EXPIRED, D(40))


async def test_a_delayed_order_meets_the_book_of_its_arrival() -> None:
    desk = misbehaving(Misbehaviour(delay_ms=700))
    answer = await report(desk, buy("e", "100"))
    assert desk.clock.slept_ms == [700]
    assert answer.report.fact is Fact.FULLY_FILLED


async def test_orders_sent_at_once_are_executed_one_after_the_other() -> None:
    desk = Desk()
    answers = await asyncio.gather(*(desk.broker.place(approved(buy(f"e{n}", "1000"))) for n in range(5)))
    assert [type(a) for a in answers] == [OrderReported] * 3 + [OrderRefused] * 2
    assert (await holdings(desk))["USDT"].total == D(1000) - 3 * D("300.2")


async def test_closing_leaves_the_account_where_it_is() -> None:
    desk = Desk()
    await with_stop(desk)
    await desk.broker.close()
    desk.broker = desk.hire()
    assert isinstance(desk.broker, PaperBroker)
    assert (await holdings(desk))["ADA"].locked == D("99.9")
