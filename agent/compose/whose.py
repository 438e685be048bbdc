"""Whose rows a start writes and reads: the scope, with the account that stands behind the key.

Stays true: an account is never guessed while something is open. Its mark comes from the exchange, once for
every key; when the exchange cannot be asked, or does not take the key, what is open decides.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.compose.accounts import KnownAccounts
from agent.compose.install_tag import install_tag
from agent.compose.order_desk import Account
from agent.compose.patience import patiently
from agent.config.model import Config
from agent.core.ports import Clock, MarketDataError
from agent.exchange.addresses import BINANCE
from agent.exchange.signed.account_identity import AccountNumber, KeyRefused, account_of
from agent.exchange.unified.identity import KeyMark, key_mark
from agent.exchange.weight_gate import WeightGate
from agent.store.batch import Scope
from agent.store.reading import Reader

LOG: Final = logging.getLogger("agent")


@dataclass(frozen=True, slots=True)
class Whose:
    """`strangers_key`: what is open belongs to another account than the key, so it cannot be managed yet."""

    scope: Scope
    exits_only_because: str | None = None
    strangers_key: bool = False


async def whose(
    agent_id: str,
    config: Config,
    account: Account,
    directory: Path,
    open_scopes: tuple[Scope, ...],
    gate: WeightGate,
    clock: Clock,
) -> Whose | str:
    """The scope of this start, or why there is none. Asks the exchange for ever about a key it never saw."""
    venue, pair = account.orders.venue, config.exchange.trading_pair

    def scope(mark: str) -> Scope:
        return Scope(agent_id, venue, config.mode, mark, pair)

    here = [s for s in open_scopes if (s.venue, s.mode, s.pair) == (venue, config.mode, pair)]
    known = KnownAccounts(directory)
    mark = known.account(venue, account.keys)
    if mark is None:
        tag = install_tag(directory)
        asked = await _ask(account, pair, tag, gate, clock, patient=not here)
        if isinstance(asked, str):
            if here:
                return Whose(here[0], f"{asked}, and something is open")
            return f"the exchange does not take the key: {asked}"
        if asked is not None:
            mark = f"u{asked.number}" if isinstance(asked, AccountNumber) else _mark(asked, known, venue)
            known.learn(venue, account.keys, mark)
    if mark is None:
        return Whose(here[0])
    if here and here[0].account != mark:
        why = (
            f"something is open on account {here[0].account} and the key belongs to {mark}: give the "
            "key of the former until it is closed"
        )
        return Whose(here[0], why, strangers_key=True)
    return Whose(scope(mark))


def _mark(key: KeyMark, known: KnownAccounts, venue: str) -> str:
    """A rotated key of the account that was used before, or the first key of one."""
    before = known.of_venue(venue)
    return next(iter(before)) if key.sees_ours and len(before) == 1 else key.mark


async def _ask(
    account: Account, pair: str, tag: str, gate: WeightGate, clock: Clock, *, patient: bool
) -> AccountNumber | KeyMark | str | None:
    """The account, why the key is refused, or None when there was no answer and no patience."""

    tells = account.orders.exchange == BINANCE

    async def ask() -> AccountNumber | KeyMark | str:
        asked = (account.keys, account.orders, gate, clock, account.arming)
        answer = await (account_of(*asked) if tells else key_mark(*asked, pair=pair, tag=tag))
        if isinstance(answer, AccountNumber | KeyMark):
            return answer
        if isinstance(answer, KeyRefused):
            return answer.why
        raise MarketDataError(answer.why)

    if patient:
        return await patiently(ask, clock.sleep_machine, "the account")
    try:
        return await ask()
    except MarketDataError:
        return None


def open_scopes(database: Path) -> tuple[Scope, ...]:
    """Scopes with something open. Raises StoreTrouble."""
    reader = Reader.open(database)
    try:
        return reader.exposed_scopes()
    finally:
        reader.close()
