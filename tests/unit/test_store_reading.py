"""Pages for windows and commands: newest first, of the scopes asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.order import OrderStatus
from agent.core.position import PositionState
from agent.core.records import EventRow, Outcome
from agent.store.batch import Batch, Selection
from agent.store.reading import Reader
from agent.store.trouble import StoreTrouble
from tests.store_ground import LIVE, SCOPE, T0, Store, balance, decision, either_store, fill, order, position


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(either_store(request, tmp_path)) as store:
        yield store


def trade(number: int, state: PositionState = PositionState.CLOSED) -> Batch:
    bought = fill(str(number), at_ms=T0 + number)
    held = position(number, state).with_fill(bought, base="ADA", fee_in_quote=bought.fee)
    return Batch(T0, positions=(held,))


def test_trades_come_newest_first_in_pages(store: Store) -> None:
    store.ledger().commit(*(trade(number) for number in range(1, 8)))
    store.ledger(LIVE).commit(trade(50))
    reader = store.reader()
    first = reader.trades(SCOPE.selection, limit=3)
    assert [t.id for t in first] == [7, 6, 5]
    assert [t.id for t in reader.trades(SCOPE.selection, limit=3, before_id=first[-1].id)] == [4, 3, 2]
    assert {t.scope for t in first} == {SCOPE}
    assert [t.id for t in reader.trades(Selection(), limit=1)] == [50]


def test_a_trade_row_knows_whether_it_is_open(store: Store) -> None:
    store.ledger().commit(trade(1), trade(2, PositionState.IN_POSITION), Batch(T0, positions=(position(3),)))
    second, first = store.reader().trades(SCOPE.selection, limit=9)
    assert (first.is_open, second.is_open) == (False, True)
    assert (second.opened_ms, second.exit_ms, second.state) == (T0 + 2, None, "IN_POSITION")


def test_decisions_come_back_as_they_were_made(store: Store) -> None:
    made = [decision(1), decision(2, Outcome.REFUSED), replace(decision(3), exhaustion=True), decision(4)]
    store.ledger().commit(Batch(T0, rows=tuple(made)))
    reader = store.reader()
    assert reader.decisions(SCOPE.selection, limit=9) == tuple(reversed(made))
    assert reader.decisions(SCOPE.selection, limit=1, before_ms=made[2].bar_open_ms) == (made[1],)
    assert reader.decisions(SCOPE.selection, limit=9, telling=True) == (made[2], made[1])
    assert reader.decisions(LIVE.selection, limit=9) == ()


def test_events_newest_first_and_balances_oldest_first(store: Store) -> None:
    events = [EventRow(T0 + n, "INFO", "phase", f"number {n}") for n in range(3)]
    worth = [balance(T0 + n) for n in range(3)]
    store.ledger().commit(Batch(T0, rows=(*events, *worth)))
    reader = store.reader()
    assert reader.events(SCOPE.selection, limit=2) == (events[2], events[1])
    assert reader.events(SCOPE.selection, limit=2, before_ms=T0 + 1) == (events[0],)
    assert reader.balances(SCOPE.selection, limit=9, since_ms=T0 + 1) == (worth[1], worth[2])


def test_an_unsettled_order_alone_exposes_its_scope(store: Store) -> None:
    store.ledger(LIVE).commit(Batch(T0, orders=(order(status=OrderStatus.UNKNOWN),)))
    store.ledger(SCOPE).commit(Batch(T0, orders=(order(status=OrderStatus.NOT_PLACED),)))
    assert store.reader().exposed_scopes() == (LIVE,)


def test_a_reader_sees_what_was_committed_after_it_was_opened(store: Store) -> None:
    reader, ledger = store.reader(), store.ledger()
    assert reader.trades(SCOPE.selection, limit=9) == ()
    ledger.commit(trade(1))
    assert len(reader.trades(SCOPE.selection, limit=9)) == 1


def test_a_database_that_breaks_under_a_reader_is_a_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    reader = store.reader()
    store.path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreTrouble, match=r"reading .* failed: the file is damaged"):
        reader.trades(SCOPE.selection, limit=9)


def test_readers_cannot_write(store: Store) -> None:
    reader = Reader.open(store.place)
    with (
        reader._engine.connect() as connection,
        pytest.raises(Exception, match=r"attempt to write a readonly database|read-only transaction"),
    ):
        connection.exec_driver_sql("DELETE FROM scopes")
