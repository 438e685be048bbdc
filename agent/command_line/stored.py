"""What the store knows while no engine runs: the last status, and what was left open.

Read-only, and honest about not knowing: a database that cannot be read is a StoreTrouble, never "nothing".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.config.check import check_config
from agent.core.money import plain
from agent.core.position import OPEN_STATES
from agent.store.batch import Scope
from agent.store.data_dir import DataDir
from agent.store.database import Place
from agent.store.ledger import Ledger
from agent.store.reading import Reader
from agent.store.server import NAME_PARAMETER, Server

STATUS_DOCUMENT: Final = "status"


def database_in(data_dir: Path) -> Path:
    return DataDir(data_dir).trades_db


def place_in(data_dir: Path) -> Place:
    """Where to read: the ledger of this machine, or, where none is, the server that its config.json names.

    The server only where the address also names the agent (`application_name`): elsewhere its name is made
    from a file of the machine on which it runs. Raises StoreTrouble.
    """
    path = database_in(data_dir)
    config = data_dir / "config.json"
    if path.exists() or not config.is_file():
        return path
    found = check_config(config.read_text(encoding="utf-8", errors="replace"), config).config
    url = None if found is None else found.agent.database_url
    if url is None or f"{NAME_PARAMETER}=" not in url.reveal():
        return path
    return Server.at(url, "")


def last_scope(reader: Reader) -> Scope | None:
    """The agent, venue, mode, account and pair that ran last."""
    return next(iter(reader.scopes()), None)


def stored_status(data_dir: Path) -> Mapping[str, Any] | None:
    """The last status document, None when there is none. Raises StoreTrouble."""
    path = database_in(data_dir)
    if not path.exists():
        return None
    reader = Reader.open(path)
    try:
        scope = last_scope(reader)
    finally:
        reader.close()
    if scope is None:
        return None
    ledger = Ledger.open(path, scope, read_only=True)
    try:
        document = ledger.load().documents.get(STATUS_DOCUMENT)
    finally:
        ledger.close()
    return document if isinstance(document, Mapping) else None


def stored_exposure(data_dir: Path) -> tuple[str, ...]:
    """Everything that is held or whose fate is open, a sentence each. Raises StoreTrouble."""
    path = database_in(data_dir)
    if not path.exists():
        return ()
    reader = Reader.open(path)
    try:
        scopes = reader.exposed_scopes()
    finally:
        reader.close()
    return tuple(sentence for scope in scopes for sentence in exposure_of(path, scope))


def exposure_of(path: Path, scope: Scope) -> list[str]:
    """What is open in one scope, a sentence each. Raises StoreTrouble."""
    ledger = Ledger.open(path, scope, read_only=True)
    try:
        stored = ledger.load()
    finally:
        ledger.close()
    where = f"{scope.mode}, {scope.pair} on {scope.venue}"
    held = [
        f"position {position.id}: {plain(position.held_qty)} {scope.base} ({where})"
        for position in stored.positions
        if position.state in OPEN_STATES
    ]
    orders = [
        f"order {order.intent.client_id}: {order.intent.side} {plain(order.intent.qty)} {scope.base}, "
        f"{order.status} ({where})"
        for order in stored.orders
        if not order.is_settled
    ]
    return held + orders
