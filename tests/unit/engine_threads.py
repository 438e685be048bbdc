"""A fake engine with a real control channel in a thread of its own, for commands that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control_fakes import FakeDoor

from agent.command_line.place import our_versions
from agent.control.messages import Versions
from agent.control.server import ControlServer


class ScriptedDoor(FakeDoor):
    """Publishes `states` one after another, each time somebody looks; the last one stays."""

    def __init__(self, *states: dict[str, Any]) -> None:
        super().__init__()
        self.states = list(states)

    def snapshot(self) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@contextmanager
def engine(data_dir: Path, door: FakeDoor, versions: Versions | None = None) -> Iterator[None]:
    ready = threading.Event()
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def live() -> None:
        server = ControlServer(door, versions or our_versions())
        running = asyncio.create_task(server.run(data_dir, 1, lambda port: ready.set()))
        stopping.append((asyncio.get_running_loop(), running))
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    assert ready.wait(10), "the fake engine did not start"
    try:
        yield
    finally:
        loop, running = stopping[0]
        loop.call_soon_threadsafe(running.cancel)
        thread.join(10)
        assert not thread.is_alive()
