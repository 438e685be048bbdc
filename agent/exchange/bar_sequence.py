"""Which closed bar comes next: each one once, in order, without gaps, whatever arrives.

PURE: no clock, no I/O; times arrive as arguments (venue milliseconds). Belongs here: deciding on a bar,
holding later ones back until the gap before them is filled, remembering what was decided so that another
copy can be compared with it. Stays true: a bar is decided at most once and never again, whatever a later copy
says; bars leave in the order of their open times; a bar is skipped only by `skip_to`, for an exchange that
has none there. How it works: `next_open_ms` is the bar that must come next. A believable candle for it is
decided at once, a later one is held, an earlier one is only compared.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from agent.core.events import ClosedBy
from agent.core.market import Candle
from agent.core.value import Value

#: Copies closer than this are the same: a bar built from smaller ones is summed in another order.
_TOLERANCE: Final = 1e-9


class Decided(Value, frozen=True):
    """Deliver this bar now."""

    candle: Candle
    closed_by: ClosedBy


class Differed(Value, frozen=True):
    """Another copy of a bar that was already decided."""

    decided: Candle
    theirs: Candle


class Rejected(Value, frozen=True):
    """A candle that cannot be believed. `blocking`: its bar is not decided yet and must be fetched."""

    open_ms: int
    faults: tuple[str, ...]
    blocking: bool


Outcome = Decided | Differed | Rejected


class Missing(Value, frozen=True):
    """`bars` bars that should have closed and are not here, opened from `since_ms` to `last_ms`."""

    since_ms: int
    last_ms: int
    bars: int


class BarSequence:
    """The bars after the one opened at `after_open_ms`.

    `remember`: decided bars kept for comparing. `hold`: later bars kept while a gap is open; what does not
    fit is dropped and will be missing afterwards, so memory is bounded and nothing is lost.
    """

    def __init__(self, bar_ms: int, after_open_ms: int, *, remember: int = 1_000, hold: int = 1_000) -> None:
        assert bar_ms > 0
        assert after_open_ms % bar_ms == 0, f"{after_open_ms} is not the open time of a bar"
        self.bar_ms = bar_ms
        self.next_open_ms = after_open_ms + bar_ms
        self._remember = remember
        self._hold = hold
        self._held: dict[int, Decided] = {}
        self._bad: set[int] = set()
        self._decided: OrderedDict[int, Candle] = OrderedDict()
        self._told: dict[int, Candle] = {}
        self._unverified: OrderedDict[int, None] = OrderedDict()
        self._hole_end_ms = 0
        self._hole_seen = 0

    @property
    def newest_close_ms(self) -> int:
        """When the newest decided bar closed."""
        return self.next_open_ms

    @property
    def bad_bars(self) -> tuple[int, ...]:
        """Open times of bars whose only copy so far cannot be believed, oldest first."""
        return tuple(sorted(self._bad))

    @property
    def held_bars(self) -> int:
        """Later bars that wait for a gap to be filled."""
        return len(self._held)

    def oldest_unverified_ms(self) -> int | None:
        """Open time of the oldest decided bar that no REST copy has been compared with."""
        return next(iter(self._unverified), None)

    @property
    def unverified(self) -> int:
        return len(self._unverified)

    def give_up_verifying(self, up_to_open_ms: int) -> int:
        """Forget about verifying the bars up to this one; returns how many."""
        given_up = [open_ms for open_ms in self._unverified if open_ms <= up_to_open_ms]
        for open_ms in given_up:
            del self._unverified[open_ms]
        return len(given_up)

    def hear(self, candle: Candle, by: ClosedBy, now_ms: int) -> list[Outcome]:
        """A candle that is said to be closed. A bar that would close far in the future is not believed."""
        slot = candle.open_ms - candle.open_ms % self.bar_ms
        faults = candle.faults(self.bar_ms)
        if slot > now_ms:
            # A bar cannot be closed before it opened; a whole bar of tolerance is for clocks that disagree.
            return [Rejected(slot, (*faults, "it has not even opened yet"), blocking=False)]
        if faults:
            blocking = slot >= self.next_open_ms and slot not in self._held
            if blocking:
                self._bad.add(slot)
            return [Rejected(slot, faults, blocking)]
        if slot < self.next_open_ms:
            return self._compare(candle, by)
        self._bad.discard(slot)
        if slot > self.next_open_ms:
            self._keep(Decided(candle, by))
            return []
        return [self._decide(Decided(candle, by)), *self._release()]

    def missing(self, now_ms: int, patience_ms: int) -> Missing | None:
        """What to ask for now: bars before those held, bad ones, and bars that closed `patience_ms` ago."""
        last_due = (now_ms - patience_ms - self.bar_ms) // self.bar_ms * self.bar_ms
        known = max((*self._held, *self._bad), default=self.next_open_ms - self.bar_ms)
        last = max(last_due, known)
        if last < self.next_open_ms:
            return None
        slots = (last - self.next_open_ms) // self.bar_ms + 1
        held = sum(1 for open_ms in self._held if open_ms <= last)
        return Missing(self.next_open_ms, last, slots - held)

    def due_at_ms(self, patience_ms: int) -> int:
        """When the next bar becomes missing if nobody brings it."""
        return self.next_open_ms + self.bar_ms + patience_ms

    def hole_seen(self, until_open_ms: int) -> int:
        """The exchange showed a bar at `until_open_ms` and none before it. Returns how often in a row."""
        if self._hole_end_ms != until_open_ms:
            self._hole_end_ms, self._hole_seen = until_open_ms, 0
        self._hole_seen += 1
        return self._hole_seen

    def skip_to(self, open_ms: int) -> list[Outcome]:
        """There are no bars before `open_ms`: go on there."""
        assert open_ms % self.bar_ms == 0, "on the grid"
        assert open_ms >= self.next_open_ms, "bars go forward"
        for gone in [bar for bar in (*self._held, *self._bad) if bar < open_ms]:
            self._held.pop(gone, None)
            self._bad.discard(gone)
        self.next_open_ms = open_ms
        return list(self._release())

    def _keep(self, later: Decided) -> None:
        open_ms = later.candle.open_ms
        held = self._held.get(open_ms)
        if held is None:
            if len(self._held) < self._hold:
                self._held[open_ms] = later
        elif later.closed_by is not ClosedBy.FLAG and not _same(held.candle, later.candle):
            self._held[open_ms] = later  # not decided yet, so REST is believed

    def _release(self) -> list[Decided]:
        released = []
        while self.next_open_ms in self._held:
            released.append(self._decide(self._held.pop(self.next_open_ms)))
        return released

    def _decide(self, bar: Decided) -> Decided:
        open_ms = bar.candle.open_ms
        assert open_ms == self.next_open_ms, "in order"
        self._bad.discard(open_ms)
        self._hole_end_ms = 0
        self._decided[open_ms] = bar.candle
        if len(self._decided) > self._remember:
            forgotten, _ = self._decided.popitem(last=False)
            self._told.pop(forgotten, None)
            self._unverified.pop(forgotten, None)
        if bar.closed_by is not ClosedBy.BACKFILL:
            # A bar read through REST right after its close is verified too: it may have been a moment early.
            self._unverified[open_ms] = None
        self.next_open_ms = open_ms + self.bar_ms
        return bar

    def _compare(self, theirs: Candle, by: ClosedBy) -> list[Outcome]:
        decided = self._decided.get(theirs.open_ms)
        if decided is None:
            return []
        if by is not ClosedBy.FLAG:
            self._unverified.pop(theirs.open_ms, None)
        told = self._told.get(theirs.open_ms, decided)
        if _same(told, theirs):
            return []
        self._told[theirs.open_ms] = theirs
        return [] if _same(decided, theirs) else [Differed(decided, theirs)]


def _same(a: Candle, b: Candle) -> bool:
    return (
        math.isclose(a.open, b.open, rel_tol=_TOLERANCE)
        and math.isclose(a.high, b.high, rel_tol=_TOLERANCE)
        and math.isclose(a.low, b.low, rel_tol=_TOLERANCE)
        and math.isclose(a.close, b.close, rel_tol=_TOLERANCE)
        and math.isclose(a.volume, b.volume, rel_tol=_TOLERANCE)
    )


def same_candle(a: Candle, b: Candle) -> bool:
    """Whether two copies of one bar say the same."""
    return a == b or (a.open_ms == b.open_ms and _same(a, b))
