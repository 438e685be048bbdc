"""The engine's queue: what coalesces, what comes first, what is never lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from agent.core.commands import Answer
from agent.core.events import (
    BarClosed,
    BarUpdated,
    ClosedBy,
    EmergencyRequested,
    Event,
    PauseRequested,
    QuoteSeen,
    Woke,
)
from agent.core.market import Candle, DataSource, Quote
from agent.shell.inbox import LIMIT, Inbox

BAR = 900_000
D = Decimal


def bar(open_ms: int = 0, close: float = 1.0) -> Candle:
    return Candle(open_ms, 1.0, 2.0, 0.5, close, 10.0)


def quote(bid: str, source: DataSource = DataSource.WEBSOCKET) -> QuoteSeen:
    return QuoteSeen(Quote(D(bid), D(1), D(bid) + D("0.1"), D(1), 5, source), trusted=True)


async def drained(inbox: Inbox) -> list[Event]:
    """Everything that is there."""
    found: list[Event] = []
    while True:
        waiting = asyncio.ensure_future(inbox.next())
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return found
        found.append(waiting.result().event)


async def test_events_come_out_in_the_order_they_went_in() -> None:
    inbox = Inbox()
    put = [PauseRequested(str(i)) for i in range(50)]
    for event in put:
        inbox.put(event)
    assert await drained(inbox) == put
    assert inbox.most_waiting == 50


async def test_of_quotes_only_the_newest_is_left_and_it_waits_for_everything_else() -> None:
    inbox = Inbox()
    for bid in ("1", "2", "3"):
        inbox.put(quote(bid))
    inbox.put(Woke())
    assert await drained(inbox) == [Woke(), quote("3")]
    assert inbox.coalesced == 2


async def test_a_quote_somebody_asked_for_is_never_coalesced() -> None:
    inbox = Inbox()
    asked = quote("5", DataSource.REST)
    for event in (asked, asked, quote("1"), quote("2")):
        inbox.put(event)
    assert await drained(inbox) == [asked, asked, quote("2")]


async def test_of_the_bar_in_progress_only_the_newest_is_left() -> None:
    inbox = Inbox()
    inbox.put(quote("1"))
    for close in (1.0, 1.1, 1.2):
        inbox.put(BarUpdated(bar(close=close)))
    assert await drained(inbox) == [BarUpdated(bar(close=1.2)), quote("1")]
    assert inbox.coalesced == 2


async def test_a_bar_that_closed_is_not_in_progress_any_more() -> None:
    inbox = Inbox()
    inbox.put(BarUpdated(bar(BAR)))
    closed = BarClosed(bar(BAR), ClosedBy.FLAG)
    inbox.put(closed)
    assert await drained(inbox) == [closed]


async def test_the_next_bar_in_progress_survives_the_end_of_the_one_before() -> None:
    inbox = Inbox()
    inbox.put(BarUpdated(bar(2 * BAR)))
    closed = BarClosed(bar(BAR), ClosedBy.BACKFILL)
    inbox.put(closed)
    assert await drained(inbox) == [closed, BarUpdated(bar(2 * BAR))]


async def test_closed_bars_are_never_coalesced() -> None:
    inbox = Inbox()
    closed = [BarClosed(bar(i * BAR), ClosedBy.BACKFILL) for i in range(10)]
    for event in closed:
        inbox.put(event)
    assert await drained(inbox) == closed


async def test_what_is_put_first_overtakes_everything() -> None:
    inbox = Inbox()
    inbox.put(Woke())
    inbox.put(quote("1"))
    answered = inbox.put_first(EmergencyRequested("test"))
    entry = await inbox.next()
    assert entry.event == EmergencyRequested("test")
    assert entry.answered is answered
    assert await drained(inbox) == [Woke(), quote("1")]


async def test_an_asked_event_keeps_its_place_and_carries_who_waits() -> None:
    inbox = Inbox()
    inbox.put(Woke())
    answered = inbox.put_asked(PauseRequested("test"))
    assert (await inbox.next()).answered is None
    entry = await inbox.next()
    assert entry.answered is answered
    entry.answered.set_result(Answer(True, "paused"))
    assert await answered == Answer(True, "paused")


async def test_a_reader_that_waits_is_woken_by_any_kind_of_event() -> None:
    for event in (Woke(), quote("1"), BarUpdated(bar())):
        inbox = Inbox()
        waiting = asyncio.ensure_future(inbox.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        inbox.put(event)
        assert (await waiting).event == event
    inbox = Inbox()
    waiting = asyncio.ensure_future(inbox.next())
    await asyncio.sleep(0)
    inbox.put_first(EmergencyRequested("test"))
    assert (await waiting).event == EmergencyRequested("test")


async def test_a_reader_that_gives_up_takes_nothing_with_it() -> None:
    inbox = Inbox()
    waiting = asyncio.ensure_future(inbox.next())
    await asyncio.sleep(0)
    waiting.cancel()
    inbox.put(Woke())
    await asyncio.gather(waiting, return_exceptions=True)
    assert await drained(inbox) == [Woke()]


async def test_everybody_who_waits_can_be_answered_at_once() -> None:
    inbox = Inbox()
    answers = [inbox.put_asked(PauseRequested("one")), inbox.put_first(EmergencyRequested("two"))]
    given_up = inbox.put_asked(PauseRequested("three"))
    given_up.cancel()
    inbox.put(Woke())
    inbox.answer_all(Answer(False, "over"))
    assert [await answer for answer in answers] == [Answer(False, "over")] * 2
    assert await drained(inbox) == [Woke()], "what was answered is not stepped as well"


async def test_a_reader_that_stopped_is_noticed() -> None:
    inbox = Inbox()
    for _ in range(LIMIT):
        inbox.put(Woke())
    with pytest.raises(AssertionError, match="stopped taking events"):
        inbox.put(Woke())


async def test_a_second_reader_is_a_mistake_that_the_first_survives() -> None:
    inbox = Inbox()
    first = asyncio.ensure_future(inbox.next())
    await asyncio.sleep(0)
    with pytest.raises(AssertionError, match="one reader"):
        await inbox.next()
    inbox.put(Woke())
    assert (await first).event == Woke()
