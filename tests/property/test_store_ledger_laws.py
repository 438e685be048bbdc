"""Whatever sequence of steps is committed, and wherever the process ends, a restart gets back the last state.

The model is plain: the newest value of every position, order and document that was committed. Crashes are
closing without a word and opening again; commits that fail are batches that contradict the ledger.
"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.core.order import Fact, Order, OrderStatus
from agent.core.position import Position, PositionState
from agent.store.batch import Batch
from agent.store.ledger import Ledger
from agent.store.loading import LATE_FILL_POSITIONS
from tests.store_ground import LIVE, SCOPE, T0, Store, bar_batch, decision, fill, order, position

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover

ENDED = (PositionState.CLOSED,)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.directory.name))
        self.ledger: Ledger = self.store.ledger()
        self.reading = self.store.ledger(read_only=True)
        self.positions: dict[int, Position] = {}
        self.orders: dict[str, Order] = {}
        self.documents: dict[str, Any] = {}
        self.trades = 0
        self.bars = 0
        self.at_ms = T0

    @initialize()
    def another_scope_shares_the_file(self) -> None:
        other = self.store.ledger(LIVE)
        other.commit(Batch(T0, positions=(position(99),), orders=(order("other"),), documents={"agent": 0}))

    def write(self, **changes: Any) -> None:
        self.at_ms += 1
        self.ledger.commit(Batch(self.at_ms, **changes))

    @rule()
    def a_position_begins_with_its_order(self) -> None:
        number = len(self.positions) + 1
        begun, sent = position(number), order(f"o{len(self.orders)}", position_id=number)
        self.write(positions=(begun,), orders=(sent,), documents={"agent": {"next": number + 1}})
        self.positions[number] = begun
        self.orders[sent.intent.client_id] = sent
        self.documents["agent"] = {"next": number + 1}

    @rule(fact=st.sampled_from(list(Fact)), pick=st.integers(0, 10**6))
    def an_order_learns_something(self, fact: Fact, pick: int) -> None:
        if not self.orders:
            return
        client_id = list(self.orders)[pick % len(self.orders)]
        self.put(self.orders[client_id].with_fact(fact, f"because {pick}"))

    @rule(qty=st.integers(1, 60), pick=st.integers(0, 10**6), twice=st.booleans())
    def an_order_is_filled(self, qty: int, pick: int, twice: bool) -> None:
        if not self.orders:
            return
        client_id = list(self.orders)[pick % len(self.orders)]
        self.trades += 1
        one = fill(str(self.trades), client_id, qty=str(Decimal(qty) / 7))
        after = self.orders[client_id].with_fill(one)
        self.put(after)
        if twice:
            self.put(after.with_fill(one))

    def put(self, changed: Order) -> None:
        self.write(orders=(changed,))
        self.orders[changed.intent.client_id] = changed

    @rule(state=st.sampled_from([PositionState.IN_POSITION, PositionState.EXITING, PositionState.CLOSED]))
    def the_last_position_moves(self, state: PositionState) -> None:
        if self.positions:
            number = max(self.positions)
            moved = position(number, state).noted(f"at {self.at_ms}")
            self.write(positions=(moved,))
            self.positions[number] = moved

    @rule(count=st.integers(1, 4))
    def bars_close(self, count: int) -> None:
        batches = [bar_batch(self.bars + i) for i in range(1, count + 1)]
        self.ledger.commit(*batches)
        self.bars += count

    @rule(number=st.integers(1, 3))
    def a_batch_contradicts_the_ledger(self, number: int) -> None:
        """It fails, and nothing of what stood beside it in the same commit is there."""
        if not self.bars:
            return
        wrong = Batch(
            self.at_ms,
            positions=(position(number + 1000),),
            orders=(order("never"),),
            rows=(decision(self.bars),),
            documents={"agent": "never"},
        )
        try:
            self.ledger.commit(Batch(self.at_ms, documents={"other": "never"}), wrong)
        except AssertionError:
            return
        raise AssertionError("a bar was decided twice")

    @rule()
    def the_process_dies_and_starts_again(self) -> None:
        self.ledger.close()
        self.reading.close()
        self.ledger = self.store.ledger()
        self.reading = self.store.ledger(read_only=True)

    @invariant()
    def a_restart_gets_everything_back(self) -> None:
        stored = self.reading.load()
        unsettled = {o.intent.position_id for o in self.orders.values() if not o.is_settled}
        wanted = {n for n, p in self.positions.items() if p.state not in ENDED} | unsettled
        wanted |= set(sorted(self.positions)[-LATE_FILL_POSITIONS:])
        assert stored.positions == tuple(p for n, p in self.positions.items() if n in wanted)
        expected = [o for o in self.orders.values() if o.intent.position_id in wanted]
        assert sorted(stored.orders, key=_id) == sorted(expected, key=_id)
        assert stored.documents == self.documents
        assert stored.last_position_id == max(self.positions, default=0)

    def teardown(self) -> None:
        rows = self.store.query(f"SELECT count(*) FROM fills WHERE mode = '{SCOPE.mode}'")
        assert rows == [(sum(len(o.fills) for o in self.orders.values()),)]
        decided = self.store.query(f"SELECT count(*) FROM decisions WHERE mode = '{SCOPE.mode}'")
        assert decided == [(self.bars,)]
        self.store.close()
        self.directory.cleanup()


def _id(one: Order) -> str:
    assert one.status in OrderStatus
    return one.intent.client_id


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
