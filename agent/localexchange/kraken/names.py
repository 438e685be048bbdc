"""Kraken's names for currencies, pairs, orders and trades, and its text for numbers.

Belongs here: translation alone. Stays true: every name can be turned back; order and trade ids have Kraken's
shape and hold the venue's number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from agent.core.order import base36
from agent.localexchange.market import Instrument, Market
from agent.localexchange.pairs import Pair

#: Old coins have a letter in front, and Bitcoin has a name of its own.
_ASSETS: Final[Mapping[str, str]] = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}
_SHORT: Final[Mapping[str, str]] = {"BTC": "XBT"}
_ID: Final = re.compile(r"[OT]([A-Z0-9]{5})-([A-Z0-9]{5})-([A-Z0-9]{6})")


def asset_id(currency: str) -> str:
    return _ASSETS.get(currency, currency)


@dataclass(frozen=True, slots=True)
class Names:
    """One pair: `id` and `altname` for REST, `wsname` of sockets of version 1, `symbol` of version 2."""

    id: str
    altname: str
    wsname: str
    symbol: str
    price_decimals: int
    lot_decimals: int

    def price(self, amount: Decimal) -> str:
        return f"{amount:.{self.price_decimals}f}"

    def lot(self, amount: Decimal) -> str:
        return f"{amount:.{self.lot_decimals}f}"


def names_of(pair: Pair) -> Names:
    base, quote = _SHORT.get(pair.base, pair.base), _SHORT.get(pair.quote, pair.quote)
    return Names(
        base + quote,
        base + quote,
        f"{base}/{quote}",
        f"{pair.base}/{pair.quote}",
        decimals(pair.tick),
        decimals(pair.step),
    )


def decimals(grid: Decimal) -> int:
    exponent = grid.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def find(market: Market, text: str) -> Instrument | None:
    """The pair that a client calls so, by any of its names."""
    for instrument in market:
        names = names_of(instrument.pair)
        if text in (names.id, names.altname, names.wsname, names.symbol):
            return None if instrument.delisted else instrument
    return None


def order_id(number: int) -> str:
    return _shaped("O", number)


def trade_id(number: int) -> str:
    return _shaped("T", number)


def number_of(text: str) -> int | None:
    """The venue's number in an id of ours; None for any other text."""
    match = _ID.fullmatch(text)
    return None if match is None else int("".join(match.groups()), 36)


def _shaped(letter: str, number: int) -> str:
    digits = base36(number).upper().rjust(16, "0")
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:]}"


def seconds(at_ms: int) -> float:
    """Times of REST are seconds with a fraction."""
    return at_ms / 1_000


def moment(at_ms: int) -> str:
    """Times of the socket are text."""
    return (
        datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )
