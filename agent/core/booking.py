"""Booking: a closed position into the account and the day, and the account into rows."""

from __future__ import annotations

from decimal import Decimal

from agent.core.commands import AlertLevel
from agent.core.money import ZERO, plain
from agent.core.position import OUTSIDE_METRICS, Position
from agent.core.records import BalanceRow
from agent.core.turn import Turn
from agent.core.value import replace
from agent.core.worth import balance, equity


def position_booked(turn: Turn, position: Position) -> None:
    """Count a closed position: realised profit, the day's wins and losses, a balance row.

    A position that a late fill changed after it was counted is counted again by the difference.
    """
    account = turn.state.durable.account
    pnl, booked = position.pnl_quote, position.booked_pnl
    turn.put_position(replace(position, booked_pnl=pnl))
    realized = account.realized_pnl + pnl - (ZERO if booked is None else booked)
    turn.change_durable(account=replace(account, realized_pnl=realized))
    _leave_profit(turn)
    day = turn.state.durable.day
    counts = position.exit_reason not in OUTSIDE_METRICS
    if day is not None and booked is None and counts:
        won = pnl > 0
        turn.change_durable(day=replace(day, wins=day.wins + won, losses=day.losses + (not won)))
    price = position.exit_price
    at = f" at {plain(price.quantize(Decimal('1e-8')))}" if price else ""
    quote = turn.state.setup.quote
    text = f"position {position.id}: closed{at}, {position.exit_reason}, {pnl:+.4f} {quote}"
    turn.alert(AlertLevel.INFO, "position", text)
    balance_row(turn)


def _leave_profit(turn: Turn) -> None:
    """What the capital earned above itself is not counted from now on; that is a flow, not a loss."""
    account, before = turn.state.durable.account, balance(turn.state)
    if turn.state.setup.capital is None or account.realized_pnl <= account.capital_mark:
        return
    turn.change_durable(account=replace(account, capital_mark=account.realized_pnl))
    book_flow(turn, before, balance(turn.state))


def book_flow(turn: Turn, before: Decimal | None, after: Decimal | None) -> None:
    """What came or went from outside moves the day's start, so that it is no result of the day."""
    day = turn.state.durable.day
    if before is not None and after is not None and day is not None and day.start_equity is not None:
        turn.change_durable(day=replace(day, flows=day.flows + after - before))


def balance_row(turn: Turn) -> None:
    """Store what the account is worth now; while that is not known, the next try is a minute away too."""
    own, worth = balance(turn.state), equity(turn.state)
    if own is not None and worth is not None:
        turn.keep(BalanceRow(turn.at_ms, own, worth))
    turn.change(last_balance_row_ms=turn.at_ms)
