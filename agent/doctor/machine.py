"""What the doctor looks at on this machine: files, database, lock, versions, open ports. No network."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import agent
from agent.config.availability import not_available_yet
from agent.config.env_file import CredentialsRefused, read_env_file
from agent.config.findings import Report
from agent.doctor import judging
from agent.doctor.result import Finding, green, red, yellow
from agent.store.data_dir import DataDir
from agent.store.instance_lock import holder_of
from agent.store.latch import NAME as LATCH
from agent.store.latch import Latch
from agent.store.reading import Reader
from agent.store.trouble import StoreTrouble

_PINNED: Final = {"ccxt": "4.5.90", "numpy": "2.4.6", "pandas": "3.1.1"}
_BACKUP_OLD_DAYS: Final = 3


def configuration(report: Report) -> list[Finding]:
    name, path = "configuration", report.path
    if report.config is None:
        first = report.errors[0]
        fix = f"python -m agent.cli validate-config {path}"
        how_many = "1 error" if len(report.errors) == 1 else f"{len(report.errors)} errors"
        return [red(name, f"{first.key}: {first.reason} ({how_many})", fix)]
    refused = not_available_yet(report.config).refused
    if refused:
        return [red(name, f"{refused[0].key}: {refused[0].reason}", refused[0].fix)]
    count, config = len(report.warnings), report.config
    text = (
        f"valid: {config.mode}, {config.exchange.trading_pair} {config.timeframe}, {config.config_hash[:12]}"
    )
    if count:
        fix = f"read them: python -m agent.cli validate-config {path}"
        return [yellow(name, f"{text}; {count} warnings", fix)]
    return [green(name, text)]


def env_file(path: Path) -> list[Finding]:
    try:
        file = read_env_file(path)
    except CredentialsRefused as refused:
        return [red(".env", f"{refused.reason}", refused.fix)]
    if file is None:
        return [green(".env", f"there is none at {path}")]
    if file.remarks:
        return [yellow(".env", "; ".join(file.remarks), "correct or remove the lines")]
    return [green(".env", f"ours alone, {len(file.values)} values")]


def systemd_credentials(environment: Mapping[str, str]) -> list[Finding]:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return []
    try:
        names = sorted(path.name for path in Path(folder).iterdir())
    except OSError as error:
        text = f"{folder} cannot be read: {error.strerror}"
        return [red("systemd credentials", text, "check LoadCredential= in the service unit")]
    return [green("systemd credentials", ", ".join(names) or "none")]


def storage(directory: DataDir) -> list[Finding]:
    """Disk, database and backups."""
    place = next(p for p in (directory.path, *directory.path.parents) if p.exists())
    found = [judging.disk(shutil.disk_usage(place).free)]
    if not os.access(place, os.W_OK):
        found.append(red("data directory", f"{place} cannot be written", "give it to the agent's user"))
    if not directory.trades_db.exists():
        return [*found, green("database", "none yet: the first start makes it")]
    return [*found, _integrity(directory.trades_db), _backups(directory.backups)]


def _integrity(path: Path) -> Finding:
    try:
        Reader.open(path).close()
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            complaints = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except StoreTrouble as trouble:
        return red("database", str(trouble), "restore a backup, or install the version that wrote it")
    except sqlite3.Error as error:
        return red("database", f"cannot be read: {error}", "restore a backup: python -m agent.cli restore")
    if complaints != ["ok"]:
        return red("database", f"damaged: {complaints[0]}", "restore a backup: python -m agent.cli restore")
    return green("database", f"whole ({path.stat().st_size / judging.MIB:.1f} MiB)")


def _backups(folder: Path) -> Finding:
    import time

    copies = sorted(folder.glob("*.db"), key=lambda p: p.stat().st_mtime) if folder.exists() else []
    fix = "python -m agent.cli backup, every day by the timer of deploy/"
    if not copies:
        return yellow("backup", "there is none", fix)
    days = (time.time() - copies[-1].stat().st_mtime) / 86_400
    text = f"the newest is {days:.1f} days old"
    return yellow("backup", text, fix) if days > _BACKUP_OLD_DAYS else green("backup", text)


def engine_and_latch(directory: DataDir) -> tuple[list[Finding], int | None]:
    """And the pid of the engine that runs there."""
    found, pid = [], None
    try:
        holder = holder_of(directory.lock_file)
    except StoreTrouble as trouble:
        found.append(red("engine", str(trouble), "look at the lock file's owner and mode"))
        holder = None
    else:
        pid = holder.pid if holder is not None else None
        text = "none runs here" if holder is None else f"process {holder.pid} runs here"
        found.append(green("engine", text))
    if (directory.path / LATCH).exists():
        halted = Latch(directory.path / LATCH).read()
        if halted is not None:
            fix = "once flat: python -m agent.cli clear-halt"
            found.append(yellow("halt", f"latched: {halted.reason}; no entries", fix))
    return found, pid


def versions(running: str | None) -> list[Finding]:
    """`running` is the version of the engine that runs, None when none does."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    ours = f"agent {agent.__version__}, Python {python}"
    wrong = [
        f"{name} {importlib.metadata.version(name)} instead of {wanted}"
        for name, wanted in _PINNED.items()
        if importlib.metadata.version(name) != wanted
    ]
    if wrong:
        return [red("versions", f"{ours}; {', '.join(wrong)}", "make setup: install what is locked")]
    if running is not None and running != agent.__version__:
        text = f"the running engine is {running}, installed is {agent.__version__}"
        return [yellow("versions", text, "restart the engine")]
    return [green("versions", ours)]


def listeners(pid: int | None) -> list[Finding]:
    """Every port the engine listens on must be of this machine alone. Linux only: others tell nothing.

    The walls of the service hide the engine's descriptors; then every port of its user is looked at.
    """
    if pid is None or not Path(f"/proc/{pid}/net/tcp").exists():
        return []
    try:
        user = os.stat(f"/proc/{pid}").st_uid
        sockets = _sockets(pid)
    except OSError:
        return []  # it has ended meanwhile
    listening = [
        row
        for name in ("tcp", "tcp6")
        for row in _listening(Path(f"/proc/{pid}/net/{name}"))
        if (row.inode in sockets if sockets is not None else row.user == user)
    ]
    whose = "port(s)" if sockets is not None else "port(s) of the engine's user"
    open_to_all = [row for row in listening if not _is_loopback(row.address)]
    if open_to_all:
        text = f"{len(open_to_all)} {whose} can be reached from other machines"
        return [red("listeners", text, "look for what opens them (ss -ltnpe); nothing of the agent should")]
    return [green("listeners", f"{len(listening)} {whose}, all of this machine alone")]


def _sockets(pid: int) -> frozenset[str] | None:
    """Inodes of a process's sockets, None where this process may not see them."""
    try:
        names = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
    except PermissionError:
        return None
    return frozenset(name[8:-1] for name in names if name.startswith("socket:["))


class _Listening(NamedTuple):
    address: str
    """In hexadecimal, as the kernel writes it."""
    user: int
    inode: str


def _listening(table: Path) -> list[_Listening]:
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [
        _Listening(row[1].partition(":")[0], int(row[7]), row[9])
        for row in rows
        if len(row) > 9 and row[3] == "0A"
    ]


def _is_loopback(address: str) -> bool:
    if len(address) == 8:
        return address.endswith("7F")
    return address in ("00000000000000000000000001000000",) or (
        address.startswith("0000000000000000FFFF0000") and address.endswith("7F")
    )
