"""The document of `status --json`, as types: what a program outside may rely on from the first release.

The engine publishes it, the command line prints it, the window shows it. `Status.read` accepts a document
that has every key with its type and names the first that has not; `document` gives back exactly the keys
promised, so that whatever else the engine publishes stays between the engine and its own clients.
Money is text in the document and Decimal here; times are ISO 8601 with offset, aware `datetime` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from agent.control.status_fields import Fields, StatusUnreadable
from agent.core.order import TERMINAL

__all__ = ["Status", "StatusUnreadable", "iso"]

STATES: Final = ("STOPPED", "STARTING", "RUNNING", "PAUSED", "EXITS_ONLY", "ERROR", "HALTED")
MODES: Final = ("paper", "testnet", "live")
SOURCES: Final = ("websocket", "rest", "polygon", "none")
HALT_REASONS: Final = ("emergency", "daily_loss")


def iso(moment: datetime) -> str:
    """`2025-01-15T14:32:05.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


@dataclass(frozen=True, slots=True)
class Day:
    """The UTC day of venue time: realised and unrealised result in quote currency. None: not begun yet."""

    date: str | None
    pnl: Decimal | None
    trades: int
    start_equity: Decimal | None

    @classmethod
    def read(cls, f: Fields) -> Day:
        return cls(
            f.text_or_none("date"), f.money_or_none("pnl"), f.whole("trades"), f.money_or_none("start_equity")
        )

    def document(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "pnl": _amount(self.pnl),
            "trades": self.trades,
            "start_equity": _amount(self.start_equity),
        }


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """`size` in base currency, prices in quote currency. A level that is not set is None.

    `leaving`, the reason of an exit under way, is published but not part of the promised document.
    """

    id: int
    mode: str
    opened_at: datetime | None
    entry_price: Decimal | None
    size: Decimal
    stop: Decimal | None
    target: Decimal | None
    take_profit: Decimal | None
    unrealized_pnl: Decimal | None
    protected_by: str | None
    unprotected_since: datetime | None
    leaving: str | None = None

    @classmethod
    def read(cls, f: Fields) -> OpenPosition:
        return cls(
            id=f.whole("id"),
            mode=f.one_of("mode", MODES),
            opened_at=f.time_or_none("opened_at"),
            entry_price=f.money_or_none("entry_price"),
            size=f.money("size"),
            stop=f.money_or_none("stop"),
            target=f.money_or_none("target"),
            take_profit=f.money_or_none("take_profit"),
            unrealized_pnl=f.money_or_none("unrealized_pnl"),
            protected_by=f.text_or_none("protected_by"),
            unprotected_since=f.time_or_none("unprotected_since"),
            leaving=f.text("leaving") if f.carries("leaving") else None,
        )

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "mode": self.mode,
            "opened_at": _iso(self.opened_at),
            "entry_price": _amount(self.entry_price),
            "size": _amount(self.size),
            "stop": _amount(self.stop),
            "target": _amount(self.target),
            "take_profit": _amount(self.take_profit),
            "unrealized_pnl": _amount(self.unrealized_pnl),
            "protected_by": self.protected_by,
            "unprotected_since": _iso(self.unprotected_since),
        }


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Side, type and status in Binance's words, plus UNKNOWN and NOT_PLACED. `price` None: at market."""

    client_id: str
    side: str
    type: str
    status: str
    quantity: Decimal
    filled: Decimal
    price: Decimal | None

    @classmethod
    def read(cls, f: Fields) -> OpenOrder:
        return cls(
            client_id=f.text("client_id"),
            side=f.one_of("side", ("BUY", "SELL")),
            type=f.text("type"),
            status=f.text("status"),
            quantity=f.money("quantity"),
            filled=f.money("filled"),
            price=f.money_or_none("price"),
        )

    def document(self) -> dict[str, Any]:
        return {
            "client_id": self.client_id,
            "side": self.side,
            "type": self.type,
            "status": self.status,
            "quantity": _amount(self.quantity),
            "filled": _amount(self.filled),
            "price": _amount(self.price),
        }


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """`last_closed_bar` is the open time of the newest closed bar."""

    source: str
    fresh: bool
    last_closed_bar: datetime | None

    @classmethod
    def read(cls, f: Fields) -> FeedHealth:
        return cls(f.one_of("source", SOURCES), f.flag("fresh"), f.time_or_none("last_closed_bar"))

    def document(self) -> dict[str, Any]:
        return {"source": self.source, "fresh": self.fresh, "last_closed_bar": _iso(self.last_closed_bar)}


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    reachable: bool
    latency_ms: float | None
    clock_offset_ms: float | None
    used_weight: int | None

    @classmethod
    def read(cls, f: Fields) -> ExchangeHealth:
        return cls(
            f.flag("reachable"),
            f.number_or_none("latency_ms"),
            f.number_or_none("clock_offset_ms"),
            f.whole_or_none("used_weight"),
        )

    def document(self) -> dict[str, Any]:
        return {
            "reachable": self.reachable,
            "latency_ms": self.latency_ms,
            "clock_offset_ms": self.clock_offset_ms,
            "used_weight": self.used_weight,
        }


@dataclass(frozen=True, slots=True)
class Warmup:
    """`error_bound`: the weight that the first bar still has in the slowest average; None while unknown."""

    bars: int
    needed: int
    error_bound: float | None

    @classmethod
    def read(cls, f: Fields) -> Warmup:
        return cls(f.whole("bars"), f.whole("needed"), f.number_or_none("error_bound"))

    def document(self) -> dict[str, Any]:
        return {"bars": self.bars, "needed": self.needed, "error_bound": self.error_bound}


@dataclass(frozen=True, slots=True)
class HaltStatus:
    """The latch. `remaining`: each thing that is not yet closed, as a sentence; empty exactly when flat."""

    reason: str
    at: datetime
    flat: bool
    remaining: tuple[str, ...]

    @classmethod
    def read(cls, f: Fields) -> HaltStatus:
        return cls(f.one_of("reason", HALT_REASONS), f.time("at"), f.flag("flat"), f.texts("remaining"))

    def document(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "at": iso(self.at),
            "flat": self.flat,
            "remaining": list(self.remaining),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """`at` (venue time), `venue` and `bid` (the best price one could sell at) are published as well, but are
    not part of the promised document.
    """

    state: str
    state_since: datetime
    mode: str
    pair: str
    timeframe: str
    balance: Decimal | None
    equity: Decimal | None
    day: Day
    positions: tuple[OpenPosition, ...]
    orders: tuple[OpenOrder, ...]
    feed: FeedHealth
    exchange: ExchangeHealth
    warmup: Warmup
    halt: HaltStatus | None
    entries_blocked_by: tuple[str, ...]
    version: str
    config_hash: str
    at: datetime | None = None
    venue: str | None = None
    bid: Decimal | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Status:
        """Raises StatusUnreadable naming the key that is missing or of another type."""
        f = Fields(document)
        halt = f.section_or_none("halt")
        return cls(
            state=f.one_of("state", STATES),
            state_since=f.time("state_since"),
            mode=f.one_of("mode", MODES),
            pair=f.text("pair"),
            timeframe=f.text("timeframe"),
            balance=f.money_or_none("balance"),
            equity=f.money_or_none("equity"),
            day=Day.read(f.section("day")),
            positions=tuple(OpenPosition.read(row) for row in f.rows("positions")),
            orders=tuple(OpenOrder.read(row) for row in f.rows("orders")),
            feed=FeedHealth.read(f.section("feed")),
            exchange=ExchangeHealth.read(f.section("exchange")),
            warmup=Warmup.read(f.section("warmup")),
            halt=None if halt is None else HaltStatus.read(halt),
            entries_blocked_by=f.texts("entries_blocked_by"),
            version=f.text("version"),
            config_hash=f.text("config_hash"),
            at=f.time("at") if f.carries("at") else None,
            venue=f.text("venue") if f.carries("venue") else None,
            bid=f.section("price").money_or_none("bid") if f.carries("price") else None,
        )

    def document(self, *, running: bool) -> dict[str, Any]:
        """The promised document. `running` False: no engine runs, this is the last stored state."""
        return {
            "running": running,
            "state": self.state,
            "state_since": iso(self.state_since),
            "mode": self.mode,
            "pair": self.pair,
            "timeframe": self.timeframe,
            "balance": _amount(self.balance),
            "equity": _amount(self.equity),
            "day": self.day.document(),
            "positions": [position.document() for position in self.positions],
            "orders": [order.document() for order in self.orders],
            "feed": self.feed.document(),
            "exchange": self.exchange.document(),
            "warmup": self.warmup.document(),
            "halt": None if self.halt is None else self.halt.document(),
            "entries_blocked_by": list(self.entries_blocked_by),
            "version": self.version,
            "config_hash": self.config_hash,
        }

    @property
    def base(self) -> str:
        return self.pair.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.pair.partition("/")[2]

    @property
    def is_flat(self) -> bool:
        """Nothing is held and no order may still be executed."""
        return not self.positions and all(order.status in TERMINAL for order in self.orders)
