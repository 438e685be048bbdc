"""The latch on the loop: durable at once on a disk that answers, never waited for on one that does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.compose.latch_file import LatchFile
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
