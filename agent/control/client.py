"""The other end of the control channel, for the command line and the window.

`connect` reads `control.json` and says hello; then `request` asks and waits for the answer, and `pushes`
yields snapshots and notices. Every wait is bounded. What can go wrong is told apart, because the operator
does something else each time: nothing runs (`NoEngine`), something runs and does not answer (`NotAnswering`),
it answered no (`RequestFailed`), or it went away meanwhile (`NotAnswering` again, with another text).
A version mismatch is not an error here: `matched` tells, and the engine refuses what it must.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from agent.control.control_file import (
    NAME,
    ControlFile,
    ControlFileRefused,
    process_is_gone,
    read_control_file,
)
from agent.control.messages import (
    CLIENT_HEADER,
    MAX_PUSH_BYTES,
    Answered,
    CommandName,
    Failed,
    Hello,
    Notice,
    Request,
    Snapshot,
    Unreadable,
    Versions,
    Welcome,
    encode,
    parse_from_server,
)

ANSWER_TIMEOUT_S: Final = 1.0
#: Notices that wait for the reader; with more, the oldest are lost.
_NOTICES_KEPT: Final = 1000


class ControlError(Exception):
    """A sentence for the operator, and what to do about it."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.text = text
        self.fix = fix


class NoEngine(ControlError):  # noqa: N818 - an answer, not a failure
    """No engine runs for this data directory."""


class NotAnswering(ControlError):  # noqa: N818 - an answer, not a failure
    """A process is there, or was a moment ago, and did not answer in time. `pid` names it."""

    def __init__(self, text: str, fix: str, pid: int) -> None:
        super().__init__(text, fix)
        self.pid = pid


class RequestFailed(ControlError):  # noqa: N818 - an answer, not a failure
    """The engine answered that it did not do it. `code` is the reply's."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.text, failed.fix)
        self.code = failed.code


async def connect(
    data_dir: Path, versions: Versions, client: str, timeout_s: float = ANSWER_TIMEOUT_S
) -> ControlClient:
    """Attach to the engine of `data_dir`. Raises NoEngine, NotAnswering, ControlFileRefused.

    `timeout_s` (machine time) bounds everything up to the welcome.
    """
    try:
        address = await asyncio.to_thread(read_control_file, data_dir)
    except OSError as why:
        raise ControlFileRefused(f"{data_dir / NAME} cannot be read: {why.strerror}") from None
    if address is None or process_is_gone(address.pid):
        raise _no_engine(data_dir)
    try:
        async with asyncio.timeout(timeout_s):
            return await _attach(address, Hello(client, versions))
    except (TimeoutError, ConnectionClosed, InvalidMessage, Unreadable):
        raise _silent(address, f"did not answer within {timeout_s:g} s") from None
    except InvalidStatus as refused:
        raise _turned_away(data_dir, address, refused.response.status_code) from None
    except (OSError, InvalidHandshake):
        # The process id lives on in another program, or the engine has just closed its port.
        raise _no_engine(data_dir) from None


async def _attach(address: ControlFile, hello: Hello) -> ControlClient:
    connection = await open_websocket(
        f"ws://127.0.0.1:{address.port}/",
        additional_headers={"Authorization": f"Bearer {address.token}", CLIENT_HEADER: hello.client},
        compression=None,
        proxy=None,
        user_agent_header=None,
        max_size=MAX_PUSH_BYTES,
        close_timeout=0.2,
        ping_interval=None,
    )
    try:
        await connection.send(encode(hello))
        welcome = parse_from_server(await connection.recv())
        if not isinstance(welcome, Welcome):
            raise Unreadable("no welcome")
    except BaseException:
        connection.transport.abort()
        raise
    return ControlClient(connection, welcome, address.pid)


class ControlClient:
    """One attached connection. Use it as an async context manager, on one loop."""

    def __init__(self, connection: ClientConnection, welcome: Welcome, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answered | Failed]] = {}
        self._notices: deque[Notice] = deque(maxlen=_NOTICES_KEPT)
        self._snapshot: Snapshot | None = None
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read(), name="control reader")
        self.welcome = welcome

    @property
    def matched(self) -> bool:
        return self.welcome.matched

    @property
    def pid(self) -> int:
        """The engine's process."""
        return self._pid

    async def request(
        self,
        command: CommandName,
        args: Mapping[str, Any] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Mapping[str, Any]:
        """The result of `command`. Raises RequestFailed and NotAnswering.

        After NotAnswering it is unknown whether the request was done; ask for the status.
        """
        number = next(self._numbers)
        future: asyncio.Future[Answered | Failed] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(timeout_s):
                if self._reading.done():
                    raise self._went_away()
                await self._connection.send(encode(Request(number, command, args or {})))
                reply = await future
        except TimeoutError:
            raise self._silent(f"did not confirm {command} within {timeout_s:g} s") from None
        except ConnectionClosed:
            raise self._went_away() from None
        finally:
            del self._waiting[number]
            if future.done() and not future.cancelled():
                # An end that was met while sending is told already.
                future.exception()
        if isinstance(reply, Failed):
            raise RequestFailed(reply)
        return reply.result

    async def pushes(self) -> AsyncIterator[Snapshot | Notice]:
        """Subscribe, then yield the full state, every later one, and notices. Raises NotAnswering at the end.

        A reader that is slow sees fewer snapshots, always the latest.
        """
        await self.request(CommandName.SUBSCRIBE)
        while True:
            while self._notices:
                yield self._notices.popleft()
            snapshot, self._snapshot = self._snapshot, None
            if snapshot is not None:
                yield snapshot
                continue
            if self._reading.done():
                raise self._went_away()
            await self._news.wait()
            self._news.clear()

    async def _read(self) -> None:
        try:
            async for frame in self._connection:
                self._take(parse_from_server(frame))
        except (ConnectionClosed, Unreadable):
            pass
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(self._went_away())
            self._news.set()

    def _take(self, message: Welcome | Answered | Failed | Snapshot | Notice) -> None:
        match message:
            case Answered(number, _) | Failed(number, _, _, _):
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(message)
            case Snapshot():
                self._snapshot = message
                self._news.set()
            case Notice():
                self._notices.append(message)
                self._news.set()
            case Welcome():
                raise Unreadable("a second welcome")

    def _went_away(self) -> NotAnswering:
        return self._silent("ended the connection")

    def _silent(self, what: str) -> NotAnswering:
        return NotAnswering(f"The engine (process {self._pid}) {what}.", _LOOK, self._pid)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._connection.close()

    async def __aenter__(self) -> ControlClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


_LOOK: Final = "run `python -m agent.cli status`; if that does not answer either, look at the engine's log"


def _no_engine(data_dir: Path) -> NoEngine:
    return NoEngine(
        f"No engine is running for the data directory {data_dir}.",
        "start one with `python -m agent.main --headless`, or name another directory with --data-dir",
    )


def _silent(address: ControlFile, what: str) -> NotAnswering:
    return NotAnswering(f"The engine (process {address.pid}) {what}.", _LOOK, address.pid)


def _turned_away(data_dir: Path, address: ControlFile, status: int) -> ControlError:
    if status == 503:
        return NotAnswering(
            f"The engine (process {address.pid}) has too many clients attached.",
            "close a window or another command that is watching",
            address.pid,
        )
    # Somebody else listens on that port now, or a new engine is just replacing the file.
    return _no_engine(data_dir)
