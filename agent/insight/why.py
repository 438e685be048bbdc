"""Why a bar was traded or not: every condition with its value, its threshold and whether it holds, then the
outcome and, where the question came so far, every limit of the risk check. Facts in, sentences out; the
window, the command line and Telegram all show these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.parameters import SellerParams
from agent.core.records import Check, DecisionRow, Outcome, VerdictRow
from agent.insight.facts import Outage
from agent.insight.wording import moment, number, span

#: What became of a bar, in words for a person.
OUTCOMES: Final = {
    Outcome.NO_SIGNAL: "no signal",
    Outcome.ENTERED: "entered",
    Outcome.REFUSED: "refused by a limit",
    Outcome.LATE: "signal found too late",
    Outcome.IN_POSITION: "signal while the positions were taken",
    Outcome.BLOCKED: "signal while entries were blocked",
    Outcome.NO_LADDER: "signal without a target",
    Outcome.NO_ROOM: "signal without room for a profit",
}
_CLOSED_BY: Final = {
    "flag": "on its closed flag",
    "rest": "by REST, because its closed flag did not come",
    "backfill": "afterwards, from history",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` and `threshold` as shown; `passed` is what was decided, not computed again."""

    name: str
    value: str
    threshold: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """`checks` are the limits of the risk check, empty where it was not asked."""

    bar_open_ms: int
    outcome: Outcome
    headline: str
    conditions: tuple[Condition, ...]
    checks: tuple[Check, ...]
    remarks: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The whole answer as plain text, one thought a line."""
        width = max(len(c.name) for c in self.conditions)
        judged = (
            *((c.passed, f"{c.name:<{width}}  {c.value}  ({c.threshold})") for c in self.conditions),
            *((check.passed, f"{check.name}: {check.numbers}") for check in self.checks),
        )
        shown = [f"  {'yes' if passed else 'no ':<3}  {words}" for passed, words in judged]
        return (self.headline, *shown, *self.remarks)


def explain(
    decision: DecisionRow,
    seller: SellerParams | None,
    bar_ms: int,
    verdict: VerdictRow | None = None,
) -> Explanation:
    """`seller`: the thresholds in force then, None when they cannot be known any more."""
    reason = f": {decision.reason}" if decision.reason and decision.outcome is not Outcome.NO_SIGNAL else ""
    headline = f"Bar of {moment(decision.bar_open_ms)} UTC: {OUTCOMES[decision.outcome]}{reason}"
    return Explanation(
        bar_open_ms=decision.bar_open_ms,
        outcome=decision.outcome,
        headline=headline,
        conditions=_conditions(decision, seller),
        checks=() if verdict is None else verdict.checks,
        remarks=_remarks(decision, bar_ms),
    )


def _conditions(row: DecisionRow, seller: SellerParams | None) -> tuple[Condition, ...]:
    trend = Condition(
        "downtrend",
        f"fast average {number(row.ema_f, 6)}, slow {number(row.ema_s, 6)}",
        "fast below slow",
        row.downtrend,
    )
    limits = (None, None, None) if seller is None else (seller.vol_z, seller.tr_z, seller.cloc_min)
    names = ("volume, z-score", "range, z-score", "close within its range")
    values = (row.vol_z, row.tr_z, row.cloc)
    measured = [
        Condition(
            name,
            number(value),
            "threshold not known any more" if limit is None else f"above {limit:g}",
            # Without a threshold all that is known is that every condition held, or not.
            row.exhaustion if limit is None else value is not None and value > limit,
        )
        for name, value, limit in zip(names, values, limits, strict=True)
    ]
    return (trend, *measured)


def _remarks(row: DecisionRow, bar_ms: int) -> tuple[str, ...]:
    late_ms = max(0, row.decided_ms - row.bar_open_ms - bar_ms)
    said = [f"Closed at {number(row.close, 6)}, decided {span(late_ms)} later"]
    said[0] += f" {_CLOSED_BY.get(row.closed_by, row.closed_by)}."
    if row.borderline:
        said.append("Borderline: a z-score lies within a millionth of its threshold.")
    if row.position_id is not None:
        said.append(f"It became position {row.position_id}.")
    return tuple(said)


def explain_absence(bar_open_ms: int, bar_ms: int, down: Sequence[Outage], now_ms: int) -> tuple[str, ...]:
    """Why there is no decision about a bar."""
    closes_ms = bar_open_ms + bar_ms
    head = f"Bar of {moment(bar_open_ms)} UTC: there is no decision"
    if closes_ms > now_ms:
        return (f"{head} yet: it closes at {moment(closes_ms)} UTC.",)
    causes = [o for o in down if o.from_ms <= closes_ms + bar_ms and o.to_ms >= closes_ms]
    if not causes:
        return (f"{head}: the agent had not begun here, or its history began after this bar.",)
    return tuple(
        f"{head}: {o.cause.value} from {moment(o.from_ms)} to {moment(o.to_ms)} UTC." for o in causes
    )
