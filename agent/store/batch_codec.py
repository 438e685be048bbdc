"""A batch as JSON and back, exactly: for what cannot be written to its ledger, or not yet.

Whoever reads one back writes it as if it had just happened, so nothing may be missing or rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any, Final

from agent.core.order import Fill, Order
from agent.core.position import Position
from agent.core.records import Row
from agent.store.batch import AcceptedConfig, Batch, PaperChange, PaperOrder
from agent.store.codec import Json, decode_as, encode_as

_ORDER_AMOUNTS: Final = ("qty", "price", "executed_qty")


def encode_batch(batch: Batch) -> Json:
    return {
        "at_ms": batch.at_ms,
        "rows": encode_as(tuple[Row, ...], batch.rows),
        "orders": encode_as(tuple[Order, ...], batch.orders),
        "positions": encode_as(tuple[Position, ...], batch.positions),
        "documents": dict(batch.documents),
        "fee_values": [[*ids, str(amount)] for ids, amount in batch.fee_values.items()],
        "config": None if batch.config is None else asdict(batch.config),
        "paper": None if batch.paper is None else _encoded_paper(batch.paper),
    }


def decode_batch(data: Any) -> Batch:
    """Raises Undecodable, ValueError, KeyError or TypeError for what was never one."""
    # Written by an earlier version it may lack a configuration.
    paper, config = data["paper"], data.get("config")
    return Batch(
        at_ms=int(data["at_ms"]),
        rows=decode_as(tuple[Row, ...], data["rows"]),
        orders=decode_as(tuple[Order, ...], data["orders"]),
        positions=decode_as(tuple[Position, ...], data["positions"]),
        documents=data["documents"],
        fee_values={(order, trade): Decimal(amount) for order, trade, amount in data["fee_values"]},
        config=None if config is None else AcceptedConfig(**config),
        paper=None if paper is None else _decoded_paper(paper),
    )


def _encoded_paper(change: PaperChange) -> Any:
    return {
        "document": change.document,
        "orders": [_encoded_order(order) for order in change.orders],
        "fills": encode_as(tuple[Fill, ...], change.fills),
    }


def _encoded_order(order: PaperOrder) -> dict[str, Any]:
    row = {field.name: getattr(order, field.name) for field in fields(order)}
    return row | {name: None if row[name] is None else str(row[name]) for name in _ORDER_AMOUNTS}


def _decoded_paper(data: Mapping[str, Any]) -> PaperChange:
    orders = tuple(
        PaperOrder(**{**row, **{n: None if row[n] is None else Decimal(row[n]) for n in _ORDER_AMOUNTS}})
        for row in data["orders"]
    )
    return PaperChange(data["document"], orders, decode_as(tuple[Fill, ...], data["fills"]))
