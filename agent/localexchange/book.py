"""The order book around the last trade.

Belongs here: which prices are offered at a moment, in what sizes, and how the book changed since it was
last told. Stays true: the book is a function of venue time (in steps of 100 ms) and the trades up to it;
bid < ask; the last trade lies on one of them; the bid stays within its minute's low and high and touches
both; an update id is the step's number, so ids never repeat and a diff says exactly which steps it spans.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from agent.core.value import Value
from agent.localexchange.intervals import MINUTE_MS
from agent.localexchange.noise import salt, uniform, uniform_at
from agent.localexchange.tape import Tape

STEP_MS: Final = 100
LEVELS: Final = 100
#: A level's size is drawn anew every so many steps, each level at its own time.
_RENEWAL_STEPS: Final = 120
#: Distance between levels as a share of the price, where that is more than a tick.
_SPACING: Final = 0.00005
#: A level's usual size as a share of what is traded in a usual minute.
_DEPTH: Final = 0.15

Levels: TypeAlias = dict[int, int]
"""Price in ticks to size in steps, best first."""


class Top(Value, frozen=True):
    """Best bid and ask: prices in ticks, sizes in steps."""

    update_id: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Changes(Value, frozen=True):
    """What differs between the states before `first_id` and at `last_id`; size 0 removes a level."""

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels


class Follower:
    """Someone who is told the book's changes. Made by `BookKeeper.follow`."""

    def __init__(self, told_id: int) -> None:
        self._told_id = told_id
        self._bids: set[int] = set()
        self._asks: set[int] = set()

    def note(self, old: tuple[Levels, Levels], new: tuple[Levels, Levels]) -> None:
        self._bids.update(price for price, _ in old[0].items() ^ new[0].items())
        self._asks.update(price for price, _ in old[1].items() ^ new[1].items())

    def take(self, book: BookKeeper) -> Changes | None:
        """Everything that changed since the last call; None when no step was taken."""
        if book.update_id <= self._told_id:
            return None
        changes = Changes(
            self._told_id + 1,
            book.update_id,
            {price: book.bids.get(price, 0) for price in sorted(self._bids, reverse=True)},
            {price: book.asks.get(price, 0) for price in sorted(self._asks)},
        )
        self._told_id = book.update_id
        self._bids.clear()
        self._asks.clear()
        return changes


class BookKeeper:
    """The book of one pair, moved forward by whoever looks."""

    def __init__(self, tape: Tape, seed: int) -> None:
        self._tape = tape
        self._spread_key = salt(seed, tape.pair.symbol, "spread")
        self._bid_key = salt(seed, tape.pair.symbol, "bids")
        self._ask_key = salt(seed, tape.pair.symbol, "asks")
        usual = tape.pair.minute_volume * _DEPTH / float(tape.pair.step)
        self._usual_steps = max(10.0, usual)
        self._followers: list[Follower] = []
        self.update_id = 0
        self.bids: Levels = {}
        self.asks: Levels = {}

    def advance(self, now_ms: int) -> None:
        """Bring the book to the step that contains `now_ms`; nothing happens when it is there already."""
        end_ms = self._tape.end_ms
        step = (now_ms if end_ms is None else min(now_ms, end_ms)) // STEP_MS
        if step <= self.update_id:
            return
        inside = self._inside(now_ms)
        if inside is None:
            return
        bid, ask = inside
        bids, asks = self._side(self._bid_key, bid, -1, step), self._side(self._ask_key, ask, 1, step)
        for follower in self._followers:
            follower.note((self.bids, self.asks), (bids, asks))
        self.update_id, self.bids, self.asks = step, bids, asks

    def offered(self, at_ms: int, *, to_buyers: bool) -> Levels:
        """One side of the book of a moment, also a past one; nobody is told. Empty when nothing trades."""
        if at_ms // STEP_MS == self.update_id:
            return self.asks if to_buyers else self.bids
        inside = self._inside(at_ms)
        if inside is None:
            return {}
        step = at_ms // STEP_MS
        if to_buyers:
            return self._side(self._ask_key, inside[1], 1, step)
        return self._side(self._bid_key, inside[0], -1, step)

    def top(self) -> Top | None:
        if not self.bids:
            return None
        (bid, bid_size), (ask, ask_size) = next(iter(self.bids.items())), next(iter(self.asks.items()))
        return Top(self.update_id, bid, bid_size, ask, ask_size)

    def follow(self, now_ms: int) -> Follower:
        """Be told of every change after now, until `unfollow`."""
        self.advance(now_ms)
        follower = Follower(self.update_id)
        self._followers.append(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        self._followers.remove(follower)

    def _inside(self, now_ms: int) -> tuple[int, int] | None:
        trade = self._tape.last_trade(now_ms)
        if trade is None:
            return None
        minute = trade.at_ms // MINUTE_MS
        spread = 1 if uniform_at(self._spread_key, minute) < 0.7 else 2
        if trade.taker_buys:
            low = int(self._tape.path(minute).price.min())
            bid = max(low, trade.price - spread)
            return max(1, bid), max(bid + 1, trade.price)
        return trade.price, trade.price + spread

    def _side(self, key: int, best: int, direction: int, step: int) -> Levels:
        spacing = max(1, round(best * _SPACING))
        nearest = (best - 1) // spacing if direction < 0 else best // spacing + 1
        further = (nearest + direction * np.arange(LEVELS - 1, dtype=np.int64)) * spacing
        prices = np.concatenate(([best], further[further > 0]))
        phase = np.floor(uniform(key, prices) * _RENEWAL_STEPS).astype(np.int64)
        draw = uniform(key ^ 1, prices * 1_000_003 + (step + phase) // _RENEWAL_STEPS)
        # Most levels are small, few are large: an exponential of an exponential draw.
        sizes = self._usual_steps * (0.15 - 0.8 * np.log1p(-draw))
        whole = np.maximum(1, np.rint(sizes)).astype(np.int64)
        return dict(zip(prices.tolist(), whole.tolist(), strict=True))
