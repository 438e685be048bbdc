"""Older bars than the exchange has, for the averages and the true range alone.

Stays true: no volume of Polygon ever stands in a z-score beside the exchange's; prices are brought to the
exchange's by one factor, measured over bars that both have (a dollar is not the coin that stands for it);
where both do not show the same market, nothing of Polygon is used.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from agent.core.market import Candle
from agent.core.ports import MarketDataError
from agent.core.series import CandleSeries

LOG: Final = logging.getLogger("agent")
#: Bars that both must have, and how far they may lie apart before they are no longer one market.
_COMPARED: Final = 200
_LEAST_SHARED: Final = 20
_FACTOR_OFF: Final = 0.05
_SPREAD: Final = 0.02
#: Bars that may be missing at either end of what was kept.
_GAP: Final = 12


class Bars(Protocol):
    """`PolygonAggregates`, as far as history goes."""

    bar_ms: int

    async def bars(self, first_ms: int, last_ms: int) -> list[Candle]: ...


class Kept(Protocol):
    """Where what was found stays for the next start. Called in a thread."""

    def save(self, candles: Sequence[Candle]) -> None: ...

    def read(self, since_ms: int, until_ms: int) -> CandleSeries: ...

    def discard(self) -> None: ...


class DeeperHistory:
    """What lies before the exchange's first bar.

    Found once and kept: the factor of another day would move averages that decisions were made with.
    """

    def __init__(self, polygon: Bars, kept: Kept) -> None:
        self._polygon = polygon
        self._kept = kept

    async def before(self, since_ms: int, ours: Mapping[int, Candle]) -> list[Candle]:
        """Believable bars from `since_ms` up to the exchange's first one, at its price level; or none.

        Raises MarketDataError where asking again may help.
        """
        first_ms, bar_ms = min(ours), self._polygon.bar_ms
        if first_ms <= since_ms:
            return []
        known = list(await asyncio.to_thread(self._kept.read, since_ms, first_ms))
        # A bar without trades does not exist; many of them in a row are a hole.
        if (
            known
            and known[0].open_ms <= since_ms + _GAP * bar_ms
            and known[-1].open_ms >= first_ms - _GAP * bar_ms
        ):
            return known
        try:
            theirs = await self._polygon.bars(since_ms, first_ms + (_COMPARED - 1) * bar_ms)
        except MarketDataError as error:
            if not error.permanent:
                raise
            LOG.warning("%s: history begins with the exchange's first candle", error)
            return []
        believable = [c for c in theirs if not c.faults(bar_ms)]
        factor = price_factor({c.open_ms: c for c in believable}, ours)
        if isinstance(factor, str):
            LOG.warning("Polygon's history is not used: %s", factor)
            return []
        older = [c.scaled(factor) for c in believable if c.open_ms < first_ms]
        LOG.info("%d older candles from Polygon, for the averages alone (prices x %.5f)", len(older), factor)
        await asyncio.to_thread(self._kept.discard)
        await asyncio.to_thread(self._kept.save, older)
        return older


def price_factor(theirs: Mapping[int, Candle], ours: Mapping[int, Candle]) -> float | str:
    """Our price over theirs on the bars both have, or why they are not the same market."""
    ratios = sorted(ours[t].close / theirs[t].close for t in theirs.keys() & ours.keys())
    if len(ratios) < _LEAST_SHARED:
        return f"only {len(ratios)} candles of it are the exchange's too"
    factor = statistics.median(ratios)
    if abs(factor - 1) > _FACTOR_OFF:
        return f"its prices are {1 / factor:.3f} times the exchange's"
    apart = statistics.median(abs(ratio / factor - 1) for ratio in ratios)
    if apart > _SPREAD:
        return f"its closes lie {apart:.1%} from the exchange's"
    return factor
