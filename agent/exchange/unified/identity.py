"""Whether an exchange takes a key, where it does not tell whose the key is.

Most exchanges have no number of the account that a key could be asked for. The account then goes by a mark of
the first key it was used with, which says nothing of it. A later key is the same account's when it shows
orders that carry our mark: nobody else's account has any.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.signed.account_identity import KeyRefused, NoAnswer
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Refused
from agent.exchange.signed.patience import Patience
from agent.exchange.unified.account_reader import said
from agent.exchange.unified.carrier import Carrier
from agent.exchange.unified.dialect import DIALECTS, Dialect
from agent.exchange.unified.words import wire_id_of
from agent.exchange.weight_gate import Urgency, WeightGate


@dataclass(frozen=True, slots=True)
class KeyMark:
    """The exchange takes the key. `mark` stands for the account; `sees_ours`: it shows orders of ours."""

    mark: str
    sees_ours: bool


async def key_mark(
    keys: ExchangeKeys,
    addresses: Addresses,
    gate: WeightGate,
    clock: Clock,
    arming: LiveArming | None,
    *,
    pair: str,
    tag: str,
) -> KeyMark | KeyRefused | NoAnswer:
    """Read balances and orders of `pair` once, to see whether the key is taken and whose orders it shows.

    `tag` is what our client order ids begin with.

    Raises LiveRefusedError as every order-capable client does.
    """
    patience = Patience()
    dialect = DIALECTS[addresses.exchange]
    carrier = Carrier(
        addresses,
        keys,
        dialect,
        gate,
        clock,
        arming,
        timeout_ms=patience.request_ms,
        admit_within_ms=patience.request_ms,
    )
    api = carrier.ccxt
    try:
        loaded = await carrier.ask(Urgency.RECONCILE, lambda: api.load_markets(), public=True)
        if not isinstance(loaded, Accepted):
            return NoAnswer(said(loaded))
        outcome = await carrier.ask(Urgency.RECONCILE, lambda: api.fetch_balance())
        shown = await _shown(carrier, dialect, pair) if isinstance(outcome, Accepted) else []
    finally:
        await carrier.close()
    if isinstance(outcome, Refused) and outcome.code in KEY_REFUSED:
        return KeyRefused(outcome.message)
    if not isinstance(outcome, Accepted):
        return NoAnswer(said(outcome))
    digest = hashlib.sha256(b"account mark\0" + keys.api_key.reveal().encode()).hexdigest()
    return KeyMark(f"k{digest[:12]}", any(client_id.startswith(tag) for client_id in shown))


async def _shown(carrier: Carrier, dialect: Dialect, pair: str) -> list[str]:
    """Client ids of orders that are open or were over lately. One that does not answer shows nothing."""
    found = []
    for ask in (carrier.ccxt.fetch_open_orders, carrier.ccxt.fetch_closed_orders):
        told = await carrier.ask(Urgency.RECONCILE, partial(ask, pair))
        if isinstance(told, Accepted) and isinstance(told.answer, list):
            found += [dialect.client_id(wire_id) for order in told.answer if (wire_id := wire_id_of(order))]
    return found
