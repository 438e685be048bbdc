"""The tables of a ledger, in a file or on a server, as the newest migration leaves them.

Every fact says whose it is: agent, venue, mode, account, pair. Every uniqueness is per scope, so several
agents, accounts and modes can share one database and never meet. Money is text, times are
milliseconds, floats appear only in decisions, where they are indicators. A change here needs a migration;
a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from agent.store.batch import SCOPE_COLUMNS
from agent.store.columns import Millis, Money, RowId, Words
from agent.store.revision import SCHEMA_REVISION as SCHEMA_REVISION

metadata: Final = MetaData()


def _table(name: str, *content: Column[object] | UniqueConstraint | Index) -> Table:
    scope = [Column(part, Text, nullable=False) for part in SCOPE_COLUMNS]
    return Table(name, metadata, Column("id", RowId, primary_key=True), *scope, *content)


def _unique(name: str, *columns: str) -> UniqueConstraint:
    return UniqueConstraint(*SCOPE_COLUMNS, *columns, name=f"one_{name}")


def _index(name: str, *columns: str, where: str | None = None) -> Index:
    # On a server only migrations make indexes, and naming its dialect here would load it in every process.
    return Index(name, *SCOPE_COLUMNS, *columns, sqlite_where=text(where) if where else None)


#: One row per scope that was ever opened for writing; `opened` is highest for the one opened last.
scopes: Final = _table("scopes", Column("opened", Integer, nullable=False), _unique("scope"))

#: The agent's state by key, as JSON text.
documents: Final = _table(
    "documents",
    Column("key", Text, nullable=False),
    Column("updated_ms", Millis, nullable=False),
    Column("body", Text, nullable=False),
    _unique("document", "key"),
)

configs: Final = _table(
    "configs",
    Column("at_ms", Millis, nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("body", Words, nullable=False),
)

#: Positions. Columns are for reading; `record` is the exact position. Amounts of a closed trade only are set.
trades: Final = _table(
    "trades",
    Column("position_id", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("signal_ms", Millis, nullable=False),
    Column("opened_ms", Millis),
    Column("exit_ms", Millis),
    Column("entry", Money),
    Column("exit", Money),
    Column("size", Money, nullable=False),
    Column("pnl_quote", Money),
    Column("pnl", Money),
    Column("r", Money),
    Column("reason", Words),
    Column("bars_held", Integer, nullable=False),
    Column("fees_quote", Money, nullable=False),
    Column("notes", Words, nullable=False),
    Column("updated_ms", Millis, nullable=False),
    Column("record", Text, nullable=False),
    _unique("trade", "position_id"),
    _index("open_trades", where="is_open"),
)

#: Orders as decided, written before the request leaves and never changed.
intents: Final = _table(
    "intents",
    Column("client_id", Text, nullable=False),
    Column("position_id", Integer, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("qty", Money, nullable=False),
    Column("price", Money),
    Column("stop_price", Money),
    Column("time_in_force", Text),
    Column("created_ms", Millis, nullable=False),
    Column("reason", Words, nullable=False),
    Column("record", Text, nullable=False),
    _unique("intent", "client_id"),
    _index("intents_of_position", "position_id"),
)

#: What the risk manager said, with every check; a refused wish has no client id because it made no intent.
verdicts: Final = _table(
    "verdicts",
    Column("at_ms", Millis, nullable=False),
    Column("position_id", Integer, nullable=False),
    Column("client_id", Text),
    Column("approved", Boolean, nullable=False),
    Column("checks", Text, nullable=False),
    _index("verdicts_of_intent", "client_id"),
)

#: What became of an intent. `record` is the exact order without its fills.
orders: Final = _table(
    "orders",
    Column("client_id", Text, nullable=False),
    Column("intent_id", RowId, ForeignKey("intents.id"), nullable=False),
    Column("status", Text, nullable=False),
    Column("exchange_order_id", Words),
    Column("filled", Money, nullable=False),
    Column("is_settled", Boolean, nullable=False),
    Column("updated_ms", Millis, nullable=False),
    Column("record", Text, nullable=False),
    _unique("order", "client_id"),
    _index("unsettled_orders", where="NOT is_settled"),
)

fills: Final = _table(
    "fills",
    Column("order_id", RowId, ForeignKey("orders.id"), nullable=False, index=True),
    Column("trade_id", Words, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("price", Money, nullable=False),
    Column("qty", Money, nullable=False),
    Column("fee", Money, nullable=False),
    Column("fee_currency", Words, nullable=False),
    Column("fee_quote", Money),
    Column("at_ms", Millis, nullable=False),
    _unique("fill", "client_id", "trade_id"),
)

balances: Final = _table(
    "balances",
    Column("at_ms", Millis, nullable=False),
    Column("balance", Money, nullable=False),
    Column("equity", Money, nullable=False),
    _index("balances_by_time", "at_ms"),
)

decisions: Final = _table(
    "decisions",
    Column("bar_open_ms", Millis, nullable=False),
    Column("decided_ms", Millis, nullable=False),
    Column("close", Double, nullable=False),
    Column("ema_f", Double, nullable=False),
    Column("ema_s", Double, nullable=False),
    Column("atr", Double),
    Column("vol_z", Double),
    Column("tr_z", Double),
    Column("cloc", Double),
    Column("downtrend", Boolean, nullable=False),
    Column("exhaustion", Boolean, nullable=False),
    Column("borderline", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Words, nullable=False),
    Column("closed_by", Text, nullable=False),
    Column("position_id", Integer),
    _unique("decision", "bar_open_ms"),
)

events: Final = _table(
    "events",
    Column("at_ms", Millis, nullable=False),
    Column("level", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Words, nullable=False),
    _index("events_by_time", "at_ms"),
)

dust: Final = _table(
    "dust",
    Column("at_ms", Millis, nullable=False),
    Column("position_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("qty", Money, nullable=False),
)

#: Where a ledger is kept twice, in a file and on a server: whose rows, which file wrote them, and the number
#: of the last change in here. A file has at most one row, a server one for each agent.
copies: Final = Table(
    "copies",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("install", Text, nullable=False),
    Column("seq", Millis, nullable=False),
    Column("is_on", Boolean, nullable=False),
    Column("updated_ms", Millis, nullable=False),
)

#: Changes of the file that the server may not have yet, by their number.
spool: Final = Table(
    "spool",
    metadata,
    Column("seq", RowId, primary_key=True, autoincrement=False),
    Column("scope", Text, nullable=False),
    Column("body", Text, nullable=False),
)

#: One row per paper account; the scope's account names it, so a new account is a new scope.
paper_accounts: Final = _table(
    "paper_accounts",
    Column("number", Integer, nullable=False),
    Column("opened_ms", Millis, nullable=False),
    Column("closed_ms", Millis),
    Column("updated_ms", Millis, nullable=False),
    Column("body", Text),
    _unique("paper_account"),
)

paper_orders: Final = _table(
    "paper_orders",
    Column("number", Integer, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("exchange_order_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("qty", Money, nullable=False),
    Column("price", Money),
    Column("executed_qty", Money, nullable=False),
    Column("at_ms", Millis, nullable=False),
    Column("body", Text, nullable=False),
    _unique("paper_order", "client_id"),
)

paper_fills: Final = _table(
    "paper_fills",
    Column("number", Integer, nullable=False),
    Column("trade_id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("price", Money, nullable=False),
    Column("qty", Money, nullable=False),
    Column("fee", Money, nullable=False),
    Column("fee_currency", Text, nullable=False),
    Column("at_ms", Millis, nullable=False),
    _unique("paper_fill", "trade_id"),
)
