"""Every step of the core: what may move, from where to where, and how long it took.

Belongs here: invariants 5, 7, 16 and 20 of states before and after, and the times of orders without an answer
and of starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from agent.core.commands import Command
from agent.core.events import Impairment
from agent.core.order import TERMINAL, Order, OrderStatus, Purpose
from agent.core.position import MOVES, PositionState
from agent.core.state import AgentState
from agent.simulation.witness.figures import Figures
from agent.simulation.witness.flows import Flows
from agent.simulation.witness.holdings import Holdings
from agent.simulation.witness.violation import Violation

if TYPE_CHECKING:
    from agent.simulation.process import Process
    from agent.simulation.world import World

PROVEN_ABSENT_MS: Final = 18_000
_NEXT: Final = {(a, m.to) for (a, _), m in MOVES.items()}


class Steps:
    def __init__(self, world: World, figures: Figures, holdings: Holdings, flows: Flows) -> None:
        self.world = world
        self.figures = figures
        self.holdings = holdings
        self.flows = flows
        self.halted_ms: int | None = None
        self.signals: dict[int, int] = {}
        """Of every signal taken up, when it was decided."""
        self._approved_ms: dict[str, int] = {}
        """Of every order, when it was decided, by the world's clock and not by the agent's."""

    def stepped(
        self, process: Process, before: AgentState | None, after: AgentState, commands: Iterable[Command]
    ) -> None:
        self._halts(before, after)
        self.flows.stepped(before, after)
        fault = after.impairments.get(Impairment.AGENT_FAULT)
        if fault is not None:
            raise Violation(20, f"a part broke: {fault}")
        if before is not None and before.reconciled_ms is None and after.reconciled_ms is not None:
            self.figures.restart_ms.append(self.world.agenda.now_ms - self.world.reachable_since_ms)
        if before is None or after.orders is before.orders:
            if before is None:
                return
        else:
            for client_id, order in after.orders.items():
                old = before.orders.get(client_id)
                if old is not order:
                    self._order_moved(old, order, after)
        if after.pending is not before.pending:
            self.signals.update((number, p.decided_ms) for number, p in after.pending.items())
        if after.positions is not before.positions:
            for number, position in after.positions.items():
                was = before.positions.get(number)
                if was is None or was is position:
                    continue
                if position.dust_qty > was.dust_qty:
                    self.holdings.note_dust(position.dust_qty - was.dust_qty)
                if was.state is position.state:
                    continue
                if not self._reachable(was.state, position.state):
                    raise Violation(7, f"position {number} went from {was.state} to {position.state}")

    def _halts(self, before: AgentState | None, after: AgentState) -> None:
        """A halt ends by a deliberate act of this life, never by a restart."""
        halted = after.durable.halt is not None
        if before is None:
            if self.halted_ms is not None and not halted:
                raise Violation(16, "a halt was forgotten over a restart")
            if self.latched and not halted:
                raise Violation(16, "the latch is set, and the agent starts without a halt")
        elif before.durable.halt is not None and not halted:
            self.halted_ms = self.holdings.flattening_since_ms = None
        if halted and self.halted_ms is None:
            self.halted_ms = self.world.agenda.now_ms
            if self.world.is_calm and self.holdings.are_sellable:
                self.holdings.flattening_since_ms = self.halted_ms

    @property
    def latched(self) -> bool:
        process = self.world.process
        return process is not None and process.is_halted()

    def _reachable(self, start: PositionState, goal: PositionState) -> bool:
        """One step of the engine may move a position more than once."""
        seen, edge = {start}, {start}
        while edge:
            edge = {b for a, b in _NEXT if a in edge} - seen
            seen |= edge
        return goal in seen

    def _order_moved(self, old: Order | None, new: Order, state: AgentState) -> None:
        client_id = new.intent.client_id
        if old is None:
            self.figures.orders += 1
            self.figures.entries += new.intent.purpose is Purpose.ENTRY
            self._approved_ms[client_id] = self.world.agenda.now_ms
            return
        if new.filled < old.filled or len({f.trade_id for f in new.fills}) != len(new.fills):
            raise Violation(7, f"{client_id}: the filled quantity fell or a fill counts twice")
        if new.status is old.status:
            return
        if new.status is OrderStatus.UNKNOWN:
            self.figures.unknown += 1
        if old.status is OrderStatus.UNKNOWN and old.unknown_since_ms is not None:
            now_ms = self.world.agenda.now_ms
            since_ms = max(old.unknown_since_ms, self.world.reachable_since_ms)
            if not self.world.network.is_blind:
                self.figures.unknown_ms.append(max(0, now_ms - since_ms))
        if old.status in TERMINAL:
            may = old.status in (OrderStatus.NOT_PLACED, OrderStatus.REJECTED) or new.filled > old.filled
            if not may:
                raise Violation(7, f"{client_id} was {old.status} and became {new.status} without a fill")
        if new.status is OrderStatus.REJECTED and self._is_at_venue(client_id):
            raise Violation(5, f"{client_id} was called refused, and the venue has it")
        if new.status is OrderStatus.NOT_PLACED:
            self._proven_absent(old, client_id)

    def _is_at_venue(self, client_id: str) -> bool:
        registry = self.world.venue.desk.venue.registry
        wire_id = self.world.rules.wire_id(client_id)
        return registry.find(self.world.venue.symbol, None, wire_id) is not None

    def _proven_absent(self, old: Order, client_id: str) -> None:
        if old.status is not OrderStatus.UNKNOWN or self.world.terms.paper:
            return
        waited_ms = self.world.agenda.now_ms - self._approved_ms.get(client_id, 0)
        if waited_ms < PROVEN_ABSENT_MS:
            raise Violation(5, f"{client_id} was called never placed after {waited_ms} ms")
        asked = [s for s in self.world.network.log[-3_000:] if self.world.rules.found_nothing(s, client_id)]
        if len(asked) < 3:
            self._read_to_be_absent(old, client_id, len(asked))

    def _read_to_be_absent(self, old: Order, client_id: str, asked: int) -> None:
        """Only readings of the account may show it without enough look-ups, and they are not mistaken."""
        world = self.world
        if not old.intent.rests:
            raise Violation(5, f"{client_id} was called never placed after {asked} definite not-founds")
        wire_id = world.rules.wire_id(client_id)
        order = world.venue.desk.venue.registry.find(world.venue.symbol, None, wire_id)
        if order is not None and (order.open or order.filled):
            raise Violation(5, f"{client_id} was called absent by readings, and rests or has sold")
