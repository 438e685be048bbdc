"""The database server of a configuration: is it reached, does it keep what it acknowledges, has it all."""

from __future__ import annotations

import asyncio
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from agent.compose.install_tag import NAME as INSTALL_TAG
from agent.config.model import Config
from agent.doctor.result import Finding, green, red, yellow
from agent.store.data_dir import DataDir
from agent.store.database import database_trouble, open_engine, open_for_reading
from agent.store.meeting import Standing, compare
from agent.store.server import Server
from agent.store.spool import Copy, copy_in, oldest_in
from agent.store.trouble import StoreTrouble

NAME: Final = "database server"
_KEEPS: Final = ("fsync", "full_page_writes")


async def database_server(config: Config, directory: DataDir) -> list[Finding]:
    """Nothing without `agent.database_url`. Only looks, and claims nothing."""
    url = config.agent.database_url
    if url is None:
        return []
    tag = directory.path / INSTALL_TAG
    try:
        server = Server.at(url, f"agent-{tag.read_text().strip() if tag.exists() else ''}")
        return await asyncio.to_thread(_looked_at, server, directory)
    except StoreTrouble as trouble:
        fix = "see the guide: a database on a server; entries wait until it is reached"
        return [red(NAME, str(trouble), fix)]


def _looked_at(server: Server, directory: DataDir) -> list[Finding]:
    engine = open_for_reading(server)
    try:
        with engine.connect() as connection:
            found = _settings(connection, server)
            return [*found, _standing(copy_in(connection, server.agent_id), directory, server)]
    except DBAPIError as error:
        raise database_trouble(error, server, "reading") from None
    finally:
        engine.dispose()


def _settings(connection: Connection, server: Server) -> list[Finding]:
    names = ("server_version", *_KEEPS)
    shown = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in names}
    off = [name for name in _KEEPS if shown[name] != "on"]
    if off:
        fix = f"set {' and '.join(off)} to on in postgresql.conf"
        return [yellow(NAME, f"{', '.join(off)} off: a power cut there loses what it acknowledged", fix)]
    return [green(NAME, f"{server}, version {shown['server_version']}, syncs every commit")]


def _standing(theirs: Copy | None, directory: DataDir, server: Server) -> Finding:
    name = f"agent {server.agent_id} there"
    if not directory.trades_db.exists():
        return green(
            name, "nothing yet" if theirs is None else f"change {theirs.seq}; a start goes on from it"
        )
    engine = open_engine(directory.trades_db, read_only=True)
    try:
        with engine.connect() as connection:
            ours, oldest = copy_in(connection), oldest_in(connection)
    finally:
        engine.dispose()
    if ours is None:
        return yellow(name, "this ledger is not kept there yet", "start the engine")
    standing = compare(ours, oldest, theirs)
    if standing in (Standing.AHEAD, Standing.STRANGE):
        return red(name, standing.value, "give this agent a name: ?application_name=NAME in the address")
    behind = ours.seq - (theirs.seq if theirs is not None and standing is Standing.IN_STEP else 0)
    if behind > 0:
        return yellow(name, f"{behind:,} changes are not there yet", "the running engine sends them")
    return green(name, f"has every change, {ours.seq:,} so far")
