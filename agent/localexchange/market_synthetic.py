"""A made-up market with the events the strategy waits for.

Belongs here: the generator of base candles, and the timetable of its capitulations. Stays true: the same
seed and pair give the same candles at the same minutes, whatever was asked before; a block is generated
from its number alone, between two anchor prices that slow noise gives; one block's close is the next one's
open. How it works: most blocks tell one story. A slide of a day or more with rising volatility ends in a
capitulation bar of fifteen minutes (wide, heavy, closing well off its low), then a bounce that regains
some part of the fall, sometimes more than all of it. Volatility moves slowly at random and with the hour;
volume follows the range of each minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Final

import numpy as np

from agent.localexchange.minutes import BLOCK_MINUTES, Minutes
from agent.localexchange.noise import Floats, Ints, salt, smooth, uniform
from agent.localexchange.pairs import Pair

BAR_MINUTES: Final = 15

#: Standard deviation of a quiet minute's log return.
_QUIET: Final = 0.00075
#: Part of the blocks that tell a story.
_EVENTFUL: Final = 0.85
#: Log amplitude and period, in blocks, of the slow noise that anchors prices.
_WAVES: Final = ((0.07, 3.0), (0.13, 11.0), (0.18, 41.0))


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in one block. Times are minutes from its start, sizes are log prices."""

    slide_from: int
    bar: int
    slide: float
    crash: float
    close_share: float
    bounce: float
    bounce_minutes: int
    heat: float
    volume: float


class SyntheticSource:
    """An endless market of one pair."""

    end_minute: int | None = None
    holes: Ints = np.empty(0, dtype=np.int64)

    def __init__(self, pair: Pair, seed: int) -> None:
        self._pair = pair
        self._seed = seed
        self._anchor_key = [salt(seed, pair.symbol, "anchor", str(i)) for i in range(len(_WAVES))]
        self._story_key = salt(seed, pair.symbol, "story")
        self._heat_key = salt(seed, pair.symbol, "heat")
        self._flow_key = salt(seed, pair.symbol, "flow")

    def story(self, index: int) -> Story | None:
        """The event of block `index`, or None when it is an ordinary one."""
        u = uniform(self._story_key, index * 16 + np.arange(10, dtype=np.int64))
        if u[0] >= _EVENTFUL:
            return None
        bar = BAR_MINUTES * int(190 + 110 * u[1])
        slide_minutes = int(1_440 * (1.0 + 0.9 * u[2]))
        slide = 0.045 + 0.07 * float(u[3])
        crash = 0.016 + 0.028 * float(u[4])
        return Story(
            slide_from=bar - slide_minutes,
            bar=bar,
            slide=slide,
            crash=crash,
            close_share=0.64 + 0.3 * float(u[5]),
            bounce=(0.05 + 1.15 * float(u[6])) * (0.6 * slide + crash),
            bounce_minutes=int(60 * (2.0 + 14.0 * u[7])),
            heat=2.0 + 1.4 * float(u[8]),
            volume=4.0 + 5.0 * float(u[9]),
        )

    def block(self, index: int) -> Minutes:
        rng = np.random.default_rng([self._seed & 0xFFFF_FFFF, self._story_key, index + 2**31])
        story = self.story(index)
        n = BLOCK_MINUTES
        minute = np.arange(n, dtype=np.float64)
        first = index * n
        heat = self._heat(first, minute, story)
        # Fat tails: a normal whose deviation is itself random.
        shocks = rng.standard_normal(n) * np.exp(0.45 * rng.standard_normal(n)) * heat * _QUIET
        moves = self._led(shocks, minute, story)
        target = self._anchor(index + 1) - self._anchor(index)
        moves += self._free(minute, story) * (target - float(moves.sum()))

        level = self._anchor(index) + np.concatenate(([0.0], np.cumsum(moves)))
        ticks = np.maximum(1, np.rint(np.exp(level) / float(self._pair.tick))).astype(np.int64)
        opened, closed = ticks[:-1], ticks[1:]
        reach = np.abs(rng.standard_normal((2, n))) * (0.55 * _QUIET) * heat * opened
        high = np.maximum(opened, closed) + np.rint(reach[0]).astype(np.int64)
        low = np.maximum(1, np.minimum(opened, closed) - np.rint(reach[1]).astype(np.int64))
        volume = self._volume(rng, first, minute, (high - low) / opened, heat, story)
        return Minutes(first, opened, high, low, closed, volume, np.ones(n, dtype=np.bool_))

    def _anchor(self, index: int) -> float:
        at = np.array([float(index)])
        level = log(self._pair.typical_price)
        for key, (size, period) in zip(self._anchor_key, _WAVES, strict=True):
            level += size * float(smooth(key, at / period)[0])
        return level

    def _heat(self, first: int, minute: Floats, story: Story | None) -> Floats:
        """Volatility of every minute as a multiple of a quiet one."""
        at = first + minute
        hour = (at / 60.0) % 24.0
        heat: Floats = np.exp(
            0.28 * smooth(self._heat_key, at / 420.0) + 0.25 * smooth(self._heat_key ^ 1, at / 2_900.0)
        )
        heat *= 1.0 + 0.22 * np.cos((hour - 15.0) * np.pi / 12.0)
        if story is not None:
            rise = np.clip((minute - story.slide_from) / (story.bar - story.slide_from), 0.0, 1.0) ** 1.6
            fade = np.exp(-np.maximum(0.0, minute - story.bar - BAR_MINUTES) / 420.0)
            heat *= 1.0 + (story.heat - 1.0) * rise * fade
        return heat

    def _led(self, shocks: Floats, minute: Floats, story: Story | None) -> Floats:
        """Shocks with the story's own direction added."""
        if story is None:
            return shocks
        moves = shocks.copy()
        sliding = (minute >= story.slide_from) & (minute < story.bar)
        weight = np.where(sliding, 0.35 + (minute - story.slide_from) / (story.bar - story.slide_from), 0.0)
        moves[sliding] -= moves[sliding].mean()
        moves -= story.slide * weight / weight.sum()
        moves[story.bar : story.bar + BAR_MINUTES] = capitulation_moves(story.crash, story.close_share)
        since = minute - (story.bar + BAR_MINUTES)
        pull = np.where(
            (since >= 0) & (since < story.bounce_minutes), np.exp(-2.0 * since / story.bounce_minutes), 0.0
        )
        moves += story.bounce * pull / pull.sum()
        return moves

    def _free(self, minute: Floats, story: Story | None) -> Floats:
        """Where the way to the next anchor may be made up: outside the story, evenly. Sums to one."""
        if story is None:
            return np.full(len(minute), 1.0 / len(minute))
        free = (minute < story.slide_from) | (minute >= story.bar + BAR_MINUTES + story.bounce_minutes)
        share: Floats = free / free.sum()
        return share

    def _volume(
        self,
        rng: np.random.Generator,
        first: int,
        minute: Floats,
        spread: Floats,
        heat: Floats,
        story: Story | None,
    ) -> Ints:
        usual = spread / (2.0 * _QUIET) / heat**0.6
        flow = np.exp(0.3 * smooth(self._flow_key, (first + minute) / 700.0))
        volume = self._pair.minute_volume * flow * (0.45 + 0.55 * usual)
        volume *= np.exp(0.35 * rng.standard_normal(len(minute)))
        if story is not None:
            bar = slice(story.bar, story.bar + BAR_MINUTES)
            volume[bar] = volume[bar].mean() * story.volume * (0.6 + 0.8 * rng.random(BAR_MINUTES)) / 2.0
        return np.maximum(60, np.rint(volume / float(self._pair.step))).astype(np.int64)


def capitulation_moves(crash: float, close_share: float) -> Floats:
    """Log returns of fifteen minutes: down by `crash`, then back up to `close_share` of the fall."""
    fall, back = 7, BAR_MINUTES - 7
    down = np.linspace(1.0, 2.0, fall)
    up = np.linspace(2.0, 1.0, back)
    low = exp(-crash)
    regained = log(low + close_share * (1.0 - low)) + crash
    return np.concatenate((-crash * down / down.sum(), regained * up / up.sum()))
