"""What an engine may be started for, other than trading until it is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.compose.ledger_journal import LedgerJournal
from agent.core.ports import Clock, Exchange
from agent.shell.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Site:
    """The engine at work: it runs, the exchange is reached and the pair's rules are known."""

    runtime: Runtime
    exchange: Exchange
    clock: Clock
    journal: LedgerJournal


Errand = Callable[[Site], Awaitable[None]]
"""Returns when it is done; the engine stops then."""
