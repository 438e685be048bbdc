"""One step in the making: the state so far and the commands collected, with the step's time and chance.

Only `engine.step` opens a turn; the modules it calls change the state through it. A turn lives for one
event, so nothing here is shared or remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.core.commands import Alert, AlertLevel, Command, Keep
from agent.core.order import Order, client_order_id
from agent.core.phase import PhaseEvent, next_phase
from agent.core.position import Position
from agent.core.records import EventRow, Row
from agent.core.state import AgentState
from agent.core.value import replace


@dataclass(slots=True)
class Turn:
    state: AgentState
    at_ms: int
    entropy: int
    commands: list[Command] = field(default_factory=list)
    _ids: int = 0

    def change(self, **fields: Any) -> None:
        """Replace fields of the state."""
        self.state = self.state.having(fields)

    def change_durable(self, **fields: Any) -> None:
        """Replace fields of what survives a restart."""
        self.change(durable=replace(self.state.durable, **fields))

    def ask(self, command: Command) -> None:
        self.commands.append(command)

    def keep(self, row: Row) -> None:
        self.ask(Keep(row))

    def alert(self, level: AlertLevel, kind: str, text: str) -> None:
        """Tell the operator, and write it down."""
        self.keep(EventRow(self.at_ms, level.value, kind, text))
        self.ask(Alert(level, kind, text))

    def put_position(self, position: Position) -> Position:
        self.change(positions={**self.state.positions, position.id: position})
        return position

    def drop_position(self, position_id: int) -> None:
        self.change(positions={k: v for k, v in self.state.positions.items() if k != position_id})

    def put_order(self, order: Order) -> Order:
        self.change(orders={**self.state.orders, order.intent.client_id: order})
        return order

    def new_client_id(self) -> str:
        self._ids += 1
        return client_order_id(self.state.setup.tag, self.at_ms, self.entropy, self._ids)

    def phase_event(self, event: PhaseEvent) -> bool:
        """Move the agent's phase; true when it changed. The change is an INFO row of its own."""
        before = self.state.phase
        after = next_phase(before, event)
        if after is before:
            return False
        self.change_durable(phase=after, phase_since_ms=self.at_ms)
        self.keep(EventRow(self.at_ms, "INFO", "phase", f"{before} to {after}: {event}"))
        return True
