"""The machine is kept awake exactly while that is wanted, and a refusal is told once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.shell.staying_awake import StayingAwake, logind_lock


class Locks:
    """Locks as pipes: the reading end shows whether the other is still held."""

    def __init__(self) -> None:
        self.refusals = 0
        self.asked = threading.Semaphore(0)
        self._readers: list[int] = []

    def acquire(self) -> int:
        self.asked.release()
        if self.refusals:
            self.refusals -= 1
            raise OSError("no such thing here")
        reader, writer = os.pipe()
        self._readers.append(reader)
        return writer

    def given_back(self) -> list[bool]:
        held = []
        for reader in self._readers:
            os.set_blocking(reader, False)
            try:
                held.append(os.read(reader, 1) == b"")
            except BlockingIOError:
                held.append(False)
        return held

    def close(self) -> None:
        for reader in self._readers:
            os.close(reader)


@pytest.fixture
def locks() -> Iterator[Locks]:
    made = Locks()
    yield made
    made.close()


@contextlib.asynccontextmanager
async def running(awake: StayingAwake) -> AsyncIterator[None]:
    task = asyncio.create_task(awake.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(awake: StayingAwake, held: bool) -> None:
    async with asyncio.timeout(10):
        while awake.held is not held:  # noqa: ASYNC110 - it tells nobody when it takes the lock
            await asyncio.sleep(0)


async def test_held_while_wanted_and_given_back_after(locks: Locks) -> None:
    awake = StayingAwake(locks.acquire)
    async with running(awake):
        awake.want(True)
        await until(awake, True)
        awake.want(True)
        assert locks.given_back() == [False]
        awake.want(False)
        await until(awake, False)
        assert locks.given_back() == [True]
        awake.want(True)
        await until(awake, True)
    assert locks.given_back() == [True, True], "the end gives it back"


async def test_a_refusal_is_told_once_and_the_next_wish_asks_again(
    locks: Locks, caplog: pytest.LogCaptureFixture
) -> None:
    locks.refusals = 2
    awake = StayingAwake(locks.acquire)
    with caplog.at_level(logging.INFO, "agent.shell.staying_awake"):
        async with running(awake):
            for _ in range(2):
                awake.want(True)
                await asyncio.to_thread(locks.asked.acquire)
                awake.want(False)
                await until(awake, False)
            awake.want(True)
            await until(awake, True)
    told = [record.message for record in caplog.records]
    assert len([text for text in told if "not kept awake" in text]) == 1
    assert any("is kept awake" in text for text in told)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A message bus of our own in the place of the system's."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("dbus-daemon is not installed here")
    path = tmp_path / "bus"
    process = subprocess.Popen(
        [daemon, "--session", f"--address=unix:path={path}", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline(), "the bus did not start"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    yield str(path)
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_logind_is_asked_for_a_lock_against_sleep(bus: str) -> None:
    from jeepney import FileDescriptor, HeaderFields, MessageType, new_method_return
    from jeepney.bus_messages import message_bus
    from jeepney.io.blocking import Proxy, open_dbus_connection

    reader, writer = os.pipe()
    asked: list[tuple[str, ...]] = []
    ready = threading.Event()

    def logind() -> None:
        with open_dbus_connection(bus="SYSTEM", enable_fds=True) as connection:
            Proxy(message_bus, connection).RequestName("org.freedesktop.login1")
            ready.set()
            while True:
                message = connection.receive(timeout=10)
                if message.header.message_type is not MessageType.method_call:
                    continue
                assert message.header.fields[HeaderFields.member] == "Inhibit"
                asked.append(message.body)
                with FileDescriptor(writer) as lent:
                    connection.send(new_method_return(message, "h", (lent,)))
                return

    server = threading.Thread(target=logind)
    server.start()
    assert ready.wait(10)
    lock = logind_lock()
    server.join(10)
    assert asked == [("sleep", "Seller Exhaustion Agent", "a position is open", "block")]
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(lock)
    assert os.read(reader, 1) == b"", "closing the descriptor gives the lock back"
    os.close(reader)


def test_without_logind_the_reason_is_a_sentence(bus: str) -> None:
    with pytest.raises(OSError, match="logind refuses it"):
        logind_lock()


def test_without_a_bus_the_reason_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    with pytest.raises(OSError, match="does not answer"):
        logind_lock()
