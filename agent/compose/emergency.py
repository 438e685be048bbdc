"""The emergency stop without an engine: the lock taken over, what is open sold, by an engine made for that.

Belongs here: who holds the lock and how it is ended, which accounts are looked after and with which
configuration, and what this engine does without. Stays true: a process is ended only when it holds the lock
of this directory and is, by id and start time, the one that took it; nothing is sent before it is gone; time
comes from the exchange; a ledger that cannot be written is no reason to keep what is held.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.command_line.stored import exposure_of
from agent.compose.access import access_for
from agent.compose.engine import Engine
from agent.compose.flattening import Flatten, Flattened
from agent.compose.install_tag import install_tag
from agent.compose.live import emergency_arming
from agent.compose.market import markets_of
from agent.compose.parts import Parts
from agent.compose.progress import WarmupProgress
from agent.compose.rescue import copy_of, lock_elsewhere, told
from agent.config.check import check_config
from agent.config.load import Loaded
from agent.config.model import Config
from agent.control.server import ControlServer
from agent.core.commands import Command
from agent.core.money import forbid_float_money
from agent.core.state import AgentState
from agent.options import ExchangeAddress, RunOptions
from agent.shell.logs import LogSettings, set_up_logging
from agent.shell.no_core_dump import forbid_core_dumps
from agent.shell.redaction import Secrets
from agent.store.batch import Batch, Scope
from agent.store.candles import BAR, Bars, CandleStore, SeriesKey, StoredSeries
from agent.store.data_dir import DataDir
from agent.store.importing import import_spilled
from agent.store.instance_lock import InstanceLock, LockHeld, holder_of
from agent.store.ledger import CommitFailed, Ledger
from agent.store.prepare import prepare
from agent.store.reading import Reader
from agent.store.spill import SpillFile
from agent.store.trouble import StoreTrouble
from agent.store.writer import Watch, Writer

LOG: Final = logging.getLogger("agent")
#: A killed process leaves the lock within milliseconds; a machine that swaps may need longer.
_GONE_WITHIN_S: Final = 5.0
_LOOK_S: Final = 0.02
#: So that one emergency stop knows another.
ERRAND: Final = "emergency-stop"


class NotEnded(Exception):  # noqa: N818 - a fact, not a fault of this call
    """Whoever holds the lock could not be ended; nothing may be sent beside it."""


class HeldByTheDead(NotEnded):
    """Who holds the lock was ended, and its disk keeps it from going: it sends nothing, ever."""


@dataclass(frozen=True, slots=True)
class Case:
    """One account to look after, and the configuration accepted for it; None when there is none."""

    scope: Scope
    config: Config | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line was given, and found out. `exchange` None: the exchange's own addresses."""

    directory: Path
    env_path: Path
    exchange: ExchangeAddress | None
    given: Config | None
    wait_s: float
    #: Why the directory cannot be written; None where it can.
    disk_trouble: str | None = None


# --- the lock ------------------------------------------------------------------------------------


def take_over(
    directory: DataDir, say: Callable[[str], None], patience_s: float, *, named: bool = True
) -> InstanceLock:
    """End whoever holds the lock, and hold it; another emergency stop is given `patience_s` to finish.

    Not `named`: nothing is written, for a disk that takes nothing. Raises HeldByTheDead or NotEnded, and
    StoreTrouble where the lock cannot be used.
    """
    began_s = time.monotonic()
    until_s = began_s + _GONE_WITHIN_S
    seen: set[int] = set()
    while True:
        try:
            wall_ms = time.time_ns() // 1_000_000
            return InstanceLock.take(directory.lock_file, at_ms=wall_ms, errand=ERRAND, named=named)
        except LockHeld as held:
            holder = held.holder
        now_s = time.monotonic()
        if holder is not None and holder.is_doomed:
            if now_s >= until_s:
                raise HeldByTheDead(f"process {holder.pid} was ended and its disk does not let it go")
            time.sleep(_LOOK_S)
            continue
        # Who holds it without a name works on a disk that takes none: another emergency stop.
        stopping = holder is None or not holder.is_alive or holder.errand == ERRAND
        if stopping and now_s < began_s + patience_s:
            until_s = now_s + _GONE_WITHIN_S
            if holder is not None and holder.errand == ERRAND and -holder.pid not in seen:
                seen.add(-holder.pid)
                say(f"Process {holder.pid} is stopping everything already; waiting for it.")
        elif now_s >= until_s:
            raise NotEnded("the lock is still held") from None
        elif holder is not None and holder.is_alive and holder.pid not in seen:
            _end(holder.pid, holder.birth, directory)
            seen.add(holder.pid)
            say(f"Process {holder.pid} did not answer and was ended.")
        time.sleep(_LOOK_S)


def _end(pid: int, birth: str, directory: DataDir) -> None:
    """SIGKILL, which also ends a process that is stopped."""
    if pid == os.getpid():
        raise NotEnded("this very process holds the lock")
    # The id is checked behind the handle: what the handle names cannot become another process.
    handle = _handle(pid)
    try:
        found = holder_of(directory.lock_file)
        if found is None or (found.pid, found.birth) != (pid, birth) or not found.is_alive:
            return
        if handle is not None:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except PermissionError:
        raise NotEnded(f"process {pid} belongs to another user") from None
    except ProcessLookupError:
        return
    finally:
        if handle is not None:
            os.close(handle)


def _handle(pid: int) -> int | None:
    """None where the system has no such handles, or does not let us have one."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


# --- what is open ----------------------------------------------------------------------------------


def cases(directory: DataDir, given: Config | None) -> tuple[Case, ...]:
    """Every account with something open, or else the one that was traded last. Raises StoreTrouble."""
    if not directory.trades_db.exists():
        return ()
    reader = Reader.open(directory.trades_db)
    try:
        exposed = reader.exposed_scopes()
        last = tuple(scope for scope in reader.scopes()[:1] if scope.mode != "paper")
        # Real orders before play money.
        scopes = sorted(exposed or last, key=lambda scope: scope.mode == "paper")
        return tuple(Case(scope, _config(reader, scope, given)) for scope in scopes)
    finally:
        reader.close()


def _config(reader: Reader, scope: Scope, given: Config | None) -> Config | None:
    """The configuration that was accepted for `scope`; the one given where none was, and it is its own."""
    accepted = reader.config(scope)
    stored = check_config(accepted.text, Path("stored config")).config if accepted else None
    if stored is not None:
        return stored
    if given is None or (given.mode, given.exchange.trading_pair) != (scope.mode, scope.pair):
        return None
    return given


@dataclass(frozen=True, slots=True)
class Done:
    """What came of all cases together. `unreachable`: of one with something left, no exchange answered."""

    cases: int
    remaining: tuple[str, ...]
    others: tuple[str, ...]
    unreachable: bool


def stop_here(asked: Asked, say: Callable[[str], None]) -> Done:
    """Take the lock, then cancel and sell in every account of the directory until flat.

    Raises NotEnded when somebody holds the lock who cannot be ended.
    """
    directory, secrets = DataDir(asked.directory), Secrets()
    writable = asked.disk_trouble is None
    close_log = opened_log(directory if writable else None, secrets)
    try:
        with take_over(directory, say, asked.wait_s, named=writable):
            if writable:
                return _all_cases(directory, asked, secrets)
            return _on_a_copy(directory, asked, secrets, say)
    except HeldByTheDead as dead:
        say(f"{str(dead).capitalize()}: going on without the lock.")
        return _beside_the_dead(directory, asked, secrets, say)
    except StoreTrouble as trouble:
        return Done(1, (f"unknown, the store cannot be read: {trouble}",), (), False)
    finally:
        close_log()


def _beside_the_dead(directory: DataDir, asked: Asked, secrets: Secrets, say: Callable[[str], None]) -> Done:
    """The lock cannot be had and guards nothing: another one keeps two emergency stops apart.

    We are the next to hold the first, so that nobody starts beside us when the disk comes back.
    """
    asked = replace(asked, disk_trouble=asked.disk_trouble or "who holds the lock cannot go")
    try:
        with (
            take_over(lock_elsewhere(directory), say, asked.wait_s),
            InstanceLock.queue(directory.lock_file),
        ):
            return _on_a_copy(directory, asked, secrets, say)
    except StoreTrouble as trouble:
        return Done(1, (f"unknown, the store cannot be read: {trouble}",), (), False)


def _on_a_copy(directory: DataDir, asked: Asked, secrets: Secrets, say: Callable[[str], None]) -> Done:
    """The directory takes nothing: work beside it, and say where that was."""
    copy = copy_of(directory)
    done = _all_cases(copy, replace(asked, directory=copy.path), secrets)
    if done.cases:
        say(f"NOTE: {told(copy, directory)}.")
    return done


def _all_cases(directory: DataDir, asked: Asked, secrets: Secrets) -> Done:
    if not directory.trades_db.exists():
        return Done(0, (), (), False)
    if asked.disk_trouble is None:
        ready_store(directory)
    found = cases(directory, asked.given)
    results = [flatten(case, asked, secrets) for case in found]
    open_cases = [result for result in results if not result.flat]
    return Done(
        len(found),
        tuple(sentence for result in open_cases for sentence in result.remaining),
        tuple(other for result in results for other in result.others),
        bool(open_cases) and not any(result.reached for result in open_cases),
    )


# --- doing it --------------------------------------------------------------------------------------


def flatten(case: Case, asked: Asked, secrets: Secrets) -> Flattened:
    """Cancel and sell until flat, at most `wait_s` seconds. The caller holds the lock."""
    directory = DataDir(asked.directory)
    where = f"{case.scope.pair} at {case.scope.venue} ({case.scope.mode})"
    if case.config is None:
        why = f"{where}: its configuration cannot be read, name one with --config"
        return Flattened(reached=True, remaining=(why, *exposure_of(directory.trades_db, case.scope)))
    exchange = asked.exchange or _simulated(case.scope)
    there = markets_of(case.config, exchange).orders.venue
    if there != case.scope.venue:
        # Flat at another exchange says nothing about this one.
        why = f"{where} was not looked at, because this command was given {there}: {_way_to(case.scope)}"
        return Flattened(reached=True, remaining=(why, *exposure_of(directory.trades_db, case.scope)))
    options = RunOptions(
        config=Loaded(case.config, (), asked.directory),
        config_path=asked.directory,
        env_path=asked.env_path,
        data_dir=asked.directory,
        start=False,
        confirmed_live=False,
        exchange=exchange,
        clock="exchange",
        log_json=False,
    )
    # Whatever became of the gates of live trading: what is open may be left.
    access = access_for(case.config, options, directory, secrets, emergency_arming(case.config))
    if isinstance(access, str):
        return Flattened(remaining=(access,))
    errand = Flatten(install_tag(asked.directory))
    errand.result.remaining = tuple(exposure_of(directory.trades_db, case.scope)) or errand.result.remaining
    parts = FlattenParts(directory.path, errand, journal_too=asked.disk_trouble is not None)
    engine = Engine(options, case.config, directory, access.why or None, parts, access)
    asyncio.run(_within(engine, asked.wait_s))
    if access.account is None and case.config.mode != "paper":
        errand.result.remaining = (access.why, *errand.result.remaining)
    return errand.result


async def _within(engine: Engine, wait_s: float) -> None:
    stopping = asyncio.Event()
    timer = asyncio.get_running_loop().call_later(wait_s, stopping.set)
    try:
        await engine.run(stopping)
    finally:
        timer.cancel()


def _way_to(scope: Scope) -> str:
    """How to reach the exchange of `scope`, for a person who named another one."""
    simulated = _simulated(scope)
    if simulated is None:
        return "repeat emergency-stop without --exchange-url"
    words = f"repeat emergency-stop with --exchange-url {simulated.rest}"
    return f"{words}; if that simulated exchange is gone for good, trade on with another --data-dir"


def _simulated(scope: Scope) -> ExchangeAddress | None:
    """A simulated exchange is found under the address it was traded at; sockets are not needed."""
    host = scope.venue.partition("@")[2]
    if host.startswith(("127.", "localhost", "[::1]")):
        return ExchangeAddress(f"http://{host}", None)
    return None


def opened_log(directory: DataDir | None, secrets: Secrets) -> Callable[[], None]:
    """Warnings to standard error, and to the log file where there is one; returns what closes it."""
    forbid_float_money()
    forbid_core_dumps()
    file = directory.log_file if directory is not None and directory.logs.is_dir() else None
    return set_up_logging(LogSettings(file, "WARNING"), secrets).close


def ready_store(directory: DataDir) -> None:
    """The newest schema and everything an earlier stop wrote, where the disk allows it."""
    try:
        prepare(directory.trades_db)
        import_spilled(directory.path, directory.trades_db)
    except StoreTrouble as trouble:
        LOG.warning("%s", trouble)


class FlattenParts(Parts):
    """An engine that only flattens: no control channel, no candles kept, a ledger that may fail."""

    trades_alone = False

    def __init__(self, directory: Path, errand: Flatten, *, journal_too: bool = False) -> None:
        self.errand = errand
        self._journal = SpillFile(directory)
        self._journal_too = journal_too
        self._writable = True

    def ledger(self, path: Path, scope: Scope) -> Ledger:
        try:
            return Ledger.open(path, scope)
        except StoreTrouble as trouble:
            LOG.warning("%s: what is done is kept in %s", trouble, self._journal.path.name)
            self._writable = False
            return Ledger.open(path, scope, read_only=True)

    def writer(self, ledger: Ledger, watch: Watch) -> Writer:
        writable = ledger if self._writable else None
        kept = LedgerOrJournal(writable, self._journal, ledger.scope, both=self._journal_too)
        return Writer(kept, watch)

    def candles(self, path: Path) -> CandleStore:
        return _NoCandles()

    def control(self, door: Any, versions: Any) -> ControlServer:
        return _NoControl(door, versions)

    def onlookers(
        self, control: ControlServer, progress: WarmupProgress, watch: Callable[[bool], None]
    ) -> Callable[[Any, Any], None]:
        def look(state: AgentState, commands: tuple[Command, ...]) -> None:
            watch(bool(state.open_positions()))

        return look


class LedgerOrJournal:
    """Commits to the ledger while that works; from the first failure on everything goes to the journal.

    `both`: to the journal as well from the beginning, because the ledger is a copy that the next start does
    not see.
    """

    def __init__(
        self, ledger: Ledger | None, journal: SpillFile, scope: Scope, *, both: bool = False
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._scope = scope
        self._both = both

    def commit(self, *batches: Batch) -> None:
        if self._ledger is not None:
            try:
                self._ledger.commit(*batches)
                if not self._both:
                    return
            except CommitFailed as failed:
                LOG.warning("%s: what is done is kept in %s", failed, self._journal.path.name)
                self._ledger = None
        try:
            self._journal.append(self._scope, *batches)
        except StoreTrouble as trouble:
            raise CommitFailed(str(trouble)) from None


class _NoCandles(CandleStore):
    """Bars are not kept: nobody loads history here."""

    def __init__(self) -> None:
        return None

    def series(self, key: SeriesKey) -> StoredSeries:
        return StoredSeries(self, key)

    def write(self, key: SeriesKey, bars: Bars) -> None:
        return None

    def read(self, key: SeriesKey, since_ms: int, until_ms: int) -> Bars:
        return np.empty(0, BAR)

    def discard(self, key: SeriesKey) -> None:
        return None

    def close(self) -> None:
        return None


class _NoControl(ControlServer):
    """Nobody steers this one."""

    async def run(
        self, data_dir: Path, started_ms: int, ready: Callable[[int], None] = lambda port: None
    ) -> None:
        await asyncio.Event().wait()
