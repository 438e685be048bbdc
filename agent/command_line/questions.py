"""What an operator is asked before something happens: the consequence, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.wording import MODE_NAMES, counted, price, quote_amount
from agent.control.status import OpenPosition, Status


def _where(status: Status) -> str:
    return f"{MODE_NAMES[status.mode]}, {status.pair} {status.timeframe}"


def holding(status: Status, position: OpenPosition) -> str:
    """`position 3: 1,234.5 ADA, about 420.00 USDT (+12.30 USDT)`."""
    text = f"position {position.id}: {price(position.size)} {status.base}"
    worth = status.bid if status.bid is not None else position.entry_price
    if worth is not None:
        text += f", about {quote_amount(position.size * worth, status.quote)}"
    if position.unrealized_pnl is not None:
        text += f" ({quote_amount(position.unrealized_pnl, status.quote, signed=True)})"
    return text


def holdings(status: Status, positions: Sequence[OpenPosition]) -> str:
    return "; ".join(holding(status, position) for position in positions) or "nothing is held"


def start(status: Status) -> str:
    balance = quote_amount(status.balance, status.quote)
    return (
        f"Start trading ({_where(status)}) with a balance of {balance}; now {status.state}, "
        f"{holdings(status, status.positions)}."
    )


def resume(status: Status) -> str:
    return f"Allow entries again ({_where(status)}); now {status.state}."


def pause(status: Status) -> str:
    return (
        f"Pause ({_where(status)}): no entries; {counted(len(status.positions), 'open position')} "
        "will still be managed to the exit."
    )


def stop(status: Status, *, flatten: bool) -> str:
    if not status.positions:
        return f"Stop ({_where(status)}); nothing is held."
    held = holdings(status, status.positions)
    if flatten:
        return f"Stop ({_where(status)}) and sell at market: {held}."
    return f"Stop ({_where(status)}) entries and manage to the exit: {held}."


def clear_halt(status: Status) -> str:
    if status.halt is None:
        raise Ended(ExitCode.REFUSED, "Nothing is halted.")
    return (
        f"Clear the halt ({status.halt.reason}, since {status.halt.at:%Y-%m-%d %H:%M} UTC). "
        "The agent will be STOPPED and trades again only when started."
    )


def close(status: Status, position_id: int | None) -> str:
    chosen = [p for p in status.positions if position_id in (None, p.id)]
    if not chosen:
        which = "No position is open" if position_id is None else f"No open position has the id {position_id}"
        raise Ended(ExitCode.REFUSED, f"{which}.", "see the ids with `python -m agent.cli status`")
    return f"Sell at market ({_where(status)}): {holdings(status, chosen)}."


def emergency(status: Status) -> str:
    held = sum((p.size for p in status.positions), Decimal(0))
    return (
        f"EMERGENCY STOP ({_where(status)}): cancel {counted(len(status.orders), 'order')}, sell "
        f"{counted(len(status.positions), 'position')} at market ({price(held)} {status.base}; "
        f"{holdings(status, status.positions)}), and refuse every entry until the halt is cleared."
    )
