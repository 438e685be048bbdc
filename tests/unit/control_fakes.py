"""A door with a hand-driven engine behind it, and a server on a real loopback socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.control.door import Answer, Done, NotDone
from agent.control.messages import PROTOCOL, Versions
from agent.control.server import ControlServer
from agent.core.events import (
    ClearHaltRequested,
    Operator,
    PauseRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)

OURS = Versions(PROTOCOL, "0.1.0", "0001")
OTHER = Versions(PROTOCOL, "9.9.9", "0001")


class FakeDoor:
    """Records what was asked. `hold` keeps answers back until `release` is set."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"state": "RUNNING"}
        self.asked: list[Operator] = []
        self.emergencies: list[str] = []
        self.refusal: NotDone | None = None
        self.hold = False
        self.release = asyncio.Event()
        self.error: Exception | None = None
        self.on_disk = asyncio.Event()
        self.on_disk.set()

    def snapshot(self) -> Mapping[str, Any]:
        return dict(self.state)

    async def settled(self) -> None:
        await self.on_disk.wait()

    async def ask(self, event: Operator) -> Answer:
        self.asked.append(event)
        if self.hold:
            await self.release.wait()
        if self.error is not None:
            raise self.error
        if self.refusal is not None:
            return self.refusal
        self.state["state"] = {
            PauseRequested: "PAUSED",
            StartRequested: "RUNNING",
            ResumeRequested: "RUNNING",
            StopRequested: "STOPPED",
            ClearHaltRequested: "STOPPED",
        }.get(type(event), self.state["state"])
        return Done(self.state["state"], f"The agent is {self.state['state']}.")

    async def emergency(self, by: str) -> Answer:
        self.emergencies.append(by)
        self.state["state"] = "HALTED"
        return Done("HALTED", "Halted; closing.")


@asynccontextmanager
async def serving(
    data_dir: Path,
    door: FakeDoor,
    versions: Versions = OURS,
    between: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[ControlServer]:
    server = ControlServer(door, versions, between)
    ready = asyncio.Event()
    running = asyncio.create_task(server.run(data_dir, 1_700_000_000_000, lambda port: ready.set()))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield server
    finally:
        waiting.cancel()
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Let the loop turn until `condition()` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is watched has no event of its own
            await asyncio.sleep(0.005)
