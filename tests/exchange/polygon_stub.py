"""A stand-in for Polygon's aggregates API on loopback: strict, and faulty as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from agent.core.market import Candle

KEY = "canary-polygon-5d2e8a"
Answer = Callable[[web.Request], web.Response | None]


class PolygonStub:
    """Serves `bars`. `page` bars an answer; further ones under `next_url`."""

    def __init__(self, ticker: str = "X:ADAUSD") -> None:
        self.ticker = ticker
        self.bars: list[Candle] = []
        self.page = 50_000
        self.status = "OK"
        self.changes: dict[str, Any] = {}
        """Members of every answer that are replaced."""
        self.faults: list[Answer] = []
        """Each takes one request, in order, unless it returns None."""
        self.before: Callable[[web.Request], Awaitable[None]] | None = None
        """Called with every request that asks for bars, before it is answered."""
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"status": "ERROR", "error": "Unknown API Key"}, status=401)
        if self.faults and (told := self.faults.pop(0)(request)) is not None:
            return told
        if self.before is not None:
            await self.before(request)
        parts = request.match_info
        asked_for = (parts["ticker"], request.query.get("adjusted"), request.query.get("sort"))
        if asked_for != (self.ticker, "true", "asc"):
            return web.json_response({"status": "ERROR", "error": "bad request"}, status=400)
        first, last = int(parts["first"]), int(parts["last"])
        wanted = [c for c in self.bars if first <= c.open_ms <= last]
        begin = int(request.query.get("cursor", 0))
        rows = wanted[begin : begin + self.page]
        document: dict[str, Any] = {
            "ticker": self.ticker, "adjusted": True, "status": self.status, "resultsCount": len(rows),
            "results": [_row(c) for c in rows],
        }  # fmt: skip
        if not rows:
            del document["results"]
        if begin + self.page < len(wanted):
            document["next_url"] = (
                f"{self.url}{request.path}?adjusted=true&sort=asc&cursor={begin + self.page}"
            )
        return web.json_response({**document, **self.changes})


def _row(c: Candle) -> dict[str, Any]:
    return {"t": c.open_ms, "o": c.open, "h": c.high, "l": c.low, "c": c.close, "v": c.volume, "n": 3}


@asynccontextmanager
async def polygon_stub(ticker: str = "X:ADAUSD") -> AsyncIterator[PolygonStub]:
    stub = PolygonStub(ticker)
    app = web.Application()
    app.router.add_get("/v2/aggs/ticker/{ticker}/range/{n}/{unit}/{first}/{last}", stub.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        await runner.cleanup()


def refusing(status: int, body: dict[str, Any], **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.json_response(body, status=status, headers=named)
