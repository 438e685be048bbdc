"""Polygon's aggregates API: bars of one pair by request, each answer checked before a number of it is used.

Stays true: only the given base address is asked, also for further pages, because the key travels with every
request (in a header, so that no address that is logged holds it); an answer about another ticker, or adjusted
otherwise than asked, is an error and not data; a bar that does not exist (nothing was traded) is left out by
Polygon and not invented here. Prices are in the currency of the ticker, volumes in units of the base currency
summed over many exchanges: comparable with nothing but other volumes of Polygon.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
import certifi

from agent.config.secret import Secret
from agent.core.market import Candle
from agent.core.ports import MarketDataError
from agent.exchange.ccxt_client import open_session
from agent.exchange.polygon.pacing import RequestPace

LOG: Final = logging.getLogger("agent")
BASE_URL: Final = "https://api.polygon.io"
TIMEOUT_S: Final = 20.0
#: Minutes behind the bars of one page: the most Polygon gives.
PAGE_MINUTES: Final = 50_000
#: Pages of one question; a year of one-minute bars is eleven.
MOST_PAGES: Final = 40
_MOST_BYTES: Final = 64 * 1024 * 1024
#: What people hold on exchanges in place of dollars.
_DOLLARS: Final = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "USD"})


def ticker_of(pair: str) -> str:
    """`ADA/USDT` is `X:ADAUSD`: Polygon knows dollars, not the coins that stand for them."""
    base, _, quote = pair.partition("/")
    return f"X:{base}{'USD' if quote in _DOLLARS else quote}"


class PolygonAggregates:
    """Bars of `bar_minutes` of one pair. Every call may raise MarketDataError; `permanent` where asking again
    does not help: a key that is refused, a plan that does not include it, an answer about something else."""

    def __init__(
        self, pair: str, bar_minutes: int, key: Secret, pace: RequestPace, *, base_url: str = BASE_URL
    ) -> None:
        self.ticker = ticker_of(pair)
        self.bar_ms = bar_minutes * 60_000
        self._minutes = bar_minutes
        self._key = key
        self._pace = pace
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        #: Whether the last answer was of a plan that gets its data late.
        self.is_delayed = False

    async def bars(self, first_ms: int, last_ms: int) -> list[Candle]:
        """Bars that open in [first_ms, last_ms], oldest first, as Polygon has them; the last may be open."""
        span = "1/hour" if self._minutes == 60 else f"{self._minutes}/minute"
        query = urlencode({"adjusted": "true", "sort": "asc", "limit": PAGE_MINUTES})
        path = f"/v2/aggs/ticker/{self.ticker}/range/{span}/{first_ms}/{last_ms}"
        url: str | None = f"{self._base_url}{path}?{query}"
        found: dict[int, Candle] = {}
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= MOST_PAGES:
                raise self._error("its pages do not end")
            seen.add(url)
            answer = await self._ask(url)
            found |= {c.open_ms: c for c in self._candles(answer) if first_ms <= c.open_ms <= last_ms}
            url = self._next_page(answer)
        return [found[open_ms] for open_ms in sorted(found)]

    async def close(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # --- one request -----------------------------------------------------------------------------

    async def _ask(self, url: str) -> dict[str, Any]:
        await self._pace.admit()
        if self._closed:
            raise self._error("the connection was closed")
        if self._session is None:
            self._session = open_session(ssl.create_default_context(cafile=certifi.where()))
        headers = {"Authorization": f"Bearer {self._key.reveal()}"}
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.get(url, headers=headers, allow_redirects=False) as response,
            ):
                body = await self._whole(response)
                status, retry_after = response.status, response.headers.get("Retry-After")
        except TimeoutError:
            raise self._error(f"no answer within {TIMEOUT_S:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._error(f"cannot be reached ({type(error).__name__})") from None
        return self._understood(status, retry_after, body)

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > _MOST_BYTES:
                raise self._error("its answer does not end")
        return bytes(body)

    def _understood(self, status: int, retry_after: str | None, body: bytes) -> dict[str, Any]:
        try:
            answer: Any = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        said = answer.get("error") or answer.get("message") if isinstance(answer, dict) else None
        told = "" if not isinstance(said, str) else f" ({said[:200].replace(self._key.reveal(), '***')})"
        if status == 429:
            silence_ms = self._pace.too_many(_seconds(retry_after))
            raise self._error(f"asks for silence, {silence_ms / 1_000:.0f} s{told}")
        if status in (401, 403):
            raise self._error(
                f"does not take the key, or its plan does not include this{told}; check POLYGON_API_KEY",
                permanent=True,
            )
        if status != 200 or not isinstance(answer, dict):
            raise self._error(f"answered {status}{told}", permanent=status == 404)
        if answer.get("status") not in ("OK", "DELAYED"):
            raise self._error(f"answered with status {str(answer.get('status'))[:40]!r}{told}")
        self._judge(answer)
        return answer

    def _judge(self, answer: dict[str, Any]) -> None:
        if answer.get("ticker", self.ticker) != self.ticker:
            raise self._error(f"answered about {str(answer['ticker'])[:40]!r} instead", permanent=True)
        if answer.get("adjusted", True) is not True:
            raise self._error("answered with unadjusted bars although adjusted ones were asked for")
        delayed = answer["status"] == "DELAYED"
        if delayed and not self.is_delayed:
            LOG.warning("Polygon sends %s late on this plan: its newest bars are missing", self.ticker)
        self.is_delayed = delayed

    def _candles(self, answer: dict[str, Any]) -> list[Candle]:
        rows = answer.get("results") or []
        if not isinstance(rows, list):
            raise self._error("answered with something else than bars")
        try:
            return [Candle(_whole(row["t"]), *(_number(row[name]) for name in "ohlcv")) for row in rows]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._error("answered with something that is no bar") from None

    def _next_page(self, answer: dict[str, Any]) -> str | None:
        there = answer.get("next_url")
        if there is None:
            return None
        url = urljoin(self._base_url, str(there))
        if urlsplit(url)[:2] != urlsplit(self._base_url)[:2]:
            raise self._error(f"its next page lies on another host, {urlsplit(url).hostname!r}")
        return url

    def _error(self, text: str, *, permanent: bool = False) -> MarketDataError:
        return MarketDataError(f"Polygon, {self.ticker}: {text}", permanent=permanent)


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After header; None for none and for a date."""
    return float(text) if text is not None and text.isdecimal() and len(text) < 7 else None


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"no time: {value!r}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    return float(value)
