"""Which account a key belongs to.

Keys are rotated, accounts stay: what is stored belongs to the account. One request with the key, once; the
answer's `uid` is the account's number at the exchange (Binance, GET /api/v3/account).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.signed.account_reader import said
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Refused
from agent.exchange.signed.client import SignedClient
from agent.exchange.signed.endpoints import ACCOUNT
from agent.exchange.signed.fields import FieldError, integer, obj
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import Urgency, WeightGate


@dataclass(frozen=True, slots=True)
class AccountNumber:
    number: int


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The exchange does not take the key; asking again will not help."""

    why: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    why: str


async def account_of(
    keys: ExchangeKeys, addresses: Addresses, gate: WeightGate, clock: Clock, arming: LiveArming | None
) -> AccountNumber | KeyRefused | NoAnswer:
    """Ask the exchange whose key this is.

    Raises LiveRefusedError as every order-capable client does, ValueError for a key that cannot sign.
    """
    patience = Patience()
    client = SignedClient(
        addresses,
        RequestKeys(keys),
        gate,
        clock,
        arming,
        timeout_ms=patience.request_ms,
        admit_within_ms=patience.admit_ms,
        watch=lambda endpoint, outcome: None,
    )
    try:
        if not await client.measure_time():
            return NoAnswer("the exchange does not tell its time")
        outcome = await client.ask(ACCOUNT, Urgency.RECONCILE, {})
    finally:
        await client.close()
    if isinstance(outcome, Refused) and outcome.code in KEY_REFUSED:
        return KeyRefused(said(outcome))
    if not isinstance(outcome, Accepted):
        return NoAnswer(said(outcome))
    try:
        return AccountNumber(integer(obj(outcome.answer, "the account"), "uid"))
    except FieldError as error:
        return NoAnswer(str(error))
