"""A disk that is full, locked, silent or read-only: entries stop, the user is told, nothing is lost.

The paper exchange keeps its account in the same file, so on paper a sale ends when the disk is back. With
signed orders it does not wait: what is held is sold at the exchange, and written down when that is possible
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from account_books import Theirs, compared
from agent_process import PATIENCE_S, cli, command, rows_of
from configurations import WISH, quick, written
from ledgers import Books
from testnet_ground import TESTNET, credentials

from agent.store.importing import import_spilled
from agent.store.latch import Latch
from agent.store.log_index import RESERVE, keep_reserve
from agent.store.prepare import prepare

STORE_FAILING = "store failing"


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of its own, on a file."""

    place: Path
    device: str

    async def freeze(self) -> None:
        """Whoever writes waits from now on; reading goes on."""
        await run("fsfreeze", "-f", str(self.place))

    async def thaw(self) -> None:
        await run("fsfreeze", "-u", str(self.place))

    def fail(self) -> None:
        """An error that makes the kernel mount it read-only at once, under whoever writes."""
        Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("the test's")
        options = next(line for line in mounts() if f" {self.place} " in line).split()[3].split(",")
        assert {"ro", "emergency_ro"} & {*options}, options

    def fill(self) -> Path:
        """Use up what is free; removing the file it returns ends that."""
        filler = self.place / "filler"
        # To the last byte: what a large write leaves would be enough for a small commit.
        with filler.open("wb", buffering=0) as file:
            for size in (65_536, 4_096, 512, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        return filler


def mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


async def run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0, words


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    tools = ("mkfs.ext4", "mount", "umount", "fsfreeze")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"only root with {', '.join(tools)} can make a disk to break")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(24 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    options = "loop,errors=remount-ro"
    mounted = subprocess.run(["mount", "-o", options, str(image), str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        place.chmod(0o700)
        source = next(line for line in mounts() if f" {place} " in line).split()[0]
        yield Disk(place, Path(source).name)
    finally:
        subprocess.run(["fsfreeze", "-u", str(place)], check=False, capture_output=True)
        subprocess.run(["umount", "-l", str(place)], check=True)


def blocked_by(words):
    return lambda s: any(words in reason for reason in s["entries_blocked_by"])


def protected(state):
    return state["positions"] and state["positions"][0]["protected_by"]


async def at_target(market, state):
    target = Decimal(state["positions"][0]["target"])
    await market.price((target * Decimal("1.01")).quantize(Decimal("0.0001")))


def in_order(data_dir):
    """One trade, left at its target, in both books alike.

    Where an answer did not come in time a second sale may have been tried, which the exchange then refuses.
    """
    (trade,) = rows_of(data_dir, "trades")
    assert trade["reason"] == "FIB_61.8"
    books = Books.read(data_dir)
    assert books.fills == books.their_fills
    taken = {name for name, order in books.orders.items() if order["status"] != "REJECTED"}
    assert books.theirs() == set(books.their_orders) == taken
    with closing(sqlite3.connect(data_dir / "trades.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def assert_ended_after(stopped, agent):
    """An engine that a busy machine keeps from confirming within a second is ended, and what it held is sold
    all the same; which of the two it is, is nothing that a test can choose."""
    assert stopped.document["engine"] in ("acknowledged", "silent")
    alive = stopped.document["engine"] == "acknowledged"
    assert await agent.stopped() == (0 if alive else -signal.SIGKILL)


async def test_a_full_disk_blocks_entries_and_stops_in_an_emergency_all_the_same(house, disk, tmp_path):
    market = await house.market()
    config = written(tmp_path, quick())
    data = disk.place / "data"
    agent = await house.agent(data, *market.address, config=config)
    async with agent.watched() as watch:
        await watch.running()
        filler = disk.fill()
        await watch.until("blocked", blocked_by(STORE_FAILING))
        assert watch.latest["state"] == "RUNNING"
        filler.unlink()
        await watch.enters(market, **WISH)
        filler = disk.fill()
        await watch.until("blocked", blocked_by(STORE_FAILING))
        stopped = await cli(data, "emergency-stop", "--yes", "--json", "--wait", "0")
        assert stopped.document["latched"] is True
        assert Latch(data / "halt.latch").read() is not None
        filler.unlink()
        if stopped.document["engine"] == "acknowledged":
            await watch.until("halted and flat", lambda s: s["halt"] and s["halt"]["flat"])
        else:
            again = await cli(data, "emergency-stop", "--yes", "--json")
            assert (again.code, again.document["flat"]) == (0, True), again.err
    await assert_ended_after(stopped, agent)


#: A writer of the ledger on a disk that is filled under it, and whoever comes next; the last word proves that
#: neither was ended by the system.
ON_A_FULL_DISK = """
import contextlib, sys
from pathlib import Path
from agent.store.candles import BAR, CandleStore, SeriesKey
from agent.store.ledger import CommitFailed
from agent.store.trouble import StoreTrouble
from tests.store_ground import Store, bar_batch
import numpy as np

directory = Path(sys.argv[1])
store = Store(directory)
ledger, candles = store.ledger(), CandleStore(directory / "candles.db")
key, minute = SeriesKey("v", "p", "1m"), 60_000

def filled(name):
    with (directory / name).open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass

def written(numbers):
    failed = 0
    for number in numbers:
        try:
            ledger.commit(bar_batch(number))
        except CommitFailed:
            failed += 1
        candles.write(key, np.array([(number * 256 * minute, 1, 1, 1, 1, 1)], BAR))
    return failed

filled("filler")
failed = written(range(1, 150))
# What an end gives back is taken as well, so that whoever opens next finds no room for anything.
ledger.close()
candles.close()
filled("rest")
for name in "reading", "writing":
    with contextlib.suppress(StoreTrouble):
        store.ledger(read_only=name == "reading").close()
CandleStore(directory / "candles.db").close()
(directory / "filler").unlink()
ledger = store.ledger()
assert written(range(150, 160)) == 0
print("alive, failed", failed)
"""


async def test_no_process_is_ended_by_a_full_disk(disk):
    ended = await command("-c", ON_A_FULL_DISK, str(disk.place))
    assert ended.code == 0, (ended.code, ended.err)
    failed = int(ended.out.rpartition("failed")[2])
    assert failed > 0, "the disk was full"


async def test_a_database_that_somebody_keeps_locked_blocks_entries_and_is_named(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.enters(market, **WISH)
        with closing(sqlite3.connect(tmp_path / "trades.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            state = await watch.until("blocked", blocked_by(STORE_FAILING))
            assert state["state"] == "RUNNING"
            await agent.complains("another process keeps the database locked")
            await at_target(market, state)
            await watch.until("leaving", lambda s: any(o["side"] == "SELL" for o in s["orders"]))
            other.execute("ROLLBACK")
        await watch.flat()
        await watch.entries_allowed()
    assert await agent.stopped() == 0
    in_order(tmp_path)


async def test_a_reader_who_never_ends_keeps_nothing_from_being_written(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.running()
        with closing(sqlite3.connect(tmp_path / "trades.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM trades").fetchone() == (0,)
            await at_target(market, await watch.enters(market, **WISH))
            await watch.flat()
            assert reader.execute("SELECT count(*) FROM trades").fetchone() == (0,), "its own moment"
        # A disk that other work keeps busy may fail a second; what a reader could do is keep it locked.
        assert not any("locked" in alert for alert in watch.alerts)
    assert await agent.stopped() == 0
    in_order(tmp_path)


async def test_a_disk_that_does_not_answer_stops_entries_and_nothing_else(house, disk, tmp_path):
    market = await house.market()
    config = written(tmp_path, quick())
    data = disk.place / "data"
    agent = await house.agent(data, *market.address, config=config)
    async with agent.watched() as watch:
        state = await watch.enters(market, **WISH)
        await disk.freeze()
        try:
            state = await watch.until("blocked", blocked_by("the disk does not answer"))
            await at_target(market, state)
            # The loop goes on: it sees the price and leaves, while the disk still stands.
            await watch.until("leaving", lambda s: any(o["side"] == "SELL" for o in s["orders"]))
        finally:
            await disk.thaw()
        await watch.flat()
        await watch.entries_allowed()
    assert await agent.stopped() == 0
    in_order(data)


async def test_a_disk_that_turns_read_only_stops_entries_and_is_named(house, disk, tmp_path):
    market = await house.market()
    config = written(tmp_path, quick())
    data = disk.place / "data"
    agent = await house.agent(data, *market.address, config=config)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        disk.fail()
        state = await watch.until("blocked", blocked_by(STORE_FAILING))
        assert state["state"] == "RUNNING"
        assert [p["id"] for p in state["positions"]] == [1]
        await agent.complains("store failing")
        stopped = await cli(data, "emergency-stop", "--yes", "--json", "--wait", "0")
        assert stopped.code != 0
        await watch.until("halted", lambda s: s["state"] == "HALTED")
    agent.stop()
    await agent.ended()
    await agent.complains("could not be written before the end")


async def sold_meanwhile(market, watch, state):
    """The target is reached, and the sale is made at the exchange while nothing can be written here."""
    await at_target(market, state)
    sold = await watch.until("sold", lambda s: not s["positions"])
    assert blocked_by(STORE_FAILING)(sold), "and still nothing is written"
    sides = [order["side"] for order in (await Theirs.read(market)).orders.values()]
    assert sides == ["BUY", "SELL"]


async def all_written(agent, watch, market, data):
    await watch.entries_allowed()
    assert await agent.stopped() == 0
    assert compared(data, await Theirs.read(market)) == []
    (trade,) = rows_of(data, "trades")
    assert trade["reason"] == "FIB_61.8"


async def test_a_signed_exit_does_not_wait_for_a_disk_that_does_not_answer(house, disk, tmp_path):
    market = await house.market(*credentials.options)
    config = written(tmp_path, quick(**TESTNET))
    data = disk.place / "data"
    agent = await house.agent(data, *market.address, config=config, env=credentials.environment(tmp_path))
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await disk.freeze()
        try:
            state = await watch.until("blocked", blocked_by("the disk does not answer"))
            await sold_meanwhile(market, watch, state)
        finally:
            await disk.thaw()
        await all_written(agent, watch, market, data)


async def test_a_signed_exit_does_not_wait_for_a_locked_database(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET))
    agent = await house.agent(tmp_path, *market.address, env=credentials.environment(tmp_path))
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        with closing(sqlite3.connect(tmp_path / "trades.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            state = await watch.until("blocked", blocked_by(STORE_FAILING))
            await sold_meanwhile(market, watch, state)
            other.execute("ROLLBACK")
        await all_written(agent, watch, market, tmp_path)


async def test_a_position_is_looked_after_by_a_start_on_a_disk_without_a_free_byte(house, disk, tmp_path):
    market = await house.market(*credentials.options)
    stop = {"backtest_params": {"use_stop_loss": True}}
    config = written(tmp_path, quick(**TESTNET, **stop))
    data, env = disk.place / "data", credentials.environment(tmp_path)
    agent = await house.agent(data, *market.address, config=config, env=env)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await watch.until("protected", protected)
    assert await agent.stopped() == 0
    # What the end gave back is taken as well.
    filler = disk.fill()

    again = await house.agent(data, *market.address, config=config, env=env)
    async with again.watched() as watch:
        state = await watch.until("held again", lambda s: protected(s) and blocked_by(STORE_FAILING)(s))
        await at_target(market, state)
        sold = await watch.until("sold", lambda s: not s["positions"])
        assert blocked_by(STORE_FAILING)(sold), "and still nothing is written"
        filler.unlink()
        await all_written(again, watch, market, data)


async def test_a_flat_start_on_a_full_disk_is_refused_and_leaves_the_reserve(disk, tmp_path):
    config = written(tmp_path, quick())
    data = disk.place / "data"
    data.mkdir(mode=0o700)
    prepare(data / "trades.db")
    keep_reserve(data)
    size = (data / RESERVE).stat().st_blocks
    disk.fill()
    words = ("--headless", "--config", str(config), "--data-dir", str(data))
    ended = await command("-m", "agent.main", *words, "--exchange-url", "http://127.0.0.1:9")
    assert (ended.code, "is full" in ended.first_line) == (1, True), ended.err
    assert (data / RESERVE).stat().st_blocks == size > 0


async def sold_there(market):
    """The exchange has bought and sold, whoever asked for it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            orders = (await Theirs.read(market)).orders.values()
            if [(o["side"], o["status"]) for o in orders] == [("BUY", "FILLED"), ("SELL", "FILLED")]:
                return
            await asyncio.sleep(0.05)


async def test_an_emergency_does_not_wait_for_a_disk_that_does_not_answer(house, disk, tmp_path):
    market = await house.market(*credentials.options)
    config = written(tmp_path, quick(**TESTNET))
    data = disk.place / "data"
    env = credentials.environment(tmp_path)
    agent = await house.agent(data, *market.address, config=config, env=env)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await disk.freeze()
        try:
            await watch.until("blocked", blocked_by("the disk does not answer"))
            words = ("--yes", "--json", "--data-dir", str(data), *market.address)
            stopping = asyncio.create_task(command("-m", "agent.cli", "emergency-stop", *words, env=env))
            await sold_there(market)
        finally:
            await disk.thaw()
        stopped = await stopping
        assert stopped.code == 0, stopped.err
    await assert_ended_after(stopped, agent)
    assert Latch(data / "halt.latch").read() is not None, "written as soon as that was possible"


@pytest.mark.parametrize("engine", ["none", "frozen"])
async def test_what_is_held_is_sold_beside_a_disk_that_does_not_answer(house, disk, tmp_path, engine):
    market = await house.market(*credentials.options)
    config = written(tmp_path, quick(**TESTNET))
    data, env = disk.place / "data", credentials.environment(tmp_path)
    agent = await house.agent(data, *market.address, config=config, env=env)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        if engine == "frozen":
            # What it writes never returns, so it cannot even be killed, and keeps the lock.
            await disk.freeze()
            await watch.until("blocked", blocked_by("the disk does not answer"))
            agent.send(signal.SIGSTOP)
        else:
            await agent.kill()
            await disk.freeze()
    # Coins of somebody else must stay, also when it is pressed twice.
    await market.control("account", {"deposit": {"ADA": "100000"}})
    words = ("emergency-stop", "--yes", "--json", "--data-dir", str(data), *market.address)
    try:
        both = await asyncio.gather(
            *(command("-m", "agent.cli", *words, env=env, cwd=tmp_path, within_s=90) for _ in range(2))
        )
    finally:
        await disk.thaw()
    for ended in both:
        assert (ended.code, ended.document["remaining"]) == (6, []), ended.err
        assert "NOT LATCHED" in ended.err
        assert "Everything is sold" in ended.err
        assert ("going on without the lock" in ended.err) == (engine == "frozen")
    theirs = await Theirs.read(market)
    sold = [o for o in theirs.orders.values() if o["side"] == "SELL" and o["filled"] != "0"]
    assert len(sold) == 1
    assert 100_000 <= theirs.total("ADA") < 100_001
    # What waited for the disk is written now; what was done elsewhere is read in by the next start.
    while Latch(data / "halt.latch").read() is None:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.05)
    journal = re.search(r"copy (\S+) over (\S+):", both[0].err)
    assert journal is not None, both[0].err
    shutil.copyfile(journal[1], journal[2])
    shutil.rmtree(Path(journal[1]).parent)
    shutil.rmtree(f"{Path(journal[1]).parent}-lock", ignore_errors=True)
    assert import_spilled(data, data / "trades.db")
    assert [row for row in compared(data, theirs) if "ADA" not in row] == []
    (trade,) = rows_of(data, "trades")
    assert trade["reason"] == "EMERGENCY"
