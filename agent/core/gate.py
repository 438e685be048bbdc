"""What blocks entries right now, in words a trader reads. Managing a position is never blocked."""

from __future__ import annotations

from decimal import Decimal

from agent.core.events import Impairment
from agent.core.phase import Phase
from agent.core.signal import ENTRY_SEED_WEIGHT
from agent.core.state import AgentState

#: A cash difference that reconciliation saw once and has not explained yet.
_DOUBT = "the account is being compared again"


def entries_blocked_by(state: AgentState) -> tuple[str, ...]:
    """Every reason, most fundamental first; empty when an entry would be allowed."""
    durable = state.durable
    found = []
    if durable.halt is not None:
        found.append(f"halted ({durable.halt.reason.value.replace('_', ' ')}): clear-halt is needed")
    elif state.phase is not Phase.RUNNING:
        found.append(f"the agent is {state.phase.value}")
    if state.window is None:
        bars, needed = state.warmup
        found.append(f"warming up: {bars} of {needed} bars" if needed else "history is not loaded yet")
    elif not state.window.entries_allowed:
        found.append(
            f"too little history: the averages still carry {state.window.seed_weight:.1e} of their start"
            f" (at most {ENTRY_SEED_WEIGHT:.0e} allowed)"
        )
    if state.instrument is None:
        found.append("the pair's rules are not known yet")
    elif not state.instrument.trading:
        found.append(f"{state.instrument.symbol} is not in trading status on the exchange")
    if state.reconciled_ms is None:
        found.append("the account is not reconciled yet")
    elif state.doubted_cash is not None:
        found.append(f"{_DOUBT}: cash differs by {_signed(state.doubted_cash)}")
    if not state.fresh and Impairment.FEED_STALE not in state.impairments:
        found.append("market data is not fresh")
    found += [f"{by.value}: {detail}" for by, detail in state.impairments.items()]
    if state.prices.trusted is None:
        found.append("no trusted price yet")
    elif not state.prices.connection_ok:
        found.append("quotes are not trusted at the moment")
    unknown = state.unknown_orders()
    if unknown:
        found.append(f"{len(unknown)} order(s) of unknown outcome")
    day = durable.day
    if day is not None and day.loss_limit_hit:
        found.append(f"daily loss limit reached on {day.date}: no entries until the next UTC day")
    elif day is not None and day.trades >= state.setup.limits.max_daily_trades:
        found.append(f"{day.trades} trades on {day.date}: the daily limit is used up")
    return tuple(found)


def entry_overtaken(state: AgentState, client_id: str) -> str | None:
    """What became known after an entry was approved and keeps it back while it has not left yet."""
    unknown = [o for o in state.unknown_orders() if o.intent.client_id != client_id]
    return f"{len(unknown)} order(s) of unknown outcome" if unknown else None


def _signed(amount: Decimal) -> str:
    return f"{amount:+f}"
