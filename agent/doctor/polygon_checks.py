"""Polygon, where a configuration asks for it: the key, and whether it sends this pair in time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.compose.polygon import Polygon
from agent.config.model import Config
from agent.core.ports import Clock, MarketDataError
from agent.doctor.result import Finding, green, red, yellow

NAME: Final = "polygon"
_BARS: Final = 20


async def polygon_data(
    config: Config, polygon: Polygon | str | None, clock: Clock, directory: Path
) -> list[Finding]:
    """One request. Nothing where Polygon is not asked for."""
    if polygon is None:
        return []
    if isinstance(polygon, str):
        return [red(NAME, polygon, "or set data_feed.data_source to exchange")]
    asked = polygon.aggregates(config, clock, directory)
    now_ms = clock.now_ms()
    try:
        bars = await asked.bars(now_ms - _BARS * asked.bar_ms, now_ms)
    except MarketDataError as error:
        return [red(NAME, str(error), "check POLYGON_API_KEY, the plan, and the network")]
    finally:
        await asked.close()
    if not bars or bars[-1].open_ms < now_ms - 3 * asked.bar_ms:
        late = "nothing of the last hours" if not bars else "late bars"
        fix = "signals from Polygon need a plan without delay; a second opinion does not"
        return [yellow(NAME, f"{asked.ticker}: {late}", fix)]
    return [green(NAME, f"{asked.ticker}, {len(bars)} of the last {_BARS} bars, up to date")]
