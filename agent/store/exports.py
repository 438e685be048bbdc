"""What leaves as CSV or JSON: trades, orders, fills, decisions, balances, fills for the tax office; costs
against the bar form, incidents, dust, and where each configuration came from.

The columns are an interface that other programs rely on. Money is plain decimal text, times are ISO 8601
UTC, floats appear in decisions only, what is undefined or not known yet is null (nothing in CSV). Flags are
true and false in JSON, 1 and 0 in CSV.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from sqlalchemy import Select, Table, and_, select

from agent.core.instant import iso_utc
from agent.core.money import PRECISION, plain
from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS, Selection
from agent.store.config_export import CONFIG_COLUMNS, config_rows
from agent.store.cost_export import COST_COLUMNS, cost_document
from agent.store.database import Place
from agent.store.reading import Reader, trade_of
from agent.store.trouble import StoreTrouble, file_trouble

Format = Literal["csv", "json"]
Value = str | int | float | bool | Decimal | None

#: What an export ends with, as a program's exit code.
DONE: Final = 0
REFUSED: Final = 1
UNREADABLE: Final = 2


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of export: its columns in order, and how they come from a database row.

    `all_rows` stands for what does not come from one row of one table at a time.
    """

    columns: tuple[str, ...]
    table: Table
    wanted: Select[Any]
    row: Callable[[Any], Mapping[str, Value]]
    all_rows: Callable[[Reader, Selection], Iterator[Mapping[str, Value]]] | None = None


def _trade(row: Any) -> Mapping[str, Value]:
    trade = trade_of(row)
    return {
        "id": trade.id,
        "signal_ts": iso_utc(trade.signal_ms),
        "entry_ts": iso_utc(trade.opened_ms),
        "exit_ts": iso_utc(trade.exit_ms),
        "entry": trade.entry,
        "exit": trade.exit,
        "size": trade.size,
        "pnl_quote": trade.pnl_quote,
        "pnl": trade.pnl,
        "R": trade.r,
        "reason": trade.reason,
        "bars_held": trade.bars_held,
        "fees_quote": trade.fees_quote,
        "mode": trade.scope.mode,
        "venue": trade.scope.venue,
        "notes": trade.notes,
    }


def _order(row: Any) -> Mapping[str, Value]:
    return {
        "client_id": row.client_id,
        "side": row.side,
        "type": row.type,
        "status": row.status,
        "quantity": row.qty,
        "filled": row.filled,
        "price": row.price,
        "ts": iso_utc(row.created_ms),
        "intent_id": row.intent_id,
        "verdict": None if row.approved is None else "approved" if row.approved else "refused",
    }


def _fill(row: Any) -> Mapping[str, Value]:
    return {
        "trade_id": row.trade_id,
        "client_id": row.client_id,
        "side": row.side,
        "price": row.price,
        "quantity": row.qty,
        "fee": row.fee,
        "fee_currency": row.fee_currency,
        "ts": iso_utc(row.at_ms),
    }


def _taxed(row: Any) -> Mapping[str, Value]:
    with localcontext(prec=PRECISION):
        return {**_fill(row), "value_quote": row.price * row.qty, "fee_quote": row.fee_quote}


def _decision(row: Any) -> Mapping[str, Value]:
    same = ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc", "downtrend", "exhaustion", "borderline")
    values: dict[str, Value] = {name: getattr(row, name) for name in same}
    return {"bar": iso_utc(row.bar_open_ms), **values, "outcome": row.outcome, "reason": row.reason}


def _balance(row: Any) -> Mapping[str, Value]:
    return {"ts": iso_utc(row.at_ms), "balance": row.balance, "equity": row.equity, "mode": row.mode}


def _incident(row: Any) -> Mapping[str, Value]:
    where = {name: getattr(row, name) for name in ("mode", "venue", "pair")}
    return {"ts": iso_utc(row.at_ms), "level": row.level, "kind": row.kind, "text": row.text, **where}


def _dust(row: Any) -> Mapping[str, Value]:
    return {
        "ts": iso_utc(row.at_ms),
        "trade_id": row.position_id,
        "currency": row.currency,
        "quantity": row.qty,
    }


def _costs(reader: Reader, of: Selection) -> Iterator[Mapping[str, Value]]:
    from agent.store.data_dir import DataDir
    from agent.store.reading_parity import cost_rows

    if not isinstance(reader.place, Path):
        raise StoreTrouble("costs need the candles of the data directory in which the agent runs")
    candles_db = DataDir(reader.place.parent).candles_db
    for scope in reader.scopes():
        if all(getattr(scope, name) == value for name, value in of.columns().items()):
            for row in cost_rows(reader, candles_db, scope):
                yield cost_document(row)


def _orders_with_verdicts() -> Select[Any]:
    orders, intents, verdicts = schema.orders, schema.intents, schema.verdicts
    same_scope = and_(*(verdicts.c[name] == orders.c[name] for name in SCOPE_COLUMNS))
    last_verdict = (
        select(verdicts.c.approved)
        .where(same_scope, verdicts.c.client_id == orders.c.client_id)
        .order_by(verdicts.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    decided = [intents.c[name] for name in ("side", "type", "qty", "price", "created_ms")]
    known = [orders.c[name] for name in ("id", "client_id", "status", "filled", "intent_id")]
    joined = orders.join(intents, orders.c.intent_id == intents.c.id)
    return select(*known, *decided, last_verdict.label("approved")).select_from(joined)


_FILL_COLUMNS: Final = (
    "trade_id",
    "client_id",
    "side",
    "price",
    "quantity",
    "fee",
    "fee_currency",
    "ts",
)
_TRADES: Final = schema.trades
_INCIDENTS: Final = ("WARNING", "ERROR", "CRITICAL")

EXPORTS: Final[Mapping[str, Export]] = {
    "trades": Export(
        (
            *("id", "signal_ts", "entry_ts", "exit_ts", "entry", "exit", "size", "pnl_quote", "pnl", "R"),
            *("reason", "bars_held", "fees_quote", "mode", "venue", "notes"),
        ),
        _TRADES,
        select(_TRADES).where(_TRADES.c.opened_ms.is_not(None)),
        _trade,
    ),
    "orders": Export(
        (
            *("client_id", "side", "type", "status", "quantity", "filled", "price"),
            *("ts", "intent_id", "verdict"),
        ),
        schema.orders,
        _orders_with_verdicts(),
        _order,
    ),
    "fills": Export(_FILL_COLUMNS, schema.fills, select(schema.fills), _fill),
    "decisions": Export(
        (
            *("bar", "ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc", "downtrend", "exhaustion"),
            *("borderline", "outcome", "reason"),
        ),
        schema.decisions,
        select(schema.decisions),
        _decision,
    ),
    "balances": Export(
        ("ts", "balance", "equity", "mode"), schema.balances, select(schema.balances), _balance
    ),
    "costs": Export(COST_COLUMNS, _TRADES, select(_TRADES), _trade, _costs),
    "incidents": Export(
        ("ts", "level", "kind", "text", "mode", "venue", "pair"),
        schema.events,
        select(schema.events).where(schema.events.c.level.in_(_INCIDENTS)),
        _incident,
    ),
    "dust": Export(("ts", "trade_id", "currency", "quantity"), schema.dust, select(schema.dust), _dust),
    "configs": Export(CONFIG_COLUMNS, schema.configs, select(schema.configs), _trade, config_rows),
    "tax": Export((*_FILL_COLUMNS, "value_quote", "fee_quote"), schema.fills, select(schema.fills), _taxed),
}


def export_rows(reader: Reader, kind: str, of: Selection) -> Iterator[Mapping[str, Value]]:
    """The rows of one of EXPORTS in the order they were first written. Raises StoreTrouble."""
    export = EXPORTS[kind]
    if export.all_rows is not None:
        yield from export.all_rows(reader, of)
        return
    for row in reader.stream(export.wanted, export.table, of):
        yield export.row(row)


def write_rows(
    rows: Iterable[Mapping[str, Value]], columns: tuple[str, ...], form: Format, to: TextIO
) -> int:
    """Write `rows` as CSV with a header, or as one JSON array. Returns how many there were."""
    count = 0
    if form == "csv":
        writer = csv.writer(to, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_csv(row[name]) for name in columns])
            count += 1
        return count
    to.write("[")
    for row in rows:
        to.write(",\n " if count else "\n ")
        to.write(json.dumps({name: _json(row[name]) for name in columns}, ensure_ascii=False))
        count += 1
    to.write("\n]\n" if count else "]\n")
    return count


def export_to_file(
    database: Place, kind: str, form: Format, out: Path, of: Selection, *, overwrite: bool = False
) -> int:
    """Write one export to `out`, which appears only when it is complete. Returns the number of rows.

    Raises StoreTrouble when `out` exists (unless `overwrite`), when it is one of the files that the agent
    lives on, whatever was asked, when it cannot be written, and for the database as `Reader` does.
    """
    if out.exists() and not overwrite:
        raise StoreTrouble(f"{out} exists already; choose another name or remove it first")
    if out.exists() and isinstance(database, Path) and _is_agents_own(out, database.parent):
        raise StoreTrouble(f"{out} is the agent's own: only .csv files of its folder are replaced")
    reader = Reader.open(database)
    partial = out.with_name(f".{out.name}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="", opener=_private) as file:
            count = write_rows(export_rows(reader, kind, of), EXPORTS[kind].columns, form, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, out)
    except OSError as error:
        raise file_trouble(error, out, "writing") from None
    finally:
        reader.close()
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return count


def export_command(
    database: Place,
    kind: str,
    form: Format,
    *,
    out: Path | None,
    of: Selection,
    stdout: TextIO,
    stderr: TextIO,
    overwrite: bool = False,
) -> int:
    """The whole command: to `out` or `stdout`, with sentences on `stderr`. Returns the exit code."""
    assert kind in EXPORTS, f"no export called {kind}"
    if isinstance(database, Path) and not database.exists():
        stderr.write(f"there is no {database.name} in {database.parent}: the agent has not run there yet\n")
        return UNREADABLE
    try:
        if out is not None:
            count = export_to_file(database, kind, form, out, of, overwrite=overwrite)
            stderr.write(f"{count} rows written to {out}\n")
            return DONE
        reader = Reader.open(database)
        try:
            write_rows(export_rows(reader, kind, of), EXPORTS[kind].columns, form, stdout)
        finally:
            reader.close()
    except StoreTrouble as trouble:
        stderr.write(f"{trouble}\n")
        return REFUSED
    return DONE


def _is_agents_own(out: Path, data_dir: Path) -> bool:
    """Whether `out` lies in the data directory and is no table: ledger, latch, lock, configuration, keys."""
    return out.suffix != ".csv" and out.resolve().is_relative_to(data_dir.resolve())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _csv(value: Value) -> str | int:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return repr(value)
    return plain(value) if isinstance(value, Decimal) else value


def _json(value: Value) -> str | int | float | bool | None:
    if isinstance(value, Decimal):
        return plain(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
