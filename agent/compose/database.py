"""The server of a start, where `agent.database_url` names one: reached, compared with the file, claimed.

The file `trades.db` stays the engine's own ledger and all it needs; the server gets every change behind it
(`store/courier.py`). With something open a start asks the server nothing: the courier does, behind what
protects. While nothing is open the start is strict instead: an address or a password that cannot be right,
rows of another data directory under our name, another engine of our name, or a first start that cannot ask
whether the server knows more of this agent, end it with a sentence.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError

from agent.compose.install_tag import install_tag, take_over_tag
from agent.config.check import check_config
from agent.config.model import Config
from agent.config.secret import Secret
from agent.store.adopting import adopt
from agent.store.data_dir import DataDir
from agent.store.database import database_trouble, open_engine
from agent.store.far_ledger import Claimed, FarLedger
from agent.store.meeting import Standing, compare, conflict
from agent.store.reading import Reader
from agent.store.server import Server, is_final, server_engine
from agent.store.spool import Copy, begin_copy, copy_in, end_copy, oldest_in
from agent.store.trouble import StoreTrouble

LOG: Final = logging.getLogger("agent")
#: A server ends what a power cut left of a session within half a minute.
_GHOST_ENDS_WITHIN_S: Final = 40.0
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Database:
    """`trouble`: why the server was not reached at the start; None where it was, or was not asked.
    `far` is None where no server can be meant by the address."""

    far: FarLedger | None
    trouble: str | None


@dataclass(frozen=True, slots=True)
class _File:
    """What the file says of its copy."""

    copy: Copy | None
    oldest_kept: int | None
    is_new: bool
    is_open: bool


def open_database(asked: Config | None, directory: DataDir, agent_id: str) -> Database | None:
    """None without a server. `asked` is None when the configuration is refused: then the last one counts.

    Raises Claimed when another engine of our name works, StoreTrouble for every other refusal.
    """
    path, file = directory.trades_db, _look(directory)
    url = _stored_url(directory) if asked is None else asked.agent.database_url
    if url is None:
        if asked is not None:
            end_copy(path)
        return None
    try:
        server = Server.at(url, f"agent-{install_tag(directory.path)}")
        server_engine(server, read_only=False)  # is the driver there?
    except StoreTrouble as unusable:
        if file.is_open:
            return Database(None, str(unusable))
        raise
    far = FarLedger(server)
    if file.is_open:
        # Looked after first; the courier reaches the server and compares (`Courier`).
        begin_copy(path, server.agent_id)
        return Database(far, None)
    trouble = _reached(far, file)
    if trouble is None:
        _join(far, file, directory, agent_id)
    else:
        LOG.error("%s", trouble)
        far.hang_up()
    begin_copy(path, server.agent_id)
    return Database(far, trouble)


def _look(directory: DataDir) -> _File:
    engine = open_engine(directory.trades_db, read_only=True)
    try:
        with engine.connect() as connection:
            copy, oldest = copy_in(connection), oldest_in(connection)
    except DBAPIError as error:
        raise database_trouble(error, directory.trades_db, "reading") from None
    reader = Reader.open(directory.trades_db)
    try:
        return _File(copy, oldest, not reader.scopes(), bool(reader.exposed_scopes()))
    finally:
        reader.close()


def _stored_url(directory: DataDir) -> Secret | None:
    reader = Reader.open(directory.trades_db)
    try:
        scopes = reader.exposed_scopes() or reader.scopes()[:1]
        accepted = reader.config(scopes[0]) if scopes else None
    finally:
        reader.close()
    config = check_config(accepted.text).config if accepted else None
    return None if config is None else config.agent.database_url


def _reached(far: FarLedger, file: _File) -> str | None:
    """Why the server is not reached, where the engine may start without it."""
    until_s = time.monotonic() + _GHOST_ENDS_WITHIN_S
    told = False
    while True:
        try:
            far.connect()
            return None
        except Claimed as claimed:
            if not claimed.by_namesake or time.monotonic() > until_s:
                raise
            if not told:
                told = True
                text = f"{claimed}. Waiting: it may be what is left of this one's last run."
                print(text, file=sys.stderr, flush=True)
        except StoreTrouble as trouble:
            if is_final(str(trouble)):
                raise
            if file.copy is None or not file.copy.is_on:
                raise StoreTrouble(
                    f"{trouble}. The first start with a database must reach it, because it may know more of "
                    "this agent"
                ) from None
            return str(trouble)
        time.sleep(_LOOK_EVERY_S)


def _join(far: FarLedger, file: _File, directory: DataDir, agent_id: str) -> None:
    """Bring both together where that is safe. Raises StoreTrouble where it is not."""
    settings, theirs = far.settings(), far.standing()
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            LOG.warning("%s has %s off: a power cut there loses what it acknowledged", far.server, name)
    if theirs is None:
        return
    ours = file.copy or Copy(far.server.agent_id, "", 0)
    standing = compare(ours, file.oldest_kept, theirs)
    if standing in (Standing.IN_STEP, Standing.ANEW) and not file.is_new:
        return
    if not file.is_new and (file.copy is None or file.oldest_kept is not None):
        raise StoreTrouble(conflict(standing, far.server.agent_id, far.server))
    kept = adopt(far, directory.trades_db, agent_id, time.time_ns() // 1_000_000)
    take_over_tag(directory.path)
    LOG.warning("going on from %s as agent %s", far.server, far.server.agent_id)
    if kept is not None:
        LOG.warning("the ledger that was here is kept as %s", kept)
