"""Past and open trades as rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ui.present import numbers
from ui.present.tone import Tone, result_tone

if TYPE_CHECKING:
    from agent.store.reading import TradeRow

COLUMNS: Final = (
    "#",
    "Entered",
    "Left",
    "Entry",
    "Exit",
    "Size",
    "PnL",
    "R",
    "Reason",
    "Bars",
    "Fees",
    "Notes",
)


@dataclass(frozen=True, slots=True)
class Trade:
    """`tone` colours result and R."""

    id: int
    signal_ms: int
    texts: tuple[str, ...]
    tone: Tone


def trade(row: TradeRow, tick: Decimal | None, quote: str, local: bool = False) -> Trade:
    result = numbers.money(row.pnl_quote, quote, signed=True) if not row.is_open else "open"
    return Trade(
        row.id,
        row.signal_ms,
        (
            str(row.id),
            _at(row.opened_ms, local),
            _at(row.exit_ms, local) if row.exit_ms is not None else "",
            numbers.average_price(row.entry, tick),
            numbers.average_price(row.exit, tick) if row.exit is not None else "",
            numbers.size(row.size),
            result,
            numbers.ratio(float(row.r)) if row.r is not None else "",
            row.reason or "",
            str(row.bars_held),
            numbers.money(row.fees_quote, quote),
            row.notes,
        ),
        result_tone(row.pnl_quote) if not row.is_open else Tone.INFO,
    )


def _at(at_ms: int, local: bool) -> str:
    return (
        datetime.fromtimestamp(at_ms / 1000, UTC)
        .astimezone(numbers.zone(local))
        .strftime("%Y-%m-%d %H:%M:%S")
    )
