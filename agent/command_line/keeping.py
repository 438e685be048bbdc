"""The commands that keep and restore what is stored: export, backup, restore, paper-reset."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of
from agent.command_line.stored_scope import reading, unreadable
from agent.command_line.terminal import Terminal
from agent.command_line.wording import counted
from agent.store.data_dir import DataDir


def export_command(
    data_dir: Path | None, what: str, form: str, out: Path | None, all_scopes: bool, overwrite: bool
) -> int:
    from agent.command_line.stored import place_in
    from agent.store import exports
    from agent.store.batch import Selection

    if what not in exports.EXPORTS:
        raise Ended(
            ExitCode.REFUSED, f"There is no export called {what!r}.", f"choose {', '.join(exports.EXPORTS)}"
        )
    if form not in ("csv", "json"):
        raise Ended(ExitCode.REFUSED, f"--format {form} is unknown.", "write csv or json")
    with reading(data_dir) as (_, scope):
        selection = Selection() if all_scopes else scope.selection
    return exports.export_command(
        place_in(data_dir_of(data_dir)),
        what,
        "json" if form == "json" else "csv",
        out=out,
        of=selection,
        stdout=sys.stdout,
        stderr=sys.stderr,
        overwrite=overwrite,
    )


def backup_command(data_dir: Path | None, out: Path | None, keep: int, as_json: bool) -> int:
    from agent.store.backup import back_up
    from agent.store.spool import is_kept_twice
    from agent.store.trouble import StoreTrouble

    place = DataDir(data_dir_of(data_dir))
    try:
        made = back_up(place.trades_db, out or place.backups, at_ms=_wall_ms(), keep=keep)
    except StoreTrouble as trouble:
        raise _refused(trouble) from None
    rows = sum(made.rows.values())
    if is_kept_twice(place.trades_db):
        print(
            "This is the ledger of this machine. The PostgreSQL server has its rows too, and those of other "
            "agents; they are copied with: pg_dump --format=custom --file=FILE 'postgresql://...' (and put "
            "back with pg_restore).",
            file=sys.stderr,
        )
    Terminal(as_json=as_json).result(
        f"Backup written and verified: {made.path} ({rows:,} rows, {made.size_bytes:,} bytes).",
        {"path": str(made.path), "rows": dict(made.rows), "size_bytes": made.size_bytes},
    )
    return ExitCode.DONE


def restore_command(data_dir: Path | None, copy: Path, yes: bool, as_json: bool) -> int:
    from agent.compose.install_tag import take_over_tag
    from agent.store.backup import restore
    from agent.store.prepare import prepare
    from agent.store.spool import leave_out_a_number, number_in
    from agent.store.trouble import StoreTrouble

    place = DataDir(data_dir_of(data_dir))
    if not copy.is_file():
        raise Ended(ExitCode.UNREADABLE, f"There is no backup {copy}.", "name a file made by `backup`")
    terminal = Terminal(as_json=as_json, assume_yes=yes)
    with _alone_in(place):
        terminal.consent(_restoring(place, copy), "restore")
        try:
            replaced = number_in(place.trades_db)
            # The lock is ours until the end, so no engine can begin in between.
            kept = restore(copy, place.trades_db, engine_running=lambda: False, at_ms=_wall_ms())
            prepare(place.trades_db)
            # Its rows may be another machine's, and then its orders are, too.
            take_over_tag(place.path)
            # What was restored counts: a database server gets its rows anew.
            leave_out_a_number(place.trades_db, replaced)
        except StoreTrouble as trouble:
            raise _refused(trouble) from None
    aside = "" if kept is None else f" What it replaced is kept as {kept}."
    terminal.result(
        f"Restored {copy}.{aside} The next start asks the exchange what happened since.",
        {"restored": str(copy), "kept": None if kept is None else str(kept)},
    )
    return ExitCode.DONE


def _restoring(place: DataDir, copy: Path) -> str:
    made = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
    text = f"Put {copy} ({copy.stat().st_size:,} bytes, {made:%Y-%m-%d %H:%M} UTC) in the place of "
    if not place.trades_db.exists():
        return f"{text}{place.trades_db}, which does not exist."
    size = place.trades_db.stat().st_size
    return f"{text}{place.trades_db} ({size:,} bytes); that file is kept. What was stored since is not in it."


def paper_reset_command(data_dir: Path | None, yes: bool, as_json: bool) -> int:
    from agent.store.paper import start_paper_account
    from agent.store.spool import leave_out_a_number
    from agent.store.trouble import StoreTrouble

    place = DataDir(data_dir_of(data_dir))
    terminal = Terminal(as_json=as_json, assume_yes=yes)
    with reading(place.path) as (reader, scope):
        if scope.mode != "paper":
            raise Ended(
                ExitCode.REFUSED, f"What ran last is not paper but {scope.mode}.", "nothing was changed"
            )
        trades = len(reader.trades(scope.selection, limit=10_000))
        exposed = scope in reader.exposed_scopes()
    if exposed:
        raise Ended(
            ExitCode.REFUSED,
            f"The paper account {scope.account} still has an open position or order.",
            "start the engine and `close --all` first",
        )
    with _alone_in(place):
        terminal.consent(
            f"Begin a new paper account for {scope.pair} on {scope.venue}; {scope.account} with "
            f"{counted(trades, 'trade')} stays stored.",
            "paper-reset",
        )
        try:
            new = start_paper_account(
                place.trades_db, scope.agent_id, scope.venue, scope.pair, at_ms=_wall_ms()
            )
            # Nothing of this went through the ledger: a database server gets its rows anew.
            leave_out_a_number(place.trades_db)
        except StoreTrouble as trouble:
            raise _refused(trouble) from None
    terminal.result(
        f"The paper account is now {new.account}; it starts with the balance of the configuration.",
        {"account": new.account, "previous": scope.account},
    )
    return ExitCode.DONE


@contextmanager
def _alone_in(place: DataDir) -> Iterator[None]:
    """Hold the instance lock. Raises Ended: 4 when an engine works here."""
    from agent.store.instance_lock import InstanceLock, LockHeld
    from agent.store.trouble import StoreTrouble

    try:
        place.create()
        lock = InstanceLock.take(place.lock_file, at_ms=_wall_ms())
    except LockHeld as held:
        raise Ended(ExitCode.LOCKED, unreadable(held).text) from None
    except StoreTrouble as trouble:
        raise _refused(trouble) from None
    with lock:
        yield


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _refused(trouble: Exception) -> Ended:
    ending = unreadable(trouble)
    return Ended(ExitCode.REFUSED, ending.text)
