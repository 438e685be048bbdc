"""Whether an exchange takes a key, where it does not tell whose the key is.

Most exchanges have no number of the account that a key could be asked for. The account then goes by a mark of
the key itself, which says nothing of it: another key is another account to this agent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.signed.account_identity import KeyRefused, NoAnswer
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Refused
from agent.exchange.signed.patience import Patience
from agent.exchange.unified.account_reader import said
from agent.exchange.unified.carrier import Carrier
from agent.exchange.unified.dialect import DIALECTS
from agent.exchange.weight_gate import Urgency, WeightGate


@dataclass(frozen=True, slots=True)
class KeyMark:
    """The exchange takes the key. `mark` stands for the account."""

    mark: str


async def key_mark(
    keys: ExchangeKeys, addresses: Addresses, gate: WeightGate, clock: Clock, arming: LiveArming | None
) -> KeyMark | KeyRefused | NoAnswer:
    """Read the balances once, to see whether the key is taken.

    Raises LiveRefusedError as every order-capable client does.
    """
    patience = Patience()
    carrier = Carrier(
        addresses,
        keys,
        DIALECTS[addresses.exchange],
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
    finally:
        await carrier.close()
    if isinstance(outcome, Refused) and outcome.code in KEY_REFUSED:
        return KeyRefused(outcome.message)
    if not isinstance(outcome, Accepted):
        return NoAnswer(said(outcome))
    digest = hashlib.sha256(b"account mark\0" + keys.api_key.reveal().encode()).hexdigest()
    return KeyMark(f"k{digest[:12]}")
