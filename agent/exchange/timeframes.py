"""Which of the exchange's own bar lengths serve a timeframe of the configuration.

PURE. The same length where the exchange has it, else the largest one that divides it; bars are then built.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from agent.core.market import MINUTE_MS, TIMEFRAME_MINUTES, bar_ms

#: Exchanges say hours.
_NAMES: Final = {
    minutes: ("1h" if minutes == 60 else f"{minutes}m") for minutes in TIMEFRAME_MINUTES.values()
}

BINANCE_INTERVALS: Final = frozenset({"1m", "3m", "5m", "15m", "30m", "1h"})


@dataclass(frozen=True, slots=True)
class BarSource:
    """`interval` is the exchange's word for bars of `part_ms`; `parts` of them make one bar of `bar_ms`."""

    interval: str
    part_ms: int
    bar_ms: int

    @property
    def parts(self) -> int:
        return self.bar_ms // self.part_ms

    @property
    def is_built(self) -> bool:
        return self.part_ms != self.bar_ms


def bar_source(timeframe: str, offered: Collection[str]) -> BarSource:
    """Raises ValueError, in words for the user, when nothing the exchange offers divides the timeframe."""
    wanted = TIMEFRAME_MINUTES[timeframe]
    for minutes in sorted(_NAMES, reverse=True):
        if wanted % minutes == 0 and _NAMES[minutes] in offered:
            return BarSource(_NAMES[minutes], minutes * MINUTE_MS, bar_ms(timeframe))
    raise ValueError(f"the exchange offers no bars that {timeframe} could be built from")
