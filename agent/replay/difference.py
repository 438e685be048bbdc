"""What the live form did differently from the bar form over the same candles, every difference by its name.

Both see the same signals, so the forms are compared signal by signal. A trade of the bar form that is
missing here was decided otherwise, and the decision's outcome is the name; a trade of both may have left
elsewhere, for a reason the engine noted or one that follows from the two definitions. What has no name is
`unexplained`: a mistake in one of the forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any, Final, TypeVar

import numpy as np

from agent.core.parameters import ExitParams
from agent.core.records import DecisionRow, Outcome
from agent.core.series import CandleSeries
from agent.replay.bar_form import ReplayTrade
from agent.replay.dates import format_date

K = TypeVar("K", bound=StrEnum)

#: So many bars of a kind of difference are named in the report.
SHOWN: Final = 3


class Kind(StrEnum):
    """A difference, in the words of the report. The outcomes of decisions stand beside these."""

    SAME = "same"
    ENTRY_BAR = "left on the entry bar, which the bar form does not examine"
    SEEN_AT_CLOSE = "left at the close of the bar that touched the level"
    DISASTER_STOP = "sold by the disaster stop, which the bar form does not have"
    MISSING_BARS = "bars are missing meanwhile: the bar form counts bars, the engine counts time"
    ENTERED_LATE = "entered after the bar that follows the signal"
    TAKE_PROFIT = "take-profit further away, because it follows the price that was really paid"
    GAP = "gapped stop, called a plain stop and sold at the price of the moment"
    FIRST_REACHED = "left at the level that came first inside the bar; the bar form has a fixed order"
    ACT = "closed by an operator or a daily loss"
    OPEN_AT_END = "entered and still open at the end"
    NOT_FILLED = "entered, but nothing was filled"
    BAR_FORM_HELD = "a trade of its own: the bar form still held the one before"
    BAR_FORM_OPEN = "closed here, while the bar form still held it at the end"
    UNEXPLAINED = "unexplained"


#: What the engine notes about a trade, and what that means here.
NOTED: Final = {
    "entry_bar_exit": Kind.ENTRY_BAR,
    "seen_at_close": Kind.SEEN_AT_CLOSE,
    "entered_late": Kind.ENTERED_LATE,
}


@dataclass(frozen=True, slots=True)
class LiveTrade:
    """A trade of the engine with what it noted."""

    trade: ReplayTrade
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Market:
    """What the comparison must know of the candles and the exits. `bars_before_a_hole`: open times."""

    last_bar_ms: int
    bars_before_a_hole: tuple[int, ...]
    stop_enforced: bool

    @classmethod
    def of(cls, candles: CandleSeries, bar_length_ms: int, exits: ExitParams) -> Market:
        times = candles.open_ms
        holes = times[:-1][np.diff(times) > bar_length_ms].tolist()
        return cls(int(times[-1]), tuple(holes), exits.use_stop_loss)

    def is_incomplete(self, since_ms: int, until_ms: int) -> bool:
        return any(since_ms <= open_ms < until_ms for open_ms in self.bars_before_a_hole)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Signal bars (open times) by what became of them; `decided` holds the decision of every signal."""

    common: Mapping[Kind, tuple[int, ...]]
    missing: Mapping[Kind | Outcome, tuple[int, ...]]
    extra: Mapping[Kind, tuple[int, ...]]
    decided: Mapping[int, DecisionRow]
    entry_shift_bp: float
    exit_shift_bp: float

    @property
    def unexplained(self) -> tuple[int, ...]:
        found = (kinds.get(Kind.UNEXPLAINED, ()) for kinds in (self.common, self.missing, self.extra))
        return tuple(sorted(open_ms for bars in found for open_ms in bars))

    def report(self) -> Iterator[str]:
        """Sentences: what agrees, then each kind of difference with its count and its first bars."""
        same = self.common.get(Kind.SAME, ())
        total = sum(len(bars) for kinds in (self.common, self.missing) for bars in kinds.values())
        if self.unexplained:
            where = _first(self.unexplained)
            yield f"WARNING: {len(self.unexplained)} differences have no explanation ({where})"
        if total == 0:
            yield "the bar form has no trade on these candles"
        else:
            same_of = f"{len(same)} of the bar form's {total} trades"
            yield f"{same_of} left here on the same bar for the same reason"
        if same:
            yield (
                f"their fills, slippage included: entries {self.entry_shift_bp:+.1f} bp, exits "
                f"{self.exit_shift_bp:+.1f} bp from the bar form's prices"
            )
        yield from self._lines("left otherwise", {k: b for k, b in self.common.items() if k is not Kind.SAME})
        yield from self._lines("not traded here", self.missing)
        yield from self._lines("only here", self.extra)

    def _lines(self, what: str, kinds: Mapping[Any, tuple[int, ...]]) -> Iterator[str]:
        for kind, bars in sorted(kinds.items(), key=lambda item: -len(item[1])):
            because = ""
            if isinstance(kind, Outcome) and bars:
                because = f"; the first because {self.decided[bars[0]].reason}"
            yield f"{what}: {len(bars)} {kind.value.replace('_', ' ')} ({_first(bars)}{because})"


def _first(bars: Sequence[int]) -> str:
    dates = ", ".join(format_date(open_ms).removesuffix("+00:00") for open_ms in bars[:SHOWN])
    return dates + ", ..." if len(bars) > SHOWN else dates


def compare(
    bar_form: Sequence[ReplayTrade],
    live: Sequence[LiveTrade],
    decided: Mapping[int, DecisionRow],
    open_at_end_ms: frozenset[int],
    market: Market,
) -> Comparison:
    """Compare trades by their signal bar.

    `decided`: the decision of every signal bar, in order. `open_at_end_ms`: signal bars of positions still
    open.
    """
    ours = {t.trade.entry_ms: t for t in live}
    theirs = {t.entry_ms: t for t in bar_form}
    both = [(theirs[open_ms], ours[open_ms]) for open_ms in sorted(theirs.keys() & ours.keys())]
    held = _held_by_bar_form(bar_form, decided, market.last_bar_ms)
    left = [(_left(a, b, market), a, b.trade) for a, b in both]
    same = [(a, b) for kind, a, b in left if kind is Kind.SAME]
    return Comparison(
        common=_grouped((kind, a.entry_ms) for kind, a, _ in left),
        missing=_grouped(
            (_not_traded(open_ms, decided, open_at_end_ms), open_ms)
            for open_ms in sorted(theirs.keys() - ours.keys())
        ),
        extra=_grouped((_own(open_ms, held), open_ms) for open_ms in sorted(ours.keys() - theirs.keys())),
        decided=decided,
        entry_shift_bp=_mean_shift_bp([(a.entry, b.entry) for a, b in same]),
        exit_shift_bp=_mean_shift_bp([(a.exit, b.exit) for a, b in same]),
    )


def _left(bar_form: ReplayTrade, live: LiveTrade, market: Market) -> Kind:
    """How a trade of both forms compares."""
    ours, same_bar = live.trade, live.trade.exit_ms == bar_form.exit_ms
    theirs, reason = bar_form.reason.upper(), ours.reason.upper()
    for note, kind in NOTED.items():
        if note in live.notes:
            return kind
    if same_bar and reason == theirs and ours.bars_held == bar_form.bars_held:
        return Kind.SAME
    if reason in ("MANUAL", "EMERGENCY", "DAILY_LOSS"):
        return Kind.ACT
    if reason == "STOP" and not market.stop_enforced:
        return Kind.DISASTER_STOP
    if same_bar and theirs == f"{reason}_GAP":
        return Kind.GAP
    if same_bar and _is_level(reason) and _is_level(theirs):
        return Kind.FIRST_REACHED
    # The price paid is never below the bar form's, so the level is never nearer.
    if theirs.startswith("TP") and ours.bars_held >= bar_form.bars_held:
        return Kind.TAKE_PROFIT
    if market.is_incomplete(bar_form.entry_ms, max(bar_form.exit_ms, ours.exit_ms)):
        return Kind.MISSING_BARS
    return Kind.UNEXPLAINED


def _is_level(reason: str) -> bool:
    return reason.upper().startswith(("STOP", "FIB", "TP"))


def _not_traded(
    open_ms: int, decided: Mapping[int, DecisionRow], open_at_end_ms: frozenset[int]
) -> Kind | Outcome:
    """Why a trade of the bar form is none here."""
    row = decided.get(open_ms)
    if row is None:
        return Kind.UNEXPLAINED
    if row.outcome is not Outcome.ENTERED:
        return row.outcome
    return Kind.OPEN_AT_END if open_ms in open_at_end_ms else Kind.NOT_FILLED


def _own(open_ms: int, held: Sequence[tuple[int, float]]) -> Kind:
    """Why a trade here is none of the bar form."""
    if any(since == open_ms and until == inf for since, until in held):
        return Kind.BAR_FORM_OPEN
    busy = any(since < open_ms < until for since, until in held)
    return Kind.BAR_FORM_HELD if busy else Kind.UNEXPLAINED


def _held_by_bar_form(
    trades: Sequence[ReplayTrade], decided: Mapping[int, DecisionRow], last_bar_ms: int
) -> list[tuple[int, float]]:
    """From which signal bar to which exit bar the bar form held something, with what it never sold."""
    held: list[tuple[int, float]] = [(t.entry_ms, t.exit_ms) for t in trades]
    free_from = trades[-1].exit_ms if trades else 0
    never_sold = next((open_ms for open_ms in decided if free_from <= open_ms < last_bar_ms), None)
    if never_sold is not None:
        held.append((never_sold, inf))
    return held


def _grouped(kinds: Iterator[tuple[K, int]]) -> dict[K, tuple[int, ...]]:
    found: dict[K, tuple[int, ...]] = {}
    for kind, open_ms in kinds:
        found[kind] = (*found.get(kind, ()), open_ms)
    return found


def _mean_shift_bp(prices: Sequence[tuple[float, float]]) -> float:
    """Mean of ours over theirs in basis points; 0 without any."""
    return sum((ours / theirs - 1) * 10_000 for theirs, ours in prices) / len(prices) if prices else 0.0
