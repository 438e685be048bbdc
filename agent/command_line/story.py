"""`why` and `away`: the sentences of `agent.insight`, of one bar or of the last absences."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of
from agent.command_line.statistics import moment_of
from agent.command_line.stored import stored_status
from agent.command_line.stored_scope import reading
from agent.command_line.terminal import Terminal
from agent.core.instant import iso_utc
from agent.core.money import plain
from agent.insight.away import AwayReport
from agent.insight.why import Explanation
from agent.store.reading_story import away_reports, why_bar


def why_command(data_dir: Path | None, bar: str | None, as_json: bool) -> int:
    at_ms = None if bar is None else _moment(bar)
    with reading(data_dir) as (reader, scope):
        status = stored_status(data_dir_of(data_dir)) or {}
        found = why_bar(reader, scope, at_ms, moment_of(scope, status))
    terminal = Terminal(as_json=as_json)
    if isinstance(found, Explanation):
        lines = list(found.lines())
        blocked = status.get("entries_blocked_by")
        if bar is None and isinstance(blocked, list) and blocked:
            lines.append("Entries were blocked at the last look: " + "; ".join(map(str, blocked)) + ".")
        terminal.result("\n".join(lines), _explanation(found) if as_json else None)
        return ExitCode.DONE
    terminal.result("\n".join(found), {"decided": False, "reasons": list(found)} if as_json else None)
    return ExitCode.DONE


def away_command(data_dir: Path | None, limit: int, all_of_them: bool, as_json: bool) -> int:
    with reading(data_dir) as (reader, scope):
        status = stored_status(data_dir_of(data_dir)) or {}
        now_ms = moment_of(scope, status)
        found = away_reports(reader, scope, now_ms, limit=limit, all_of_them=all_of_them)
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document([_report(one) for one in found])
    elif not found:
        terminal.show("The agent was never away while anything happened.")
    else:
        terminal.show("\n\n".join("\n".join(one.lines()) for one in found))
    return ExitCode.DONE


def _moment(text: str) -> int:
    """A bar as a person writes it: `2025-01-15 14:30`, with or without T, seconds and offset; else UTC."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        raise Ended(
            ExitCode.REFUSED, f"{text!r} is no moment.", 'write the bar like "2025-01-15 14:30", in UTC'
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _explanation(found: Explanation) -> dict[str, Any]:
    return {
        "decided": True,
        "bar": iso_utc(found.bar_open_ms),
        "outcome": found.outcome.value,
        "headline": found.headline,
        "conditions": [
            {"name": c.name, "value": c.value, "threshold": c.threshold, "passed": c.passed}
            for c in found.conditions
        ],
        "checks": [{"name": c.name, "passed": c.passed, "numbers": c.numbers} for c in found.checks],
        "remarks": list(found.remarks),
    }


def _report(one: AwayReport) -> dict[str, Any]:
    return {
        "from": iso_utc(one.absence.from_ms),
        "to": iso_utc(one.absence.to_ms),
        "causes": [cause.value for cause in one.absence.causes],
        "bars": one.bars,
        "judged": one.judged,
        "not_judged": one.lost,
        "signals": [
            {"bar": iso_utc(row.bar_open_ms), "outcome": row.outcome.value, "reason": row.reason}
            for row in one.signals
        ],
        "fills": [
            {
                "ts": iso_utc(fill.at_ms),
                "position_id": fill.position_id,
                "purpose": fill.purpose,
                "side": "BUY" if fill.is_buy else "SELL",
                "price": plain(fill.price),
                "quantity": plain(fill.qty),
            }
            for fill in one.fills
        ],
        "ended": [
            {"id": trade.id, "reason": trade.reason, "pnl_quote": plain(trade.pnl_quote), "R": trade.r}
            for trade in one.ended
        ],
        "found": [{"ts": iso_utc(e.at_ms), "level": e.level, "text": e.text} for e in one.found],
        "text": list(one.lines()),
    }
