"""Commands into requests, and every request into an event: whatever happens to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from agent.core import events as e
from agent.core.commands import (
    Alert,
    AlertLevel,
    CancelOrder,
    Command,
    LookUpOrder,
    PlaceOrder,
    PlacePair,
    ReadAccount,
    ReadBook,
    ReadFeePrice,
    ReadFills,
    ReadQuote,
    ReplaceByPair,
    ReplaceOrder,
    SetLatch,
)
from agent.core.market import Book, DataSource, Quote
from agent.core.money import Price, Qty
from agent.core.order import Fact, Intent, OrderReport, OrderType, Purpose, Side, TimeInForce
from agent.core.ports import MarketDataError
from agent.core.verdict import Approved, ApprovedPair
from agent.shell.dispatch import BROKE, LATCHED, STOPPING, Dispatcher
from tests.playbook import make_instrument
from tests.shell_ground import HandExchange, HandLatch, HandMarket, Mishaps, settle

D = Decimal


def entry(client_id: str = "entry1") -> Intent:
    return Intent(
        client_id, 1, Purpose.ENTRY, Side.BUY, OrderType.LIMIT, Qty(D(10)), Price(D("0.5")), None,
        TimeInForce.IOC, 0, "test",
    )  # fmt: skip


def sale(client_id: str = "exit1", purpose: Purpose = Purpose.EXIT) -> Intent:
    if purpose is Purpose.PROTECT:
        return Intent(
            client_id, 1, purpose, Side.SELL, OrderType.STOP_LOSS, Qty(D(10)), None, Price(D("0.4")), None,
            0, "test",
        )  # fmt: skip
    return Intent(client_id, 1, purpose, Side.SELL, OrderType.MARKET, Qty(D(10)), None, None, None, 0, "test")


def place(intent: Intent) -> PlaceOrder:
    return PlaceOrder(Approved(intent, ()))


def filled(intent: Intent) -> e.OrderReported:
    return e.OrderReported(
        OrderReport(
            intent.client_id, "7", intent.side, intent.type.value, Fact.WORKING, intent.qty, D(0), D(0), 5
        )
    )


class Post:
    """A dispatcher between hand-made parts; what it learns ends up in `learned`."""

    def __init__(self, **answers: Any) -> None:
        self.exchange = HandExchange(**answers)
        self.market = HandMarket(make_instrument())
        self.latch = HandLatch()
        self.learned: list[e.Event] = []
        self.orders = {i.client_id: i for i in (entry(), sale(), sale("stop1", Purpose.PROTECT))}
        self.dispatcher = Dispatcher(
            self.exchange,
            self.market,
            self.latch,
            self.learned.append,
            lambda client_id: self.orders[client_id],
        )

    async def send(self, command: Command) -> list[e.Event]:
        before = len(self.learned)
        self.dispatcher.send(command)
        assert len(self.learned) == before, "nothing is carried out before the caller goes on"
        await settle()
        return self.learned[before:]


SEEN = e.AccountSeen({}, (), (), 3)
FILLS = e.FillsSeen(())


@pytest.mark.parametrize(
    ("command", "request_name", "answer"),
    [
        (place(entry()), "place", filled(entry())),
        (place(entry()), "place", e.OrderRefused("entry1", -2010, "insufficient balance")),
        (place(entry()), "place", e.OutcomeUnknown("entry1", "time-out")),
        (place(entry()), "place", e.PlacingBlocked("entry1", "the rate limit")),
        (CancelOrder("entry1"), "cancel", filled(entry())),
        (CancelOrder("entry1"), "cancel", e.CancelFailed("entry1", -2011, "unknown order")),
        (LookUpOrder("entry1"), "look_up", filled(entry())),
        (LookUpOrder("entry1"), "look_up", e.LookupFoundNothing("entry1")),
        (LookUpOrder("entry1"), "look_up", e.LookupFailed("entry1", "reset")),
        (ReadFills("entry1"), "fills_of", FILLS),
        (ReadFills("entry1"), "fills_of", e.LookupFailed("entry1", "reset")),
        (ReadAccount(3), "account", SEEN),
        (ReadAccount(3), "account", e.AccountUnreadable("reset")),
    ],
)
async def test_every_request_brings_back_the_exchanges_word(
    command: Command, request_name: str, answer: e.Event
) -> None:
    post = Post(**{request_name: answer})
    assert await post.send(command) == [answer]


async def test_what_asks_for_no_request_is_ignored() -> None:
    post = Post()
    assert await post.send(Alert(AlertLevel.INFO, "test", "nothing")) == []
    assert await post.send(SetLatch("emergency", 1)) == []
    assert not post.exchange.asked


async def test_a_slow_answer_delays_nothing_else() -> None:
    post = Post(account=SEEN)
    assert await post.send(place(entry())) == []
    assert await post.send(ReadAccount(3)) == [SEEN]
    post.exchange.put_down("place", filled(entry()))
    await settle()
    assert post.learned[-1] == filled(entry())


# --- replacing -----------------------------------------------------------------------------------


REPLACE = ReplaceOrder("stop1", Approved(sale(), ()))
GONE = filled(sale("stop1", Purpose.PROTECT))


async def test_replacing_reports_both_halves_the_canceled_one_first() -> None:
    post = Post(replace=(GONE, filled(sale())))
    assert await post.send(REPLACE) == [GONE, filled(sale())]
    assert post.exchange.asked == [("replace", "stop1")]


async def test_a_cancel_that_failed_leaves_the_other_order_certainly_unplaced() -> None:
    failed = e.CancelFailed("stop1", -2011, "unknown order")
    post = Post(replace=(failed, None))
    learned = await post.send(REPLACE)
    assert learned == [failed, e.PlacingBlocked("exit1", "the resting order could not be canceled")]


# --- the latch -----------------------------------------------------------------------------------


async def test_a_set_latch_blocks_entries_at_the_last_moment() -> None:
    post = Post(place=filled(entry()))
    post.dispatcher.send(place(entry()))
    post.latch.set("emergency", 1)  # after the command, before the request
    await settle()
    assert post.learned == [e.PlacingBlocked("entry1", LATCHED)]
    assert not post.exchange.placed


async def test_a_set_latch_keeps_nobody_from_leaving_or_protecting() -> None:
    post = Post(place=filled, replace=(GONE, filled(sale())), cancel=filled)
    post.latch.set("emergency", 1)
    for intent in (sale(), sale("stop1", Purpose.PROTECT)):
        assert await post.send(place(intent)) == [filled(intent)]
    assert await post.send(REPLACE) == [GONE, filled(sale())]
    assert await post.send(CancelOrder("entry1")) == [filled(entry())]


async def test_a_cleared_latch_lets_entries_through_again() -> None:
    post = Post(place=filled)
    post.latch.set("emergency", 1)
    await post.send(place(entry()))
    post.latch.clear()
    assert await post.send(place(entry())) == [filled(entry())]


# --- mistakes of our own -------------------------------------------------------------------------

MISTAKE = RuntimeError("a mistake of our own")


@pytest.mark.parametrize(
    ("command", "request_name", "expected"),
    [
        (place(entry()), "place", [e.OutcomeUnknown("entry1", BROKE)]),
        (REPLACE, "replace", [e.CancelFailed("stop1", None, BROKE), e.OutcomeUnknown("exit1", BROKE)]),
        (CancelOrder("entry1"), "cancel", [e.CancelFailed("entry1", None, BROKE)]),
        (LookUpOrder("entry1"), "look_up", [e.LookupFailed("entry1", BROKE)]),
        (ReadFills("entry1"), "fills_of", [e.LookupFailed("entry1", BROKE)]),
        (ReadAccount(3), "account", [e.AccountUnreadable(BROKE)]),
    ],
)
@pytest.mark.parametrize("mistake", [MISTAKE, asyncio.CancelledError()])
async def test_a_request_that_breaks_is_an_open_outcome_and_never_silence(
    command: Command, request_name: str, expected: list[e.Event], mistake: BaseException
) -> None:
    mishaps = Mishaps()
    post = Post(**{request_name: mistake})
    assert await post.send(command) == expected
    assert [context["message"] for context in mishaps.told] == ["a request broke"]
    if mistake is MISTAKE:
        assert mishaps.errors == [MISTAKE]


async def test_an_order_nobody_knows_is_a_mistake_and_reported_as_one() -> None:
    mishaps = Mishaps()
    post = Post()
    assert await post.send(CancelOrder("stranger")) == [e.CancelFailed("stranger", None, BROKE)]
    assert isinstance(mishaps.errors[0], KeyError)


# --- market data ---------------------------------------------------------------------------------


async def test_the_book_comes_with_who_asked_for_it() -> None:
    post = Post()
    post.market.book_now = Book((), (), 5)
    assert await post.send(ReadBook(9)) == [e.BookSeen(Book((), (), 5), 9)]
    post.market.fails = "connection reset"
    assert await post.send(ReadBook(9)) == [e.BookUnreadable(9, "connection reset")]


async def test_a_quote_asked_for_is_a_trusted_second_source() -> None:
    post = Post()
    post.market.quote_now = Quote(D(1), D(1), D(2), D(1), 5, DataSource.REST)
    assert await post.send(ReadQuote()) == [e.QuoteSeen(post.market.quote_now, trusted=True)]
    post.market.fails = "connection reset"
    assert await post.send(ReadQuote()) == [], "nothing was learned"


async def test_a_mistake_while_reading_the_market_is_not_silent() -> None:
    mishaps = Mishaps()
    post = Post()

    async def broken() -> Any:
        raise MISTAKE

    post.market.book = broken  # type: ignore[method-assign]
    post.market.quote = broken  # type: ignore[method-assign]
    assert await post.send(ReadBook(9)) == [e.BookUnreadable(9, BROKE)]
    assert await post.send(ReadQuote()) == []
    assert mishaps.errors == [MISTAKE, MISTAKE]


# --- the end -------------------------------------------------------------------------------------


async def test_closing_lets_requests_under_way_finish() -> None:
    post = Post()
    await post.send(place(entry()))
    closing = asyncio.ensure_future(post.dispatcher.close(grace_s=5))
    await settle()
    assert not closing.done()
    post.exchange.put_down("place", filled(entry()))
    await closing
    assert post.learned == [filled(entry())]


async def test_closing_waits_no_longer_than_its_grace() -> None:
    mishaps = Mishaps()
    post = Post()
    await post.send(place(entry()))
    await post.dispatcher.close(grace_s=0)
    assert post.learned == [], "the next run looks the order up"
    assert not mishaps.told
    assert len(asyncio.all_tasks()) == 1, "nothing goes on behind our back"


def _blocked(client_id: str) -> e.PlacingBlocked:
    return e.PlacingBlocked(client_id, STOPPING)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (place(entry()), [_blocked("entry1")]),
        (place(sale()), [_blocked("exit1")]),
        (REPLACE, [_blocked("exit1"), e.CancelFailed("stop1", None, STOPPING)]),
        (CancelOrder("entry1"), [e.CancelFailed("entry1", None, STOPPING)]),
        (LookUpOrder("entry1"), []),
        (ReadAccount(3), []),
        (ReadBook(9), []),
    ],
)
async def test_after_closing_no_request_leaves(command: Command, expected: list[e.Event]) -> None:
    post = Post()
    await post.dispatcher.close(grace_s=1)
    post.dispatcher.send(command)
    await settle()
    assert post.learned == expected
    assert not post.exchange.asked


async def test_an_entry_whose_turn_comes_while_closing_is_blocked() -> None:
    post = Post(place=filled)
    post.dispatcher.send(place(entry()))
    await post.dispatcher.close(grace_s=1)
    assert post.learned == [_blocked("entry1")]
    assert not post.exchange.placed


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (place(entry()), [e.PlacingBlocked("entry1", "disk full")]),
        (REPLACE, [e.PlacingBlocked("exit1", "disk full"), e.CancelFailed("stop1", None, "disk full")]),
        (CancelOrder("entry1"), [e.CancelFailed("entry1", None, "disk full")]),
    ],
)
def test_what_is_blocked_is_told_at_once(command: Any, expected: list[e.Event]) -> None:
    learned: list[e.Event] = []
    nothing: Any = None
    Dispatcher(nothing, nothing, HandLatch(), learned.append, nothing).block(command, "disk full")
    assert learned == expected


# --- order lists -----------------------------------------------------------------------------------


def listed() -> ApprovedPair:
    stop = replace(sale("stop2", Purpose.PROTECT), list_id="list1")
    target = Intent(
        "target2", 1, Purpose.TARGET, Side.SELL, OrderType.LIMIT_MAKER, Qty(D(10)), Price(D("0.7")), None,
        None, 0, "test", "list1",
    )  # fmt: skip
    return ApprovedPair(Approved(stop, ()), Approved(target, ()))


def canceled(intent: Intent, executed: str = "0") -> e.OrderReported:
    fact, price = Fact.WAS_CANCELED, D(0)
    return e.OrderReported(
        OrderReport(intent.client_id, "7", intent.side, "STOP_LOSS", fact, intent.qty, price, D(executed), 5)
    )


class Pairs:
    """A dispatcher over an exchange that answers what is put down, and what it told."""

    def __init__(self) -> None:
        self.alone = sale("stop1", Purpose.PROTECT)
        self.exchange = HandExchange()
        self.told: list[e.Event] = []
        self.dispatcher = Dispatcher(
            self.exchange,
            HandMarket(make_instrument()),
            HandLatch(),
            self.told.append,
            lambda _: self.alone,
        )

    async def send(self, command: Command) -> list[e.Event]:
        self.dispatcher.send(command)
        await settle()
        return self.told


async def test_a_list_is_one_request_and_two_answers() -> None:
    here, pair = Pairs(), listed()
    here.exchange.put_down("place_pair", tuple(filled(leg) for leg in pair.legs))
    assert await here.send(PlacePair(pair)) == [filled(leg) for leg in pair.legs]
    assert here.exchange.asked == [("place_pair", "list1")]


async def test_a_list_takes_the_place_of_a_stop_once_that_is_gone() -> None:
    here, pair = Pairs(), listed()
    here.exchange.put_down("cancel", canceled(here.alone))
    here.exchange.put_down("place_pair", tuple(filled(leg) for leg in pair.legs))
    told = await here.send(ReplaceByPair(here.alone.client_id, pair))
    assert told == [canceled(here.alone), *(filled(leg) for leg in pair.legs)]
    assert [what for what, _ in here.exchange.asked] == ["cancel", "place_pair"]


@pytest.mark.parametrize("answer", ["lost", "refused", "partly sold", "still working"])
async def test_a_stop_that_is_not_certainly_gone_and_unsold_keeps_the_list_back(answer: str) -> None:
    here, pair = Pairs(), listed()
    word: e.Event = {
        "lost": e.CancelFailed(here.alone.client_id, None, "timed out"),
        "refused": e.CancelFailed(here.alone.client_id, -2011, "unknown order"),
        "partly sold": canceled(here.alone, "4"),
        "still working": filled(here.alone),
    }[answer]
    here.exchange.put_down("cancel", word)
    told = await here.send(ReplaceByPair(here.alone.client_id, pair))
    assert told[0] == word
    assert [(type(t), t.client_id) for t in told[1:] if isinstance(t, e.PlacingBlocked)] == [
        (e.PlacingBlocked, leg.client_id) for leg in pair.legs
    ]
    assert len(told) == 3
    assert [what for what, _ in here.exchange.asked] == ["cancel"]


async def test_a_stopping_agent_finishes_the_exchange_it_began_and_begins_no_other() -> None:
    here, pair = Pairs(), listed()
    here.dispatcher.send(ReplaceByPair(here.alone.client_id, pair))
    await settle()
    closing = asyncio.ensure_future(here.dispatcher.close(5.0))
    await settle()
    here.exchange.put_down("place_pair", tuple(filled(leg) for leg in pair.legs))
    here.exchange.put_down("cancel", canceled(here.alone))
    await closing
    assert [what for what, _ in here.exchange.asked] == ["cancel", "place_pair"]
    here.told.clear()
    told = await here.send(ReplaceByPair(here.alone.client_id, pair))
    assert [type(t) for t in told] == [e.PlacingBlocked, e.PlacingBlocked, e.CancelFailed]


async def test_a_list_request_that_breaks_is_unknown_for_both_legs() -> None:
    here, pair = Pairs(), listed()
    here.exchange.put_down("place_pair", RuntimeError("our mistake"))
    mishaps = Mishaps()
    told = await here.send(PlacePair(pair))
    assert [str(error) for error in mishaps.errors] == ["our mistake"]
    assert told == [e.OutcomeUnknown(leg.client_id, BROKE) for leg in pair.legs]


# --- prices of fees --------------------------------------------------------------------------------


class FeePrices:
    def __init__(self, price: Decimal | None) -> None:
        self.price = price

    async def fee_price(self, currency: str) -> Decimal:
        if self.price is None:
            raise MarketDataError(f"no pair for {currency}")
        return self.price


@pytest.mark.parametrize("price", [D(600), None])
async def test_the_price_of_a_fee_is_told_or_nothing_is(price: Decimal | None) -> None:
    told: list[e.Event] = []
    market = HandMarket(make_instrument())
    exchange, latch = HandExchange(), HandLatch()
    dispatcher = Dispatcher(exchange, market, latch, told.append, sale, fee_prices=FeePrices(price))
    dispatcher.send(ReadFeePrice("BNB"))
    await settle()
    assert told == ([e.FeePriceSeen("BNB", price)] if price else [])


async def test_without_a_source_of_prices_nothing_happens() -> None:
    here = Pairs()
    assert await here.send(ReadFeePrice("BNB")) == []
