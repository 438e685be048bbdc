"""What the store's tests stand on: a prepared database, and small true values of everything it keeps."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent.core.exits import ExitParams, Levels
from agent.core.fibonacci import ladder_between
from agent.core.money import Price, Qty
from agent.core.order import (
    Fill,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    TimeInForce,
)
from agent.core.position import Plan, Position, PositionState
from agent.core.records import BalanceRow, DecisionRow, Outcome
from agent.store.batch import Batch, Scope
from agent.store.database import Place
from agent.store.ledger import Ledger
from agent.store.prepare import prepare
from agent.store.reading import Reader
from tests.postgres_ground import PostgresServer

#: Where programs that a test starts find the project.
ROOT = Path(__file__).parents[1]

T0 = 1_736_951_525_000  # 2025-01-15 14:32:05 UTC
BAR_MS = 900_000

SCOPE = Scope("one", "binance api.binance.com", "paper", "paper-1", "ADA/USDT")
LIVE = Scope("one", "binance api.binance.com", "live", "main", "ADA/USDT")


@functools.cache
def _empty_database() -> bytes:
    """A prepared database, made once: running the migrations takes a tenth of a second."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trades.db"
        prepare(path)
        return path.read_bytes()


class Store:
    """A prepared database in `directory`, or on a server; whatever it opens is closed with it."""

    def __init__(self, directory: Path, server: PostgresServer | None = None) -> None:
        self.place: Place = directory / "trades.db"
        self._server = server
        self._opened: list[Ledger | Reader] = []
        if server is not None:
            self.place = server.emptied(SCOPE.agent_id)
        else:
            self.path.write_bytes(_empty_database())

    @property
    def path(self) -> Path:
        assert isinstance(self.place, Path), "not a file"
        return self.place

    def ledger(self, scope: Scope = SCOPE, *, read_only: bool = False) -> Ledger:
        ledger = Ledger.open(self.place, scope, read_only=read_only)
        self._opened.append(ledger)
        return ledger

    def reader(self) -> Reader:
        reader = Reader.open(self.place)
        self._opened.append(reader)
        return reader

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What the file says, past every layer of ours."""
        if self._server is not None:
            return self._server.execute(sql, database="prepared")
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql).fetchall()

    def close(self) -> None:
        for one in self._opened:
            one.close()


def either_store(request: pytest.FixtureRequest, directory: Path) -> Store:
    """For a fixture with the parameters "sqlite" and "postgresql"."""
    if request.param == "sqlite":
        return Store(directory)
    return Store(directory, request.getfixturevalue("postgres"))


def intent(
    client_id: str = "buy1", *, side: Side = Side.BUY, position_id: int = 1, qty: str = "100"
) -> Intent:
    return Intent(
        client_id=client_id,
        position_id=position_id,
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        side=side,
        type=OrderType.LIMIT,
        qty=Qty(Decimal(qty)),
        price=Price(Decimal("0.3512")),
        stop_price=None,
        time_in_force=TimeInForce.IOC,
        created_ms=T0,
        reason="signal",
    )


def order(client_id: str = "buy1", status: OrderStatus = OrderStatus.PENDING_NEW, **fields: object) -> Order:
    return Order(intent(client_id, **fields), status)


def fill(
    trade_id: str = "1",
    client_id: str = "buy1",
    *,
    side: Side = Side.BUY,
    price: str = "0.35",
    qty: str = "40",
    fee: str = "0.014",
    fee_currency: str = "USDT",
    at_ms: int = T0 + 100,
) -> Fill:
    return Fill(trade_id, client_id, side, Decimal(price), Decimal(qty), Decimal(fee), fee_currency, at_ms)


def levels() -> Levels:
    return Levels(
        entry_price=0.3512,
        stop=0.3401,
        stop_enforced=True,
        target=0.3627,
        target_ratio=0.618,
        take_profit=None,
        risk=0.0111,
        ladder=ladder_between(0.3441, 0.3742),
    )


def exits() -> ExitParams:
    return ExitParams(True, True, True, False, 96, 5, 0.618, 0.7, 2.0, 96, 5.0, 5.0, "target")


def position(number: int = 1, state: PositionState = PositionState.ENTERING) -> Position:
    plan = Plan(
        signal_open_ms=T0 - T0 % BAR_MS,
        signal_close=0.3511,
        bar_ms=BAR_MS,
        exits=exits(),
        levels=levels(),
        expected_entry=Price(Decimal("0.3512")),
        qty=Qty(Decimal("100")),
        entry_bar_exits="stop_only",
        config_hash="c0ffee",
        mode="paper",
        venue=SCOPE.venue,
    )
    return Position(number, state, plan, levels())


def decision(number: int, outcome: Outcome = Outcome.NO_SIGNAL) -> DecisionRow:
    open_ms = number * BAR_MS
    return DecisionRow(
        bar_open_ms=open_ms,
        decided_ms=open_ms + BAR_MS + 12,
        close=0.3511,
        ema_f=0.35123456789012345,
        ema_s=0.1 + 0.2,
        atr=None,
        vol_z=2.5,
        tr_z=None,
        cloc=0.61,
        downtrend=True,
        exhaustion=outcome is not Outcome.NO_SIGNAL,
        borderline=False,
        outcome=outcome,
        reason="",
        closed_by="flag",
    )


def balance(number: int) -> BalanceRow:
    return BalanceRow(number, Decimal("10000.123456789012345678"), Decimal("10001"))


def bar_batch(number: int) -> Batch:
    """What a quiet bar writes."""
    return Batch(number, rows=(decision(number), balance(number)))
