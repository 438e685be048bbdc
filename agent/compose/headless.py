"""Starting and stopping the engine as a process of its own: the order matters, and is here.

Lock, log, database, state, control channel, loop, exchange, history, feed: whatever holds a position can be
asked and stopped before the market has answered once. A market that does not answer is asked again for
ever; only what asking again cannot cure ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent.compose.access import access_for
from agent.compose.account_worth import account_worth
from agent.compose.alerting import Alerting
from agent.compose.database import open_database
from agent.compose.engine import AGAIN, AGENT_ID, Engine, keep_for_good
from agent.compose.env_file_note import note_env_file
from agent.compose.live import live_start
from agent.compose.polygon import polygon_for
from agent.compose.stored_setup import decide_setup
from agent.compose.whose import open_scopes
from agent.config.findings import Report
from agent.config.model import Config
from agent.core.money import forbid_float_money
from agent.options import RunOptions
from agent.shell.logs import LogSettings, set_up_logging
from agent.shell.no_core_dump import forbid_core_dumps
from agent.shell.redaction import Secrets
from agent.shell.staying_awake import StayingAwake
from agent.store.data_dir import DataDir
from agent.store.far_ledger import Claimed
from agent.store.importing import import_spilled
from agent.store.instance_lock import InstanceLock, LockHeld
from agent.store.log_index import give_up_reserve, has_log, has_room, keep_reserve
from agent.store.prepare import prepare
from agent.store.server import password_in
from agent.store.spill import SpillFile
from agent.store.trouble import StoreTrouble, file_trouble

LOG: Final = logging.getLogger("agent")

DONE: Final = 0
REFUSED: Final = 1
LOCKED: Final = 4
#: A mistake of ours ended the engine. Not a refusal: whoever supervises it starts it again.
BROKEN: Final = 70
_LOOK_AT_LOCK_S: Final = 0.1


def run_headless(options: RunOptions) -> int:
    """Run the engine until it is told to stop, and return the exit code."""
    forbid_float_money()
    forbid_core_dumps()
    directory = DataDir(options.data_dir)
    try:
        _make_ready(directory)
        lock = _take_lock(directory)
    except LockHeld as held:
        print(f"{held}.", file=sys.stderr)
        return LOCKED
    except StoreTrouble as trouble:
        return _unusable(directory, trouble)
    with lock:
        note_env_file(directory.path, options.env_path)
        try:
            return _run_locked(options, directory)
        except StoreTrouble as trouble:
            return _unusable(directory, trouble)


def _make_ready(directory: DataDir) -> None:
    """Make the directory. With something open, a disk that takes nothing more is no reason not to sell it."""
    ledger = directory.trades_db
    if not has_room(ledger) and (_holds(directory) or has_log(ledger)) and give_up_reserve(ledger):
        print(f"the disk of {directory.path} is full: its reserve serves this start.", file=sys.stderr)
    try:
        directory.create()
    except StoreTrouble as trouble:
        if not _holds(directory):
            raise
        print(f"{trouble}. Something is open: the engine tries to manage it all the same.", file=sys.stderr)


def _unusable(directory: DataDir, trouble: StoreTrouble) -> int:
    """The exit code. A refusal is final for whoever supervises this; what is open needs another start."""
    print(f"{trouble}.", file=sys.stderr)
    if not _holds(directory):
        return REFUSED
    print("Something is open and nobody manages it: put this right at once.", file=sys.stderr)
    return BROKEN


def _holds(directory: DataDir) -> bool:
    """Whether something is certainly open. A store that cannot be read says nothing."""
    try:
        return directory.trades_db.exists() and bool(open_scopes(directory.trades_db))
    except (StoreTrouble, OSError):
        return False


def _take_lock(directory: DataDir) -> InstanceLock:
    """The lock of the directory, as soon as no emergency stop holds it. Raises LockHeld when an engine does.

    Whoever supervises this engine starts it again right after an emergency stop has ended the last one, and
    must not conclude that it is not needed: an emergency stop may end before everything is sold.
    """
    told = False
    while True:
        try:
            return InstanceLock.take(directory.lock_file, at_ms=time.time_ns() // 1_000_000)
        except LockHeld as held:
            if held.holder is None or not held.holder.errand:
                raise
            if not told:
                told = True
                text = f"process {held.holder.pid} is an emergency stop: the engine begins when it has ended"
                print(text, file=sys.stderr, flush=True)
        time.sleep(_LOOK_AT_LOCK_S)


def _run_locked(options: RunOptions, directory: DataDir) -> int:
    try:
        while (code := _run_once(options, directory)) == AGAIN:
            pass
        return code
    finally:
        # Of what the ledger's log gives back now, before anybody else takes it.
        keep_reserve(directory.path)


def _run_once(options: RunOptions, directory: DataDir) -> int:
    asked = None if isinstance(options.config, Report) else options.config.config
    level = asked.agent.log_level if asked else "INFO"
    _make(directory.logs)
    secrets = Secrets()
    log = set_up_logging(LogSettings(directory.log_file, level, options.log_json), secrets)
    code = BROKEN
    try:
        prepare(directory.trades_db)
        keep_room_for_an_emergency(directory.path)
        for scope in import_spilled(directory.path, directory.trades_db):
            LOG.warning("what an emergency stop did for %s is in the ledger now", scope.pair)
        _hide_password(asked, secrets)
        try:
            database = open_database(asked, directory, AGENT_ID)
        except Claimed as claimed:
            print(f"{claimed}.", file=sys.stderr)
            return LOCKED
        decided = decide_setup(options, asked, directory)
        if isinstance(decided, str):
            print(decided, file=sys.stderr)
            return REFUSED
        live = live_start(
            decided.config,
            options.env_path,
            directory.path,
            directory.trades_db,
            flag=options.confirmed_live,
            is_open=any(scope.mode == "live" for scope in open_scopes(directory.trades_db)),
            worth=partial(account_worth, decided.config, options.env_path, options.exchange),
        )
        if live.refusal is not None:
            print(f"{live.refusal}.", file=sys.stderr)
            return REFUSED
        access = access_for(decided.config, options, directory, secrets, live.arming)
        if isinstance(access, str):
            print(f"{access}.", file=sys.stderr)
            return REFUSED
        because = decided.exits_only_because or access.why or live.exits_only_because or None
        polygon = polygon_for(decided.config, options.exchange, options.env_path, secrets, options.ask_secret)
        if isinstance(polygon, str):
            if not open_scopes(directory.trades_db):
                print(f"{polygon}.", file=sys.stderr)
                return REFUSED
            # What is open is managed on the exchange's own candles.
            because, polygon = because or polygon, None
        alerts = Alerting(decided.config, options.env_path, secrets)
        engine = Engine(
            options,
            decided.config,
            directory,
            because,
            access=access,
            alerts=alerts,
            database=database,
            polygon=polygon,
        )
        engine.follow_log = log.follow
        keep_for_good()
        code = _loop_run(_serve(engine))
        return code
    except StoreTrouble:
        raise
    except Exception as error:
        LOG.critical("the engine broke: %r", error, exc_info=error)
        return BROKEN
    finally:
        if code == AGAIN:
            # The next run has a log of its own, which knows other secrets.
            log.undo()
        else:
            log.close()


def _hide_password(config: Config | None, secrets: Secrets) -> None:
    """That of the database, wherever it comes from."""
    secrets.add(os.environ.get("PGPASSWORD"))
    if config is not None and config.agent.database_url is not None:
        secrets.add(password_in(config.agent.database_url))


def keep_room_for_an_emergency(directory: Path) -> None:
    """Reserve the file an emergency stop writes to when nothing else can be written."""
    try:
        SpillFile(directory).allocate()
    except StoreTrouble as trouble:
        LOG.warning("%s", trouble)


def _make(folder: Path) -> None:
    """Raises StoreTrouble."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise file_trouble(error, folder, "creating the folder") from None


async def _serve(engine: Engine) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGUSR1, engine.emergency_by_signal)
    awake = StayingAwake()
    engine.on_holding = awake.want
    staying = loop.create_task(awake.run())
    try:
        return await engine.run(stopping)
    finally:
        staying.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            loop.remove_signal_handler(number)


def _loop_run(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
