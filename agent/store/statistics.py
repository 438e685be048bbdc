"""All figures of one scope in one call: the facts are read, `agent.insight` computes.

The configuration accepted last says what the backtest promised; where it cannot be read, nothing is promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.config.check import check_config
from agent.config.model import Config
from agent.core.account import day_of
from agent.core.market import DAY_MS
from agent.insight.account import AllTime, Today, all_time, today
from agent.insight.against_backtest import Comparison, Promise, compare
from agent.insight.kpis import Kpi, kpis
from agent.insight.phases import PhaseProgress, phase_progress
from agent.insight.uptime import outages, uptime
from agent.store import reading_statistics as facts
from agent.store.batch import Scope, Selection
from agent.store.reading import Reader

#: How far back the KPIs look.
KPI_DAYS: Final = 30
_FALLBACK_BAR_MS: Final = 900_000


@dataclass(frozen=True, slots=True)
class Statistics:
    """Everything the stats panel, `stats` and the daily summary show of one scope at `at_ms`."""

    scope: Scope
    at_ms: int
    today: Today
    all_time: AllTime
    against_backtest: Comparison
    kpis: tuple[Kpi, ...]
    kpi_days: int
    phases: tuple[PhaseProgress, ...]


def read_statistics(
    reader: Reader, scope: Scope, now_ms: int, *, day_pnl: Decimal | None = None, kpi_days: int = KPI_DAYS
) -> Statistics:
    """`now_ms` is venue time; `day_pnl` today's profit as the engine publishes it. Raises StoreTrouble."""
    of = scope.selection
    config = accepted_config(reader, scope)
    closed = facts.closed_trades(reader, of)
    begin_ms = max(now_ms - kpi_days * DAY_MS, facts.first_life_ms(reader, of) or now_ms)
    down = outages(
        facts.telling_events(reader, of), facts.silences(reader, of, begin_ms, now_ms), begin_ms,
        now_ms
    )  # fmt: skip
    bar_ms = config.bar_ms if config is not None else _FALLBACK_BAR_MS
    return Statistics(
        scope=scope,
        at_ms=now_ms,
        today=today(facts.opened_times(reader, of, day_of(now_ms) * DAY_MS), closed, now_ms, day_pnl),
        all_time=all_time(closed, facts.equity_curve(reader, of), facts.flows(reader, of)),
        against_backtest=compare(closed, None if config is None else promise_of(config)),
        kpis=kpis(
            facts.signal_counts(reader, of, begin_ms),
            facts.executions(facts.positions(reader, of, begin_ms)),
            facts.fill_times(reader, of, begin_ms),
            uptime(down, begin_ms, now_ms),
            facts.signal_latencies(reader, of, bar_ms, begin_ms),
        ),
        kpi_days=kpi_days,
        phases=read_phases(reader, scope, config),
    )


def read_phases(reader: Reader, scope: Scope, config: Config | None) -> tuple[PhaseProgress, ...]:
    """Days and trades per mode on this exchange's own hosts with this pair, whatever account."""
    needed = {}
    if config is not None:
        wanted = config.agent
        needed = {
            "paper": (float(wanted.min_paper_days), wanted.min_phase_trades),
            "testnet": (float(wanted.min_testnet_days), wanted.min_phase_trades),
        }
    of = Selection(agent_id=scope.agent_id, pair=scope.pair)
    exchange = scope.venue.partition("@")[0]
    return phase_progress(facts.scope_runs(reader, of), exchange=exchange, pair=scope.pair, needed=needed)


def accepted_config(reader: Reader, scope: Scope) -> Config | None:
    """The configuration accepted last, None when there is none or this version cannot read it any more."""
    accepted = reader.config(scope)
    return None if accepted is None else check_config(accepted.text).config


def promise_of(config: Config) -> Promise | None:
    """What the exported backtest measured."""
    metrics = config.backtest_metrics
    if metrics is None:
        return None
    return Promise(
        trades=metrics.trades,
        win_rate=metrics.win_rate,
        avg_r=metrics.avg_R,
        total_pnl=metrics.total_pnl,
        max_dd=metrics.drawdown,
        sharpe=metrics.sharpe,
    )
