"""The stored rows' figures as sections of the stats panel: results, against backtest, execution, phases.

Account money and figures per unit or in R never share a section: only the latter compare with the backtest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.insight.account import AllTime
from agent.insight.against_backtest import Band, Compared, Comparison
from agent.insight.kpis import Kpi, Standing
from agent.insight.phases import PhaseProgress
from ui.present import numbers
from ui.present.stats import Recorded, Row, Section
from ui.present.tone import Tone, result_tone

if TYPE_CHECKING:
    from agent.store.statistics import Statistics

_BANDS: Final = {
    Band.AS_EXPECTED: ("as expected", Tone.GOOD),
    Band.BETTER: ("better", Tone.GOOD),
    Band.WORST_ACCEPTED: ("worst accepted", Tone.NOTICE),
    Band.TOO_LOW: ("too low", Tone.BUSY),
    Band.FLAGGED: ("✖ flagged", Tone.BAD),
    Band.NO_TRADES: ("no trades", Tone.QUIET),
    Band.TOO_FEW: ("too few", Tone.QUIET),
    Band.UNDEFINED: ("not yet", Tone.QUIET),
    Band.NOT_PROMISED: ("", Tone.QUIET),
    Band.SHOWN: ("", Tone.QUIET),
}
_STANDINGS: Final = {
    Standing.GOOD: ("✓ good", Tone.GOOD),
    Standing.WATCH: ("below target", Tone.NOTICE),
    Standing.ALERT: ("✖ alert", Tone.BAD),
    Standing.UNKNOWN: ("not yet", Tone.QUIET),
}
_NAMES: Final = {
    "trades": "Trades",
    "win_rate": "Win rate",
    "avg_R": "Average R",
    "pnl_per_trade": "PnL a trade",
    "total_pnl": "Total PnL",
    "max_dd": "Max drawdown",
    "sharpe": "Sharpe of R",
}
#: Beyond this many points a curve of three hundred pixels shows nothing more.
_CURVE_POINTS: Final = 600


def recorded(statistics: Statistics) -> Recorded:
    ever = statistics.all_time
    every = max(1, len(ever.curve) // _CURVE_POINTS)
    points = ever.curve[::every]
    if points and points[-1] != ever.curve[-1]:
        points = (*points, ever.curve[-1])
    return Recorded(
        all_time=(_all_time(ever, statistics.scope.quote),),
        backtest=_backtest(statistics.against_backtest),
        execution=(_execution(statistics.kpis, statistics.kpi_days),),
        phases=_phases(statistics.phases),
        curve=tuple((point.at_ms / 1000, float(point.equity)) for point in points),
    )


def _all_time(ever: AllTime, quote: str) -> Section:
    held = None if ever.average_duration_ms is None else ever.average_duration_ms / 1000
    fall = ever.max_drawdown_percent
    rows = (
        Row("PnL", numbers.money(ever.pnl, quote, signed=True), result_tone(ever.pnl)),
        Row("Trades", f"{ever.trades:,}", remark=f"{ever.wins} won, {ever.losses} lost"),
        Row("Win rate", numbers.percent(ever.win_rate, 1, signed=False)),
        Row(
            "Max drawdown",
            numbers.money(ever.max_drawdown, quote),
            remark=numbers.percent(fall / 100) if fall is not None else "",
        ),
        Row(
            "Sharpe, daily",
            numbers.number(ever.sharpe),
            remark="needs 10 days" if ever.sharpe is None else "",
        ),
        Row("Average duration", numbers.span(held)),
        Row("Fees", numbers.money(ever.fees, quote)),
    )
    return Section("All time", rows)


def _backtest(comparison: Comparison) -> tuple[Section, ...]:
    if all(row.promised is None for row in comparison.rows):
        remark = "The configuration carries no backtest_metrics: there is nothing to compare with."
        return (Section("Live against backtest", tuple(_compared(row) for row in comparison.rows), remark),)
    rows = tuple(_compared(row) for row in comparison.rows)
    notes = "Live / backtest, per unit and in R."
    if comparison.left_out:
        notes += f" {numbers.counted(comparison.left_out, 'trade')} left out: not at the backtest's prices."
    if comparison.by_hand:
        notes += f" {numbers.counted(comparison.by_hand, 'trade')} ended by hand or by the daily loss."
    return (Section("Live against backtest", rows, notes),)


def _compared(row: Compared) -> Row:
    word, tone = _BANDS[row.band]
    live = _figure(row.name, row.live)
    text = live if row.promised is None else f"{live} / {_figure(row.name, row.promised)}"
    hint = ""
    if row.interval is not None:
        low, high = _figure(row.name, row.interval.low), _figure(row.name, row.interval.high)
        hint = f"95 % interval of the live figure: {low} to {high}"
    if row.more_trades:
        hint += f"{'; ' if hint else ''}{row.more_trades} more trades until it is known to within 20 %"
    return Row(_NAMES.get(row.name, row.name), text, Tone.PLAIN, word, tone, hint)


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return numbers.UNKNOWN
    match name:
        case "trades":
            return f"{value:,.0f}"
        case "win_rate":
            return numbers.percent(value, 1, signed=False)
        case "avg_R" | "sharpe":
            return numbers.number(value)
        case _:
            return f"{value:.3g}".replace("-", numbers.MINUS)


def _execution(kpis: tuple[Kpi, ...], days: int) -> Section:
    rows = []
    for kpi in kpis:
        word, tone = _STANDINGS[kpi.standing]
        value = numbers.UNKNOWN if kpi.value is None else f"{kpi.value:.3g} {kpi.unit}"
        over, under = (">", "<") if kpi.higher_is_better else ("<", ">")
        hint = f"target {over} {kpi.target:g} {kpi.unit}, alert {under} {kpi.alert:g} {kpi.unit}"
        hint += f", of {kpi.of:,}" + (f"; {kpi.detail}" if kpi.detail else "")
        rows.append(Row(kpi.name.capitalize(), value, Tone.PLAIN, word, tone, hint))
    return Section(f"Execution, last {days} days", tuple(rows))


def _phases(phases: tuple[PhaseProgress, ...]) -> tuple[Section, ...]:
    sections = [
        Section(
            "The way to live",
            remark="Days and trades count on the exchange's own hosts only, never in a demo.",
        )
    ]
    for phase in phases:
        done = "  ✓ done" if phase.is_done else ""
        rows = [
            Row("Days", f"{phase.days:.1f}{_of(phase.days_needed)}"),
            Row("Trades", f"{phase.trades}{_of(phase.trades_needed)}"),
        ]
        if phase.days or phase.trades:
            bad = phase.criticals > 0
            rows.append(Row("Critical events", str(phase.criticals), Tone.BAD if bad else Tone.PLAIN))
            exercised = (
                ("emergency stop", phase.emergencies),
                ("restart", phase.restarts),
                ("daily loss", phase.daily_losses),
                ("manual close", phase.manual_closes),
            )
            rows += [
                Row(f"Exercised: {name}", "✓" if n else "✗ not yet", Tone.GOOD if n else Tone.QUIET)
                for name, n in exercised
            ]
        sections.append(Section(f"{phase.mode.capitalize()}{done}", tuple(rows)))
    return tuple(sections)


def _of(needed: float | None) -> str:
    return "" if needed is None else f" of {needed:g}"
