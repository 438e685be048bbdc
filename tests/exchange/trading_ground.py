"""An account on a local exchange, and a client that signs for it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from local_ground import PATIENCE_S, Answer, Ground, frame, local_exchange
from websockets.asyncio.client import ClientConnection

D = Decimal
KEY, SECRET = "local-key", "local-secret"
FUNDS = {"USDT": D(10_000), "ADA": D(10_000)}
FORM = "application/x-www-form-urlencoded"


def signature(payload: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Account(Ground):
    """A ground with an account: signed calls, sockets, and what the venue's own books say."""

    @property
    def now_ms(self) -> int:
        return self.running.exchange.clock.now_ms()

    def signed(self, params: dict[str, Any]) -> str:
        """Parameters with time and signature, in the order they were given."""
        query = urlencode({"timestamp": self.now_ms, **params})
        return f"{query}&signature={signature(query)}"

    async def send(self, method: str, path: str, query: str, key: str | None = KEY) -> Answer:
        """A request whose query, or form, is already whole."""
        url = self.running.rest + path
        headers = {} if key is None else {"X-MBX-APIKEY": key}
        more: dict[str, Any] = {"headers": headers}
        if method in ("GET", "DELETE"):
            url += f"?{query}"
        else:
            more["data"] = query
            headers["Content-Type"] = FORM
        async with self.session.request(method, url, **more) as response:
            return Answer(response.status, dict(response.headers), await response.text())

    async def ask(self, method: str, path: str, **params: Any) -> Answer:
        path = path if path.startswith("/") else f"/api/v3/{path}"
        return await self.send(method, path, self.signed(params))

    async def want(self, method: str, path: str, **params: Any) -> Any:
        """The body of an answer that must be a 200."""
        answer = await self.ask(method, path, **params)
        assert answer.status == 200, answer.text
        return answer.body

    async def refused(self, method: str, path: str, **params: Any) -> tuple[int, int, str]:
        """Status, code and text of a refusal."""
        answer = await self.ask(method, path, **params)
        assert answer.status != 200, answer.text
        return answer.status, answer.body["code"], answer.body["msg"]

    async def order(self, side: str, kind: str, quantity: object = None, **more: Any) -> Any:
        params = {"symbol": "ADAUSDT", "side": side, "type": kind, **more}
        if quantity is not None:
            params["quantity"] = quantity
        return await self.want("POST", "order", **params)

    async def query(self, order_id: int) -> Any:
        return await self.want("GET", "order", symbol="ADAUSDT", orderId=order_id)

    async def ledger(self) -> Any:
        return (await self.control("ledger")).body

    async def price(self, price: object) -> None:
        """The market stands at `price` from the next second on, and that second passes."""
        assert (await self.control("market", {"price": str(price)})).status == 200
        await self.advance(1_000 - self.now_ms % 1_000)

    def last(self) -> Decimal:
        instrument = self.running.exchange.market.main
        trade = instrument.tape.last_trade(self.now_ms)
        assert trade is not None
        return trade.price * instrument.pair.tick

    def near(self, share: str) -> Decimal:
        """The last price times `share`, on the tick grid."""
        tick = self.running.exchange.market.main.pair.tick
        return (self.last() * D(share)).quantize(tick)

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[Stream]:
        """A subscription to the user stream."""
        async with self.socket("/ws-api/v3") as socket:
            stream = Stream(socket)
            answer = await stream.subscribe(self.now_ms)
            assert answer["status"] == 200, answer
            yield stream


@dataclass(slots=True)
class Stream:
    """A socket of the API: answers by id, events in order."""

    socket: ClientConnection
    events: list[Any] = field(default_factory=list)
    _numbers: int = 0

    async def call(self, method: str, params: dict[str, Any], ident: object = None) -> Any:
        """The answer to one frame; events that come before it are kept."""
        self._numbers += 1
        ident = str(self._numbers) if ident is None else ident
        await self.socket.send(orjson.dumps({"id": ident, "method": method, "params": params}).decode())
        while True:
            got = await frame(self.socket)
            if "id" in got and got["id"] == ident:
                return got
            self.events.append(got["event"])

    async def signed(self, method: str, now_ms: int, **params: Any) -> Any:
        """As ccxt does: all parameters sorted, as plain text, booleans in lower case."""
        params = {"apiKey": KEY, "timestamp": now_ms, **params}
        texts = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items()}
        payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
        return await self.call(method, {**params, "signature": signature(payload)})

    async def subscribe(self, now_ms: int) -> Any:
        return await self.signed("userDataStream.subscribe.signature", now_ms)

    async def event(self) -> Any:
        """The next event."""
        if self.events:
            return self.events.pop(0)
        return (await frame(self.socket))["event"]

    async def until(self, name: str) -> list[Any]:
        """Events up to the first of this kind, that one included."""
        found = [await self.event()]
        while found[-1]["e"] != name:
            found.append(await self.event())
        return found

    async def silent(self) -> bool:
        """Whether nothing more comes: a question is answered without an event before it."""
        await self.call("ping", {})
        return not self.events


@contextlib.asynccontextmanager
async def account(**settings: Any) -> AsyncIterator[Account]:
    """An account with 10,000 USDT and 10,000 ADA on an exchange whose clock stands still."""
    settings = {"balances": FUNDS, **settings}
    async with local_exchange(**settings) as ground, asyncio.timeout(3 * PATIENCE_S):
        yield Account(ground.running, ground.session)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that is on its way."""
    for _ in range(1_000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")


async def lost(asking: Any) -> str:
    """The name of the error a client gets whose request or answer is lost."""
    try:
        await asking
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
    raise AssertionError("it was answered")
