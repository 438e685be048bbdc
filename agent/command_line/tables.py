"""Trades and decisions as tables for 80 columns and more, newest first. Pure: rows in, rich tables out.

A condition carries a sign beside its value, `+` where it holds and `-` where not: colour alone says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from agent.command_line.wording import price, quote_amount
from agent.core.position import PositionState
from agent.core.records import DecisionRow, Outcome
from agent.store.reading import TradeRow

_OUTCOMES: Final = {
    Outcome.NO_SIGNAL: "no signal",
    Outcome.ENTERED: "entered",
    Outcome.REFUSED: "refused",
    Outcome.LATE: "too late",
    Outcome.IN_POSITION: "in position",
    Outcome.BLOCKED: "blocked",
    Outcome.NO_LADDER: "no ladder",
    Outcome.NO_ROOM: "no room",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the three measured conditions must exceed."""

    vol_z: float
    tr_z: float
    cloc: float


def moment(at_ms: int | None) -> str:
    """`01-15 14:32`: the year is in the title."""
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%m-%d %H:%M}"


def _years(times_ms: Sequence[int]) -> str:
    years = sorted({datetime.fromtimestamp(at_ms / 1000, UTC).year for at_ms in times_ms})
    return " and ".join(map(str, years))


def trades_table(trades: Sequence[TradeRow]) -> Table:
    """One scope's trades; an open one shows what it holds."""
    scope = trades[0].scope
    years = _years([trade.opened_ms for trade in trades])
    table = Table(
        title=f"Trades, {scope.pair}, {scope.mode}, {scope.venue} ({years}, UTC)",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("id", justify="right")
    for name in ("entry", "exit"):
        table.add_column(name, no_wrap=True)
    table.add_column(f"size {scope.base}", justify="right", no_wrap=True)
    for name in ("bought", "sold", f"PnL {scope.quote}", "R"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reason", min_width=10)
    for trade in trades:
        table.add_row(
            str(trade.id),
            moment(trade.opened_ms),
            moment(trade.exit_ms),
            price(trade.size),
            f"{trade.entry:.6g}" if trade.entry is not None else "-",
            f"{trade.exit:.6g}" if trade.exit is not None else "-",
            _pnl(trade),
            "-" if trade.r is None else f"{trade.r:+.2f}",
            _reason(trade),
        )
    return table


def _pnl(trade: TradeRow) -> Text:
    if trade.pnl_quote is None:
        return Text("-")
    shown = quote_amount(trade.pnl_quote, "", signed=True).strip()
    return Text(shown, "green" if trade.pnl_quote > 0 else "red")


def _reason(trade: TradeRow) -> Text:
    text = Text(
        "leaving"
        if trade.state == PositionState.EXITING
        else "open"
        if trade.is_open
        else trade.reason or "-"
    )
    if trade.notes:
        text.append(f" {trade.notes}", "dim")
    return text


def decisions_table(decisions: Sequence[DecisionRow], thresholds: Thresholds | None) -> Table:
    """Why each bar was traded or not: every condition with its value, the threshold in the head."""
    table = Table(
        title=f"Decisions ({_years([d.bar_open_ms for d in decisions])}, bar open times UTC)",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("bar", no_wrap=True)
    table.add_column("trend", no_wrap=True)
    for name in ("vol_z", "tr_z", "cloc"):
        limit = "" if thresholds is None else f">{getattr(thresholds, name):g}"
        table.add_column(f"{name}{limit}", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("because", min_width=20)
    for row in decisions:
        table.add_row(
            moment(row.bar_open_ms),
            _condition("down" if row.downtrend else "up", row.downtrend),
            *(
                _measured(getattr(row, name), None if thresholds is None else getattr(thresholds, name))
                for name in ("vol_z", "tr_z", "cloc")
            ),
            _outcome(row),
            ("borderline; " if row.borderline else "") + (row.reason or "-"),
        )
    return table


def _measured(value: float | None, threshold: float | None) -> Text:
    if value is None:
        return Text("none -", "dim")
    shown = f"{value:.2f}"
    return Text(shown) if threshold is None else _condition(shown, value > threshold)


def _condition(shown: str, holds: bool) -> Text:
    """Sign as well as colour: `+` a condition that holds, `-` one that does not."""
    return Text(f"{shown} {'+' if holds else '-'}", "green" if holds else "dim")


def _outcome(row: DecisionRow) -> Text:
    return Text(
        _OUTCOMES[row.outcome],
        {Outcome.ENTERED: "green", Outcome.NO_SIGNAL: "dim"}.get(row.outcome, "dark_orange"),
    )
