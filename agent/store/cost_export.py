"""A trade beside its bar form as a row that leaves: `export costs` and `parity --json`."""

from __future__ import annotations

from typing import Any, Final

from agent.core.instant import iso_utc
from agent.insight.costs import CostRow

COST_COLUMNS: Final = (
    *("id", "signal_ts", "bar_entry", "entry", "bar_exit", "exit", "bar_reason", "reason", "bar_bars_held"),
    *("bars_held", "bar_pnl", "pnl", "difference", "timing", "slippage", "fee", "rule", "notes"),
)


def cost_document(row: CostRow) -> dict[str, Any]:
    """The columns of `export costs`: quote currency per unit of base, positive where live earned more."""
    return {
        "id": row.trade_id,
        "signal_ts": iso_utc(row.signal_ms),
        "bar_entry": row.bar.entry,
        "entry": row.entry,
        "bar_exit": row.bar.exit,
        "exit": row.exit,
        "bar_reason": row.bar.reason,
        "reason": row.reason,
        "bar_bars_held": row.bar.bars_held,
        "bars_held": row.bars_held,
        "bar_pnl": row.bar.pnl,
        "pnl": row.pnl,
        "difference": row.difference,
        "timing": row.timing,
        "slippage": row.slippage,
        "fee": row.fee,
        "rule": row.rule,
        "notes": row.notes,
    }
