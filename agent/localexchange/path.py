"""The way the price took inside a minute: one trade a second.

Belongs here: from a minute's candle to sixty prices, amounts and sides. Stays true: the first trade is the
open, the last the close, the extremes are touched and held for a few seconds (so that a quote sampled at
speed still sees them), the amounts add up to the volume exactly. An up bar goes open, low, high, close; a
down bar open, high, low, close. At an extreme the taker sells, which puts the bid exactly on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.localexchange.minutes import Minutes
from agent.localexchange.noise import Ints, bits, salt, uniform

SECONDS: Final = 60
_HOLD: Final = 4

_SECOND: Final = np.arange(SECONDS, dtype=np.int64)[None, :]


@dataclass(frozen=True, slots=True)
class Seconds:
    """Trades of consecutive minutes; every array has a row per minute and sixty columns.

    An amount of 0 means that nobody traded in that second.
    """

    first: int
    price: Ints
    amount: Ints
    taker_buys: npt.NDArray[np.bool_]


def seconds_of(minutes: Minutes, seed: int) -> Seconds:
    """The path through every one of `minutes`; each depends on its own minute alone."""
    number = minutes.first + np.arange(len(minutes), dtype=np.int64)
    # Prices: three straight lines over two plateaus.
    start = minutes.open[:, None].astype(np.float64)
    end = minutes.close[:, None].astype(np.float64)
    up = (minutes.close >= minutes.open)[:, None]
    low, high = minutes.low[:, None], minutes.high[:, None]
    one, two = np.where(up, low, high).astype(np.float64), np.where(up, high, low).astype(np.float64)
    turn_one = (6 + np.floor(18 * uniform(salt(seed, "turn one"), number))).astype(np.int64)[:, None]
    turn_two = (34 + np.floor(18 * uniform(salt(seed, "turn two"), number))).astype(np.int64)[:, None]
    left_one, left_two = turn_one + _HOLD, turn_two + _HOLD
    price = start + (one - start) * np.minimum(_SECOND / turn_one, 1.0)
    price += (two - one) * np.clip((_SECOND - left_one) / (turn_two - left_one), 0.0, 1.0)
    price += (end - two) * np.clip((_SECOND - left_two) / (SECONDS - 1 - left_two), 0.0, 1.0)
    ticks = np.rint(price).astype(np.int64)

    # Amounts: random shares, made whole by rounding the running sum.
    place = number[:, None] * SECONDS + _SECOND
    chance = bits(salt(seed, "second"), place)
    share = (chance >> np.uint64(40)).astype(np.float64) * 2.0**-24
    running = np.cumsum(0.05 + share * share, axis=1)
    running *= minutes.volume[:, None] / running[:, -1:]
    running[:, -1] = minutes.volume
    amount = running.astype(np.int64)
    amount[:, 1:] -= amount[:, :-1].copy()
    amount[~minutes.traded] = 0

    buying = np.where(up, np.uint64(int(0.58 * 2**24)), np.uint64(int(0.42 * 2**24)))
    buys = (chance & np.uint64(2**24 - 1)) < buying
    buys &= (ticks != high) & (ticks != low)
    return Seconds(minutes.first, ticks, amount, buys)
