"""The control channel's listener, inside the engine's process.

It listens on the loopback interface only, on a port the system chooses, and tells where through
`control.json`. A connection needs the token from that file before it is upgraded, and is refused when a
browser made it (an Origin header). Then hello, welcome, and requests. Each request runs as its own task, so
that an emergency never queues behind a slow one. The engine calls `changed` and `notice`, which return at
once; a client that cannot keep up is dropped (see `session`), and no client can slow another.

An exception in a request is a mistake of ours: the client is told, and the loop's exception handler gets it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response as HttpResponse

from agent.control import operator_requests
from agent.control.control_file import ControlFile, new_token, remove_control_file, write_control_file
from agent.control.door import Answer, EngineDoor
from agent.control.messages import (
    ALWAYS_ALLOWED,
    CLIENT_HEADER,
    COMMAND_LINE,
    MAX_REQUEST_BYTES,
    Answered,
    CommandName,
    Failed,
    Notice,
    Reply,
    Request,
    Snapshot,
    Unreadable,
    Versions,
    Welcome,
    command_named,
    encode,
    parse_hello,
    parse_request,
)
from agent.control.session import IN_FLIGHT_LIMIT, Session

HOST: Final = "127.0.0.1"
MAX_CLIENTS: Final = 16
#: Beyond them, for commands: windows that nobody closed must not keep an emergency stop out.
RESERVED_FOR_COMMANDS: Final = 8
HELLO_TIMEOUT_S: Final = 2.0
PUBLISH_EVERY_S: Final = 0.05
PING_EVERY_S: Final = 5.0

_POLICY: Final = 1008
_MALFORMED: Final = 1007


class ControlServer:
    """Serve `door`. `run` listens until it is canceled; everything else may be called at any time."""

    def __init__(
        self, door: EngineDoor, versions: Versions, between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`between` is awaited between two snapshots: `PUBLISH_EVERY_S`, unless given."""
        self._door = door
        self._between = between or _publishing_interval
        self._versions = versions
        self._token = new_token()
        self._sessions: set[Session] = set()
        self._connections = 0
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._dirty = asyncio.Event()
        self._seq = 0
        self._last_state: Mapping[str, Any] | None = None

    @property
    def clients(self) -> int:
        return len(self._sessions)

    def changed(self) -> None:
        """The snapshot may be different now. Subscribers see it within `PUBLISH_EVERY_S`."""
        self._dirty.set()

    def notice(self, notice: Notice) -> None:
        """Tell every subscriber about something that happened."""
        subscribers = [session for session in self._sessions if session.subscribed]
        if subscribers:
            text = encode(notice)
            for session in subscribers:
                session.say(text)

    async def run(
        self, data_dir: Path, started_ms: int, ready: Callable[[int], None] = lambda port: None
    ) -> None:
        """Listen until canceled. `ready` gets the port once `control.json` is written.

        Raises OSError when the port or the file cannot be had.
        """
        logger = logging.getLogger(__name__)
        logger.addFilter(_worth_logging)
        async with serve(
            self._converse,
            HOST,
            0,
            process_request=self._admit,
            compression=None,
            max_size=MAX_REQUEST_BYTES,
            open_timeout=HELLO_TIMEOUT_S,
            ping_interval=PING_EVERY_S,
            ping_timeout=PING_EVERY_S,
            close_timeout=1,
            server_header=None,
            logger=logger,
        ) as server:
            port: int = next(iter(server.sockets)).getsockname()[1]
            here = ControlFile(port, self._token, os.getpid(), started_ms, self._versions.protocol)
            write_control_file(data_dir, here)
            try:
                ready(port)
                await self._publish()
            finally:
                remove_control_file(data_dir, self._token)
                for task in self._tasks:
                    task.cancel()

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            subscribers = [session for session in self._sessions if session.subscribed]
            state = await self._shown() if subscribers else None
            if state is not None and state != self._last_state:
                self._last_state = state
                text = self._encoded(state)
                for session in subscribers:
                    session.show(text)
            await self._between()

    async def _shown(self) -> Mapping[str, Any]:
        """The state, once its rows are on disk: who sees a trade closed finds it in the ledger."""
        state = self._door.snapshot()
        await self._door.settled()
        return state

    def _encoded(self, state: Mapping[str, Any]) -> str:
        self._seq += 1
        return encode(Snapshot(self._seq, state))

    # --- one connection ------------------------------------------------------------------------

    def _admit(self, connection: ServerConnection, request: HttpRequest) -> HttpResponse | None:
        """None lets the upgrade proceed. The token is compared in constant time."""
        if request.headers.get_all("Origin"):
            return connection.respond(HTTPStatus.FORBIDDEN, "not for browsers\n")
        given = " ".join(request.headers.get_all("Authorization")).encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong\n")
        is_command = request.headers.get(CLIENT_HEADER) == COMMAND_LINE
        if self._connections >= MAX_CLIENTS + (RESERVED_FOR_COMMANDS if is_command else 0):
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients are attached\n")
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        self._connections += 1
        try:
            session = await self._greet(connection)
            if session is not None:
                await self._attend(session)
        except ConnectionClosed:
            pass
        finally:
            self._connections -= 1

    async def _greet(self, connection: ServerConnection) -> Session | None:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                hello = parse_hello(await connection.recv())
        except TimeoutError:
            await connection.close(_POLICY, "no hello came")
            return None
        except Unreadable as why:
            await connection.close(_MALFORMED, f"not a hello: {why}")
            return None
        matched = hello.versions == self._versions
        await connection.send(encode(Welcome(self._versions, matched, os.getpid())))
        return Session(connection, hello, matched, _machine_s())

    async def _attend(self, session: Session) -> None:
        self._sessions.add(session)
        sender = asyncio.create_task(session.deliver(), name="control sender")
        try:
            async for frame in session.connection:
                if not session.allowance.take(_machine_s()):
                    session.drop("it asked too often")
                    return
                try:
                    request = parse_request(frame)
                except Unreadable as why:
                    await session.connection.close(_MALFORMED, f"not a request: {why}")
                    return
                self._take(session, request)
        finally:
            self._sessions.discard(session)
            sender.cancel()
            await asyncio.wait([sender])
            trouble = None if sender.cancelled() else sender.exception()
            if trouble is not None and not isinstance(trouble, ConnectionClosed):
                raise trouble

    def _take(self, session: Session, request: Request) -> None:
        """Answer at once what needs no engine; start a task for what does."""
        command = command_named(request.command)
        if command is None:
            session.reply(operator_requests.unknown_command(request))
        elif not session.matched and command not in ALWAYS_ALLOWED:
            theirs, ours = session.hello.versions.program, self._versions.program
            session.reply(operator_requests.version_mismatch(request, ours, theirs))
        elif command is CommandName.EMERGENCY_STOP:
            self._put(session, request, lambda: self._door.emergency(session.by))
        elif command is CommandName.STATUS:
            self._start(session, request, self._show(request))
        elif command is CommandName.SUBSCRIBE:
            session.subscribed = True
            session.reply(Answered(request.id, {}))
            # Everybody gets the state once more, so that nobody gets an older one after a newer one.
            self._last_state = None
            self._dirty.set()
        elif session.in_flight >= IN_FLIGHT_LIMIT:
            session.reply(operator_requests.busy(request))
        else:
            event = operator_requests.operator_event(request, command, session.by)
            if isinstance(event, Failed):
                session.reply(event)
            else:
                self._put(session, request, lambda: self._door.ask(event))

    async def _show(self, request: Request) -> Reply:
        return Answered(request.id, await self._shown())

    def _put(self, session: Session, request: Request, ask: Callable[[], Awaitable[Answer]]) -> None:
        """Have the engine asked, and count it until it has answered."""

        async def answered() -> Reply:
            try:
                return operator_requests.reply_to(request, await ask())
            finally:
                session.in_flight -= 1

        session.in_flight += 1
        self._start(session, request, answered())

    def _start(self, session: Session, request: Request, answering: Coroutine[Any, Any, Reply]) -> None:
        """Run the request as a task of its own; it goes on when the client is gone."""
        task = asyncio.create_task(answering, name=f"control {request.command}")
        self._tasks.add(task)

        def finish(done: asyncio.Task[Reply]) -> None:
            self._tasks.discard(done)
            if done.cancelled():
                return
            why = done.exception()
            if why is None:
                session.reply(done.result())
                return
            session.reply(operator_requests.fault(request))
            context = {"message": f"control request {request.command} failed", "exception": why}
            done.get_loop().call_exception_handler(context)

        task.add_done_callback(finish)


async def _publishing_interval() -> None:
    await asyncio.sleep(PUBLISH_EVERY_S)


def _machine_s() -> float:
    return asyncio.get_running_loop().time()


def _worth_logging(record: logging.LogRecord) -> bool:
    """Keep every coming and going, port scanners included, out of the engine's log."""
    return record.levelno >= logging.WARNING and record.msg != "opening handshake failed"
