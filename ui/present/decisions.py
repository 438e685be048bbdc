"""Why the agent did or did not trade, bar by bar: each condition with its value and its threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from agent.core.records import DecisionRow, Outcome
from ui.picture import Strategy
from ui.present import numbers
from ui.present.tone import Tone

_OUTCOMES: Final = {
    Outcome.NO_SIGNAL: ("no signal", Tone.QUIET),
    Outcome.ENTERED: ("ENTERED", Tone.GOOD),
    Outcome.REFUSED: ("refused", Tone.BUSY),
    Outcome.LATE: ("late", Tone.BUSY),
    Outcome.IN_POSITION: ("in position", Tone.INFO),
    Outcome.BLOCKED: ("blocked", Tone.BUSY),
    Outcome.NO_LADDER: ("no ladder", Tone.NOTICE),
    Outcome.NO_ROOM: ("no room", Tone.NOTICE),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`met` None: undefined at this bar."""

    text: str
    met: bool | None

    @property
    def mark(self) -> str:
        return "–" if self.met is None else "✓" if self.met else "✗"


@dataclass(frozen=True, slots=True)
class Decision:
    """One row. `conditions` stand under `columns`."""

    bar_open_ms: int
    time: str
    outcome: str
    tone: Tone
    conditions: tuple[Condition, ...]
    why: str


def columns(strategy: Strategy) -> tuple[str, ...]:
    """Headings of the conditions, with the thresholds they are compared with."""
    return (
        "EMA fast < slow",
        f"Volume z > {_threshold(strategy.vol_z)}",
        f"Range z > {_threshold(strategy.tr_z)}",
        f"Close in bar > {_threshold(strategy.cloc_min)}",
    )


def decision(row: DecisionRow, strategy: Strategy, tick_digits: int, local: bool = False) -> Decision:
    outcome, tone = _OUTCOMES[row.outcome]
    opened = datetime.fromtimestamp(row.bar_open_ms / 1000, UTC)
    return Decision(
        bar_open_ms=row.bar_open_ms,
        time=numbers.stamp(opened, local),
        outcome=outcome,
        tone=tone,
        conditions=conditions(row, strategy, tick_digits),
        why=_why(row, strategy),
    )


def row_of(body: Mapping[str, Any]) -> DecisionRow | None:
    """The row an engine told when it decided a bar; None when it is of another shape."""
    try:
        row = DecisionRow(**{**body, "outcome": Outcome(body["outcome"])})
        averages = (float(row.ema_f), float(row.ema_s), float(row.close))
    except (KeyError, TypeError, ValueError):
        return None
    return row if isinstance(row.bar_open_ms, int) and all(averages) else None


def newest(rows: tuple[DecisionRow, ...], strategy: Strategy, local: bool) -> str:
    """The last bar in a sentence; empty before any was decided."""
    if not rows:
        return ""
    last = decision(rows[0], strategy, 4, local)
    return f"Bar of {last.time[11:]} {numbers.zone_name(local)}: {last.outcome}" + (
        f"\n{last.why}" if last.why else ""
    )


def conditions(row: DecisionRow, strategy: Strategy, tick_digits: int) -> tuple[Condition, ...]:
    fast, slow = numbers.number(row.ema_f, tick_digits + 1), numbers.number(row.ema_s, tick_digits + 1)
    return (
        Condition(f"{fast} {'<' if row.downtrend else '≥'} {slow}", row.downtrend),
        _above(row.vol_z, strategy.vol_z, 3 if row.borderline else 2),
        _above(row.tr_z, strategy.tr_z, 3 if row.borderline else 2),
        _above(row.cloc, strategy.cloc_min, 2),
    )


def _above(value: float | None, threshold: float | None, digits: int) -> Condition:
    if value is None:
        return Condition("undefined", None)
    return Condition(
        numbers.number(value, digits, signed=digits > 2), None if threshold is None else value > threshold
    )


def _threshold(value: float | None) -> str:
    return numbers.UNKNOWN if value is None else f"{value:g}"


def _why(row: DecisionRow, strategy: Strategy) -> str:
    """The engine's reason; without a signal the conditions that were missing, with their values beside."""
    border = " (borderline)" if row.borderline else ""
    if row.outcome is Outcome.ENTERED:
        which = "" if row.position_id is None else f": position {row.position_id}"
        return f"all conditions met{which}{border}"
    if row.reason and row.outcome is not Outcome.NO_SIGNAL:
        return numbers.true_minus(row.reason) + border
    if row.outcome is not Outcome.NO_SIGNAL:
        return border.strip()
    names = ("no downtrend", "volume", "range", "close in bar")
    missing = [
        name
        for name, condition in zip(names, conditions(row, strategy, 4), strict=True)
        if condition.met is False
    ]
    undefined = any(condition.met is None for condition in conditions(row, strategy, 4))
    if not missing:
        return ("an indicator is not defined yet" if undefined else numbers.true_minus(row.reason)) + border
    return f"missing: {', '.join(missing)}{border}"
