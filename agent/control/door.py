"""What the control channel needs from the engine, and nothing more.

The engine stays behind this door: the channel reads the published snapshot, puts operator events into the
engine's queue, and waits for the confirmation that one was stepped. It never touches state. An emergency
does not queue: `emergency` must have the latch on disk before its first await returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.core.events import Operator


@dataclass(frozen=True, slots=True)
class Done:
    """The event was stepped. `state` is the agent's state afterwards, `text` a sentence for the operator."""

    state: str
    text: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the command line should show; must be plain JSON, money as text."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """The engine declined. `code` is short and stable, `text` why, `fix` what the operator can do."""

    code: str
    text: str
    fix: str


Answer = Done | NotDone


class EngineDoor(Protocol):
    def snapshot(self) -> Mapping[str, Any]:
        """The document of `status --json` as of the last step: plain JSON. Never blocks."""
        ...

    async def settled(self) -> None:
        """Return when what the snapshot showed until now is on disk; a disk that hangs is not waited for."""
        ...

    async def ask(self, event: Operator) -> Answer:
        """Queue an operator's event and answer once it was stepped and committed."""
        ...

    async def emergency(self, by: str) -> Answer:
        """Latch the halt on disk at once, then queue the event and answer once it was stepped.

        Called again while latched it confirms again.
        """
        ...
