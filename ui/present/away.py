"""While the agent was away, as the window tells it: one line for the banner, the whole report on its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.insight.away import AwayReport
from agent.insight.facts import Down
from agent.insight.wording import span
from ui.present import numbers
from ui.present.doctor import Entry, Findings
from ui.present.tone import Tone

#: So many bars closed on old data, all judged later and without a signal, are worth a line of their own.
_FEW_BARS: Final = 4


def name_of(report: AwayReport, market: str) -> str:
    """What tells one absence from another, so that a dismissed one stays dismissed."""
    return f"{market} {report.absence.from_ms} {report.absence.to_ms}"


def is_news(report: AwayReport) -> bool:
    """Whether to say it unasked: a quick restart on which nothing happened and all agreed is none."""
    warned = any(event.level not in ("DEBUG", "INFO") for event in report.found)
    told = report.signals or report.fills or report.ended or report.lost or warned
    was_off = any(cause is not Down.FEED_STALE for cause in report.absence.causes)
    return bool(told) or report.bars >= (1 if was_off else _FEW_BARS)


def headline(report: AwayReport) -> str:
    """`While the agent was away (3 h 12 min: engine off): 12 bars closed, 1 signal, 1 trade ended.`"""
    absence = report.absence
    lasted = "still" if absence.to_ms is None else span(absence.to_ms - absence.from_ms)
    causes = " and ".join(cause.value for cause in absence.causes)
    parts = [f"{numbers.counted(report.bars, 'bar')} closed"]
    if report.lost:
        parts.append(f"{report.lost} of them not judged")
    parts.append(numbers.counted(len(report.signals), "signal"))
    if report.fills:
        parts.append(numbers.counted(len(report.fills), "fill"))
    if report.ended:
        parts.append(f"{numbers.counted(len(report.ended), 'trade')} ended")
    return f"While the agent was away ({lasted}: {causes}): {', '.join(parts)}."


def page(reports: Sequence[AwayReport]) -> Findings:
    """The newest absence first; its first line is bold by its mark."""
    if not reports:
        return Findings("The agent was never away while anything happened.", Tone.GOOD)
    entries: list[Entry] = []
    for report in reports:
        first, *rest = report.lines()
        entries.append(Entry("●", Tone.NOTICE, first))
        entries += [Entry("", Tone.PLAIN, line) for line in rest]
    return Findings(f"{numbers.counted(len(reports), 'absence')}, newest first.", Tone.PLAIN, tuple(entries))
