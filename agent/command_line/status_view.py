"""The status as a trader reads it at a glance: one screen, 80 columns, the alarming things in words and red.

Pure: a Status in, a rich table out. Distances are from the best bid when there is one, else from the entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.command_line.wording import (
    MODE_NAMES,
    clock,
    counted,
    distance,
    duration,
    percent,
    price,
    quote_amount,
)
from agent.control.status import OpenOrder, OpenPosition, Status

_STATE_TONES: Final = {
    "STOPPED": "red",
    "STARTING": "yellow",
    "RUNNING": "green",
    "PAUSED": "dark_orange",
    "EXITS_ONLY": "dark_orange",
    "ERROR": "bold red",
    "HALTED": "bold red",
}
_MODE_TONES: Final = {"paper": "green", "testnet": "blue", "live": "bold red"}
_QUIET: Final = "dim"
_ALARM: Final = "red"

Line = tuple[str, RenderableType]


def status_view(status: Status, *, running: bool) -> RenderableType:
    """`running` False: no engine runs and this is the last stored state."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style=_QUIET, no_wrap=True)
    table.add_column(ratio=1)
    for label, content in _lines(status):
        table.add_row(label, content)
    if running:
        return Group(_headline(status), table)
    stored = Text("No engine is running. This is the last stored state:", _ALARM)
    return Group(stored, _headline(status), table)


def _headline(status: Status) -> Text:
    line = Text()
    line.append(status.state, _STATE_TONES[status.state])
    line.append(" | ")
    line.append(MODE_NAMES[status.mode], _MODE_TONES[status.mode])
    line.append(f" | {status.pair} {status.timeframe}")
    if status.venue:
        line.append(f" | {status.venue}", _QUIET)
    return line


def _lines(status: Status) -> Iterator[Line]:
    since = f"{clock(status.state_since)} UTC"
    if status.at is not None:
        since += f" ({duration(status.at - status.state_since)})"
    yield "since", since
    if status.halt is not None:
        yield from _halt(status)
    yield "balance", _account(status)
    yield "today", _today(status)
    for position in status.positions:
        yield f"position {position.id}", _position(status, position)
    if not status.positions:
        yield "position", "none"
    for order in status.orders:
        yield "order", _order(order)
    yield "entries", _entries(status)
    yield "feed", _feed(status)
    yield "exchange", _exchange(status)
    yield "warm-up", _warmup(status)
    yield "version", Text(f"{status.version}, config {status.config_hash[:12]}", _QUIET)


def _halt(status: Status) -> Iterator[Line]:
    assert status.halt is not None
    halt = status.halt
    reason = {"emergency": "emergency stop", "daily_loss": "daily loss limit"}[halt.reason]
    yield "halted", Text(f"by {reason} at {clock(halt.at)} UTC", "bold red")
    if halt.flat:
        yield "", "flat; to trade again: python -m agent.cli clear-halt, then start"
    for left in halt.remaining:
        yield "still open", Text(left, _ALARM)


def _account(status: Status) -> Text:
    line = Text(quote_amount(status.balance, status.quote))
    line.append("   equity ", _QUIET)
    line.append(quote_amount(status.equity, status.quote))
    return line


def _today(status: Status) -> Text:
    day = status.day
    if day.date is None or day.pnl is None:
        return Text("waiting for the first trusted price", _QUIET)
    line = _result(day.pnl, status.quote)
    if day.start_equity:
        line.append(f" ({percent(day.pnl / day.start_equity)})")
    line.append(f"   {counted(day.trades, 'trade')}   {day.date} UTC", _QUIET)
    return line


def _result(amount: Decimal, currency: str) -> Text:
    """Sign and colour: the colour alone says nothing."""
    tone = "green" if amount > 0 else "red" if amount < 0 else ""
    return Text(quote_amount(amount, currency, signed=True), tone)


def _position(status: Status, position: OpenPosition) -> Text:
    text = Text(f"{price(position.size)} {status.base} at {price(position.entry_price)}")
    if position.unrealized_pnl is not None:
        text.append("   ")
        text.append(_result(position.unrealized_pnl, status.quote))
        if position.entry_price and position.size:
            paid = position.entry_price * position.size
            text.append(f" ({percent(position.unrealized_pnl / paid)})")
    if position.opened_at is not None:
        text.append(f"\nopened {clock(position.opened_at)} UTC", _QUIET)
        if status.at is not None:
            text.append(f", {duration(status.at - position.opened_at)} ago", _QUIET)
    if position.mode != status.mode:
        text.append(f"\nentered in {MODE_NAMES[position.mode]}", _ALARM)
    text.append("\n")
    text.append(_levels(status, position))
    if position.leaving is not None:
        text.append(f"\nleaving now: {position.leaving}", "dark_orange")
    text.append("\n")
    text.append(_protection(status, position))
    return text


def _levels(status: Status, position: OpenPosition) -> str:
    reference = status.bid if status.bid is not None else position.entry_price
    named = (("target", position.target), ("take-profit", position.take_profit), ("stop", position.stop))
    shown = [
        f"{name} {price(level)}" + (f" ({distance(level, reference)})" if reference else "")
        for name, level in named
        if level is not None
    ]
    if status.bid is not None:
        shown.append(f"bid {price(status.bid)}")
    return "   ".join(shown) or "no exit level is set"


def _protection(status: Status, position: OpenPosition) -> Text:
    if position.protected_by is not None:
        return Text(f"protected by order {position.protected_by}", "green")
    if position.unprotected_since is None:
        return Text("no stop rests on the exchange (none is configured)", _QUIET)
    line = f"NOT PROTECTED since {clock(position.unprotected_since)} UTC"
    if status.at is not None:
        line += f" ({duration(status.at - position.unprotected_since)})"
    return Text(line, "bold red")


def _order(order: OpenOrder) -> Text:
    at = "at market" if order.price is None else f"at {price(order.price)}"
    text = f"{order.side} {order.type} {price(order.filled)} of {price(order.quantity)} {at}: {order.status}"
    return Text(f"{text}   {order.client_id}", "bold red" if order.status == "UNKNOWN" else "")


def _entries(status: Status) -> Text:
    if not status.entries_blocked_by:
        return Text("allowed", "green")
    return Text(f"blocked by {'; '.join(status.entries_blocked_by)}", "dark_orange")


def _feed(status: Status) -> Text:
    feed = status.feed
    line = Text(feed.source)
    line.append(*(", fresh", "green") if feed.fresh else (", STALE", "bold red"))
    if feed.last_closed_bar is not None:
        line.append(f", last bar of {clock(feed.last_closed_bar)} UTC", _QUIET)
    return line


def _exchange(status: Status) -> Text:
    health = status.exchange
    line = Text("reachable", "green") if health.reachable else Text("NOT REACHABLE", "bold red")
    if health.latency_ms is not None:
        line.append(f", {health.latency_ms:.0f} ms")
    if health.clock_offset_ms is not None:
        line.append(f", clock {health.clock_offset_ms:+.0f} ms")
    if health.used_weight is not None:
        line.append(f", weight {health.used_weight}")
    return line


def _warmup(status: Status) -> Text:
    warmup = status.warmup
    line = Text(f"{warmup.bars:,} of {warmup.needed:,} bars")
    if warmup.error_bound is not None:
        line.append(f", error at most {warmup.error_bound:.1e}", _QUIET)
    return line
