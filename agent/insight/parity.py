"""Does the live path decide what the whole history says: one decision beside its recomputation.

Pure comparison; `parity_history` computes the other side. Averages, true range and closing location agree
to 1e-9 of themselves, a z-score (a difference of nearly equal sums) to 1e-9 or 1e-7, whichever is more.
A flag may differ only where a z-score lies within 1e-6 of its threshold, which the decision itself marked.
Every difference is given a cause: what explains it from outside first, the code last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from agent.core.exits import Levels
from agent.core.market import Candle
from agent.core.parameters import ExitParams
from agent.core.records import DecisionRow, EventRow, Outcome
from agent.core.signal import BORDERLINE, Measures
from agent.insight.wording import moment

TOLERANCE: Final = 1e-9
Z_TOLERANCE: Final = 1e-7
#: Differences that are kept in words; the count goes on.
REMEMBERED: Final = 20


class Cause(StrEnum):
    CANDLE = "the candle differs from REST"
    LATE = "bars were missing or came late"
    WARM_UP = "too little history for the averages"
    CODE = "the code"


class Recomputed(Measures, frozen=True):
    """One bar from the whole history.

    `swing_high`: of signal bars only. `seed_weight`: what the slower average still carries of the first bar
    it may have been seeded with, `spread` how far closes lay apart: their product bounds the difference of
    two seeds. `is_whole`: no bar is missing in the stretch the windows look at.
    """

    near_threshold: bool
    swing_high: float | None
    seed_weight: float
    spread: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """`relative` is |live - whole| / |whole|, infinite for a flag or a value that only one side has."""

    bar_open_ms: int
    name: str
    live: str
    whole: str
    relative: float
    cause: Cause

    def sentence(self) -> str:
        return (
            f"bar of {moment(self.bar_open_ms)} UTC: {self.name} is {self.live}, the whole history gives "
            f"{self.whole}; cause: {self.cause.value}"
        )


@dataclass(frozen=True, slots=True)
class Score:
    """All bars compared so far. `worst` is the largest relative error of a value that both sides have.

    `skipped`: decisions that could not be compared: their candles, or the configuration, are not stored.
    """

    bars: int = 0
    mismatches: int = 0
    signals: int = 0
    worst: float = 0.0
    checked_to_ms: int = -1
    first: str | None = None
    by_cause: Mapping[str, int] = field(default_factory=dict)
    remembered: tuple[str, ...] = ()
    skipped: int = 0

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "remembered": list(self.remembered), "by_cause": dict(self.by_cause)}

    @classmethod
    def of(cls, document: object) -> Score:
        """From `document`. Raises ValueError for anything else."""
        if not isinstance(document, Mapping):
            raise ValueError("no score")
        document = {"skipped": 0, **document}
        if set(document) != {f.name for f in fields(cls)}:
            raise ValueError("no score")
        return cls(**{**document, "remembered": tuple(document["remembered"])})

    def after(self, bar: Compared) -> Score:
        """With one more bar."""
        causes = dict(self.by_cause)
        for cause in {d.cause for d in bar.differences}:
            causes[cause.value] = causes.get(cause.value, 0) + 1
        words = [d.sentence() for d in bar.differences]
        return replace(
            self,
            bars=self.bars + 1,
            mismatches=self.mismatches + bool(bar.differences),
            signals=self.signals + bar.is_signal,
            worst=max(self.worst, bar.worst),
            checked_to_ms=max(self.checked_to_ms, bar.open_ms),
            first=self.first or (words[0] if words else None),
            by_cause=causes,
            remembered=(*self.remembered, *words)[-REMEMBERED:],
        )


@dataclass(frozen=True, slots=True)
class Compared:
    open_ms: int
    is_signal: bool
    worst: float
    differences: tuple[Difference, ...]


def compare(
    decision: DecisionRow,
    whole: Recomputed,
    exits: ExitParams,
    levels: Levels | None,
    differed: Iterable[int] = (),
    basis: float | None = None,
) -> Compared:
    """`levels`: what was fixed at entry, where the bar was entered. `differed`: bars that REST tells
    otherwise and that the windows of this bar look at. `basis`: by what prices of the signal's market were
    multiplied, where orders went to another one."""
    check = _Check(decision, whole, bool(tuple(differed)))
    for name in ("close", "ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc"):
        check.value(name, getattr(decision, name), getattr(whole, name))
    check.flag("downtrend", decision.downtrend, whole.downtrend)
    if not (decision.borderline or whole.near_threshold):
        check.flag("exhaustion", decision.exhaustion, whole.exhaustion)
    if decision.exhaustion and whole.exhaustion:
        _compare_plan(check, exits, levels, 1.0 if basis is None else basis)
    return Compared(whole.open_ms, decision.exhaustion, check.worst, tuple(check.found))


class _Check:
    """One bar under comparison."""

    def __init__(self, decision: DecisionRow, whole: Recomputed, suspect: bool) -> None:
        self.decision = decision
        self.whole = whole
        self.found: list[Difference] = []
        self.worst = 0.0
        self._suspect = suspect or decision.close != whole.close

    def value(self, name: str, live: float | None, other: float | None) -> None:
        if live is None or other is None:
            if live is not other:
                self._note(name, live, other, math.inf, math.inf)
            return
        apart = abs(live - other)
        is_z = name in ("vol_z", "tr_z")
        scale = max(abs(other), 1.0) if is_z else abs(other)
        self.worst = max(self.worst, apart / scale if scale else 0.0)
        if apart > max(TOLERANCE * abs(other), Z_TOLERANCE if is_z else 0.0):
            self._note(name, live, other, apart / abs(other) if other else math.inf, apart)

    def flag(self, name: str, live: object, other: object) -> None:
        if live != other:
            self._note(name, live, other, math.inf, 0.0)

    def _note(self, name: str, live: object, other: object, relative: float, apart: float) -> None:
        cause = self._cause(name, apart)
        self.found.append(Difference(self.whole.open_ms, name, str(live), str(other), relative, cause))

    def _cause(self, name: str, apart: float) -> Cause:
        whole = self.whole
        if self._suspect:
            return Cause.CANDLE
        if not whole.is_whole or self.decision.closed_by == "backfill":
            return Cause.LATE
        hangs_on_averages = name in ("ema_f", "ema_s", "downtrend", "exhaustion")
        # Two seeds differ by at most the spread of the closes, and that much less with every bar.
        is_warming = whole.seed_weight > TOLERANCE and apart <= whole.seed_weight * whole.spread
        return Cause.WARM_UP if hangs_on_averages and is_warming else Cause.CODE


def _compare_plan(check: _Check, exits: ExitParams, levels: Levels | None, basis: float) -> None:
    """Ladder and intended prices of a signal: stop, target, take-profit, and whether there was a ladder."""
    whole, high = check.whole, check.whole.swing_high
    span = 0.0 if high is None else high - whole.low
    if exits.use_fib_exits and (levels is not None or check.decision.outcome is Outcome.NO_LADDER):
        check.flag("has a ladder", check.decision.outcome is not Outcome.NO_LADDER, span > 0)
    if levels is None:
        return
    assert whole.atr is not None, "a signal has an average true range"
    check.value("stop", levels.stop, (whole.low - exits.atr_stop_mult * whole.atr) * basis)
    if levels.ladder is not None and span > 0:
        check.value("swing high", levels.ladder.swing_high, None if high is None else high * basis)
        for ratio, price in levels.ladder.levels:
            check.value(f"ladder {ratio:g}", price, (whole.low + span * ratio) * basis)
        if exits.use_fib_exits:
            ratio = exits.fib_target_level if exits.policy == "target" else 0.382
            check.value("target", levels.target, (whole.low + span * ratio) * basis)
    if exits.use_traditional_tp:
        check.value("take profit", levels.take_profit, levels.entry_price + exits.reward_r * levels.risk)


def near(z: float | None, threshold: float) -> bool:
    return z is not None and abs(z - threshold) <= BORDERLINE


_NUMBER: Final = r"=([-+0-9.e]+)"
_DIFFERED: Final = re.compile(
    rf"bar (\d+) was decided on .*REST now says o{_NUMBER} h{_NUMBER} l{_NUMBER} c{_NUMBER} v{_NUMBER};"
)


def rest_copies(events: Iterable[EventRow]) -> dict[int, Candle]:
    """The candles that REST tells otherwise, by open time, from the events that said so."""
    found = {}
    for event in events:
        said = _DIFFERED.match(event.text) if event.kind == "candle differs" else None
        if said is not None:
            open_ms = int(said[1])
            found[open_ms] = Candle(open_ms, *(float(said[i]) for i in range(2, 7)))
    return found
