"""Candles out of an exchange's answer: rows of numbers as text, in pages, built into larger bars if need be.

Stays true: what is not a list of rows is an error and not an empty market; the order and the values of the
rows are the exchange's, believable or not, because judging them is the feed's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from agent.core.market import Candle
from agent.core.ports import MarketDataError
from agent.exchange.bar_builder import fold
from agent.exchange.timeframes import BarSource

#: Candles in one request; what an exchange limits to fewer comes in more pages.
PAGE: Final = 1_000

FetchPage = Callable[[int, int], Awaitable[object]]
"""(since_ms, limit) -> the answer, rows of [open time, open, high, low, close, volume, ...]."""


def candles_in(answer: object) -> list[Candle]:
    """Raises MarketDataError when the answer is no list of candles."""
    if not isinstance(answer, list):
        raise MarketDataError(f"candles: the answer is no list of rows but {str(answer)[:100]!r}")
    candles = []
    for row in answer:
        try:
            open_ms = row[0]
            if type(open_ms) is not int:
                open_ms = int(open_ms)
            candles.append(
                Candle(open_ms, float(row[1]), float(row[2]), float(row[3]), float(row[4]), float(row[5]))
            )
        except (TypeError, ValueError, LookupError, OverflowError):
            raise MarketDataError(f"candles: {str(row)[:100]!r} is no candle") from None
    return candles


async def read_candles(
    fetch: FetchPage, source: BarSource, since_ms: int, limit: int, *, short_page_ends: bool
) -> list[Candle]:
    """At most `limit` bars from `since_ms` on, oldest first. The last one may still be open.

    `short_page_ends`: fewer rows than asked for mean that there are no more. Not every exchange keeps to the
    number asked for, and a bar built from half of its parts would look like a whole one.
    """
    assert limit > 0
    if not source.is_built:
        return candles_in(await fetch(since_ms, min(limit, PAGE)))[:limit]
    since_ms = -(-since_ms // source.bar_ms) * source.bar_ms
    wanted = limit * source.parts
    parts: list[Candle] = []
    while len(parts) < wanted:
        asked = min(wanted - len(parts), PAGE)
        page = [part for part in candles_in(await fetch(since_ms, asked)) if part.open_ms >= since_ms]
        parts += page
        if not page or (short_page_ends and len(page) < asked):
            return fold(parts, source.bar_ms)
        since_ms = page[-1].open_ms + source.part_ms
    if since_ms % source.bar_ms:
        # Parts are missing somewhere, so the count was reached inside a bar: that one is not whole.
        last_open_ms = since_ms // source.bar_ms * source.bar_ms
        parts = [part for part in parts if part.open_ms < last_open_ms]
    return fold(parts, source.bar_ms)[:limit]
