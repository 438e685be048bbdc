"""A real PostgreSQL server of the test session: started when a test needs it, ended with it, on loopback.

It ends with the tests also when those are killed. It syncs as a server of a user would. It refuses to run as
root, so as root it is started for another user. Tests that need it are skipped, with the reason, where none
is installed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.config.secret import Secret
from agent.store.schema import metadata
from agent.store.server import Server

_USERS = ("postgres", "nobody")
_STARTS_WITHIN_S = 60.0
PASSWORD = "canary-Pw7d2f"


class NoPostgres(Exception):  # noqa: N818 - a fact, not an error
    """Why there is none."""


def _binaries() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "postgres").exists() and (place / "initdb").exists():
            return place
    raise NoPostgres("PostgreSQL is not installed")


class PostgresServer:
    """One server in a folder of its own. `start` and `kill` as often as wanted; the port stays."""

    def __init__(self) -> None:
        self._bin = _binaries()
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        if os.getuid() == 0:
            self._user = next((u for u in _USERS if _exists(u)), None)
            if self._user is None:
                raise NoPostgres("PostgreSQL does not run as root, and there is no user for it")
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        made = self._run(
            "initdb", "-D", str(self.data), "-U", "trader", "-A", "scram-sha-256", "-N", f"--pwfile={secret}"
        )
        if made.returncode:
            raise NoPostgres(f"initdb failed: {made.stderr.decode()[-300:]}")
        self.port = _free_port()
        self.start()
        self.execute("CREATE DATABASE prepared")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._bin / program), *options], capture_output=True, check=False, **self._as_user
        )

    @property
    def _as_user(self) -> dict[str, Any]:
        return (
            {}
            if self._user is None
            else {
                "user": self._user,
                "group": pwd.getpwnam(self._user).pw_gid,
                "extra_groups": [],
                "cwd": "/",
            }
        )

    def start(self) -> None:
        import psycopg

        assert self._process is None, "it runs"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "max_connections": "40",
            "autovacuum": "off",
            "fsync": "on",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [*_with_us(), str(self._bin / "postgres"), "-D", str(self.data), *options],
            stdout=log,
            stderr=log,
            **self._as_user,
        )
        log.close()
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = (self.folder / "log").read_text(errors="replace")[-300:]
                    self.remove()
                    raise NoPostgres(f"the server does not start: {said}") from error
                time.sleep(0.02)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one: what a crash leaves behind."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "prepared", *, port: int | None = None, **parameters: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://trader:{PASSWORD}@127.0.0.1:{port or self.port}/{database}" + (
            f"?{query}" if query else ""
        )

    def place(
        self,
        agent_id: str = "one",
        *,
        database: str = "prepared",
        port: int | None = None,
        patience_s: float = 6.0,
    ) -> Server:
        from dataclasses import replace

        return replace(Server.at(Secret(self.url(database, port=port)), agent_id), patience_s=patience_s)

    def execute(self, *words: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Past every layer of ours; what the last one found."""
        import psycopg

        with psycopg.connect(
            self.url(database).replace("/prepared", f"/{database}"), autocommit=True, connect_timeout=5
        ) as connection:
            for one in words:
                found = connection.execute(one)
            return found.fetchall() if found.description else []

    def new_database(self) -> str:
        """An empty one, without our tables."""
        self._made += 1
        name = f"made{self._made}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    @functools.cached_property
    def _is_prepared(self) -> bool:
        from agent.store.prepare import prepare

        prepare(self.place())
        return True

    def emptied(self, agent_id: str = "one") -> Server:
        """The prepared database without a row."""
        if self._is_prepared:
            tables = [table.name for table in reversed(metadata.sorted_tables)]
            words = [f"DELETE FROM {name}" for name in tables]
            words += [f"ALTER SEQUENCE {name}_id_seq RESTART" for name in ("intents", "orders", "trades")]
            self.execute("; ".join(words), database="prepared")
        return self.place(agent_id)


def _with_us() -> tuple[str, ...]:
    """What makes the server end like a crash when the tests are killed, where the system can do that."""
    found = shutil.which("setpriv")
    return () if found is None else (found, "--pdeathsig", "QUIT", "--")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    """Below what connections are given by themselves: none takes it while the server is down for a moment."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
