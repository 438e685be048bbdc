"""Lines of the log, from the thread that writes them to whoever is attached: in batches, and bounded.

Law: the log is never held up. A line is kept only while somebody is attached, a flood keeps its newest lines
and says how many it left out (they are in the file), and a batch leaves at most every `EVERY_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Final, Protocol

from agent.control.messages import Notice, NoticeKind

EVERY_S: Final = 0.1
MOST_LINES: Final = 200
#: So that a batch stays below the largest message.
MOST_CHARS: Final = 10_000


class Channel(Protocol):
    """Where lines go: the control server."""

    @property
    def clients(self) -> int: ...

    def notice(self, notice: Notice) -> None: ...


class LogRelay:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._came = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()

    def hear(self, line: str) -> None:
        """One formatted line, from any thread; returns at once."""
        if not self._channel.clients:
            return
        if len(line) > MOST_CHARS:
            line = f"{line[: MOST_CHARS - 1]}…"
        with self._lock:
            if self._loop is None:
                return
            self._lines.append(line)
            self._came += 1
            if self._came == 1:
                with contextlib.suppress(RuntimeError):  # its loop has just ended
                    self._loop.call_soon_threadsafe(self._news.set)

    async def run(self) -> None:
        """Relay until canceled."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                lines, left_out = self._taken()
                self._channel.notice(Notice(NoticeKind.LOG, {"lines": lines, "left_out": left_out}))
                await asyncio.sleep(EVERY_S)
        finally:
            with self._lock:
                self._loop = None

    def _taken(self) -> tuple[list[str], int]:
        with self._lock:
            lines, came = list(self._lines), self._came
            self._lines.clear()
            self._came = 0
        return lines, came - len(lines)
