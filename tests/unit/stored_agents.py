"""Databases as an engine leaves them: one scope with positions, decisions, a config and a status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent.core.exits import Levels
from agent.core.money import Price, Qty
from agent.core.order import Fill, Intent, Order, OrderStatus, OrderType, Purpose, Side
from agent.core.parameters import ExitParams
from agent.core.position import Plan, Position, PositionState
from agent.core.records import DecisionRow, Outcome
from agent.store.batch import AcceptedConfig, Batch, Scope
from agent.store.data_dir import DataDir
from agent.store.ledger import Ledger
from agent.store.prepare import prepare

PAPER = Scope("agent", "binance@127.0.0.1:8090", "paper", "paper-1", "ADA/USDT")
NOON_MS = 1_736_942_400_000  # 2025-01-15 12:00 UTC

_EXITS = ExitParams(
    use_fib_exits=True,
    use_stop_loss=True,
    use_time_exit=False,
    use_traditional_tp=False,
    fib_swing_lookback=96,
    fib_swing_lookahead=5,
    fib_target_level=0.618,
    atr_stop_mult=0.7,
    reward_r=2.0,
    max_hold=96,
    fee_bp=5.0,
    slippage_bp=5.0,
    policy="target",
)
_LEVELS = Levels(0.342, 0.33, True, 0.3612, 0.618, None, 0.012, None)


def fill(client_id: str, side: Side, qty: str, price: str, at_ms: int) -> Fill:
    return Fill(
        f"t-{client_id}", client_id, side, Decimal(price), Decimal(qty), Decimal("0.2"), "USDT", at_ms
    )


def order(position_id: int, client_id: str, side: Side, qty: str, status: OrderStatus, *fills: Fill) -> Order:
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    intent = Intent(
        client_id,
        position_id,
        purpose,
        side,
        OrderType.MARKET,
        Qty(Decimal(qty)),
        None,
        None,
        None,
        NOON_MS,
        "x",
    )
    filled = sum((f.qty for f in fills), Decimal(0))
    return Order(intent, status, fills, reported_qty=filled)


def open_position(position_id: int = 1) -> tuple[Position, Order]:
    """1,000 ADA bought at 0.342."""
    bought = fill(f"buy{position_id}", Side.BUY, "1000", "0.342", NOON_MS + 1_000)
    plan = Plan(
        signal_open_ms=NOON_MS - 900_000,
        signal_close=0.342,
        bar_ms=900_000,
        exits=_EXITS,
        levels=_LEVELS,
        expected_entry=Price(Decimal("0.342")),
        qty=Qty(Decimal(1000)),
        entry_bar_exits="stop_only",
        config_hash="abc",
        mode="paper",
        venue=PAPER.venue,
    )
    position = Position(position_id, PositionState.IN_POSITION, plan, _LEVELS)
    position = position.with_fill(bought, base="ADA", fee_in_quote=Decimal("0.2"))
    return position, order(position_id, f"buy{position_id}", Side.BUY, "1000", OrderStatus.FILLED, bought)


def closed_position(position_id: int = 1) -> tuple[Position, tuple[Order, ...]]:
    """The same, sold at 0.3612."""
    held, entry = open_position(position_id)
    sold = fill(f"sell{position_id}", Side.SELL, "1000", "0.3612", NOON_MS + 3_600_000)
    position = held.with_fill(sold, base="ADA", fee_in_quote=Decimal("0.2"))
    position = replace(
        position, state=PositionState.CLOSED, closed_ms=sold.at_ms, exit_reason="FIB_61.8", bars_held=4
    )
    exit_ = order(position_id, f"sell{position_id}", Side.SELL, "1000", OrderStatus.FILLED, sold)
    return position, (entry, exit_)


def decision(number: int, **changes: Any) -> DecisionRow:
    row = DecisionRow(
        bar_open_ms=NOON_MS + number * 900_000,
        decided_ms=NOON_MS + (number + 1) * 900_000 + 50,
        close=0.342,
        ema_f=0.34,
        ema_s=0.35,
        atr=0.002,
        vol_z=2.31,
        tr_z=1.05,
        cloc=0.71,
        downtrend=True,
        exhaustion=False,
        borderline=False,
        outcome=Outcome.NO_SIGNAL,
        reason="range z 1.050 not above 1.2",
        closed_by="flag",
    )
    return replace(row, **changes)


def store(data_dir: Path, *batches: Batch, scope: Scope = PAPER) -> None:
    """Write `batches` into the database of `data_dir`, made where there is none."""
    place = DataDir(data_dir)
    place.create()
    prepare(place.trades_db)
    ledger = Ledger.open(place.trades_db, scope)
    ledger.commit(Batch(at_ms=NOON_MS), *batches)
    ledger.close()


def positions_batch(*made: tuple[Position, Order | tuple[Order, ...]]) -> Batch:
    orders: list[Order] = []
    for _, its in made:
        orders += [its] if isinstance(its, Order) else its
    return Batch(at_ms=NOON_MS, positions=tuple(p for p, _ in made), orders=tuple(orders))


def status_batch(document: Mapping[str, Any]) -> Batch:
    return Batch(at_ms=NOON_MS, documents={"status": dict(document)})


def config_batch(config: Mapping[str, Any]) -> Batch:
    return Batch(at_ms=NOON_MS, config=AcceptedConfig("abc", json.dumps(config), NOON_MS))
