"""A position as a row of the trades table: what a person, a spreadsheet or a comparison reads.

Sums are exact. Ratios (average prices, PnL per unit, R) rarely end, so they are rounded to 18 significant
digits at the very end; the exact amounts are in the fills and in the position's own record.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Any, Final

from agent.core.money import PRECISION
from agent.core.position import Position, PositionState

_READABLE: Final = Context(prec=18)
_ENDED: Final = frozenset({PositionState.CLOSED, PositionState.MONITORING})


def trade_columns(position: Position) -> dict[str, Any]:
    """The reporting columns of `agent.store.schema.trades`.

    pnl (quote per unit of base) = exit - entry - fees_quote / size, and R = pnl / risk, where risk is the one
    fixed at entry: the backtester's definitions. What a position earned is unknown while it is open and when
    nothing of it was sold.
    """
    with localcontext(prec=PRECISION):
        ended = position.state in _ENDED
        entry, exit_ = position.entry_price, position.exit_price if ended else None
        pnl = ratio = None
        if entry is not None and exit_ is not None:
            pnl = exit_ - entry - position.fees_quote / position.bought_qty
            ratio = pnl / Decimal(repr(position.levels.risk))
        return {
            "state": position.state.value,
            "is_open": not ended,
            "signal_ms": position.plan.signal_open_ms,
            "opened_ms": position.opened_ms,
            "exit_ms": position.last_fill_ms if ended else None,
            "entry": readable(entry),
            "exit": readable(exit_),
            "size": position.bought_qty,
            "pnl_quote": None if exit_ is None else position.pnl_quote,
            "pnl": readable(pnl),
            "r": readable(ratio),
            "reason": position.exit_reason if ended else None,
            "bars_held": position.bars_held,
            "fees_quote": position.fees_quote,
            "notes": "; ".join(_notes(position)),
        }


def _notes(position: Position) -> tuple[str, ...]:
    if position.seen_at_close and "seen_at_close" not in position.notes:
        return (*position.notes, "seen_at_close")
    return position.notes


def readable(value: Decimal | None) -> Decimal | None:
    """To 18 significant digits."""
    return None if value is None else _READABLE.plus(value)
