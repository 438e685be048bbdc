"""A trade beside its bar form as a row that leaves: `export costs` and `parity --json`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from agent.core.instant import iso_utc
from agent.core.money import plain
from agent.insight.costs import CostRow
from agent.store.trade_report import readable

COST_COLUMNS: Final = (
    *("id", "signal_ts", "bar_entry", "entry", "bar_exit", "exit", "bar_reason", "reason", "bar_bars_held"),
    *("bars_held", "bar_pnl", "pnl", "difference", "timing", "slippage", "fee", "rule", "notes"),
)


def cost_document(row: CostRow) -> dict[str, Any]:
    """The columns of `export costs`: quote currency per unit of base, positive where live earned more."""
    money = (row.bar.pnl, row.pnl, row.difference, row.timing, row.slippage, row.fee, row.rule)
    bar_pnl, pnl, difference, timing, slippage, fee, rule = map(readable, money)
    return {
        "id": row.trade_id,
        "signal_ts": iso_utc(row.signal_ms),
        "bar_entry": row.bar.entry,
        "entry": readable(row.entry),
        "bar_exit": row.bar.exit,
        "exit": readable(row.exit),
        "bar_reason": row.bar.reason,
        "reason": row.reason,
        "bar_bars_held": row.bar.bars_held,
        "bars_held": row.bars_held,
        "bar_pnl": bar_pnl,
        "pnl": pnl,
        "difference": difference,
        "timing": timing,
        "slippage": slippage,
        "fee": fee,
        "rule": rule,
        "notes": row.notes,
    }


def cost_json(row: CostRow) -> dict[str, Any]:
    """The same with money as text."""
    columns = cost_document(row)
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in columns.items()}
