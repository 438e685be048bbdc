"""Going on from a server: a new `trades.db` made of this agent's rows there.

For a machine that has none, or whose own is an older state of the same agent. Stays true: the file appears
whole, or not at all; what it replaces is kept; from then on the rows on the server are this file's; a file
that wrote them before is told so when it comes back.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from agent.store.backup import set_aside
from agent.store.copying import copy_rows
from agent.store.database import database_trouble, open_engine
from agent.store.far_ledger import FarLedger
from agent.store.prepare import prepare
from agent.store.spool import copy_in, new_install, put_copy
from agent.store.trouble import file_trouble


def adopt(far: FarLedger, path: Path, agent_id: str, at_ms: int) -> Path | None:
    """Make `path` of the server's rows, as `agent_id`'s here; returns where a replaced file is kept.

    Only by the holder of the instance lock, with nothing open in what is replaced. Raises StoreTrouble.
    """
    fresh = path.with_name(f".{path.name}.adopting")
    _remove(fresh)
    try:
        prepare(fresh)
        engine = open_engine(fresh, read_only=False)
        install = new_install()
        try:
            with far.handing_over(install) as source, engine.begin() as target:
                theirs = copy_in(source, far.server.agent_id)
                assert theirs is not None, "there is nothing to go on from"
                copy_rows(source, target, from_agent=far.server.agent_id, to_agent=agent_id)
                put_copy(target, replace(theirs, install=install))
        except DBAPIError as error:
            raise database_trouble(error, fresh, "writing to") from None
        finally:
            engine.dispose()
        kept = set_aside(path, at_ms) if path.exists() and _holds_something(path) else None
        os.replace(fresh, path)
    except OSError as error:
        raise file_trouble(error, path, "replacing") from None
    finally:
        _remove(fresh)
    return kept


def _holds_something(path: Path) -> bool:
    from agent.store.reading import Reader

    reader = Reader.open(path)
    try:
        return bool(reader.scopes())
    finally:
        reader.close()


def _remove(fresh: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            fresh.with_name(fresh.name + suffix).unlink()
