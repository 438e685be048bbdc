"""Killed without warning in the middle of writing: what was acknowledged is there, and the lock is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.instance_lock import InstanceLock, LockHeld, holder_of
from agent.store.latch import Latch
from tests.store_ground import ROOT, Store

#: Takes the lock, then commits orders with fills and tells which are durable, until it is killed.
ENGINE = """
import sys
from pathlib import Path
from agent.store.batch import Batch
from agent.store.instance_lock import InstanceLock
from agent.store.latch import Latch
from agent.store.ledger import Ledger
from agent.store.writer import Watch, Writer
from tests.store_ground import SCOPE, decision, fill, order

directory = Path(sys.argv[1])
lock = InstanceLock.take(directory / "agent.lock", at_ms=5)
latch = Latch.create(directory)
writer = Writer(Ledger.open(directory / "trades.db", SCOPE), Watch())
number = 0
while True:
    number += 1
    client_id = f"buy{number}"
    sent = order(client_id, position_id=number)
    batch = Batch(number, rows=(decision(number),), orders=(sent.with_fill(fill("1", client_id)),))
    future = writer.submit(batch)
    if number % 3:
        future.result()
        print(number, flush=True)
    latch.set(f"number {number}", number) if number % 2 else latch.clear()
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 150])
def test_acknowledged_commits_survive_kill_minus_9(tmp_path: Path, acknowledged: int) -> None:
    store = Store(tmp_path)
    arguments = [sys.executable, "-c", ENGINE, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT) as engine:
        assert engine.stdout is not None
        told = [int(engine.stdout.readline()) for _ in range(acknowledged)]
        holder = holder_of(tmp_path / "agent.lock")
        assert holder is not None
        assert (holder.pid, holder.taken_ms, holder.is_alive) == (engine.pid, 5, True)
        with pytest.raises(
            LockHeld, match=f"process {engine.pid} .since 1970-01-01T00:00:00.005Z. already runs"
        ):
            InstanceLock.take(tmp_path / "agent.lock", at_ms=6)
        os.kill(engine.pid, signal.SIGKILL)
        told += [int(line) for line in engine.stdout.read().split()]
    with InstanceLock.take(tmp_path / "agent.lock", at_ms=7):
        assert not holder.is_alive
        with closing(store.ledger()) as ledger:
            stored = ledger.load()
    by_id = {order.intent.client_id: order for order in stored.orders}
    assert {f"buy{number}" for number in told} <= by_id.keys()
    # Whole batches only, in order, without holes: an order, its fill and its decision came together.
    count = len(by_id)
    assert sorted(by_id) == sorted(f"buy{number}" for number in range(1, count + 1))
    assert all(len(order.fills) == 1 for order in stored.orders)
    assert store.query("SELECT count(*), max(bar_open_ms) FROM decisions") == [(count, count * 900_000)]
    assert store.query("PRAGMA integrity_check") == [("ok",)]
    latched = Latch(tmp_path / "halt.latch").read()
    assert latched is None or latched.reason == f"number {latched.at_ms}"
