"""Processes of the product without the price of their start: forked from one that has imported it.

Most of a start is Python reading the program: 1.1 of the engine's 1.5 s of computing. Here one process per
test worker has read it, holds nothing else, and becomes a new one at each wish, with streams, arguments,
environment and folder of its own. What comes out is a process like any other: it locks, is killed, frozen
and asked by its own id. Belongs here: both ends of that, the asking one (`Forked`) and the asked one (this
file run as a program). Stays true: what a test measures or proves about a start itself (how long it takes,
what it imports) does not come from here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Self

#: Programs that are read beforehand, and what of each.
PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "agent.localexchange": ("agent.localexchange.command",),
    "agent.main": ("agent.compose.headless", "agent.compose.emergency"),
    "agent.cli": (
        "agent.command_line.emergency", "agent.command_line.keeping", "agent.command_line.looking",
        "agent.command_line.statistics", "agent.command_line.steering", "agent.command_line.story",
    ),
}  # fmt: skip
_LARGEST_WISH: Final = 2**17
_ROOT: Final = Path(__file__).parents[2]
_running: Final[list[tuple[subprocess.Popen[bytes], socket.socket]]] = []


@functools.cache
def _possible() -> bool:
    """Not every system, and not every kernel, tells of the end of a process by a descriptor."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def can_be_forked(words: tuple[str, ...], env: Mapping[str, str]) -> bool:
    """Whether `python words...` is one of the programs, started with nothing that Python itself obeys."""
    if not _possible() or len(words) < 2 or words[0] != "-m" or words[1] not in PROGRAMS:
        return False
    obeyed = {name: value for name, value in env.items() if name.startswith(("PYTHON", "LD_"))}
    ours = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LD_"))}
    return obeyed == ours | {"PYTHONPATH": str(_ROOT)}


class Forked:
    """A process as asyncio's own: `pid`, `returncode`, `stdout`, `stderr`, `wait`, `send_signal`."""

    def __init__(self, pid: int, out: StreamReader, err: StreamReader, told: StreamReader) -> None:
        self.pid = pid
        self.stdout, self.stderr = out, err
        self.returncode: int | None = None
        self._end = asyncio.create_task(self._ended(told))

    @classmethod
    async def start(cls, words: tuple[str, ...], env: Mapping[str, str], cwd: Path, limit: int) -> Self:
        """`python words...`. Whoever starts it waits for its end."""
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        told, their_told = os.pipe()
        theirs = (their_out, their_err, their_told)
        wish = json.dumps({"module": words[1], "argv": words[2:], "env": dict(env), "cwd": str(cwd)}).encode()
        assert len(wish) < _LARGEST_WISH
        try:
            socket.send_fds(_parent(), [wish], theirs)
        finally:
            for fd in theirs:
                os.close(fd)
        streams = [await _reader(fd, limit) for fd in (out, err, told)]
        line = await streams[2].readline()
        assert line, "the process that forks has ended"
        return cls(int(line), *streams)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def _ended(self, told: StreamReader) -> int:
        said = await told.read()
        assert said, "the process that forks has ended"
        self.returncode = int(said)
        return self.returncode


async def _reader(fd: int, limit: int) -> StreamReader:
    reader = StreamReader(limit=limit)
    pipe = os.fdopen(fd, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
    return reader


def _parent() -> socket.socket:
    """Where to ask; the process is started at the first wish of this worker and ends with it."""
    if not _running:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_ROOT,
                env=os.environ | {"PYTHONPATH": str(_ROOT)},
                pass_fds=[theirs.fileno()],
            )
        _running.append((process, ours))
        atexit.register(_end)
    return _running[0][1]


def _end() -> None:
    process, asked = _running.pop()
    asked.close()
    process.wait()


# --- the process that forks --------------------------------------------------------------------


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Fork at every wish. Returns in the new process alone, with the wish."""
    looking = selectors.DefaultSelector()
    looking.register(asked, selectors.EVENT_READ)
    while True:
        for key, _ in looking.select():
            if key.fileobj is not asked:
                _tell_end(looking, key)
                continue
            wish, fds, _, _ = socket.recv_fds(asked, _LARGEST_WISH, 3)
            if not wish:
                _leave_none(looking)
            out, err, told = fds
            pid = os.fork()
            if pid == 0:
                os.dup2(out, 1)
                os.dup2(err, 2)
                looking.close()
                asked.close()
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
                return dict(json.loads(wish))
            os.close(out)
            os.close(err)
            os.write(told, b"%d\n" % pid)
            looking.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, told))


def _tell_end(looking: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    pid, told = key.data
    looking.unregister(key.fileobj)
    os.close(key.fd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.close(told)


def _leave_none(looking: selectors.BaseSelector) -> NoReturn:
    """The worker is gone; nobody would end what it started."""
    for key in looking.get_map().values():
        if key.data is not None:
            os.kill(key.data[0], signal.SIGKILL)
    sys.exit(0)


def _become(wish: dict[str, Any]) -> None:
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["env"])
    sys.argv = [wish["module"], *wish["argv"]]
    sys.path[0] = wish["cwd"]
    runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for module in {module for modules in PROGRAMS.values() for module in modules}:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
