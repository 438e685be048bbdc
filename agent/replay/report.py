"""What a replay says at its end: our metrics beside the exported ones, as a table or one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.table import Table

from agent.core.metrics import TradeMetrics
from agent.replay.agreement import Agreement
from agent.replay.bar_form import Replayed
from agent.replay.candle_file import RecordedCandles
from agent.replay.dates import format_date
from agent.replay.setup import ReplaySetup

#: Our metric, and the names the export may use for it.
METRIC_NAMES: Final = {
    "n": ("total_trades", "n"),
    "win_rate": ("win_rate",),
    "avg_R": ("avg_R",),
    "total_pnl": ("total_pnl",),
    "max_dd": ("max_drawdown", "max_dd"),
    "sharpe": ("sharpe",),
}


def agreement_text(agreed: Agreement) -> str:
    """Whether the live evaluation said what the files say, in a sentence."""
    if agreed.holds:
        return (
            f"Live evaluation of {agreed.bars} bars agrees: {agreed.signals} signals on the same bars, "
            f"values within {agreed.worst:.1e} ({agreed.borderline} bars borderline)."
        )
    where = ", ".join(format_date(open_ms) for open_ms in agreed.differing_ms[:5])
    return (
        f"WARNING: live evaluation differs: {len(agreed.differing_ms)} signals ({where}), values by up to "
        f"{agreed.worst:.1e}. The files follow the whole history, as the backtester does."
    )


def _exported(setup: ReplaySetup, metric: str) -> float | None:
    exported = setup.backtest_metrics or {}
    return next((exported[name] for name in METRIC_NAMES[metric] if name in exported), None)


def tell(
    result: Replayed,
    setup: ReplaySetup,
    recorded: RecordedCandles,
    remarks: Sequence[str],
    files: Sequence[Path],
    *,
    as_json: bool,
) -> None:
    """Metrics to standard output, beside the exported ones where there are any."""
    out = Console(soft_wrap=True, highlight=False, markup=False)
    if as_json:
        document = {
            "metrics": asdict(result.metrics),
            "backtest_metrics": dict(setup.backtest_metrics) if setup.backtest_metrics else None,
            "bars": len(recorded.candles),
            "signals": int(result.features["exhaustion"].sum()),
            "notices": [*recorded.notices(), *remarks],
            "files": [str(path) for path in files],
        }
        out.print(orjson.dumps(document).decode())
        return
    out.print(_metrics_table(result.metrics, setup))
    out.print(f"Written to {files[0].parent}: {', '.join(path.name for path in files)}")


def _metrics_table(metrics: TradeMetrics, setup: ReplaySetup) -> Table:
    table = Table(title=f"Replay, {setup.timeframe}, exits at {setup.exits.policy.replace('_', ' ')}")
    table.add_column("metric")
    table.add_column("replay", justify="right")
    beside = setup.backtest_metrics is not None
    if beside:
        table.add_column("backtest", justify="right")
        table.add_column("difference", justify="right")
    for name in METRIC_NAMES:
        ours = getattr(metrics, name)
        cells = [name, f"{ours:.6g}"]
        if beside:
            theirs = _exported(setup, name)
            apart = "-" if not theirs else f"{(ours - theirs) / abs(theirs):+.1%}"
            cells += ["-" if theirs is None else f"{theirs:.6g}", apart]
        table.add_row(*cells)
    return table
