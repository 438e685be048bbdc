"""What was acknowledged is on the disk after every death, and nothing that the venue does not know.

Belongs here: invariants 3 and 17 at a death.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agent.simulation.witness.violation import Violation
from agent.store.batch import Batch

if TYPE_CHECKING:
    from agent.simulation.world import World


class Durability:
    def __init__(self, world: World) -> None:
        self.world = world
        self._acked: set[str] = set()
        self._acked_fills: set[tuple[str, str]] = set()

    @property
    def acknowledged(self) -> tuple[set[str], set[tuple[str, str]]]:
        """Orders, and fills by order and trade, that must be on the disk."""
        return self._acked, self._acked_fills

    def committed(self, batches: Iterable[Batch]) -> None:
        """These were acknowledged: they must never be gone again."""
        for batch in batches:
            for order in batch.orders:
                self._acked.add(order.intent.client_id)
                self._acked_fills.update((order.intent.client_id, f.trade_id) for f in order.fills)

    def after_death(self, *, lost_power: bool) -> None:
        """What was acknowledged before is on the disk now."""
        read = self.world.disk.read
        kept = {row[0] for row in read("SELECT client_id FROM orders")}
        fills = {(a, b) for a, b in read("SELECT client_id, trade_id FROM fills")}
        verdict = read("PRAGMA quick_check")[0][0] if lost_power else "ok"
        if verdict != "ok":
            raise Violation(17, f"the database is damaged: {verdict}")
        if lost := self._acked - kept:
            raise Violation(17, f"acknowledged orders are lost: {sorted(lost)[:3]}")
        if lost_fills := self._acked_fills - fills:
            raise Violation(17, f"acknowledged fills are lost: {sorted(lost_fills)[:3]}")
        self._fills_are_theirs(fills)

    def _fills_are_theirs(self, fills: set[tuple[str, str]]) -> None:
        """Nothing in the ledger that the venue did not execute, at any death."""
        world = self.world
        if world.terms.paper or world.wiped_ms is not None:
            return
        rules, trades = world.rules, world.venue.desk.venue.registry.trades
        theirs = {(rules.own_id(t.client_id), rules.trade_id(t.id)) for t in trades}
        if invented := fills - theirs:
            raise Violation(3, f"fills that the venue does not know: {sorted(invented)[:2]}")
