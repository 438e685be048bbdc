"""The ledger: what a restart gets back, what is never overwritten, and whose rows are whose."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from agent.core.money import Qty
from agent.core.order import Fact, OrderStatus, Side
from agent.core.position import PositionEvent, PositionState
from agent.core.records import Check, DustRow, EventRow, Outcome, VerdictRow
from agent.store import schema
from agent.store.batch import AcceptedConfig, Batch, PaperChange, PaperOrder, Scope
from agent.store.loading import LATE_FILL_POSITIONS
from agent.store.paper import paper_scope, start_paper_account
from agent.store.paper_rows import PaperRows
from agent.store.trouble import StoreTrouble
from tests.store_ground import (
    LIVE,
    SCOPE,
    T0,
    Store,
    balance,
    bar_batch,
    decision,
    either_store,
    fill,
    order,
    position,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(either_store(request, tmp_path)) as store:
        yield store


def test_a_fresh_ledger_holds_nothing(store: Store) -> None:
    stored = store.ledger().load()
    assert (stored.positions, stored.orders, stored.documents, stored.config) == ((), (), {}, None)
    assert stored.last_position_id == 0


def test_a_restart_gets_positions_orders_fills_and_documents_back_exactly(store: Store) -> None:
    bought = (
        order().with_fact(Fact.WORKING).with_fill(fill("1")).with_fill(fill("2", qty="60", price="0.3512"))
    )
    held = position(state=PositionState.IN_POSITION)
    for one in bought.fills:
        held = held.with_fill(one, base="ADA", fee_in_quote=one.fee)
    leaving = order("sell1", OrderStatus.UNKNOWN, side=Side.SELL)
    ledger = store.ledger()
    ledger.commit(
        Batch(T0, positions=(position(),), orders=(order(),), documents={"agent": {"phase": "RUNNING"}})
    )
    ledger.commit(
        Batch(T0 + 1, positions=(held,), orders=(bought, leaving), documents={"agent": {"n": [1.5]}})
    )
    ledger.close()

    stored = store.ledger().load()
    assert stored.positions == (held,)
    assert stored.orders == (bought, leaving)
    assert stored.documents == {"agent": {"n": [1.5]}}
    assert stored.last_position_id == 1


def test_money_keeps_every_digit(store: Store) -> None:
    tiny, huge = Decimal("0.000000000000000000123456789"), Decimal("123456789012345678901234567890.1")
    ledger = store.ledger()
    ledger.commit(Batch(T0, rows=(replace(balance(1), balance=tiny, equity=huge),)))
    (row,) = store.reader().balances(SCOPE.selection, limit=5)
    assert (row.balance, row.equity) == (tiny, huge)


def test_sums_keep_every_digit_whatever_the_threads_precision(store: Store) -> None:
    fine = order().with_fill(fill("1", qty="1", fee="0.0000000000000000000000000001", fee_currency="ADA"))
    with localcontext(prec=6):
        store.ledger().commit(Batch(T0, orders=(fine.with_fill(fill("2", qty="0.12345678901234567")),)))
    assert store.query("SELECT filled FROM orders") == [("1.12345678901234567",)]
    assert store.query("SELECT fee_quote FROM fills") == [("0.000000000000000000000000000035",), ("0.014",)]


def test_a_float_cannot_be_written_as_money(store: Store) -> None:
    ledger = store.ledger()
    with pytest.raises(AssertionError, match=r"money is Decimal, not 10\.5"):
        ledger.commit(Batch(T0, rows=(replace(balance(1), balance=10.5),)))


def test_the_latest_trades_are_remembered_for_late_fills_and_older_ones_are_history(store: Store) -> None:
    done = order(status=OrderStatus.CANCELED)
    last = LATE_FILL_POSITIONS + 5
    closed = tuple(position(number, PositionState.CLOSED) for number in range(1, last + 1))
    ledger = store.ledger()
    ledger.commit(Batch(T0, positions=closed, orders=(done,)))
    stored = ledger.load()
    assert stored.positions == closed[-LATE_FILL_POSITIONS:]
    assert stored.orders == (), "the order belongs to the first"
    assert stored.last_position_id == last


def test_a_restart_finds_positions_orders_and_fills_through_indexes(tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []
    with closing(Store(tmp_path)) as store:
        ledger = store.ledger()
        done = replace(order(status=OrderStatus.CANCELED), fills=(fill(),))
        ledger.commit(Batch(T0, positions=(position(),), orders=(done,)))

        def note(connection: object, cursor: object, statement: str, given: Any, *rest: object) -> None:
            asked.append((statement, given))

        reader = store.reader()
        for engine in (ledger._engine, reader._engine):
            event.listen(engine, "before_cursor_execute", note)
        assert ledger.load().orders == (done,)
        assert reader.exposed_scopes() == (SCOPE,)
        with closing(sqlite3.connect(store.path)) as connection:
            plans = [
                connection.execute(f"EXPLAIN QUERY PLAN {said}", given).fetchall() for said, given in asked
            ]
    steps = [step for plan in plans for *_, step in plan]
    walked = [step for step in steps if step.startswith("SCAN") and "USING" not in step]
    assert walked == ["SCAN configs"], "of which the last row alone is read"
    assert "SEARCH orders USING INDEX unsettled_orders" in " ".join(steps)
    assert "USING INDEX open_trades" in " ".join(steps)


def test_an_unsettled_order_brings_its_closed_position_back_with_all_its_orders(store: Store) -> None:
    closed = position(state=PositionState.CLOSED)
    done = order("buy1", OrderStatus.CANCELED)
    open_question = order("sell1", OrderStatus.UNKNOWN, side=Side.SELL)
    ledger = store.ledger()
    ledger.commit(Batch(T0, positions=(closed,), orders=(done, open_question)))
    stored = ledger.load()
    assert stored.positions == (closed,)
    assert stored.orders == (done, open_question)


def test_a_filled_order_whose_fills_are_missing_is_not_settled(store: Store) -> None:
    owed = replace(order(status=OrderStatus.FILLED), reported_qty=Decimal(100))
    ledger = store.ledger()
    ledger.commit(Batch(T0, positions=(position(state=PositionState.CLOSED),), orders=(owed,)))
    assert ledger.load().orders == (owed,)


def test_a_position_that_never_held_anything_is_not_open_any_more(store: Store) -> None:
    ledger = store.ledger()
    ledger.commit(Batch(T0, positions=(position(),)))
    assert store.reader().exposed_scopes() == (SCOPE,)
    ledger.commit(Batch(T0 + 1, positions=(position(state=PositionState.MONITORING),)))
    assert store.reader().exposed_scopes() == ()
    assert ledger.load().last_position_id == 1


def test_an_intent_never_changes(store: Store) -> None:
    ledger = store.ledger()
    ledger.commit(Batch(T0, orders=(order(),)))
    changed = replace(order(), intent=replace(order().intent, qty=Qty(Decimal("100.5"))))
    with pytest.raises(AssertionError, match="an intent changed after it was decided"):
        ledger.commit(Batch(T0 + 1, rows=(balance(1),), orders=(changed,)))
    assert ledger.load().orders == (order(),)
    assert store.reader().balances(SCOPE.selection, limit=5) == ()


def test_a_fill_reported_twice_is_one_row_in_this_run_and_the_next(store: Store) -> None:
    once = order().with_fill(fill("1"))
    ledger = store.ledger()
    ledger.commit(Batch(T0, orders=(once,)))
    ledger.commit(Batch(T0 + 1, orders=(once.with_fill(fill("1")),)))
    ledger.close()
    again = store.ledger()
    again.commit(Batch(T0 + 2, orders=(once.with_fill(fill("2")),)))
    assert [f.trade_id for f in again.load().orders[0].fills] == ["1", "2"]


def test_a_fill_that_comes_back_with_other_numbers_is_our_mistake(store: Store) -> None:
    store.ledger().commit(Batch(T0, orders=(order().with_fill(fill("1")),)))
    with pytest.raises(AssertionError, match="a fill came back with other numbers"):
        store.ledger().commit(Batch(T0, orders=(order().with_fill(fill("1", price="0.36")),)))


def test_a_bar_is_decided_once(store: Store) -> None:
    ledger = store.ledger()
    ledger.commit(bar_batch(1))
    with pytest.raises(AssertionError, match="the batch contradicts the ledger"):
        ledger.commit(Batch(2, rows=(balance(2), decision(1, Outcome.ENTERED))))
    assert len(store.reader().balances(SCOPE.selection, limit=5)) == 1


def test_batches_of_one_commit_are_written_together_or_not_at_all(store: Store) -> None:
    ledger = store.ledger()
    with pytest.raises(AssertionError):
        ledger.commit(bar_batch(1), bar_batch(2), bar_batch(1))
    assert store.reader().decisions(SCOPE.selection, limit=5) == ()
    ledger.commit(bar_batch(1), bar_batch(2))
    assert [d.bar_open_ms for d in store.reader().decisions(SCOPE.selection, limit=5)] == [
        1_800_000,
        900_000,
    ]


def test_fills_of_a_rolled_back_batch_are_written_when_they_come_again(store: Store) -> None:
    ledger = store.ledger()
    ledger.commit(bar_batch(1))
    filled = order().with_fill(fill("1"))
    with pytest.raises(AssertionError):
        ledger.commit(Batch(T0, orders=(filled,), rows=(decision(1),)))
    ledger.commit(Batch(T0, orders=(filled,)))
    assert ledger.load().orders == (filled,)


def test_scopes_in_one_database_never_meet(store: Store) -> None:
    ours = store.ledger(SCOPE)
    others = [
        replace(SCOPE, agent_id="two"),
        replace(SCOPE, venue="kraken api.kraken.com"),
        replace(SCOPE, mode="testnet"),
        replace(SCOPE, account="paper-2"),
        replace(SCOPE, pair="BTC/USDT"),
    ]
    mine = order().with_fill(fill("1"))
    ours.commit(Batch(T0, positions=(position(),), orders=(mine,), rows=(decision(1),), documents={"k": 1}))
    for other in others:
        ledger = store.ledger(other)
        assert ledger.load().documents == {}
        theirs = replace(mine, intent=replace(mine.intent, reason="another agent's"))
        ledger.commit(
            Batch(T0, positions=(position(7),), orders=(theirs,), rows=(decision(1),), documents={"k": 2})
        )
        assert ledger.load().positions == (position(7),)
        assert ledger.load().orders == (theirs,)
    assert ours.load().positions == (position(),)
    assert ours.load().orders == (mine,)
    assert ours.load().documents == {"k": 1}
    assert len(store.reader().decisions(SCOPE.selection, limit=50)) == 1


def test_every_table_of_facts_says_whose_its_rows_are() -> None:
    # How far a copy is tells of an agent as a whole; a change that is kept for one names its scope itself.
    bookkeeping = (schema.copies, schema.spool)
    for table in schema.metadata.sorted_tables:
        if table in bookkeeping:
            continue
        columns = [column.name for column in table.columns][:6]
        assert columns == ["id", "agent_id", "venue", "mode", "account", "pair"]
        assert not any(table.c[name].nullable for name in columns)


def test_the_scope_opened_last_and_exposed_scopes_are_known(store: Store) -> None:
    live = store.ledger(LIVE)
    live.commit(Batch(T0, positions=(position(state=PositionState.IN_POSITION),)))
    store.ledger(SCOPE).commit(Batch(T0, positions=(position(state=PositionState.CLOSED),)))
    reader = store.reader()
    assert reader.scopes() == (SCOPE, LIVE)
    assert reader.exposed_scopes() == (LIVE,)
    store.ledger(LIVE)
    assert reader.scopes() == (LIVE, SCOPE)


def test_the_config_accepted_last_is_kept(store: Store) -> None:
    ledger = store.ledger()
    first, second = AcceptedConfig("a1", '{"version": "2.1.0"}', T0), AcceptedConfig("b2", "{}", T0 + 5)
    ledger.commit(Batch(T0, config=first), Batch(T0 + 5, config=second))
    assert ledger.load().config == second
    assert store.reader().config(SCOPE) == second
    assert store.reader().config(LIVE) is None


def test_verdicts_events_and_dust_are_kept_as_they_were_said(store: Store) -> None:
    checks = (Check("daily trades", True, "3 of 10"), Check("room", False, "0.36 < 0.361"))
    rows = (
        VerdictRow(T0, 1, None, False, checks),
        EventRow(T0, "INFO", "phase", "text from outside: \0 \ud800"),
        DustRow(T0, 1, "ADA", Decimal("0.05")),
    )
    store.ledger().commit(Batch(T0, rows=rows))
    assert store.query("SELECT approved, client_id, checks FROM verdicts") == [
        (
            0,
            None,
            '[{"name":"daily trades","passed":true,"numbers":"3 of 10"},'
            '{"name":"room","passed":false,"numbers":"0.36 < 0.361"}]',
        )
    ]
    assert store.query("SELECT currency, qty FROM dust") == [("ADA", "0.05")]
    (event,) = store.reader().events(SCOPE.selection, limit=5)
    assert event.text == "text from outside: \N{REPLACEMENT CHARACTER} ?"


def test_a_reading_ledger_cannot_write(store: Store) -> None:
    store.ledger().commit(Batch(T0, documents={"k": 1}))
    reading = store.ledger(read_only=True)
    assert reading.load().documents == {"k": 1}
    with pytest.raises(AssertionError, match="opened for reading"):
        reading.commit(Batch(T0))


def test_a_record_of_a_newer_program_is_refused_with_a_sentence(store: Store) -> None:
    ledger = store.ledger()
    ledger.commit(Batch(T0, positions=(position(),)))
    (record,) = store.query("SELECT record FROM trades")
    store.query(f"UPDATE trades SET record = '{record[0][:-1]},\"leverage\":2}}'")
    with pytest.raises(StoreTrouble, match=r"cannot read .*unknown fields leverage.*install the version"):
        ledger.load()


def test_a_position_moves_on_in_place(store: Store) -> None:
    ledger = store.ledger()
    entering = position()
    held = entering.moved(PositionEvent.ENTRY_FILLED)
    ledger.commit(Batch(T0, positions=(entering,)), Batch(T0 + 1, positions=(held,)))
    assert ledger.load().positions == (held,)


# --- paper accounts ------------------------------------------------------------------------------


def paper_order(client_id: str, status: str = "NEW") -> PaperOrder:
    return PaperOrder(
        client_id, "77", "BUY", "LIMIT", status, Decimal(5), Decimal("0.35"), Decimal(0), T0, {"q": [1]}
    )


def test_a_paper_account_keeps_its_document_orders_and_fills(store: Store) -> None:
    ledger = store.ledger()
    change = PaperChange({"USDT": "10000"}, (paper_order("a"),), (fill("1", "a"),))
    ledger.commit(Batch(T0, paper=change))
    change = PaperChange({"USDT": "9000"}, (paper_order("a", "FILLED"),), (fill("1", "a"), fill("2", "a")))
    ledger.commit(Batch(T0, paper=change))
    rows = PaperRows(store.place, SCOPE)
    assert rows.account() == {"USDT": "9000"}
    assert rows.order("a") == {"q": [1]}
    assert [f.trade_id for f in rows.fills_of("a")] == ["1", "2"]
    assert rows.fills_since(T0 + 101) == ()


def test_a_reset_starts_an_account_of_its_own_and_keeps_the_old_rows(store: Store) -> None:
    who = ("one", "binance api.binance.com")
    first = paper_scope(store.place, *who, "ADA/USDT")
    assert first == SCOPE
    store.ledger(first).commit(
        Batch(T0, paper=PaperChange({"USDT": "9000"}), rows=(decision(1),), positions=(position(),))
    )
    second = start_paper_account(store.place, *who, "ADA/USDT", T0 + 9)
    assert second.account == "paper-2"
    assert paper_scope(store.place, *who, "ADA/USDT") == second
    assert PaperRows(store.place, second).account() is None
    fresh = store.ledger(second)
    assert fresh.load().positions == ()
    fresh.commit(Batch(T0, paper=PaperChange({"USDT": "10000"}), rows=(decision(1),)))
    assert PaperRows(store.place, first).account() == {"USDT": "9000"}
    accounts = store.reader().paper_accounts(second.selection)
    assert [(scope, account.number, account.document) for scope, account in accounts] == [
        (second, 2, {"USDT": "10000"})
    ]


def test_paper_accounts_are_numbered_per_venue_and_pair(store: Store) -> None:
    start_paper_account(store.place, "one", "binance api.binance.com", "ADA/USDT", T0)
    assert paper_scope(store.place, "one", "binance api.binance.com", "ADA/USDT").account == "paper-2"
    assert paper_scope(store.place, "one", "binance api.binance.com", "BTC/USDT").account == "paper-1"
    assert paper_scope(store.place, "one", "demo 127.0.0.1", "ADA/USDT").account == "paper-1"


def test_a_locked_database_is_a_sentence_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    monkeypatch.setattr("agent.store.database.BUSY_TIMEOUT_MS", 10)
    locking = store.ledger()._writing().begin()
    with pytest.raises(StoreTrouble, match=r"opening .* failed: another process keeps the database locked"):
        store.ledger()
    with pytest.raises(
        StoreTrouble, match=r"writing to .* failed: another process keeps the database locked"
    ):
        start_paper_account(store.place, "one", "binance api.binance.com", "ADA/USDT", T0)
    locking.rollback()


@pytest.mark.parametrize("part", ["agent_id", "venue", "mode", "account"])
def test_a_scope_without_a_part_is_our_mistake(part: str) -> None:
    with pytest.raises(AssertionError, match="no empty part"):
        replace(SCOPE, **{part: ""})


def test_a_pair_has_two_currencies() -> None:
    assert (SCOPE.base, SCOPE.quote) == ("ADA", "USDT")
    with pytest.raises(AssertionError, match="BASE/QUOTE"):
        Scope("a", "b", "paper", "paper-1", "ADAUSDT")


def test_a_fee_in_a_third_currency_gets_its_value_with_the_fill_or_later(store: Store) -> None:
    ledger = store.ledger()
    one = order().with_fill(fill("1", fee="0.001", fee_currency="BNB"))
    two = one.with_fill(fill("2", qty="10", fee="0.002", fee_currency="BNB"))
    ledger.commit(Batch(T0, orders=(one,)))
    assert store.query("SELECT fee_quote FROM fills") == [(None,)]
    values = {("buy1", "1"): Decimal("0.6"), ("buy1", "2"): Decimal("1.2")}
    assert two.intent.client_id == "buy1"
    ledger.commit(Batch(T0 + 1, orders=(two,), fee_values=values))
    assert store.query("SELECT fee_quote FROM fills ORDER BY id") == [("0.6",), ("1.2",)]
    ledger.commit(Batch(T0 + 2, orders=(two,), fee_values={("buy1", "1"): Decimal("0.7")}))
    assert store.query("SELECT fee_quote FROM fills ORDER BY id") == [("0.6",), ("1.2",)], "valued once"
