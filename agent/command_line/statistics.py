"""`stats`: today, all time, live against backtest, KPIs and the way to live, as text or one document."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from agent.command_line.outcome import ExitCode
from agent.command_line.place import data_dir_of
from agent.command_line.stored import stored_status
from agent.command_line.stored_scope import reading
from agent.command_line.terminal import Terminal
from agent.core.instant import iso_utc, ms_of_iso
from agent.core.money import money, plain
from agent.insight.account import AllTime, Today
from agent.insight.against_backtest import Compared, Comparison
from agent.insight.kpis import Kpi
from agent.insight.phases import PhaseProgress, is_real_venue
from agent.store.batch import Scope
from agent.store.statistics import Statistics, read_statistics

#: Points of the equity curve in the document: one an hour would be nine thousand a year.
_CURVE_POINTS = 1_000


def stats_command(data_dir: Path | None, as_json: bool) -> int:
    from agent.command_line.statistics_view import statistics_view

    with reading(data_dir) as (reader, scope):
        status = stored_status(data_dir_of(data_dir)) or {}
        now_ms = moment_of(scope, status)
        statistics = read_statistics(reader, scope, now_ms, day_pnl=_day_pnl(status, now_ms))
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document(document(statistics))
    else:
        terminal.show(statistics_view(statistics))
    return ExitCode.DONE


def moment_of(scope: Scope, status: Mapping[str, Any]) -> int:
    """Now, in the time of what is stored: the wall's on a real exchange, on a simulated one its last word."""
    told = status.get("at")
    if is_real_venue(scope.venue) or not isinstance(told, str):
        return time.time_ns() // 1_000_000
    return ms_of_iso(told)


def _day_pnl(status: Mapping[str, Any], now_ms: int) -> Decimal | None:
    day = status.get("day")
    if not isinstance(day, Mapping) or day.get("date") != iso_utc(now_ms)[:10] or day.get("pnl") is None:
        return None
    try:
        return money(str(day["pnl"]))
    except (ValueError, InvalidOperation):
        return None


def document(statistics: Statistics) -> dict[str, Any]:
    """Money as text, shares 0..1, times ISO 8601; account and per-unit figures under keys of their own."""
    scope = statistics.scope
    return {
        "at": iso_utc(statistics.at_ms),
        "mode": scope.mode,
        "venue": scope.venue,
        "pair": scope.pair,
        "currency": scope.quote,
        "today": _today(statistics.today),
        "all_time": _all_time(statistics.all_time),
        "live_against_backtest": _comparison(statistics.against_backtest),
        "kpis": {"days": statistics.kpi_days, "rows": [_kpi(kpi) for kpi in statistics.kpis]},
        "phases": [_phase(phase) for phase in statistics.phases],
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _today(today: Today) -> dict[str, Any]:
    return {
        "date": iso_utc(today.date_ms)[:10],
        "trades": today.trades,
        "wins": today.wins,
        "losses": today.losses,
        "win_rate": today.win_rate,
        "realized": plain(today.realized),
        "pnl": _text(today.pnl),
    }


def _all_time(all_time: AllTime) -> dict[str, Any]:
    every = max(1, -(-len(all_time.curve) // _CURVE_POINTS))
    points = all_time.curve[::-1][::every][::-1]
    return {
        "trades": all_time.trades,
        "wins": all_time.wins,
        "losses": all_time.losses,
        "win_rate": all_time.win_rate,
        "pnl": plain(all_time.pnl),
        "fees": plain(all_time.fees),
        "max_drawdown": _text(all_time.max_drawdown),
        "max_drawdown_percent": all_time.max_drawdown_percent,
        "sharpe": all_time.sharpe,
        "average_duration_ms": all_time.average_duration_ms,
        "equity_curve": [{"ts": iso_utc(p.at_ms), "equity": plain(p.equity)} for p in points],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "left_out": comparison.left_out,
        "by_hand": comparison.by_hand,
        "metrics": [_compared(row) for row in comparison.rows],
    }


def _compared(row: Compared) -> dict[str, Any]:
    interval = row.interval
    return {
        "name": row.name,
        "live": row.live,
        "backtest": row.promised,
        "worse_by": row.worse_by,
        "band": row.band.value,
        "interval": None if interval is None else [interval.low, interval.high],
        "interval_source": None if interval is None else interval.source,
        "more_trades": row.more_trades,
        "proven": row.proven,
    }


def _kpi(kpi: Kpi) -> dict[str, Any]:
    return {
        "name": kpi.name,
        "value": kpi.value,
        "unit": kpi.unit,
        "target": kpi.target,
        "alert": kpi.alert,
        "higher_is_better": kpi.higher_is_better,
        "of": kpi.of,
        "standing": kpi.standing.value,
        "detail": kpi.detail,
    }


def _phase(phase: PhaseProgress) -> dict[str, Any]:
    return {
        "mode": phase.mode,
        "days": round(phase.days, 3),
        "days_needed": phase.days_needed,
        "trades": phase.trades,
        "trades_needed": phase.trades_needed,
        "win_rate": phase.win_rate,
        "done": phase.is_done,
        "critical_events": phase.criticals,
        "exercised": {
            "emergency_stop": phase.emergencies,
            "restart": phase.restarts,
            "daily_loss": phase.daily_losses,
            "manual_close": phase.manual_closes,
        },
    }
