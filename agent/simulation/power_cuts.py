"""Power cuts at every commit of a busy day, on the real schema: what is on the disk afterwards is whole.

For each commit the files before it (all synced) and after it are known. A cut in between leaves any mixture
of old and new sectors, torn ones and a short log included; the log is synced before the database is written.
Each mixture is opened as the next start would open it: the database is sound, everything acknowledged is
there, and the commit that was under way is there whole or not at all.

    python -m agent.simulation.power_cuts [--cuts 2000]
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent.simulation.disk import torn, workplace
from agent.simulation.witness import Violation
from agent.simulation.world import World
from agent.store.batch import Batch
from agent.store.ledger import Ledger

EACH = 6


class CutWorld(World):
    """A world in which, beside what happens, the power fails at every commit."""

    def __init__(self, seed: int, days: float, most: int) -> None:
        super().__init__(seed, days)
        self.cuts = self.unwritten = self.written = 0
        self._most = most
        self._cut_chance = random.Random(f"cuts {seed}")
        self._place = workplace() / "cut"
        self._place.mkdir(exist_ok=True)

    def around_commit(
        self, before: dict[str, bytes], after: dict[str, bytes], batches: Sequence[Batch]
    ) -> None:
        for _ in range(EACH):
            if self.cuts < self._most:
                self.cuts += 1
                self._cut(torn(before, after, self._cut_chance), batches)

    def _cut(self, files: dict[str, bytes], batches: Iterable[Batch]) -> None:
        for file in self._place.iterdir():
            file.unlink()
        for name, content in files.items():
            (self._place / name).write_bytes(content)
        path = self._place / "trades.db"
        self._sound(path, batches)
        process = self.process
        if self.cuts % 20 == 0 and process is not None and process.ledger is not None:
            ledger = Ledger.open(path, process.ledger.scope)
            ledger.load()
            ledger.close()

    def _sound(self, path: Path, batches: Iterable[Batch]) -> None:
        connection = sqlite3.connect(path)
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise Violation(17, f"after a power cut the database is damaged: {verdict}")
            kept = {row[0] for row in connection.execute("SELECT client_id FROM orders")}
            fills = {tuple(row) for row in connection.execute("SELECT client_id, trade_id FROM fills")}
            bars = {row[0] for row in connection.execute("SELECT bar_open_ms FROM decisions")}
        finally:
            connection.close()
        acked, acked_fills = self.witness.durability.acknowledged
        if lost := acked - kept:
            raise Violation(17, f"after a power cut acknowledged orders are lost: {sorted(lost)[:3]}")
        if lost_fills := acked_fills - fills:
            raise Violation(17, f"after a power cut acknowledged fills are lost: {sorted(lost_fills)[:3]}")
        marks = []
        for batch in batches:
            marks += [o.intent.client_id in kept for o in batch.orders if o.intent.client_id not in acked]
            marks += [
                (o.intent.client_id, f.trade_id) in fills
                for o in batch.orders
                for f in o.fills
                if (o.intent.client_id, f.trade_id) not in acked_fills
            ]
            marks += [row.bar_open_ms in bars for row in batch.rows if hasattr(row, "bar_open_ms")]
        if marks and any(marks) is not all(marks):
            raise Violation(17, "after a power cut half of a commit is there")
        self.written += bool(marks) and all(marks)
        self.unwritten += bool(marks) and not any(marks)


def run(cuts: int, first_seed: int = 0) -> tuple[int, int, int, Violation | None]:
    """Cut the power that often. Returns cuts, how many left a commit whole, how many none, what broke."""
    done = whole = nothing = 0
    seed = first_seed
    while done < cuts:
        world = CutWorld(seed, 1.0, cuts - done)
        found = world.run().violation
        done, whole, nothing, seed = (
            done + world.cuts,
            whole + world.written,
            nothing + world.unwritten,
            seed + 1,
        )
        if found is not None:
            return done, whole, nothing, found
    return done, whole, nothing, None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m agent.simulation.power_cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=2_000)
    asked = parser.parse_args(arguments)
    done, whole, nothing, found = run(asked.cuts)
    print(f"{done} power cuts: {whole} left the commit under way whole, {nothing} left nothing of it")
    if found is not None:
        print(f"VIOLATION {found}")
    print("1 violation" if found else "0 violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
