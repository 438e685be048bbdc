"""What the ledger takes and gives back: a scope, a batch of changes, and what was stored.

A batch is what one step of the engine changed. It is written whole or not at all, in the order of the
steps. Amounts are Decimal, times venue time in milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Final

from agent.core.order import Fill, Order
from agent.core.position import Position
from agent.core.records import Row
from agent.core.value import Value
from agent.store.codec_values import Json

#: The columns that say whose a row is, in every table and in this order.
SCOPE_COLUMNS: Final = ("agent_id", "venue", "mode", "account", "pair")


class Scope(Value, frozen=True):
    """Whose rows these are. `venue` is exchange and host; `account` in paper is the account's number."""

    agent_id: str
    venue: str
    mode: str
    account: str
    pair: str

    def __post_init__(self) -> None:
        assert all(self.columns().values()), f"a scope has no empty part: {self}"
        assert self.pair.count("/") == 1, f"a pair is BASE/QUOTE: {self.pair}"

    def columns(self) -> dict[str, str]:
        # `asdict` copies deeply, and every statement asks for these.
        return {name: getattr(self, name) for name in SCOPE_COLUMNS}

    @property
    def base(self) -> str:
        return self.pair.split("/")[0]

    @property
    def quote(self) -> str:
        return self.pair.split("/")[1]

    @property
    def selection(self) -> Selection:
        """Exactly this scope."""
        return Selection(**self.columns())


class Selection(Value, frozen=True):
    """Which scopes' rows to read; None matches every value."""

    agent_id: str | None = None
    venue: str | None = None
    mode: str | None = None
    account: str | None = None
    pair: str | None = None

    def columns(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value is not None}


class AcceptedConfig(Value, frozen=True):
    """A config the agent accepted: the one to go by when a newer one is invalid. `text` holds no secret."""

    config_hash: str
    text: str
    at_ms: int


class PaperOrder(Value, frozen=True):
    """An order as the paper broker sees it, in Binance's words. `detail` is the broker's own."""

    client_id: str
    exchange_order_id: str
    side: str
    type: str
    status: str
    qty: Decimal
    price: Decimal | None
    executed_qty: Decimal
    at_ms: int
    detail: Json = None


class PaperChange(Value, frozen=True):
    """What the paper broker must have on disk before it answers. `document` replaces the account's state."""

    document: Json
    orders: tuple[PaperOrder, ...] = ()
    fills: tuple[Fill, ...] = ()


class Batch(Value, frozen=True):
    """The changes of one step at `at_ms`.

    `orders` and `positions` are written as they now are; their intents and fills are added once.
    `documents` replaces whole documents by key. `fee_values` gives a fill's fee in quote currency by (client
    id, trade id), where the fee was taken in another currency than base or quote.
    """

    at_ms: int
    rows: tuple[Row, ...] = ()
    orders: tuple[Order, ...] = ()
    positions: tuple[Position, ...] = ()
    documents: Mapping[str, Json] = {}
    fee_values: Mapping[tuple[str, str], Decimal] = {}
    config: AcceptedConfig | None = None
    paper: PaperChange | None = None


class Stored(Value, frozen=True):
    """What a restart needs: every position that is open or has an unsettled order, and all their orders.

    `orders` also holds every other unsettled order. `last_position_id` is the highest ever given (0: none).
    """

    documents: Mapping[str, Json]
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    last_position_id: int
    config: AcceptedConfig | None


class StoredPaper(Value, frozen=True):
    """A paper account as it was last written. `number` counts the accounts of an agent, venue and pair."""

    number: int
    document: Json
