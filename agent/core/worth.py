"""What the account is worth, from the state alone (SPEC of risk: balance, equity, the day).

All amounts in quote currency. Each function returns None while something it needs is not known yet.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.money import ZERO
from agent.core.position import Position
from agent.core.state import AgentState


def invested(state: AgentState) -> Decimal:
    """Net cost of the open positions: paid, less received back or taken, plus fees paid in cash."""
    return sum((-p.pnl_quote for p in state.open_positions()), ZERO)


def balance(state: AgentState) -> Decimal | None:
    """Quote currency the agent may count as its own: never more than `capital`, less what is invested and
    what was lost of it. Profits above the capital are left to the account's owner."""
    account, capital = state.durable.account, state.setup.capital
    if account.cash is None or capital is None:
        return account.cash
    own = capital + account.realized_pnl - account.capital_mark
    return max(ZERO, min(account.cash, own - invested(state)))


def holdings_value(state: AgentState) -> Decimal | None:
    """Our own positions at the best bid."""
    held = sum((p.held_qty for p in state.open_positions()), ZERO)
    if held == 0:
        return ZERO
    bid = state.bid()
    return None if bid is None else held * bid


def equity(state: AgentState) -> Decimal | None:
    own, value = balance(state), holdings_value(state)
    return None if own is None or value is None else own + value


def day_pnl(state: AgentState) -> Decimal | None:
    day = state.durable.day
    return None if day is None else day.pnl(equity(state))


def unrealized_pnl(position: Position, bid: Decimal | None) -> Decimal | None:
    """What selling at `bid` would add to what is already received, before the exit's own fee."""
    if bid is None:
        return None
    return position.held_qty * bid + position.pnl_quote
