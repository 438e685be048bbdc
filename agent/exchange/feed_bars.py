"""Closed bars: from pushes and from REST, through `BarSequence`, to the sink and to the archive.

Belongs here: when REST is asked for bars and what its answer means. Stays true: what is delivered comes out
of the sequence alone, so each bar leaves once and in order; a bar that REST shows last counts as closed only
when a later one is shown too, or when our clock cannot be wrong enough for it to be open; a bad candle and a
gap are told when they begin and when they end. How it works: three loops: one asks for what is missing, one
compares what was decided, one saves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from agent.core.events import BarClosed, BarDiffered, BarUpdated, ClosedBy, Impairment
from agent.core.market import Candle
from agent.core.ports import Clock, Sink
from agent.exchange import feed_terms as terms
from agent.exchange.ailments import Ailments
from agent.exchange.bar_sequence import BarSequence, Decided, Differed, Outcome, Rejected
from agent.exchange.feed_rest import FeedRest
from agent.exchange.feed_terms import CandleArchive, FeedCounters, FeedTerms, Wait
from agent.exchange.pace import Pace
from agent.exchange.waiting import BackOff, first_of

_log = logging.getLogger(__name__)

_PAGE: Final = 1_000
#: One request verifies many bars when they close faster than this.
_VERIFY_PAUSE_MS: Final = 1_000.0
_VERIFY_ATTEMPTS: Final = 3


class BarDesk:
    """Bars of `bar_ms` after the one opened at `after_open_ms`.

    `flags` false: no push says that a bar is over, so the clock does, and REST has it right after.
    """

    def __init__(
        self,
        bar_ms: int,
        after_open_ms: int,
        rest: FeedRest,
        archive: CandleArchive,
        clock: Clock,
        pace: Pace,
        told: FeedTerms,
        sink: Sink,
        ailments: Ailments,
        counters: FeedCounters,
        *,
        flags: bool = True,
    ) -> None:
        self._bar_ms = bar_ms
        self._flags = flags
        self._sequence = BarSequence(bar_ms, after_open_ms)
        self._rest = rest
        self._archive = archive
        self._clock = clock
        self._pace = pace
        self._told = told
        self._sink = sink
        self._ailments = ailments
        self._counters = counters
        self._by_socket = False
        self._watching = False
        self._look = asyncio.Event()
        self._new = asyncio.Event()
        self._saving_wanted = asyncio.Event()
        self._unsaved: list[Candle] = []
        self._hole_since_ms = 0
        self._last_rejected: Rejected | None = None
        self.last_push: Candle | None = None
        """The socket's latest word on the bar in progress."""

    @property
    def newest_close_ms(self) -> int:
        """When the newest delivered bar closed."""
        return self._sequence.newest_close_ms

    def lead(self, by_socket: bool, watching: bool) -> None:
        """Where bars come from now, and whether a position is open."""
        if (by_socket, watching) != (self._by_socket, self._watching):
            self._by_socket, self._watching = by_socket, watching
            self._look.set()

    def look_again(self) -> None:
        """Time jumped: what was waited for may be over."""
        self._look.set()

    def pushed(self, candle: Candle, closed: bool) -> None:
        """The socket's word on a bar."""
        if closed:
            self._hear(candle, ClosedBy.FLAG, self._clock.now_ms())
            self.judge()
        elif not self._believable(candle):
            self._counters.bad_candles += 1
        else:
            self.last_push = candle
            if candle.open_ms >= self._sequence.next_open_ms:
                self._sink(BarUpdated(candle))

    def judge(self) -> None:
        """Compare what should be here with what is."""
        bad = self._sequence.bad_bars
        if bad:
            self._ailments.found(
                Impairment.BAD_CANDLE, f"the candle opened at {bad[0]} ms cannot be believed"
            )
        else:
            self._ailments.gone(Impairment.BAD_CANDLE)
        missing = self._sequence.missing(self._clock.now_ms(), self._ms(self._patience))
        if missing is None:
            self._ailments.gone(Impairment.CANDLE_GAP)
        elif missing.bars > self._told.max_missing_bars:
            self._ailments.found(
                Impairment.CANDLE_GAP,
                f"{missing.bars} bars are missing, more than {self._told.max_missing_bars}: being filled",
            )
        if missing is not None:
            self._look.set()

    # -- loops -----------------------------------------------------------------------------------

    async def keep_reading(self) -> None:
        """Ask REST for what is missing, for ever."""
        back_off = BackOff()
        while True:
            missing = self._sequence.missing(self._clock.now_ms(), self._ms(self._patience))
            if missing is None:
                await self._nothing_missing()
                continue
            before_ms = self._sequence.next_open_ms
            # One more than is missing: a later bar proves that the last of them is closed.
            slots = (missing.last_ms - missing.since_ms) // self._bar_ms + 1
            rows = await self._ask(missing.since_ms, slots + 1, missing.last_ms)
            if rows is None:
                await self._clock.sleep_machine(back_off.next_ms())
                continue
            back_off.reset()
            self._consider_hole(rows)
            if self._sequence.next_open_ms == before_ms:
                await self._clock.sleep_machine(self._pace.machine_patience_ms(*terms.ASK_AGAIN))

    async def _nothing_missing(self) -> None:
        """Until a bar is due, something changed, or (without a socket) the bar in progress is of interest."""
        due = self._clock.sleep_until(self._sequence.due_at_ms(self._ms(self._patience)))
        if self._by_socket:
            await first_of(self._look.wait(), due)
        else:
            idle_s = self._told.poll_idle_s
            wait = terms.PROGRESS_CLOSELY if self._watching else (idle_s * 1_000, 1_000)
            interesting = self._clock.sleep_machine(self._pace.machine_patience_ms(*wait))
            if await first_of(self._look.wait(), due, interesting) == 2:
                next_ms = self._sequence.next_open_ms
                await self._ask(next_ms, 2, next_ms)
        self._look.clear()

    async def keep_verifying(self) -> None:
        """Compare every decided bar with REST's copy, once."""
        attempts, back_off = 0, BackOff()
        while True:
            oldest_ms = self._sequence.oldest_unverified_ms()
            if oldest_ms is None:
                self._new.clear()
                await self._new.wait()
                continue
            await self._clock.sleep_until(oldest_ms + self._bar_ms + self._ms(terms.VERIFY_WAIT))
            if self._sequence.oldest_unverified_ms() != oldest_ms:
                # Another answer verified it meanwhile, perhaps all there were.
                continue
            rows = await self._rest.candles(oldest_ms, min(self._sequence.unverified, _PAGE))
            if rows is None:
                await self._clock.sleep_machine(back_off.next_ms())
                continue
            back_off.reset()
            count = self._sequence.unverified
            for row in rows:
                if row.open_ms < self._sequence.next_open_ms:
                    self._hear(row, ClosedBy.REST, self._clock.now_ms())
            self._counters.verified += count - self._sequence.unverified
            attempts = attempts + 1 if self._sequence.oldest_unverified_ms() == oldest_ms else 0
            if attempts == _VERIFY_ATTEMPTS:
                self._sequence.give_up_verifying(oldest_ms)
                _log.warning("REST does not show the bar opened at %d ms that the socket closed", oldest_ms)
                attempts = 0
            await self._clock.sleep_machine(_VERIFY_PAUSE_MS)

    async def keep_saving(self) -> None:
        """Write closed bars to the archive, off the event loop, after they were delivered."""
        try:
            while True:
                while self._unsaved:
                    batch, self._unsaved = self._unsaved, []
                    saving = asyncio.ensure_future(asyncio.to_thread(self._archive.save, batch))
                    try:
                        await asyncio.shield(saving)
                    except asyncio.CancelledError:
                        await saving
                        raise
                await self._saving_wanted.wait()
                self._saving_wanted.clear()
        finally:
            if self._unsaved:
                self._archive.save(self._unsaved)

    # -- REST's answers --------------------------------------------------------------------------

    async def read_progress(self) -> Candle | None:
        """REST's word on the newest bar it shows; None when it does not answer."""
        next_ms = self._sequence.next_open_ms
        rows = await self._ask(next_ms, 2, next_ms - self._bar_ms)
        return None if rows is None else max(rows, key=lambda row: row.open_ms, default=None)

    async def _ask(self, since_ms: int, bars: int, decide_to_ms: int) -> Sequence[Candle] | None:
        """Read bars and decide those opened up to `decide_to_ms`; later ones are left to their flag."""
        asked_ms = self._clock.now_ms()
        rows = await self._rest.candles(since_ms, min(bars, _PAGE))
        if rows is None:
            return None
        newest_ms = max((row.open_ms for row in rows if row.open_ms <= self._clock.now_ms()), default=0)
        settled_ms = asked_ms - self._bar_ms - self._ms(terms.SETTLED)
        for row in rows:
            if row.open_ms <= decide_to_ms and (row.open_ms < newest_ms or row.open_ms <= settled_ms):
                is_newest = row.open_ms + 2 * self._bar_ms > asked_ms
                self._hear(row, ClosedBy.REST if is_newest else ClosedBy.BACKFILL, self._clock.now_ms())
            elif not self._by_socket and row.open_ms >= self._sequence.next_open_ms and self._believable(row):
                self._sink(BarUpdated(row))
        self.judge()
        return rows

    def _believable(self, candle: Candle) -> bool:
        return not candle.faults(self._bar_ms)

    def _consider_hole(self, rows: Sequence[Candle]) -> None:
        """Bars that the exchange itself does not have: after enough evidence, go on behind them.

        The backtester's history has the same holes, and it counts bars, not minutes.
        """
        next_ms = self._sequence.next_open_ms
        later = [row.open_ms for row in rows if row.open_ms >= next_ms and self._believable(row)]
        if not later or min(later) == next_ms or next_ms in self._sequence.bad_bars:
            return
        now_ms = self._clock.now_ms()
        answers = self._sequence.hole_seen(min(later))
        if answers == 1:
            self._hole_since_ms = now_ms
        if answers >= terms.HOLE_ANSWERS and now_ms - self._hole_since_ms >= self._ms(terms.HOLE_PROVEN):
            skipped = (min(later) - next_ms) // self._bar_ms
            _log.warning("the exchange has no bars for %d bar lengths from %d ms on", skipped, next_ms)
            self._counters.holes += 1
            self._tell(self._sequence.skip_to(min(later)))
            self.judge()

    # -- what leaves -----------------------------------------------------------------------------

    def _hear(self, candle: Candle, by: ClosedBy, now_ms: int) -> None:
        self._tell(self._sequence.hear(candle, by, now_ms))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Decided):
                self._sink(BarClosed(outcome.candle, outcome.closed_by))
                self._count(outcome.closed_by)
                self._unsaved.append(outcome.candle)
                self._new.set()
                self._saving_wanted.set()
            elif isinstance(outcome, Differed):
                self._counters.differed += 1
                self._sink(BarDiffered(outcome.decided, outcome.theirs))
            else:
                self._counters.bad_candles += 1
                if outcome != self._last_rejected:
                    # It is asked for again and again; the log hears of it once.
                    self._last_rejected = outcome
                    faults = "; ".join(outcome.faults)
                    _log.warning("a candle for %d ms was dropped: %s", outcome.open_ms, faults)

    def _count(self, by: ClosedBy) -> None:
        if by is ClosedBy.FLAG:
            self._counters.by_flag += 1
        elif by is ClosedBy.REST:
            self._counters.by_rest += 1
        else:
            self._counters.by_backfill += 1

    @property
    def _patience(self) -> Wait:
        return terms.FLAG_WAIT if self._by_socket and self._flags else terms.REST_WAIT

    def _ms(self, wait: Wait) -> int:
        return self._pace.patience_ms(*wait)
