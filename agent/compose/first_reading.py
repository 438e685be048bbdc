"""Reconciling before history: what is open comes first.

Stays true: the account was read once, or that failed, before the first page of history is asked for; nothing
waits longer than a few seconds for it, because a reading that fails is repeated by the core in any case.
"""

from __future__ import annotations

import asyncio
from typing import Final

from agent.core.commands import Command
from agent.core.ports import Clock
from agent.core.state import AgentState
from agent.exchange.waiting import first_of
from agent.shell.runtime import Runtime

#: Machine time. Longer than a request may take, shorter than anybody would wait.
PATIENCE_MS: Final = 10_000.0


async def account_read(runtime: Runtime, clock: Clock) -> None:
    """Return when the core has had its first word about the account, or after `PATIENCE_MS`."""
    seen = asyncio.Event()

    def look(state: AgentState, commands: tuple[Command, ...]) -> None:
        if state.account_seen_ms is not None:
            seen.set()

    look(runtime.state, ())
    runtime.observe(look)
    await first_of(seen.wait(), clock.sleep_machine(PATIENCE_MS))
