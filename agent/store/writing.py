"""One batch as statements, inside a transaction that somebody else begins and commits.

What was decided is never overwritten: an intent that differs from the one on file is our own mistake and
asserts, and so does a fill that comes back with other numbers. Everything else is written as it now is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal, localcontext
from typing import Any, Final

from sqlalchemy import Connection

from agent.core.money import PRECISION
from agent.core.order import Fill, Intent, Order, Side
from agent.core.records import BalanceRow, Check, DecisionRow, DustRow, EventRow, Row, VerdictRow
from agent.core.value import Value, replace
from agent.store.batch import Batch, PaperChange, Scope
from agent.store.codec import decode, encode, encode_as, from_text, to_text
from agent.store.statements import FIND_FILLS, FIND_INTENT, VALUE_FEE, statements
from agent.store.trade_report import trade_columns

_ADD: Final[dict[type[Value], str]] = {
    DecisionRow: "add_decision",
    VerdictRow: "add_verdict",
    BalanceRow: "add_balance",
    EventRow: "add_event",
    DustRow: "add_dust",
}


class OnFile(Value, frozen=True):
    """What is certainly on file of one order: its intent with the row's id, and its first `fills` fills."""

    intent_id: int
    intent: Intent
    fills: int


def write_batch(
    connection: Connection, scope: Scope, batch: Batch, on_file: Mapping[str, OnFile]
) -> dict[str, OnFile]:
    """Write everything in `batch`. Returns what is on file now of each of its orders.

    `on_file` is what earlier batches returned: an intent never changes and fills only grow at the end, so
    what is known need not be written again.
    """
    columns, sql = scope.columns(), statements(connection)
    written: dict[str, OnFile] = {}
    if batch.orders:
        # Fills are added up and fees valued; a thread's own context may round earlier.
        with localcontext(prec=PRECISION):
            for order in batch.orders:
                known = written.get(order.intent.client_id) or on_file.get(order.intent.client_id)
                written[order.intent.client_id] = _write_order(
                    connection, scope, columns, order, batch, known
                )
    for position in batch.positions:
        record = to_text(encode(position))
        row = {"position_id": position.id, "updated_ms": batch.at_ms, "record": record}
        connection.execute(sql.put_trade, {**columns, **row, **trade_columns(position)})
    if batch.rows:
        for kind, add in _ADD.items():
            made = [{**columns, **_row_columns(item)} for item in batch.rows if type(item) is kind]
            _execute(connection, getattr(sql, add), made)
    documents = [
        {**columns, "key": key, "updated_ms": batch.at_ms, "body": to_text(body)}
        for key, body in batch.documents.items()
    ]
    _execute(connection, sql.put_document, documents)
    if batch.config is not None:
        config = batch.config
        row = {"at_ms": config.at_ms, "config_hash": config.config_hash, "body": config.text}
        connection.execute(sql.add_config, {**columns, **row})
    if batch.paper is not None:
        _write_paper(connection, columns, batch.paper, batch.at_ms)
    return written


def _execute(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    """One call for all rows of a kind: the call costs ten times what a row does."""
    if rows:
        connection.execute(statement, rows if len(rows) > 1 else rows[0])


def paper_number(account: str) -> int:
    """The number in a paper scope's account tag `paper-3`."""
    name, _, number = account.partition("-")
    assert name == "paper", f"not a paper account: {account}"
    assert number.isdecimal(), f"not a paper account: {account}"
    return int(number)


def _write_order(
    connection: Connection,
    scope: Scope,
    columns: dict[str, str],
    order: Order,
    batch: Batch,
    on_file: OnFile | None,
) -> OnFile:
    intent, client_id = order.intent, order.intent.client_id
    if on_file is None:
        on_file = OnFile(_intent_id(connection, columns, intent), intent, 0)
    assert on_file.intent == intent, (
        f"an intent changed after it was decided: {on_file.intent} became {intent}"
    )
    order_row = {
        "client_id": client_id,
        "intent_id": on_file.intent_id,
        "status": order.status.value,
        "exchange_order_id": order.exchange_order_id,
        "filled": order.filled,
        "is_settled": order.is_settled,
        "updated_ms": batch.at_ms,
        # Fills have a table of their own; the order is put together again from both.
        "record": to_text(encode(replace(order, fills=()) if order.fills else order)),
    }
    order_id = connection.execute(statements(connection).put_order, {**columns, **order_row}).scalar_one()
    for fill in order.fills[: on_file.fills]:
        value = batch.fee_values.get((client_id, fill.trade_id))
        if value is not None:
            which = {**columns, "client_id": client_id, "trade_id": fill.trade_id}
            named = {f"of_{name}": held for name, held in which.items()}
            connection.execute(VALUE_FEE, {**named, "value": value})
    for fill in order.fills[on_file.fills :]:
        row = {**_fill_columns(fill), "order_id": order_id, "fee_quote": _fee_quote(scope, fill, batch)}
        if connection.execute(statements(connection).add_fill, {**columns, **row}).rowcount == 0:
            _same_fill(connection, columns, fill)
    return replace(on_file, fills=len(order.fills))


def _intent_id(connection: Connection, columns: dict[str, str], intent: Intent) -> int:
    row = {
        "client_id": intent.client_id,
        "position_id": intent.position_id,
        "purpose": intent.purpose.value,
        "side": intent.side.value,
        "type": intent.type.value,
        "qty": intent.qty,
        "price": intent.price,
        "stop_price": intent.stop_price,
        "time_in_force": intent.time_in_force and intent.time_in_force.value,
        "created_ms": intent.created_ms,
        "reason": intent.reason,
        "record": to_text(encode(intent)),
    }
    new_id: int | None = connection.execute(
        statements(connection).add_intent, {**columns, **row}
    ).scalar_one_or_none()
    if new_id is not None:
        return new_id
    found = connection.execute(FIND_INTENT, {**columns, "client_id": intent.client_id}).one()
    if found.record != row["record"]:
        on_file = decode(Intent, from_text(found.record))
        assert on_file == intent, f"an intent changed after it was decided: {on_file} became {intent}"
    known_id: int = found.id
    return known_id


def _same_fill(connection: Connection, columns: dict[str, str], fill: Fill) -> None:
    known = connection.execute(FIND_FILLS, {**columns, "client_id": fill.client_id}).all()
    on_file = [fill_of(row) for row in known if row.trade_id == fill.trade_id]
    assert on_file == [fill], f"a fill came back with other numbers: {on_file} became {fill}"


def fill_of(row: Any) -> Fill:
    """The fill in a row of `fills` or `paper_fills`."""
    return Fill(
        trade_id=row.trade_id,
        client_id=row.client_id,
        side=Side(row.side),
        price=row.price,
        qty=row.qty,
        fee=row.fee,
        fee_currency=row.fee_currency,
        at_ms=row.at_ms,
    )


def _fill_columns(fill: Fill) -> dict[str, Any]:
    return {
        "trade_id": fill.trade_id,
        "client_id": fill.client_id,
        "side": fill.side.value,
        "price": fill.price,
        "qty": fill.qty,
        "fee": fill.fee,
        "fee_currency": fill.fee_currency,
        "at_ms": fill.at_ms,
    }


def _fee_quote(scope: Scope, fill: Fill, batch: Batch) -> Decimal | None:
    """The fee in quote currency; None when it was taken in a third currency whose price nobody gave."""
    given = batch.fee_values.get((fill.client_id, fill.trade_id))
    if given is not None:
        return given
    if fill.fee_currency == scope.quote:
        return fill.fee
    if fill.fee_currency == scope.base:
        return fill.fee * fill.price
    return fill.fee if fill.fee == 0 else None


def _row_columns(item: Row) -> dict[str, Any]:
    if isinstance(item, DecisionRow):
        return {**_columns_of(item), "outcome": item.outcome.value}
    if isinstance(item, VerdictRow):
        checks = to_text(encode_as(tuple[Check, ...], item.checks))
        return {
            "at_ms": item.at_ms,
            "position_id": item.position_id,
            "client_id": item.client_id,
            "approved": item.approved,
            "checks": checks,
        }
    return _columns_of(item)


def _columns_of(item: Row) -> dict[str, Any]:
    # `asdict` copies deeply, and every bar is a row.
    return {name: getattr(item, name) for name in _COLUMNS[type(item)]}


_COLUMNS: Final = {kind: tuple(f.name for f in fields(kind)) for kind in _ADD}


def _write_paper(connection: Connection, columns: dict[str, str], change: PaperChange, at_ms: int) -> None:
    scope = {**columns, "number": paper_number(columns["account"])}
    account = {"opened_ms": at_ms, "closed_ms": None, "updated_ms": at_ms, "body": to_text(change.document)}
    connection.execute(statements(connection).put_paper_account, {**scope, **account})
    for order in change.orders:
        row = {name: getattr(order, name) for name in _PAPER_ORDER_COLUMNS}
        connection.execute(
            statements(connection).put_paper_order, {**scope, **row, "body": to_text(order.detail)}
        )
    for fill in change.fills:
        connection.execute(statements(connection).add_paper_fill, {**scope, **_fill_columns(fill)})


_PAPER_ORDER_COLUMNS: Final = (
    "client_id",
    "exchange_order_id",
    "side",
    "type",
    "status",
    "qty",
    "price",
    "executed_qty",
    "at_ms",
)
