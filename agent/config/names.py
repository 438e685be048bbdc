"""Names from the exchange's world: exchange ids, currencies, pairs, timeframes, and their misspellings.

Rules like those of `agent.config.rules`, for the values that traders write in many ways: `ADAUSDT`,
`ada/usdt`, `15 min`, `Binance`. A name is never corrected silently; the fix says what was probably meant.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from pydantic import PlainValidator

from agent.config import venues
from agent.config.findings import JsonValue
from agent.config.rules import not_a, refused
from agent.core.market import TIMEFRAME_MINUTES

_CURRENCY: Final = re.compile(r"[^\s/:,;_\-]{1,20}")
_QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BTC", "ETH", "BNB")
_TIMEFRAME: Final = re.compile(
    r"(\d{1,4})\s*(?:m|min|mins|minute|minutes)?|(\d{1,2})\s*(?:h|hr|hour|hours)", re.I
)
_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")


def exchange_id() -> PlainValidator:
    """An id that ccxt knows."""

    def rule(value: JsonValue) -> str:
        if not isinstance(value, str):
            raise refused(not_a("text", value), 'write an exchange\'s id, like "binance"')
        if value in venues.VENUES:
            return value
        known = venues.known_ids()
        if value in known:
            return value
        bare = re.sub(r"[\s_.\-]", "", value[:40]).lower()
        near = [bare] if bare in known else difflib.get_close_matches(bare, sorted(known), 1, 0.7)
        fix = f'write "{near[0]}"' if near else f"write one of {', '.join(venues.VENUES)}"
        raise refused("is no exchange that ccxt knows (ids are in small letters)", fix)

    return PlainValidator(rule)


def currency() -> PlainValidator:
    """A currency code in capital letters."""

    def rule(value: JsonValue) -> str:
        if not isinstance(value, str):
            raise refused(not_a("text", value), 'write a currency like "USDT"')
        if not is_currency(value):
            meant = value.strip().upper()
            reason = "must be a currency code in capital letters"
            raise refused(reason, f'write "{meant}"' if is_currency(meant) else 'write a code like "USDT"')
        return value

    return PlainValidator(rule)


def trading_pair() -> PlainValidator:
    """BASE/QUOTE of a spot market."""

    def rule(value: JsonValue) -> str:
        if not isinstance(value, str):
            raise refused(not_a("text", value), 'write a pair like "ADA/USDT"')
        if is_pair(value):
            return value
        meant = pair_meant_by(value)
        fix = f'write "{meant}"' if meant else 'write the pair as BASE/QUOTE, like "ADA/USDT"'
        if ":" in value:
            raise refused("names a futures contract; this agent trades spot only", fix)
        raise refused("must be BASE/QUOTE in capital letters", fix)

    return PlainValidator(rule)


def version() -> PlainValidator:
    """A format version like 2.1.0, as text."""

    def rule(value: JsonValue) -> str:
        if not isinstance(value, str):
            raise refused(not_a("text", value), 'write it between double quotes, like "2.1.0"')
        if not _VERSION.fullmatch(value):
            raise refused("must be a version like 2.1.0", 'write the version of the export, like "2.1.0"')
        return value

    return PlainValidator(rule)


def is_currency(text: str) -> bool:
    return bool(_CURRENCY.fullmatch(text)) and text == text.upper() and text.isprintable()


def is_pair(text: str) -> bool:
    base, slash, quote = text.partition("/")
    return bool(slash) and is_currency(base) and is_currency(quote) and base != quote


def pair_meant_by(written: str) -> str | None:
    """`ada-usdt`, `ADAUSDT`, `ADA/USDT:USDT` -> `ADA/USDT`; None when there is no telling."""
    if len(written) > 40:
        return None
    plain = re.sub(r"[\s_\-]+", "/", written.strip().upper().partition(":")[0])
    if "/" not in plain:
        for quote in _QUOTES:
            if plain.endswith(quote):
                plain = f"{plain.removesuffix(quote)}/{quote}"
                break
    return plain if is_pair(plain) else None


def timeframe_meant_by(written: str) -> str | None:
    """`15 min`, `15`, `1h` -> `15m`, `15m`, `60m`; None when no such bars exist here."""
    found = _TIMEFRAME.fullmatch(written)
    if not found:
        return None
    minutes = int(found.group(1)) if found.group(1) else int(found.group(2)) * 60
    return next((name for name, length in TIMEFRAME_MINUTES.items() if length == minutes), None)
