"""Which account a key belongs to, remembered; and the lock that lets one engine trade a pair of it.

What is stored belongs to an account, so a rotated key finds its positions again. The file `accounts.json` in
the data directory maps a fingerprint of each key to the account's mark; it holds no key, and losing it costs
one request. The lock lies outside every data directory: it is keyed by exchange, account and pair, because
two engines on one account would each sell what the other bought.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import platformdirs

from agent.config.credentials import ExchangeKeys
from agent.core.money import plain
from agent.store.instance_lock import InstanceLock, LockHeld, holder_of
from agent.store.trouble import StoreTrouble, file_trouble

LOG: Final = logging.getLogger("agent")
FILE: Final = "accounts.json"
APPLICATION: Final = "seller-exhaustion-agent"


def fingerprint(keys: ExchangeKeys) -> str:
    """Tells keys apart without showing one."""
    return hashlib.sha256(b"account key\0" + keys.api_key.reveal().encode()).hexdigest()[:16]


class KnownAccounts:
    """The accounts of the keys used in one data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def account(self, venue: str, keys: ExchangeKeys) -> str | None:
        """The account's mark, None when this key was never used here."""
        found = self._read().get(self._name(venue, keys))
        return found if isinstance(found, str) and found else None

    def of_venue(self, venue: str) -> frozenset[str]:
        """Marks of every account used at `venue` from here."""
        found = (mark for name, mark in self._read().items() if name.startswith(f"{venue} "))
        return frozenset(mark for mark in found if isinstance(mark, str))

    def learn(self, venue: str, keys: ExchangeKeys, account: str) -> None:
        """Remember it. A file that cannot be written is only asked about again at the next start."""
        known = {**self._read(), self._name(venue, keys): account}
        partial = self._path.with_name(f".{FILE}.{os.getpid()}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(known, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self._path)
        except OSError as error:
            LOG.warning("%s", file_trouble(error, self._path, "writing"))

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _name(venue: str, keys: ExchangeKeys) -> str:
        return f"{venue} {fingerprint(keys)}"


@dataclass(frozen=True, slots=True)
class Traded:
    """What one engine trades, and the most quote currency it may count as its own."""

    venue: str
    account: str
    pair: str
    capital: Decimal | None


class AccountTaken(StoreTrouble):
    """Another engine trades this pair of this account, or shares the account without a `capital`."""


def lock_folder() -> Path:
    """Of the user, not of a data directory: every engine of this user on this machine looks here."""
    return platformdirs.user_state_path(APPLICATION) / "accounts"


@contextmanager
def trading_alone(traded: Traded, at_ms: int, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of one exchange, account and pair.

    Raises AccountTaken, or StoreTrouble when the lock cannot be used. `at_ms` is wall time, for people.
    """
    folder = lock_folder() if folder is None else folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise file_trouble(error, folder, "creating the folder") from None
    path = folder / f"{_mark(traded.venue, traded.account, traded.pair)}.lock"
    try:
        lock = InstanceLock.take(path, at_ms=at_ms)
    except LockHeld as held:
        who = "another process" if held.holder is None else f"process {held.holder.pid}"
        raise AccountTaken(
            f"{who} already trades {traded.pair} on this account at {traded.venue}, from another data "
            "directory; stop it first"
        ) from None
    with lock:
        note = path.with_suffix(".json")
        _tell(note, traded)
        try:
            _share(traded, folder, note)
            yield
        finally:
            note.unlink(missing_ok=True)


def _share(traded: Traded, folder: Path, ours: Path) -> None:
    """Other pairs of the same account: both sides must know what is theirs."""
    for note in folder.glob("*.json"):
        other = _told(note)
        same = other is not None and (other.venue, other.account) == (traded.venue, traded.account)
        if other is None or note == ours or not same or holder_of(note.with_suffix(".lock")) is None:
            continue
        without = [t.pair for t in (other, traded) if t.capital is None]
        if without:
            raise AccountTaken(
                f"{other.pair} and {traded.pair} are traded on one account at {traded.venue}: set "
                "agent.capital for both, or each counts all of the balance as its own (missing for "
                f"{', '.join(without)})"
            )


def _tell(note: Path, traded: Traded) -> None:
    document = {
        "venue": traded.venue,
        "account": traded.account,
        "pair": traded.pair,
        "capital": None if traded.capital is None else plain(traded.capital),
    }
    try:
        note.write_text(json.dumps(document), encoding="ascii")
    except OSError as error:
        raise file_trouble(error, note, "writing") from None


def _told(note: Path) -> Traded | None:
    try:
        found = json.loads(note.read_text(encoding="ascii"))
        capital = found["capital"]
        return Traded(
            str(found["venue"]),
            str(found["account"]),
            str(found["pair"]),
            None if capital is None else Decimal(str(capital)),
        )
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _mark(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
