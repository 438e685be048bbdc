"""Reading a ledger beside a running engine: pages, newest or oldest first, of any selection of scopes.

Every page is a transaction of its own, so that no reader holds a snapshot for long and the log of the
writer can be folded back. The rows come as the core's own types where there is one. On a server that several
agents share only the rows of the one that is meant are seen, whatever the selection.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Engine, Row, Select, Table, or_, select
from sqlalchemy.exc import DBAPIError

from agent.core.records import BalanceRow, DecisionRow, EventRow, Outcome
from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS, AcceptedConfig, Scope, Selection, StoredPaper
from agent.store.codec import from_text
from agent.store.database import Place, database_trouble, open_for_reading
from agent.store.loading import last_config
from agent.store.server import Server
from agent.store.statements import IS_OPEN, IS_UNSETTLED

#: Rows per page: a page of decisions takes a few milliseconds.
_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class TradeRow:
    """A position that has held something. What it earned is None while it is open.

    `pnl` is quote per unit of base; `r` is pnl / risk; ratios are rounded to 18 significant digits.
    """

    scope: Scope
    id: int
    state: str
    is_open: bool
    signal_ms: int
    opened_ms: int
    exit_ms: int | None
    entry: Decimal | None
    exit: Decimal | None
    size: Decimal
    pnl_quote: Decimal | None
    pnl: Decimal | None
    r: Decimal | None
    reason: str | None
    bars_held: int
    fees_quote: Decimal
    notes: str


class Reader:
    """Open with `Reader.open`; every method may raise StoreTrouble. Usable from one thread at a time."""

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place
        self.agent_id = place.agent_id if isinstance(place, Server) else None

    @classmethod
    def open(cls, place: Place) -> Self:
        return cls(open_for_reading(place), place)

    def close(self) -> None:
        self._engine.dispose()

    @property
    def place(self) -> Place:
        """The database file, or the database on a server."""
        return self._place

    def scopes(self) -> tuple[Scope, ...]:
        """Every scope that was ever opened for writing, the last one first."""
        table = schema.scopes
        wanted = select(table).where(*self._where(table, Selection())).order_by(table.c.opened.desc())
        return tuple(_scope(row) for row in self._all(wanted))

    def exposed_scopes(self) -> tuple[Scope, ...]:
        """Scopes with an open position or an unsettled order: what a start must not forget."""
        rows = [row for wanted in _exposed(self._of(Selection())) for row in self._all(wanted)]
        return tuple(dict.fromkeys(_scope(row) for row in rows))

    def config(self, scope: Scope) -> AcceptedConfig | None:
        """The config accepted last."""
        with self._engine.connect() as connection:
            return last_config(connection, scope)

    def newest_client_id(self) -> str | None:
        """Of the order that was intended last, in any scope."""
        table = schema.intents
        wanted = select(table.c.client_id).where(*self._where(table, Selection()))
        rows = self._all(wanted.order_by(table.c.id.desc()).limit(1))
        return str(rows[0].client_id) if rows else None

    def trades(self, of: Selection, *, limit: int, before_id: int | None = None) -> tuple[TradeRow, ...]:
        """Newest first; `before_id` is a trade's id within one scope."""
        table = schema.trades
        wanted = select(table).where(*self._where(table, of), table.c.opened_ms.is_not(None))
        if before_id is not None:
            wanted = wanted.where(table.c.position_id < before_id)
        return tuple(trade_of(row) for row in self._all(wanted.order_by(table.c.id.desc()).limit(limit)))

    def decisions(
        self, of: Selection, *, limit: int, before_ms: int | None = None, telling: bool = False
    ) -> tuple[DecisionRow, ...]:
        """Newest bar first; `telling`: only bars on which something else than "no signal" happened."""
        table = schema.decisions
        wanted = select(table).where(*self._where(table, of))
        if before_ms is not None:
            wanted = wanted.where(table.c.bar_open_ms < before_ms)
        if telling:
            wanted = wanted.where(or_(table.c.exhaustion, table.c.outcome != Outcome.NO_SIGNAL.value))
        rows = self._all(wanted.order_by(table.c.bar_open_ms.desc()).limit(limit))
        return tuple(decision_of(row) for row in rows)

    def events(self, of: Selection, *, limit: int, before_ms: int | None = None) -> tuple[EventRow, ...]:
        """Newest first."""
        table = schema.events
        wanted = select(table).where(*self._where(table, of))
        if before_ms is not None:
            wanted = wanted.where(table.c.at_ms < before_ms)
        rows = self._all(wanted.order_by(table.c.at_ms.desc(), table.c.id.desc()).limit(limit))
        return tuple(EventRow(row.at_ms, row.level, row.kind, row.text) for row in rows)

    def balances(self, of: Selection, *, limit: int, since_ms: int = 0) -> tuple[BalanceRow, ...]:
        """Oldest first."""
        table = schema.balances
        wanted = select(table).where(*self._where(table, of), table.c.at_ms >= since_ms)
        rows = self._all(wanted.order_by(table.c.at_ms, table.c.id).limit(limit))
        return tuple(BalanceRow(row.at_ms, row.balance, row.equity) for row in rows)

    def paper_accounts(self, of: Selection) -> tuple[tuple[Scope, StoredPaper], ...]:
        """Every paper account that was used, oldest first."""
        table = schema.paper_accounts
        wanted = select(table).where(*self._where(table, of), table.c.body.is_not(None)).order_by(table.c.id)
        return tuple((_scope(row), StoredPaper(row.number, from_text(row.body))) for row in self._all(wanted))

    def stream(self, wanted: Select[Any], table: Table, of: Selection) -> Iterator[Row[Any]]:
        """All rows of `wanted` that belong to `of`, in the order of `table`'s ids, page by page.

        `wanted` selects `table.c.id` among its columns.
        """
        after = 0
        while True:
            here = wanted.where(*_walking(table, self._of(of)), table.c.id > after)
            page = self._all(here.order_by(table.c.id).limit(_PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].id

    def rows(self, wanted: Select[*tuple[Any, ...]]) -> list[Row[Any]]:
        """What one statement finds, in a transaction of its own: it should take less than two seconds."""
        return self._all(wanted)

    def _of(self, of: Selection) -> Selection:
        """`of`, of the agent whose rows are meant."""
        assert self.agent_id is None or of.agent_id in (None, self.agent_id), f"another agent's rows: {of}"
        return of if self.agent_id is None else replace(of, agent_id=self.agent_id)

    def _where(self, table: Table, of: Selection) -> list[ColumnElement[bool]]:
        return _where(table, self._of(of))

    def _all(self, wanted: Select[Any]) -> list[Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(wanted).all())
        except DBAPIError as error:
            raise database_trouble(error, self._place, "reading") from None


@functools.lru_cache(maxsize=8)
def _exposed(of: Selection) -> tuple[Select[Any], ...]:
    """Whose trades are open, and whose orders unsettled."""
    trades, orders = schema.trades, schema.orders
    return tuple(
        select(*(table.c[name] for name in SCOPE_COLUMNS)).where(is_open, *_where(table, of)).distinct()
        for table, is_open in ((trades, IS_OPEN), (orders, IS_UNSETTLED))
    )


def of_selection(table: Table, of: Selection) -> list[ColumnElement[bool]]:
    """The conditions that make a row of `table` one of `of`."""
    return _where(table, of)


def _where(table: Table, of: Selection) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in of.columns().items()]


def _walking(table: Table, of: Selection) -> list[ColumnElement[bool]]:
    """As `_where`, found by walking the ids: through an index on the scope every page would sort them all."""
    first = [] if of.agent_id is None else [table.c.agent_id + "" == of.agent_id]
    return [*first, *_where(table, replace(of, agent_id=None))]


def _scope(row: Any) -> Scope:
    return Scope(*(getattr(row, name) for name in SCOPE_COLUMNS))


def decision_of(row: Any) -> DecisionRow:
    values = {field.name: getattr(row, field.name) for field in fields(DecisionRow)}
    return DecisionRow(**{**values, "outcome": Outcome(row.outcome)})


def trade_of(row: Any) -> TradeRow:
    values = {field.name: getattr(row, field.name) for field in fields(TradeRow) if field.name != "scope"}
    return TradeRow(**{**values, "scope": _scope(row), "id": row.position_id})
