"""What the feed was told, what it waits for, and what it counts.

Every wait is a pair: venue time as the trader knows it, and the least machine time that it must leave when
venue time runs faster (see `pace`). Waits for sockets alone are machine time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agent.core.market import Candle

Wait = tuple[float, float]
"""(venue ms, least machine ms)"""

#: The closed flag of a bar has until then; after that REST is asked.
FLAG_WAIT: Final[Wait] = (5_000, 250)
#: Without a socket: when a bar is asked for after its close.
REST_WAIT: Final[Wait] = (2_000, 100)
#: A bar that REST shows as its last one may still be open, whatever our clock says. A later bar proves that
#: it is not; so does this much time, more than our clock may be wrong.
SETTLED: Final[Wait] = (10_000, 500)
#: When a decided bar is compared with REST.
VERIFY_WAIT: Final[Wait] = (10_000, 500)
#: Between two requests for a bar that is not there yet.
ASK_AGAIN: Final[Wait] = (1_000, 250)
#: An exchange that shows later bars, three times within this, and not these, has none.
HOLE_PROVEN: Final[Wait] = (15_000, 1_000)
HOLE_ANSWERS: Final = 3
#: A closed bar older than one bar length and this is stale.
STALE_WAIT: Final[Wait] = (30_000, 1_000)
#: Three kline pushes, one every two seconds.
SILENCE: Final[Wait] = (6_000, 2_000)
#: In a position without a socket: prices, and the bar in progress.
PRICE_CLOSELY: Final[Wait] = (1_000, 250)
PROGRESS_CLOSELY: Final[Wait] = (5_000, 1_000)
#: REST confirms the socket's price this often, and a confirmation holds this long.
CONFIRM_EVERY: Final[Wait] = (25_000, 1_000)
CONFIRMED_FOR: Final[Wait] = (30_000, 3_000)
CONFIRM_AGAIN_IDLE: Final[Wait] = (5_000, 1_000)
#: Machine time: a connection that delivered nothing for so long is not believed.
ALIVE_FOR_MS: Final = 10_000.0
#: Machine time: how long data may take to come in after a start before that is worth telling.
START_GRACE_MS: Final = 10_000.0
WATCH_EVERY_MS: Final = 500.0


@dataclass(frozen=True, slots=True)
class FeedTerms:
    """From the configuration. `poll_idle_s`: rest_api_interval_seconds."""

    poll_idle_s: int
    max_missing_bars: int


@dataclass(slots=True)
class FeedCounters:
    """What happened since the start."""

    by_flag: int = 0
    by_rest: int = 0
    by_backfill: int = 0
    verified: int = 0
    differed: int = 0
    bad_candles: int = 0
    garbage_frames: int = 0
    fallbacks: int = 0
    reconnects_wanted: int = 0
    holes: int = 0
    rest_failures: int = 0


class CandleArchive(Protocol):
    """Where closed bars are kept for the next start. Called in a thread."""

    def save(self, candles: Sequence[Candle]) -> None: ...


class NoArchive:
    """Keeps nothing."""

    def save(self, candles: Sequence[Candle]) -> None:
        return None
