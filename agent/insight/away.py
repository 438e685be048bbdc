"""While I was away: what happened during an absence, and what was done about it afterwards.

An absence is a stretch in which the agent could not have traded (engine off, feed stale, exchange
unreachable); stretches that follow each other closely are one. Its report says which bars were missed, which
signals were among them and what became of each, what was bought and sold meanwhile, which trades ended, and
what reconciliation and the other guards found when the agent was back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.core.records import DecisionRow, EventRow
from agent.insight.facts import ClosedTrade, Down, Outage
from agent.insight.why import OUTCOMES
from agent.insight.wording import amount, moment, number, span

#: Outages that follow each other within this time are one absence.
ONE_ABSENCE_MS: Final = 120_000
#: What was found out is told within this time after the return, or belongs to something else.
AFTERMATH_MS: Final = 300_000
#: Lines of a kind that a report shows.
SHOWN: Final = 20
#: Kinds of events that say what the return found.
FOUND_KINDS: Final = (
    "account",
    "ledger difference",
    "late fill",
    "oversold",
    "order",
    "unprotected",
    "candle gap",
    "candle differs",
    "testnet reset",
    "external",
)


@dataclass(frozen=True, slots=True)
class Traded:
    """One fill of ours: `purpose` is entry, exit or protect (a resting stop)."""

    at_ms: int
    position_id: int
    purpose: str
    is_buy: bool
    price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Absence:
    """`to_ms` is None while it lasts. `causes` in the order in which they began."""

    from_ms: int
    to_ms: int | None
    causes: tuple[Down, ...]


@dataclass(frozen=True, slots=True)
class AwayReport:
    """`bars` closed during the absence; of these `judged` were decided afterwards, `lost` were not (yet)."""

    absence: Absence
    bars: int
    judged: int
    lost: int
    signals: tuple[DecisionRow, ...]
    fills: tuple[Traded, ...]
    ended: tuple[ClosedTrade, ...]
    found: tuple[EventRow, ...]
    currencies: tuple[str, str]

    @property
    def is_telling(self) -> bool:
        """Whether more happened than a short silence."""
        return bool(self.bars or self.fills or self.ended or self.found)

    def lines(self) -> tuple[str, ...]:
        """The whole report as plain text, one thought a line."""
        absence = self.absence
        end = "and still is" if absence.to_ms is None else f"to {moment(absence.to_ms)} UTC"
        lasted = "" if absence.to_ms is None else f" ({span(absence.to_ms - absence.from_ms)})"
        causes = " and ".join(cause.value for cause in absence.causes)
        return (
            f"Away from {moment(absence.from_ms)} UTC {end}{lasted}: {causes}.",
            *_folded(self._bar_lines()),
            *_folded(self._trade_lines()),
            *_folded(self._found_lines()),
        )

    def _bar_lines(self) -> list[str]:
        if not self.bars:
            return ["No bar closed meanwhile."]
        words = f"{self.bars} bar{'s' if self.bars > 1 else ''} closed meanwhile"
        judged = "all judged afterwards" if not self.lost else f"{self.judged} judged afterwards"
        lost = f", {self.lost} not judged" if self.lost else ""
        lines = [f"{words}: {judged}{lost}."]
        if not self.signals:
            lines.append("No signal was among them.")
        for row in self.signals:
            because = f" ({row.reason})" if row.reason else ""
            lines.append(f"Signal on the bar of {moment(row.bar_open_ms)}: {OUTCOMES[row.outcome]}{because}.")
        return lines

    def _trade_lines(self) -> list[str]:
        base, quote = self.currencies
        lines = []
        for fill in self.fills:
            did = "bought" if fill.is_buy else "sold"
            how = " by the resting stop" if fill.purpose == "protect" else ""
            at = f"{amount(fill.qty, base)} at {number(float(fill.price), 8)}"
            lines.append(f"{moment(fill.at_ms)}: {did} {at}{how}, position {fill.position_id}.")
        for trade in self.ended:
            earned = amount(trade.pnl_quote, quote, signed=True)
            lines.append(f"Position {trade.id} ended: {trade.reason}, {earned}, R {trade.r:+.2f}.")
        return lines or ["Nothing was bought or sold meanwhile."]

    def _found_lines(self) -> list[str]:
        return [f"On return: {event.text}" for event in self.found] or ["On return: nothing was reported."]


def _folded(lines: list[str]) -> list[str]:
    """The first lines, and how many more there are."""
    if len(lines) <= SHOWN:
        return lines
    return [*lines[:SHOWN], f"... and {len(lines) - SHOWN} more (all of them with --json)."]


def absences(down: Iterable[Outage], now_ms: int) -> tuple[Absence, ...]:
    """Outages joined to absences, oldest first."""
    found: list[Absence] = []
    for outage in sorted(down, key=lambda o: (o.from_ms, o.to_ms)):
        to_ms = None if outage.to_ms >= now_ms else outage.to_ms
        last = found[-1] if found else None
        if last is not None and (last.to_ms is None or outage.from_ms - last.to_ms <= ONE_ABSENCE_MS):
            ends = None if last.to_ms is None or to_ms is None else max(last.to_ms, to_ms)
            causes = last.causes if outage.cause in last.causes else (*last.causes, outage.cause)
            found[-1] = Absence(last.from_ms, ends, causes)
        else:
            found.append(Absence(outage.from_ms, to_ms, (outage.cause,)))
    return tuple(found)


def report(
    absence: Absence,
    decisions: Sequence[DecisionRow],
    fills: Sequence[Traded],
    ended: Sequence[ClosedTrade],
    events: Sequence[EventRow],
    *,
    bar_ms: int,
    now_ms: int,
    currencies: tuple[str, str],
) -> AwayReport:
    """The report of one absence from the rows of its time and shortly after; other rows are left aside."""
    back_ms = now_ms if absence.to_ms is None else absence.to_ms
    bars = back_ms // bar_ms - absence.from_ms // bar_ms
    meant = [row for row in decisions if absence.from_ms < row.bar_open_ms + bar_ms <= back_ms]
    return AwayReport(
        absence=absence,
        bars=bars,
        judged=len(meant),
        lost=max(0, bars - len(meant)),
        signals=tuple(row for row in meant if row.exhaustion),
        fills=tuple(fill for fill in fills if absence.from_ms < fill.at_ms <= back_ms),
        ended=tuple(t for t in ended if absence.from_ms < t.exit_ms <= back_ms + AFTERMATH_MS),
        found=tuple(
            event
            for event in events
            if event.kind in FOUND_KINDS and absence.from_ms < event.at_ms <= back_ms + AFTERMATH_MS
        ),
        currencies=currencies,
    )
