"""The day in a few lines, told after UTC midnight of venue time. PURE.

Counted from the ledger's rows, so that a restart at midnight changes nothing: trades that closed on the day,
and what the account was worth at its first and last balance row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agent.core.money import ZERO


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Quote currency and R of one trade."""

    pnl_quote: Decimal
    r: Decimal | None


@dataclass(frozen=True, slots=True)
class DayRecord:
    """`date` as 2026-11-28; equities None when the agent was not there."""

    date: str
    closed: tuple[ClosedTrade, ...]
    opened: int
    first_equity: Decimal | None
    last_equity: Decimal | None
    warnings: int
    """Events of WARNING and above."""


def summary(day: DayRecord, headline: str, currency: str, open_positions: Sequence[str]) -> str:
    lines = [f"{day.date} (UTC) in short. Now {headline}"]
    if day.first_equity is not None and day.last_equity is not None:
        change = day.last_equity - day.first_equity
        share = f" ({change / day.first_equity * 100:+.2f} %)" if day.first_equity else ""
        lines.append(f"Equity {day.last_equity:,.2f} {currency}, {change:+,.2f} {currency}{share}")
    wins = sum(trade.pnl_quote > 0 for trade in day.closed)
    result = sum((trade.pnl_quote for trade in day.closed), ZERO)
    closed = f"{len(day.closed)} closed"
    if day.closed:
        closed += f" ({wins} won, {len(day.closed) - wins} lost), {result:+,.2f} {currency}"
        known = [trade.r for trade in day.closed if trade.r is not None]
        if known:
            closed += f", {sum(known, ZERO):+.2f} R"
    lines.append(f"Trades: {day.opened} opened, {closed}")
    lines += open_positions or ["Nothing is open"]
    if day.warnings:
        lines.append(f"Warnings and errors: {day.warnings} (see the log)")
    return "\n".join(lines)
