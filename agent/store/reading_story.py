"""Why and while I was away, read from the store: the rows of one bar, the rows of one absence."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, select

from agent.config.check import check_config
from agent.config.model import Config
from agent.config.strategy import seller_params
from agent.core.order import Side
from agent.core.records import Check, DecisionRow, VerdictRow
from agent.insight.away import AFTERMATH_MS, FOUND_KINDS, AwayReport, Traded, absences, report
from agent.insight.facts import Outage
from agent.insight.uptime import outages
from agent.insight.why import Explanation, explain, explain_absence
from agent.store import reading_statistics as facts
from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS, Scope, Selection
from agent.store.codec import decode, from_text
from agent.store.reading import Reader, decision_of, of_selection

_FALLBACK_BAR_MS = 900_000


def why_bar(reader: Reader, scope: Scope, at_ms: int | None, now_ms: int) -> Explanation | tuple[str, ...]:
    """The bar that `at_ms` lies in, or the last decided one.

    Sentences where there is no decision about it.
    """
    decision = _decision(reader, scope.selection, at_ms)
    if decision is None and at_ms is None:
        return ("No bar was decided yet.",)
    config = config_at(reader, scope, now_ms if decision is None else decision.decided_ms)
    bar_ms = _FALLBACK_BAR_MS if config is None else config.bar_ms
    if decision is None or (at_ms is not None and at_ms >= decision.bar_open_ms + bar_ms):
        assert at_ms is not None
        bar_open_ms = at_ms // bar_ms * bar_ms
        down = read_outages(
            reader, scope.selection, facts.first_life_ms(reader, scope.selection) or 0, now_ms
        )
        return explain_absence(bar_open_ms, bar_ms, down, now_ms)
    verdict = _verdict(reader, scope.selection, decision)
    return explain(decision, None if config is None else seller_params(config), bar_ms, verdict)


def away_reports(
    reader: Reader, scope: Scope, now_ms: int, *, since_ms: int = 0, limit: int = 1, all_of_them: bool = False
) -> tuple[AwayReport, ...]:
    """The last absences, newest first; those in which nothing happened at all only when `all_of_them`."""
    of = scope.selection
    config = config_at(reader, scope, now_ms)
    bar_ms = _FALLBACK_BAR_MS if config is None else config.bar_ms
    begin_ms = max(since_ms, facts.first_life_ms(reader, of) or now_ms)
    ended = facts.closed_trades(reader, of)
    found: list[AwayReport] = []
    for absence in reversed(absences(read_outages(reader, of, begin_ms, now_ms), now_ms)):
        until_ms = (absence.to_ms or now_ms) + AFTERMATH_MS
        made = report(
            absence,
            _decisions_between(reader, of, absence.from_ms - bar_ms, until_ms),
            traded_between(reader, of, absence.from_ms, until_ms),
            ended,
            facts.events_of(reader, of, FOUND_KINDS, absence.from_ms),
            bar_ms=bar_ms,
            now_ms=now_ms,
            currencies=(scope.base, scope.quote),
        )
        if made.is_telling or all_of_them:
            found.append(made)
        if len(found) >= limit:
            break
    return tuple(found)


def read_outages(reader: Reader, of: Selection, since_ms: int, now_ms: int) -> tuple[Outage, ...]:
    return outages(
        facts.telling_events(reader, of), facts.silences(reader, of, since_ms, now_ms), since_ms, now_ms
    )


def config_at(reader: Reader, scope: Scope, at_ms: int) -> Config | None:
    """The configuration in force at `at_ms`; the oldest one for a moment before it."""
    table = schema.configs
    scoped = of_selection(table, scope.selection)
    rows = reader.rows(
        select(table.c.body).where(*scoped, table.c.at_ms <= at_ms).order_by(table.c.id.desc()).limit(1)
    ) or reader.rows(select(table.c.body).where(*scoped).order_by(table.c.id).limit(1))
    return check_config(rows[0].body).config if rows else None


def traded_between(reader: Reader, of: Selection, from_ms: int, to_ms: int) -> tuple[Traded, ...]:
    """Our own fills after `from_ms`, with what their orders were for, oldest first."""
    fills, intents = schema.fills, schema.intents
    same = and_(*(fills.c[name] == intents.c[name] for name in SCOPE_COLUMNS))
    rows = reader.rows(
        select(
            fills.c.at_ms,
            fills.c.side,
            fills.c.price,
            fills.c.qty,
            intents.c.position_id,
            intents.c.purpose,
        )
        .select_from(fills.join(intents, and_(same, fills.c.client_id == intents.c.client_id)))
        .where(*of_selection(fills, of), fills.c.at_ms > from_ms, fills.c.at_ms <= to_ms)
        .order_by(fills.c.at_ms, fills.c.id)
    )
    return tuple(
        Traded(row.at_ms, row.position_id, row.purpose, row.side == Side.BUY.value, row.price, row.qty)
        for row in rows
    )


def _decision(reader: Reader, of: Selection, at_ms: int | None) -> DecisionRow | None:
    """The newest decision about a bar that had opened by `at_ms`."""
    rows = reader.decisions(of, limit=1, before_ms=None if at_ms is None else at_ms + 1)
    return rows[0] if rows else None


def _decisions_between(reader: Reader, of: Selection, from_ms: int, to_ms: int) -> Sequence[DecisionRow]:
    table = schema.decisions
    wanted = (
        select(table)
        .where(*of_selection(table, of), table.c.bar_open_ms > from_ms, table.c.bar_open_ms <= to_ms)
        .order_by(table.c.bar_open_ms)
    )
    return [decision_of(row) for row in reader.rows(wanted)]


def _verdict(reader: Reader, of: Selection, decision: DecisionRow) -> VerdictRow | None:
    """The risk check of a signal: it was written in the same step as the decision."""
    if not decision.exhaustion:
        return None
    table = schema.verdicts
    rows = reader.rows(
        select(table)
        .where(*of_selection(table, of), table.c.at_ms == decision.decided_ms)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    if not rows:
        return None
    row = rows[0]
    checks = decode(tuple[Check, ...], from_text(row.checks))
    return VerdictRow(row.at_ms, row.position_id, row.client_id, row.approved, checks)
