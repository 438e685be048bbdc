"""The published picture of the agent: the document of `status --json`, from the state alone.

Money as plain text, times as ISO 8601 UTC, nothing that only makes sense inside. The window, the
command line and the store all show this and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from agent.core.gate import entries_blocked_by
from agent.core.instant import iso_utc
from agent.core.money import plain
from agent.core.order import Order, OrderReport, OrderStatus, Purpose
from agent.core.position import OPEN_STATES, Position
from agent.core.signal import warmup_bars_needed
from agent.core.state import AgentState
from agent.core.worth import balance, day_pnl, equity, unrealized_pnl

Json = Any


def text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def snapshot(state: AgentState, version: str) -> Mapping[str, Json]:
    """Every key of `status --json` for a running engine, and what the window adds to it."""
    setup, durable = state.setup, state.durable
    return {
        "running": True,
        "state": state.phase.value,
        "state_since": iso_utc(durable.phase_since_ms),
        "at": iso_utc(state.now_ms),
        "mode": setup.mode,
        "venue": setup.venue,
        "pair": setup.pair,
        "timeframe": setup.timeframe,
        "balance": text(balance(state)),
        "equity": text(equity(state)),
        "currency": setup.quote,
        "day": _day(state),
        "positions": [_position(state, p) for p in state.open_positions()],
        "orders": [_order(state, o) for o in state.orders.values() if not o.is_settled],
        "feed": {
            "source": state.source.value,
            "fresh": state.fresh,
            "last_closed_bar": iso_utc(state.window.last_open_ms if state.window else None),
        },
        "exchange": _exchange(state),
        "price": _price(state),
        "bar": _bar(state),
        "strategy": _strategy(state),
        "instrument": _instrument(state),
        "reconciled_at": iso_utc(state.reconciled_ms),
        "warmup": _warmup(state),
        "watch": _watch(state),
        "halt": _halt(state),
        "entries_blocked_by": list(entries_blocked_by(state)),
        "foreign": {c: plain(a) for c, a in durable.account.foreign.items()},
        "strangers": [_stranger(report) for report in state.strangers],
        "version": version,
        "config_hash": setup.config_hash,
    }


def _watch(state: AgentState) -> str:
    """What the agent does while it holds nothing: a signal being examined or bought is more than waiting."""
    entering = state.in_flight()
    return (entering[-1].state if entering else state.watch).value


def _day(state: AgentState) -> Json:
    day = state.durable.day
    if day is None:
        return {"date": None, "pnl": None, "trades": 0, "wins": 0, "losses": 0, "start_equity": None}
    return {
        "date": day.date,
        "pnl": text(day_pnl(state)),
        "trades": day.trades,
        "wins": day.wins,
        "losses": day.losses,
        "start_equity": text(day.start_equity),
    }


def _position(state: AgentState, position: Position) -> Json:
    levels, instrument = position.levels, state.instrument
    resting = {o.intent.purpose: o.intent for o in state.orders_of(position.id) if o.is_working}
    stop, target = resting.get(Purpose.PROTECT), resting.get(Purpose.TARGET)
    protecting = stop.client_id if stop else None

    def price(level: float | None, toward: Literal["down", "up"]) -> str | None:
        """The tick at which the level is reached, where an order for it rests."""
        if level is None or level <= 0:
            return None
        return plain(instrument.price(level, toward)) if instrument else repr(level)

    entry = position.entry_price
    return {
        "id": position.id,
        "state": position.state.value,
        "mode": position.plan.mode,
        "opened_at": iso_utc(position.opened_ms),
        "signal_bar": iso_utc(position.plan.signal_open_ms),
        "entry_price": text(entry.quantize(Decimal("1e-8")) if entry else None),
        "size": plain(position.held_qty),
        "stop": price(levels.stop, "down") if levels.stop_enforced else None,
        "target": price(levels.target, "up"),
        "take_profit": price(levels.take_profit, "up"),
        "ladder": [[ratio, level] for ratio, level in levels.ladder.levels] if levels.ladder else [],
        "bars_held": position.bars_held,
        "max_hold": position.plan.exits.max_hold if position.plan.exits.use_time_exit else None,
        "risk": levels.risk,
        "unrealized_pnl": text(unrealized_pnl(position, state.bid())),
        "leaving": position.exit_reason,
        "basis": position.plan.basis,
        "protected_by": protecting,
        "protected_at": text(stop.stop_price if stop else None),
        "protection_verified_at": iso_utc(state.verified_ms.get(protecting) if protecting else None),
        "target_rests_as": target.client_id if target else None,
        "unprotected_since": iso_utc(None if protecting else position.unprotected_since_ms),
        "unprotected_seconds": _unprotected_s(state, position, protecting),
        "notes": list(position.notes),
    }


def _stranger(report: OrderReport) -> Json:
    return {
        "client_id": report.client_id,
        "side": report.side.value,
        "type": report.type,
        "quantity": plain(report.qty),
        "filled": plain(report.executed_qty),
        "price": text(report.price or None),
    }


def _unprotected_s(state: AgentState, position: Position, protecting: str | None) -> float:
    """Seconds without a stop on the exchange in all, those of this very moment included."""
    since = None if protecting else position.unprotected_since_ms
    running = 0 if since is None else state.now_ms - since
    return round((position.unprotected_ms + running) / 1000, 3)


def _order(state: AgentState, order: Order) -> Json:
    intent = order.intent
    return {
        "client_id": intent.client_id,
        "position_id": intent.position_id,
        "purpose": intent.purpose.value,
        "side": intent.side.value,
        "type": intent.type.value,
        "status": order.status.value,
        "quantity": plain(intent.qty),
        "filled": plain(order.filled),
        "price": text(intent.price if intent.price is not None else intent.stop_price),
        "stop_price": text(intent.stop_price),
        "list_id": intent.list_id,
        "since": iso_utc(intent.created_ms),
        "verified_at": iso_utc(state.verified_ms.get(intent.client_id)),
    }


def _exchange(state: AgentState) -> Json:
    seen = state.exchange
    return {
        "reachable": bool(seen and seen.reachable),
        "latency_ms": round(seen.latency_ms, 1) if seen and seen.latency_ms is not None else None,
        "clock_offset_ms": seen.clock_offset_ms if seen else None,
        "used_weight": seen.used_weight if seen else None,
    }


def _price(state: AgentState) -> Json:
    quote = state.prices.trusted
    return {
        "bid": text(quote.bid if quote else None),
        "ask": text(quote.ask if quote else None),
        "last": state.last_price,
        "at": iso_utc(quote.at_ms if quote else None),
        "source": quote.source.value if quote else None,
        "trusted": state.prices.connection_ok,
    }


def _bar(state: AgentState) -> Json:
    """The bar that is not closed yet, for the chart; floats, as candles are."""
    bar = state.live_bar
    if bar is None:
        return None
    return {
        "open_ms": bar.open_ms,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
    }


def _strategy(state: AgentState) -> Json:
    """What the conditions of a decision are compared with, and the averages of the chart (in bars)."""
    seller, exits, limits = state.setup.seller, state.setup.exits, state.setup.limits
    return {
        "ema_fast": seller.ema_fast,
        "ema_slow": seller.ema_slow,
        "vol_z": seller.vol_z,
        "tr_z": seller.tr_z,
        "cloc_min": seller.cloc_min,
        "target_level": exits.fib_target_level if exits.use_fib_exits else None,
        "stop_enforced": exits.use_stop_loss,
        "max_open_positions": limits.max_open_positions,
        "max_daily_trades": limits.max_daily_trades,
        "max_daily_loss_percent": plain(limits.max_daily_loss_percent),
    }


def _instrument(state: AgentState) -> Json:
    rules = state.instrument
    return None if rules is None else {"tick": plain(rules.tick), "step": plain(rules.step)}


def _warmup(state: AgentState) -> Json:
    needed = state.warmup[1] or warmup_bars_needed(state.setup.seller, state.setup.exits)
    window = state.window
    return {
        "bars": window.bars_seen if window else state.warmup[0],
        "needed": needed,
        "error_bound": window.seed_weight if window else None,
    }


def _halt(state: AgentState) -> Json:
    halt = state.durable.halt
    if halt is None:
        return None
    held = state.open_positions()
    unresolved = [o for o in state.orders.values() if not o.is_settled]
    return {
        "reason": halt.reason.value,
        "at": iso_utc(halt.at_ms),
        "by": halt.by,
        "flat": not held and not unresolved and not state.in_flight(),
        "remaining": [f"position {p.id}: {plain(p.held_qty)} {state.setup.base}" for p in held]
        + [f"order {o.intent.client_id}: {o.status.value}" for o in unresolved],
    }


def state_line(state: AgentState) -> str:
    """`RUNNING | Paper Trading | ADA/USDT 15m | Balance: 10,000.00 USDT`: one line per change of state."""
    names = {"paper": "Paper Trading", "testnet": "Testnet", "live": "LIVE TRADING"}
    own = balance(state)
    money = "unknown" if own is None else f"{own:,.2f} {state.setup.quote}"
    setup = state.setup
    return f"{state.phase.value} | {names[setup.mode]} | {setup.pair} {setup.timeframe} | Balance: {money}"


def is_flat(state: AgentState) -> bool:
    """Nothing held, nothing on its way, no order of unknown fate."""
    held = any(p.state in OPEN_STATES for p in state.positions.values())
    unknown = any(o.status is OrderStatus.UNKNOWN for o in state.orders.values())
    return not held and not unknown and not state.in_flight()
