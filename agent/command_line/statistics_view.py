"""The figures as tables for 80 columns. Pure: figures in, rich tables out. Money and R stand apart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.command_line.wording import counted, duration, quote_amount
from agent.insight.account import AllTime, Today
from agent.insight.against_backtest import Band, Compared, Comparison
from agent.insight.kpis import Kpi, Standing
from agent.insight.phases import PhaseProgress, is_real_venue
from agent.store.statistics import Statistics

_TONES: Final = {
    Band.AS_EXPECTED: "green",
    Band.BETTER: "green",
    Band.WORST_ACCEPTED: "yellow",
    Band.TOO_LOW: "dark_orange",
    Band.FLAGGED: "red",
}
_STANDING_TONES: Final = {Standing.GOOD: "green", Standing.WATCH: "yellow", Standing.ALERT: "red"}
_NAMES: Final = {
    "trades": "trades",
    "win_rate": "win rate",
    "avg_R": "average R",
    "pnl_per_trade": "PnL a trade",
    "total_pnl": "PnL in all",
    "max_dd": "drawdown",
    "sharpe": "Sharpe of R",
}


def statistics_view(statistics: Statistics) -> RenderableType:
    scope = statistics.scope
    at = datetime.fromtimestamp(statistics.at_ms / 1000, UTC)
    return Group(
        Text(f"{scope.pair}, {scope.mode}, {scope.venue}, {at:%Y-%m-%d %H:%M} UTC", "bold"),
        _head(f"Account, {scope.quote}"),
        _account(statistics.today, statistics.all_time),
        _head("Live against backtest: per unit of base and in R, not account money"),
        *_comparison(statistics.against_backtest),
        _head(f"Execution, last {statistics.kpi_days} days"),
        _kpis(statistics.kpis),
        *(
            ()
            if is_real_venue(scope.venue)
            else (Text("a simulated exchange: seconds are of its time", "dim"),)
        ),
        _head("The way to live, on the exchange's own hosts only"),
        _phases(statistics.phases),
    )


def share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _head(words: str) -> Text:
    return Text(f"\n{words}", "bold")


def _account(today: Today, ever: AllTime) -> Table:
    table = _table()
    for name in ("", "today", "all time"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)

    def money(amount: object) -> str:
        return "-" if amount is None else quote_amount(amount, "", signed=True).strip()  # type: ignore[arg-type]

    fall = "-"
    if ever.max_drawdown is not None and ever.max_drawdown_percent is not None:
        fall = f"{money(ever.max_drawdown)} ({ever.max_drawdown_percent:.2f} %)"
    held = None if ever.average_duration_ms is None else timedelta(milliseconds=ever.average_duration_ms)
    table.add_row("PnL", money(today.pnl if today.pnl is not None else today.realized), money(ever.pnl))
    table.add_row("trades", str(today.trades), str(ever.trades))
    table.add_row("wins / losses", f"{today.wins} / {today.losses}", f"{ever.wins} / {ever.losses}")
    table.add_row("win rate", share(today.win_rate), share(ever.win_rate))
    table.add_row("deepest drawdown", "", fall)
    table.add_row("Sharpe, daily, a year", "", "-" if ever.sharpe is None else f"{ever.sharpe:.2f}")
    table.add_row("average duration", "", "-" if held is None else duration(held))
    return table


def _comparison(comparison: Comparison) -> list[RenderableType]:
    table = _table()
    table.add_column("", no_wrap=True)
    for name in ("live", "backtest", "95 % interval", "more"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in comparison.rows:
        table.add_row(
            _NAMES[row.name],
            _figure(row.name, row.live),
            _figure(row.name, row.promised),
            _interval(row),
            "-" if row.more_trades is None else str(row.more_trades),
            Text(verdict(row), _TONES.get(row.band, "dim")),
        )
    lines: list[RenderableType] = [table]
    if any(row.more_trades for row in comparison.rows):
        lines.append(Text("more: trades until the figure is known to within 20 %", "dim"))
    if comparison.left_out:
        lines.append(f"{counted(comparison.left_out, 'trade')} left out: not made at the backtest's prices.")
    if comparison.by_hand:
        lines.append(f"{counted(comparison.by_hand, 'trade')} ended by hand or by the daily loss.")
    return lines


def verdict(row: Compared) -> str:
    """The band, and how much it says."""
    if row.band in (Band.SHOWN, Band.NOT_PROMISED, Band.NO_TRADES, Band.TOO_FEW):
        return "" if row.band is Band.SHOWN else row.band.value
    words = row.band.value
    if row.worse_by is not None and row.band is not Band.AS_EXPECTED:
        share = f"{abs(row.worse_by) * 100:.0f} %"
        words += f", {share} worse" if row.worse_by > 0 else f", by {share}"
    return words


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "trades":
        return f"{value:.0f}"
    if name == "win_rate":
        return share(value)
    return f"{value:.3f}" if name in ("avg_R", "sharpe") else f"{value:.5g}"


def _interval(row: Compared) -> str:
    if row.interval is None:
        return "-"
    return f"{_figure(row.name, row.interval.low)} .. {_figure(row.name, row.interval.high)}"


def _kpis(kpis: Sequence[Kpi]) -> Table:
    table = _table()
    for name in ("", "value", "target", "alert", "of"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("")
    for kpi in kpis:
        over, under = (">", "<") if kpi.higher_is_better else ("<", ">")
        value = "-" if kpi.value is None else f"{kpi.value:.3g} {kpi.unit}"
        table.add_row(
            kpi.name,
            Text(value, _STANDING_TONES.get(kpi.standing, "dim")),
            f"{over} {kpi.target:g} {kpi.unit}",
            f"{under} {kpi.alert:g} {kpi.unit}",
            str(kpi.of),
            f"{kpi.standing.value}{': ' if kpi.detail else ''}{kpi.detail}",
        )
    return table


def _phases(phases: Sequence[PhaseProgress]) -> Table:
    table = _table()
    for name in ("", "days", "trades", "critical"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("exercised")
    for phase in phases:
        acts = (
            ("emergency stop", phase.emergencies),
            ("restart", phase.restarts),
            ("daily loss", phase.daily_losses),
            ("manual close", phase.manual_closes),
        )
        done = ", ".join(name for name, n in acts if n) or "nothing yet"
        table.add_row(
            f"{phase.mode}{' (done)' if phase.is_done else ''}",
            f"{phase.days:.1f}{_of(phase.days_needed)}",
            f"{phase.trades}{_of(phase.trades_needed)}",
            str(phase.criticals),
            done,
        )
    return table


def _of(needed: float | None) -> str:
    return "" if needed is None else f" of {needed:g}"
