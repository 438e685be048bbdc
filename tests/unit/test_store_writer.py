"""The writer: order, groups, and what happens when the disk refuses and comes back."""

from __future__ import annotations

import asyncio
import itertools
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.store.batch import Batch
from agent.store.ledger import CommitFailed
from agent.store.writer import LedgerBroken, Watch, Writer
from tests.store_ground import SCOPE, Store, bar_batch, decision, order

SOON_S = 10.0


class Disk:
    """A ledger by hand: remembers what was committed together; can refuse, or wait for a signal."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.refuses: Exception | None = None
        self.wrong: set[int] = set()
        self.tries = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()
        self.tried_again = threading.Event()

    def commit(self, *batches: Batch) -> None:
        self.tries += 1
        if self.tries > 1:
            self.tried_again.set()
        self.entered.set()
        assert self.may_go_on.wait(SOON_S)
        numbers = [batch.at_ms for batch in batches]
        if self.refuses is not None:
            raise self.refuses
        if self.wrong & set(numbers):
            raise AssertionError("decided twice")
        self.groups.append(numbers)


class Heard:
    """What the watch was told, and the moment it was told."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.recovered = threading.Event()

    @property
    def watch(self) -> Watch:
        return Watch(self.failed, self.recover, lambda error: self.words.append(f"broken: {error}"))

    def failed(self, reason: str) -> None:
        self.words.append(f"failed: {reason}")

    def recover(self) -> None:
        self.words.append("recovered")
        self.recovered.set()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def writer(disk: Disk, heard: Heard) -> Iterator[Writer]:
    writer = Writer(disk, heard.watch, retry_after_s=3600)
    yield writer
    disk.may_go_on.set()
    writer.close()


def held_up(disk: Disk, writer: Writer, *numbers: int) -> list[Future[None]]:
    """Submit the first batch, wait until it is being written, and submit the others meanwhile."""
    disk.entered.clear()
    disk.may_go_on.clear()
    futures = [writer.submit(Batch(numbers[0]))]
    assert disk.entered.wait(SOON_S)
    return futures + [writer.submit(Batch(number)) for number in numbers[1:]]


def test_what_queues_while_the_disk_is_busy_is_committed_together_in_order(
    disk: Disk, writer: Writer
) -> None:
    futures = held_up(disk, writer, 1, 2, 3, 4)
    disk.may_go_on.set()
    for future in futures:
        future.result(SOON_S)
    assert disk.groups == [[1], [2, 3, 4]]
    assert writer.backlog == 0


def test_a_long_backlog_is_written_in_transactions_of_bounded_size(disk: Disk, writer: Writer) -> None:
    futures = held_up(disk, writer, *range(1, 202))
    disk.may_go_on.set()
    futures[-1].result(SOON_S)
    assert [len(group) for group in disk.groups] == [1, 64, 64, 64, 8]
    assert list(itertools.chain(*disk.groups)) == list(range(1, 202))


def test_a_failed_commit_is_told_and_kept_and_written_in_order_later(
    disk: Disk, heard: Heard, writer: Writer
) -> None:
    disk.refuses = CommitFailed("the disk is full")
    first = writer.submit(Batch(1))
    with pytest.raises(CommitFailed, match="the disk is full"):
        first.result(SOON_S)
    assert (writer.backlog, writer.is_failing, heard.words) == (1, True, ["failed: the disk is full"])

    second = writer.submit(Batch(2))
    with pytest.raises(CommitFailed):
        second.result(SOON_S)
    disk.refuses = None
    third = writer.submit(Batch(3))
    third.result(SOON_S)
    assert heard.recovered.wait(SOON_S)
    assert disk.groups == [[1, 2, 3]]
    assert heard.words == ["failed: the disk is full", "recovered"]
    assert (writer.backlog, writer.is_failing) == (0, False)


def test_everybody_who_waits_behind_a_failure_is_told_at_once(disk: Disk, writer: Writer) -> None:
    futures = held_up(disk, writer, *range(1, 101))
    disk.refuses = CommitFailed("locked")
    disk.may_go_on.set()
    for future in futures:
        with pytest.raises(CommitFailed, match="locked"):
            future.result(SOON_S)
    assert writer.backlog == 100


def test_without_new_work_it_tries_again_by_itself(disk: Disk, heard: Heard) -> None:
    disk.refuses = CommitFailed("the disk is full")
    writer = Writer(disk, heard.watch, retry_after_s=0.001)
    with pytest.raises(CommitFailed):
        writer.submit(Batch(1)).result(SOON_S)
    assert disk.tried_again.wait(SOON_S)
    disk.refuses = None
    assert heard.recovered.wait(SOON_S)
    assert disk.groups == [[1]]
    assert writer.close() == 0


def test_a_batch_that_contradicts_the_ledger_loses_itself_and_what_follows_but_nothing_before(
    disk: Disk, heard: Heard, writer: Writer
) -> None:
    disk.wrong = {3}
    futures = held_up(disk, writer, 1, 2, 3, 4)
    disk.may_go_on.set()
    futures[0].result(SOON_S)
    futures[1].result(SOON_S)
    for future in futures[2:]:
        with pytest.raises(LedgerBroken, match="decided twice"):
            future.result(SOON_S)
    assert disk.groups == [[1], [2]]
    assert writer.close() == 0
    assert heard.words == ["broken: decided twice"]


def test_after_a_contradiction_nothing_is_accepted_any_more(disk: Disk, writer: Writer) -> None:
    disk.wrong = {1}
    with pytest.raises(LedgerBroken):
        writer.submit(Batch(1)).result(SOON_S)
    with pytest.raises(LedgerBroken):
        writer.submit(Batch(2)).result(SOON_S)
    assert disk.groups == []


def test_any_mistake_of_ours_is_told_instead_of_ending_the_thread_in_silence(
    disk: Disk, writer: Writer
) -> None:
    disk.refuses = KeyError("forgotten")
    with pytest.raises(LedgerBroken, match="forgotten"):
        writer.submit(Batch(1)).result(SOON_S)


def test_close_writes_what_is_left(disk: Disk, writer: Writer) -> None:
    futures = held_up(disk, writer, 1, 2, 3)
    disk.may_go_on.set()
    assert writer.close() == 0
    assert all(future.done() for future in futures)
    assert disk.groups == [[1], [2, 3]]


def test_close_says_how_much_could_not_be_written(disk: Disk, writer: Writer) -> None:
    disk.refuses = CommitFailed("the disk is full")
    writer.submit(Batch(1))
    writer.submit(Batch(2))
    assert writer.close() == 2


def test_nothing_is_accepted_after_close(writer: Writer) -> None:
    writer.close()
    with pytest.raises(AssertionError, match="was closed"):
        writer.submit(Batch(1))


async def test_a_canceled_waiter_cancels_no_write(disk: Disk, writer: Writer) -> None:
    (future,) = held_up(disk, writer, 1)
    waiter = asyncio.wrap_future(future)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    disk.may_go_on.set()
    await asyncio.wrap_future(writer.submit(Batch(2)))
    assert disk.groups == [[1], [2]]


# --- on a real file ------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path)) as store:
        yield store


@contextmanager
def no_file_may_grow(limit: int) -> Iterator[None]:
    """Every write beyond `limit` bytes of a file fails, as on a disk without space."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing(store: Store, heard: Heard) -> None:
    ledger = store.ledger()
    writer = Writer(ledger, heard.watch, retry_after_s=3600)
    writer.submit(bar_batch(1)).result(SOON_S)
    with no_file_may_grow(4096):
        for number in (2, 3):
            with pytest.raises(CommitFailed, match=f"writing to {store.path} failed: .*check the disk"):
                writer.submit(bar_batch(number)).result(SOON_S)
    writer.submit(bar_batch(4)).result(SOON_S)
    assert heard.recovered.wait(SOON_S)
    assert writer.close() == 0
    bars = store.reader().decisions(SCOPE.selection, limit=9)
    assert [bar.bar_open_ms // 900_000 for bar in bars] == [4, 3, 2, 1]
    assert store.query("PRAGMA integrity_check") == [("ok",)]


def test_sqlites_own_word_for_a_full_disk_becomes_a_sentence(store: Store) -> None:
    ledger = store.ledger()
    ledger._writing().connection.driver_connection.execute("PRAGMA max_page_count = 1")
    year = Batch(1, rows=tuple(decision(number) for number in range(2000)))
    with pytest.raises(CommitFailed, match=r"the disk \(or the quota\) of .* is full; free some space"):
        ledger.commit(year)
    ledger.commit(year)
    assert store.query("SELECT count(*) FROM decisions") == [(2000,)]


def test_a_locked_database_fails_after_the_time_out_and_is_written_when_it_is_free(
    store: Store, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.database.BUSY_TIMEOUT_MS", 20)
    writer = Writer(store.ledger(), heard.watch, retry_after_s=3600)
    stranger = store.ledger()
    locking = stranger._writing().begin()
    with pytest.raises(CommitFailed, match="another process keeps the database locked"):
        writer.submit(Batch(1, orders=(order(),))).result(SOON_S)
    locking.rollback()
    writer.submit(Batch(2, rows=(decision(1),))).result(SOON_S)
    assert writer.close() == 0
    assert store.ledger().load().orders == (order(),)


def test_a_reader_in_mid_transaction_never_stops_the_writer(store: Store, heard: Heard) -> None:
    writer = Writer(store.ledger(), heard.watch)
    reader = store.reader()
    with reader._engine.connect() as reading:
        count = "SELECT count(*) FROM decisions"
        assert reading.exec_driver_sql(count).scalar_one() == 0
        for number in range(1, 50):
            writer.submit(bar_batch(number)).result(SOON_S)
        assert reading.exec_driver_sql(count).scalar_one() == 0
    assert len(reader.decisions(SCOPE.selection, limit=99)) == 49
    assert writer.close() == 0


async def test_the_engines_loop_awaits_a_commit(store: Store, heard: Heard) -> None:
    writer = Writer(store.ledger(), heard.watch)
    await asyncio.wrap_future(writer.submit(bar_batch(1)))
    assert len(store.reader().decisions(SCOPE.selection, limit=9)) == 1
    assert writer.close() == 0


def test_the_log_is_folded_back_when_nothing_is_to_be_written(
    disk: Disk, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.writer._TIDY_AFTER_S", 0.01)
    tidied = threading.Event()
    writer = Writer(disk, heard.watch, tidy=lambda: (disk.groups.append([]), tidied.set())[0])
    assert not tidied.wait(0.05), "nothing was written yet"
    writer.submit(Batch(1)).result(SOON_S)
    assert tidied.wait(SOON_S)
    assert disk.groups == [[1], []]
    assert writer.close() == 0


def test_no_commit_pays_for_the_log_and_tidying_it_loses_nothing(store: Store) -> None:
    ledger = store.ledger()
    begun = store.path.stat().st_size
    log = store.path.with_name("trades.db-wal")
    number = 0
    while log.stat().st_size < 6_000_000:
        number += 1
        ledger.commit(*(bar_batch(number * 100 + i) for i in range(100)))
    assert store.path.stat().st_size == begun
    ledger.tidy()
    assert store.path.stat().st_size > begun
    size = log.stat().st_size
    ledger.commit(bar_batch(1))
    assert log.stat().st_size == size, "the log begins at its beginning again"
    assert len(store.reader().decisions(SCOPE.selection, limit=10_000)) == min(10_000, number * 100 + 1)


def test_a_log_that_is_short_is_left_alone(store: Store) -> None:
    ledger = store.ledger()
    begun = store.path.stat().st_size
    ledger.commit(bar_batch(1))
    ledger.tidy()
    assert store.path.stat().st_size == begun
    ledger.close()
    store.path.with_name("trades.db-wal").unlink(missing_ok=True)
    ledger.tidy()
