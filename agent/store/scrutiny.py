"""One look of the worker at what is stored: the parity score so far, and what is worth an alert.

The worker only reads; whoever started it keeps the score (the document SCRUTINY_KEY) and tells what is new.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sqlalchemy import select

from agent.insight.kpis import Standing
from agent.insight.phases import is_real_venue
from agent.store import schema
from agent.store.batch import Scope
from agent.store.reading import Reader, of_selection
from agent.store.reading_parity import check_parity
from agent.store.reading_story import away_reports
from agent.store.scrutiny_findings import AWAY, SCRUTINY_KEY, Findings, findings_in
from agent.store.statistics import read_statistics

#: Observations before a KPI is worth an alert.
_ENOUGH: Final = 10


def scrutinize(reader: Reader, candles_db: Path, scope: Scope, now_ms: int) -> Findings:
    """At most one page of decisions more than last time, and every figure anew."""
    score = check_parity(reader, candles_db, scope, last_findings(reader, scope).score, pages=1)
    warnings = {}
    figures = read_statistics(reader, scope, now_ms)
    for row in figures.against_backtest.alarms:
        if row.live is not None and row.promised is not None and row.worse_by is not None:
            warnings[f"backtest {row.name}"] = (
                f"{row.name} of the live trades is {row.live:.4g}, the backtest promised {row.promised:.4g}: "
                f"{row.worse_by * 100:.0f} % worse, more than chance explains"
            )
    # On a simulated exchange time may run faster than life, and seconds of it say nothing.
    for kpi in figures.kpis if is_real_venue(scope.venue) else ():
        # A single slow signal in a young life is no trend; the figure itself is shown all the same.
        if kpi.standing is Standing.ALERT and kpi.value is not None and kpi.of >= _ENOUGH:
            sign = "<" if kpi.higher_is_better else ">"
            warnings[f"kpi {kpi.name}"] = (
                f"{kpi.name} is {kpi.value:.3g} {kpi.unit} (alert {sign} {kpi.alert:g}): {kpi.detail}"
            )
    warnings |= _last_absence(reader, scope, now_ms)
    return Findings(score, warnings)


def _last_absence(reader: Reader, scope: Scope, now_ms: int) -> dict[str, str]:
    """The report of the last absence that is over, where something was missed, traded or ended in it."""
    for told in away_reports(reader, scope, now_ms):
        if told.absence.to_ms is not None and (told.signals or told.fills or told.ended or told.lost):
            return {f"{AWAY} {told.absence.from_ms}": "\n".join(told.lines())}
    return {}


def last_findings(reader: Reader, scope: Scope) -> Findings:
    """What was kept last; none when nothing was, or a version that cannot be read kept it."""
    table = schema.documents
    rows = reader.rows(
        select(table.c.body).where(*of_selection(table, scope.selection), table.c.key == SCRUTINY_KEY)
    )
    return findings_in({SCRUTINY_KEY: json.loads(rows[0].body)} if rows else {})
