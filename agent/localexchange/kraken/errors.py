"""Kraken's way to say no: a list of words in a body that arrives with status 200.

Belongs here: the words, and which of them the venue's refusals become. Stays true: a refused request changed
nothing. Sources: Kraken's list of API errors, and what ccxt has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.localexchange.venue.refusals import RefusedError


class KrakenError(Exception):
    """A request that was not executed; the text is Kraken's."""


INVALID_KEY: Final = "EAPI:Invalid key"
INVALID_SIGNATURE: Final = "EAPI:Invalid signature"
INVALID_NONCE: Final = "EAPI:Invalid nonce"
DENIED: Final = "EGeneral:Permission denied"
UNKNOWN_METHOD: Final = "EGeneral:Unknown method"
UNKNOWN_ORDER: Final = "EOrder:Unknown order"
UNKNOWN_PAIR: Final = "EQuery:Unknown asset pair"
INSUFFICIENT: Final = "EOrder:Insufficient funds"
TOO_MANY: Final = "EAPI:Rate limit exceeded"
TOO_MANY_ORDERS: Final = "EOrder:Rate limit exceeded"
UNAVAILABLE: Final = "EService:Unavailable"
ELAPSED: Final = "EService:Deadline elapsed"


def invalid(argument: str) -> KrakenError:
    return KrakenError(f"EGeneral:Invalid arguments:{argument}")


_FILTERS: Final[Mapping[str, str]] = {
    "LOT_SIZE": "EGeneral:Invalid arguments:volume",
    "MARKET_LOT_SIZE": "EGeneral:Invalid arguments:volume",
    "PRICE_FILTER": "EOrder:Invalid price",
    "NOTIONAL": "EOrder:Order minimum not met",
    "MIN_NOTIONAL": "EOrder:Order minimum not met",
    "MAX_NUM_ORDERS": "EOrder:Orders limit exceeded",
    "MAX_NUM_ALGO_ORDERS": "EOrder:Orders limit exceeded",
    "PERCENT_PRICE_BY_SIDE": "EOrder:Invalid price",
}


def as_kraken(refused: RefusedError) -> KrakenError:
    """The venue's refusal in Kraken's words."""
    text = refused.text
    if text.startswith("Filter failure: "):
        return KrakenError(_FILTERS.get(text.removeprefix("Filter failure: "), "EOrder:Invalid order"))
    if "insufficient balance" in text:
        return KrakenError(INSUFFICIENT)
    if "Duplicate" in text:
        return invalid("cl_ord_id")
    if "match and take" in text:
        return KrakenError("EOrder:Post only order")
    if "closed" in text:
        return KrakenError("EService:Market in cancel_only mode")
    if refused.code in (-2011, -2013):
        return KrakenError(UNKNOWN_ORDER)
    return KrakenError("EOrder:Invalid order")
