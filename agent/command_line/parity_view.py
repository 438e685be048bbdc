"""Trades beside their bar form as a table for 80 columns: differences in basis points of the entry."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from agent.command_line.tables import moment
from agent.insight.costs import CostRow


def costs_table(rows: Sequence[CostRow]) -> Table:
    """Oldest first. A trade whose bar form has not ended has no differences."""
    table = Table(
        title="Trades against the bar form, basis points (+ live earned more)",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in ("id", "signal"):
        table.add_column(name, no_wrap=True)
    for name in ("timing", "slippage", "fee", "rule", "in all"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("left (bar form)")
    for row in rows:
        parts = (row.timing, row.slippage, row.fee, row.rule, row.difference)
        left = row.reason if row.reason == row.bar.reason else f"{row.reason} ({row.bar.reason or 'held'})"
        table.add_row(
            str(row.trade_id),
            moment(row.signal_ms),
            *("-" if part is None else f"{part / row.entry * 10_000:+.1f}" for part in parts),
            left,
        )
    return table
