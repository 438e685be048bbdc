"""The first schema: trades, intents, orders, fills, verdicts, balances, decisions, events, paper accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SCOPE = ("agent_id", "venue", "mode", "account", "pair")


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create(name: str, *content: sa.schema.SchemaItem) -> None:
    scope = [sa.Column(part, sa.Text(), nullable=False) for part in _SCOPE]
    op.create_table(name, sa.Column("id", _row_id(), primary_key=True), *scope, *content)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _ms(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _int(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _bool(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _float(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _one(name: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*_SCOPE, *columns, name=f"one_{name}")


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, [*_SCOPE, *columns], sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    _create("scopes", _int("opened"), _one("scope"))
    _create("documents", _text("key"), _ms("updated_ms"), _text("body"), _one("document", "key"))
    _create("configs", _ms("at_ms"), _text("config_hash"), _text("body"))
    _trading()
    _records()
    _paper()


def _trading() -> None:
    _create(
        "trades",
        _int("position_id"),
        _text("state"),
        _bool("is_open"),
        _ms("signal_ms"),
        _ms("opened_ms", nullable=True),
        _ms("exit_ms", nullable=True),
        _text("entry", nullable=True),
        _text("exit", nullable=True),
        _text("size"),
        _text("pnl_quote", nullable=True),
        _text("pnl", nullable=True),
        _text("r", nullable=True),
        _text("reason", nullable=True),
        _int("bars_held"),
        _text("fees_quote"),
        _text("notes"),
        _ms("updated_ms"),
        _text("record"),
        _one("trade", "position_id"),
    )
    _index("open_trades", "trades", where="is_open")
    _create(
        "intents",
        _text("client_id"),
        _int("position_id"),
        _text("purpose"),
        _text("side"),
        _text("type"),
        _text("qty"),
        _text("price", nullable=True),
        _text("stop_price", nullable=True),
        _text("time_in_force", nullable=True),
        _ms("created_ms"),
        _text("reason"),
        _text("record"),
        _one("intent", "client_id"),
    )
    _index("intents_of_position", "intents", "position_id")
    _create(
        "verdicts",
        _ms("at_ms"),
        _int("position_id"),
        _text("client_id", nullable=True),
        _bool("approved"),
        _text("checks"),
    )
    _index("verdicts_of_intent", "verdicts", "client_id")
    _create(
        "orders",
        _text("client_id"),
        sa.Column("intent_id", _row_id(), sa.ForeignKey("intents.id"), nullable=False),
        _text("status"),
        _text("exchange_order_id", nullable=True),
        _text("filled"),
        _bool("is_settled"),
        _ms("updated_ms"),
        _text("record"),
        _one("order", "client_id"),
    )
    _index("unsettled_orders", "orders", where="NOT is_settled")
    _create(
        "fills",
        sa.Column("order_id", _row_id(), sa.ForeignKey("orders.id"), nullable=False),
        _text("trade_id"),
        _text("client_id"),
        _text("side"),
        _text("price"),
        _text("qty"),
        _text("fee"),
        _text("fee_currency"),
        _text("fee_quote", nullable=True),
        _ms("at_ms"),
        _one("fill", "client_id", "trade_id"),
    )
    op.create_index("ix_fills_order_id", "fills", ["order_id"])


def _records() -> None:
    _create("balances", _ms("at_ms"), _text("balance"), _text("equity"))
    _index("balances_by_time", "balances", "at_ms")
    _create(
        "decisions",
        _ms("bar_open_ms"),
        _ms("decided_ms"),
        _float("close"),
        _float("ema_f"),
        _float("ema_s"),
        _float("atr", nullable=True),
        _float("vol_z", nullable=True),
        _float("tr_z", nullable=True),
        _float("cloc", nullable=True),
        _bool("downtrend"),
        _bool("exhaustion"),
        _bool("borderline"),
        _text("outcome"),
        _text("reason"),
        _text("closed_by"),
        _int("position_id", nullable=True),
        _one("decision", "bar_open_ms"),
    )
    _create("events", _ms("at_ms"), _text("level"), _text("kind"), _text("text"))
    _index("events_by_time", "events", "at_ms")
    _create("dust", _ms("at_ms"), _int("position_id"), _text("currency"), _text("qty"))


def _paper() -> None:
    _create(
        "paper_accounts",
        _int("number"),
        _ms("opened_ms"),
        _ms("closed_ms", nullable=True),
        _ms("updated_ms"),
        _text("body", nullable=True),
        _one("paper_account"),
    )
    _create(
        "paper_orders",
        _int("number"),
        _text("client_id"),
        _text("exchange_order_id"),
        _text("side"),
        _text("type"),
        _text("status"),
        _text("qty"),
        _text("price", nullable=True),
        _text("executed_qty"),
        _ms("at_ms"),
        _text("body"),
        _one("paper_order", "client_id"),
    )
    _create(
        "paper_fills",
        _int("number"),
        _text("trade_id"),
        _text("client_id"),
        _text("side"),
        _text("price"),
        _text("qty"),
        _text("fee"),
        _text("fee_currency"),
        _ms("at_ms"),
        _one("paper_fill", "trade_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("a schema is never downgraded: restore the backup made before the upgrade")
