"""One-minute candles in columns: the base that every larger bar is summed from.

Belongs here: the shape of the base data and where it comes from, as a protocol. Stays true: prices are
ticks, volumes steps (see `pairs`); low <= open, close <= high; a minute that is not `traded` does not
exist (an outage in recorded data) and its numbers mean nothing. Minutes are numbered from the epoch and
come in blocks of BLOCK_MINUTES, so that any point of time can be had without what lies before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from agent.localexchange.noise import Ints

#: Four days: long enough for one story of slide, capitulation and recovery.
BLOCK_MINUTES: Final = 4 * 1_440


@dataclass(frozen=True, slots=True)
class Minutes:
    """Consecutive minutes starting at `first`."""

    first: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    traded: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.open)

    def cut(self, start: int, stop: int) -> Minutes:
        """Rows start..stop of this piece (positions, not minute numbers)."""
        part = slice(start, stop)
        return Minutes(
            self.first + start,
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.volume[part],
            self.traded[part],
        )


def joined(pieces: Sequence[Minutes]) -> Minutes:
    """Neighbouring pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    return Minutes(
        pieces[0].first,
        np.concatenate([p.open for p in pieces]),
        np.concatenate([p.high for p in pieces]),
        np.concatenate([p.low for p in pieces]),
        np.concatenate([p.close for p in pieces]),
        np.concatenate([p.volume for p in pieces]),
        np.concatenate([p.traded for p in pieces]),
    )


class MinuteSource(Protocol):
    """Where base candles come from."""

    @property
    def end_minute(self) -> int | None:
        """The first minute after the data; None when the market never ends."""

    @property
    def holes(self) -> Ints:
        """Minutes without data between the first and the last, ascending."""

    def block(self, index: int) -> Minutes:
        """All BLOCK_MINUTES minutes from index * BLOCK_MINUTES on."""
