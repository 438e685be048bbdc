"""The latch on the loop: durable at once on a disk that answers, never waited for on one that does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.compose.engine import watch_latch
from agent.compose.latch_file import LatchFile
from agent.core.events import EmergencyRequested, Healed, Impaired, Impairment
from agent.core.state import Halt, HaltReason
from agent.store.latch import Latch


class StuckLatch(Latch):
    """A latch on a disk that answers only when the test lets it."""

    answers: threading.Event
    cleared: threading.Event

    def set(self, reason: str, at_ms: int) -> None:
        self.answers.wait()
        super().set(reason, at_ms)

    def clear(self) -> None:
        super().clear()
        self.cleared.set()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[StuckLatch]:
    latch = StuckLatch.create(tmp_path)
    latch.answers, latch.cleared = threading.Event(), threading.Event()
    yield latch
    latch.answers.set()


def test_a_disk_that_answers_has_it_at_once(tmp_path: Path) -> None:
    file, beside = LatchFile(Latch.create(tmp_path)), Latch.create(tmp_path)
    file.set("emergency", 5)
    assert beside.read() is not None
    file.clear()
    assert beside.read() is None
    assert not file.is_set()


def test_what_is_not_written_yet_counts_as_set(stuck: StuckLatch) -> None:
    file = LatchFile(stuck)
    file.set("emergency", 5)
    assert stuck.read() is None, "the disk has nothing yet"
    assert file.is_set()


def test_a_clear_does_not_overtake_the_halt_before_it(stuck: StuckLatch) -> None:
    file = LatchFile(stuck)
    file.set("emergency", 5)
    file.clear()
    assert file.is_set()
    assert not stuck.cleared.is_set()
    stuck.answers.set()
    assert stuck.cleared.wait(60)
    assert stuck.read() is None


# --- what another process does to the file ------------------------------------------------------------


class Engine:
    """As much of a running engine as the watch sees; an emergency halts it at once."""

    def __init__(self, halt: Halt | None) -> None:
        self.halt = halt
        self.heard: list[Any] = []
        self.impairments: dict[Impairment, str] = {}

    @property
    def state(self) -> Any:
        return SimpleNamespace(durable=SimpleNamespace(halt=self.halt), impairments=self.impairments)

    def sink(self, event: Any) -> None:
        self.heard.append(event)
        if isinstance(event, Impaired):
            self.impairments[event.by] = event.detail
        else:
            del self.impairments[event.by]

    async def ask(self, event: Any) -> None:
        self.heard.append(event)
        self.halt = Halt(HaltReason.EMERGENCY, 1, "latch file")


@asynccontextmanager
async def watched(latch: Latch, halt: Halt | None = None) -> AsyncIterator[Engine]:
    engine = Engine(halt)
    watch = asyncio.ensure_future(watch_latch(engine, LatchFile(latch), 0.0))  # type: ignore[arg-type]
    try:
        await looked()
        yield engine
        assert not watch.done()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def looked() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_latch_that_falls_is_an_emergency_also_after_a_daily_loss(tmp_path: Path) -> None:
    for halt in (None, Halt(HaltReason.DAILY_LOSS, 1, "risk")):
        latch = Latch.create(tmp_path)
        if halt is not None:
            latch.set("daily_loss", 1)
        async with watched(latch, halt) as engine:
            assert engine.heard == []
            latch.set("emergency", 2)
            await looked()
            assert engine.heard == [EmergencyRequested("latch file")]
        latch.clear()


async def test_the_halt_it_knows_is_no_news(tmp_path: Path) -> None:
    for reason in HaltReason:
        latch = Latch.create(tmp_path)
        latch.set(reason.value, 1)
        async with watched(latch, Halt(reason, 1, "here")) as engine:
            assert engine.heard == []


async def test_a_damaged_latch_keeps_entries_back_from_the_first_look_until_it_is_mended(
    tmp_path: Path,
) -> None:
    latch = Latch.create(tmp_path)
    latch.path.write_bytes(b"scratched")
    async with watched(latch) as engine:
        [impaired] = engine.heard
        assert isinstance(impaired, Impaired)
        assert impaired.by is Impairment.HALT_LATCH
        assert "is damaged" in impaired.detail
        # An operator cleared it, and the disk did not take that.
        engine.impairments.clear()
        await looked()
        assert engine.heard.pop() == impaired
        latch.clear()
        await looked()
        assert engine.heard[1:] == [Healed(Impairment.HALT_LATCH)]
