"""Opening a ledger rehearses an entry and leaves nothing of it."""

from __future__ import annotations

from pathlib import Path

from agent.store import schema
from agent.store.rehearsal import rehearsal
from tests.store_ground import SCOPE, Store


def test_opening_leaves_only_the_scope(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.ledger()
    counted = {
        t.name: store.query(f"select count(*) from {t.name}")[0][0] for t in schema.metadata.sorted_tables
    }
    store.close()
    assert counted.pop("scopes") == 1
    assert set(counted.values()) == {0}


def test_the_rehearsal_touches_every_table_of_an_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.ledger().commit(rehearsal(SCOPE))
    written = (
        "trades",
        "orders",
        "fills",
        "intents",
        "verdicts",
        "decisions",
        "balances",
        "events",
        "documents",
    )
    counted = {name: store.query(f"select count(*) from {name}")[0][0] for name in written}
    store.close()
    assert all(counted.values()), counted


def test_the_rehearsal_of_several_rows_writes_several(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.ledger().commit(rehearsal(SCOPE, several=True))
    counted = [store.query(f"select count(*) from {name}")[0][0] for name in ("events", "documents")]
    store.close()
    assert counted == [2, 2]
