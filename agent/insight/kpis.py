"""The five figures that say whether the machine works, with the target and the alert of each.

`signals executed`: of the signals that were ours to trade, how many bought something. A signal while the
position limit is reached, without a ladder or without room for a profit is the strategy's own "no" and is not
counted; late, blocked and refused ones are, and so is an entry that nothing filled.
`slippage`: mean difference to the price an entry or exit was decided on, in percent, positive when worse.
`fill time`, `signal latency`: the time that 95 % do not exceed (the worst of fewer than twenty). Fill time
runs from the intent to the last fill of entries and exits, latency from a bar's close to its decision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Final

from agent.core.records import Outcome
from agent.insight.facts import Execution, SignalCounts
from agent.insight.uptime import Uptime
from agent.insight.wording import span

_NOT_OURS: Final = frozenset(
    {Outcome.IN_POSITION.value, Outcome.NO_LADDER.value, Outcome.NO_ROOM.value, Outcome.NO_SIGNAL.value}
)


class Standing(StrEnum):
    GOOD = "good"
    WATCH = "below target"
    ALERT = "alert"
    UNKNOWN = "nothing to measure yet"


@dataclass(frozen=True, slots=True)
class Kpi:
    """`value`, `target` and `alert` in `unit`; `higher_is_better` says on which side of them good lies.

    `of` is how many observations it is made of, `detail` what else a person wants to know.
    """

    name: str
    value: float | None
    unit: str
    target: float
    alert: float
    higher_is_better: bool
    of: int
    detail: str = ""

    @property
    def standing(self) -> Standing:
        if self.value is None:
            return Standing.UNKNOWN
        sign = 1 if self.higher_is_better else -1
        if sign * self.value < sign * self.alert:
            return Standing.ALERT
        return Standing.GOOD if sign * self.value >= sign * self.target else Standing.WATCH


def kpis(
    signals: SignalCounts,
    executions: Sequence[Execution],
    fill_times_ms: Sequence[int],
    up: Uptime,
    latencies_ms: Sequence[int],
) -> tuple[Kpi, ...]:
    """All five, in the order of a report. What was never observed has no value."""
    return (
        _signals(signals),
        _slippage(executions),
        _delay("fill time", fill_times_ms, target_s=5, alert_s=30),
        _uptime(up),
        _delay("signal latency", latencies_ms, target_s=1, alert_s=5),
    )


def _signals(signals: SignalCounts) -> Kpi:
    ours = {outcome: n for outcome, n in signals.by_outcome.items() if outcome not in _NOT_OURS and n}
    total = sum(ours.values())
    missed = {k: n for k, n in ours.items() if k != Outcome.ENTERED.value}
    unfilled = ours.get(Outcome.ENTERED.value, 0) - signals.filled
    if unfilled > 0:
        missed["not filled"] = unfilled
    passed = sum(n for outcome, n in signals.by_outcome.items() if outcome in _NOT_OURS)
    detail = ", ".join(f"{n} {name}" for name, n in missed.items())
    if passed:
        detail += f"{'; ' if detail else ''}{passed} passed over by the strategy's own rules"
    value = signals.filled / total * 100 if total else None
    return Kpi("signals executed", value, "%", 80, 60, True, total, detail)


def _slippage(executions: Sequence[Execution]) -> Kpi:
    found = [s for e in executions if (s := e.slippage_percent) is not None]
    worst = f"worst {max(found):.3f} %" if found else ""
    return Kpi("slippage", fmean(found) if found else None, "%", 0.2, 0.5, False, len(found), worst)


def _delay(name: str, times_ms: Sequence[int], *, target_s: float, alert_s: float) -> Kpi:
    if not times_ms:
        return Kpi(name, None, "s", target_s, alert_s, False, 0)
    ordered = sorted(times_ms)
    high = ordered[math.ceil(0.95 * len(ordered)) - 1]
    middle, worst = ordered[(len(ordered) - 1) // 2], ordered[-1]
    detail = f"half within {middle / 1000:.3g} s, worst {worst / 1000:.3g} s"
    return Kpi(name, high / 1000, "s", target_s, alert_s, False, len(ordered), detail)


def _uptime(up: Uptime) -> Kpi:
    share = up.share
    detail = ", ".join(f"{cause.value} {span(ms)}" for cause, ms in up.by_cause)
    minutes = up.total_ms // 60_000
    return Kpi("uptime", None if share is None else share * 100, "%", 99, 95, True, minutes, detail)
