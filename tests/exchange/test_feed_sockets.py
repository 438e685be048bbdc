"""Market sockets by themselves: dialing, pings, renewal, and servers that behave badly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from agent.exchange.addresses import Addresses
from agent.exchange.binance_sockets import BinanceSockets
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from tests.clocks import ManualClock, settle
from tests.exchange.feed_ground import ground

PATIENCE_S = 10.0
TOP = orjson.dumps({"u": 1, "s": "ADAUSDT", "b": "0.35", "B": "1", "a": "0.36", "A": "1"}).decode()


class Listener:
    def __init__(self) -> None:
        self.ups = 0
        self.downs: list[str] = []
        self.klines: list[KlineFrame] = []
        self.tops: list[TopFrame] = []
        self.unreadable: list[Unreadable] = []

    def socket_up(self) -> None:
        self.ups += 1

    def socket_down(self, why: str) -> None:
        self.downs.append(why)

    def socket_kline(self, frame: KlineFrame) -> None:
        self.klines.append(frame)

    def socket_top(self, frame: TopFrame) -> None:
        self.tops.append(frame)

    def socket_unreadable(self, frame: Unreadable) -> None:
        self.unreadable.append(frame)


async def until(condition: Callable[[], bool]) -> None:
    """Real sockets need real time: wait in small steps of it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(sockets: BinanceSockets) -> AsyncIterator[Listener]:
    listener = Listener()
    task = asyncio.create_task(sockets.run(listener))
    try:
        yield listener
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results


class Server:
    """A market stream that does what the test says to each connection."""

    def __init__(self, act: Callable[[ServerConnection, int], Awaitable[None]]) -> None:
        self._act = act
        self.seen: list[ServerConnection] = []
        self.open = 0
        self.most_open = 0

    async def _serve(self, connection: ServerConnection) -> None:
        self.seen.append(connection)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._act(connection, len(self.seen))
            await connection.wait_closed()
        finally:
            self.open -= 1

    @asynccontextmanager
    async def running(self, **more: Any) -> AsyncIterator[str]:
        async with serve(
            self._serve, "127.0.0.1", 0, ping_interval=None, close_timeout=0.2, **more
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}"


def sockets_at(url: str, clock: ManualClock, **more: Any) -> BinanceSockets:
    addresses = Addresses.replaced("binance", url.replace("ws", "http"), url)
    return BinanceSockets(
        addresses,
        "ADAUSDT",
        ["1m"],
        clock,
        **{"ping_interval_s": 20.0, "chance": random.Random(1), **more},
    )


async def talk(connection: ServerConnection, number: int) -> None:
    await connection.send(TOP)


async def hang_up(connection: ServerConnection, number: int) -> None:
    await connection.send(TOP)
    await connection.close(1001)


async def test_both_streams_are_asked_for_in_one_combined_connection() -> None:
    server, clock = Server(talk), ManualClock()
    async with server.running() as url, listening(sockets_at(url, clock)) as heard:
        await until(lambda: len(heard.tops) == 1)
        request = server.seen[0].request
        assert request is not None
        assert request.path == "/stream?streams=adausdt@kline_1m/adausdt@bookTicker"
        assert "Sec-WebSocket-Extensions" not in request.headers
        assert heard.ups == 1


async def test_short_lives_are_dialed_again_after_1_2_4_8_16_16_seconds() -> None:
    server, clock = Server(hang_up), ManualClock()
    async with server.running() as url, listening(sockets_at(url, clock)) as heard:
        for life, wait_ms in enumerate((1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000), start=1):
            await until(lambda life=life: len(heard.downs) == life)
            await clock.advance(wait_ms - 1)
            assert heard.ups == life, "not too early"
            await clock.advance(1)
            await until(lambda life=life: heard.ups == life + 1)


async def test_after_a_long_life_it_is_dialed_at_once_and_the_steps_begin_anew() -> None:
    async def live_long_once(connection: ServerConnection, number: int) -> None:
        await (talk if number == 3 else hang_up)(connection, number)

    server, clock = Server(live_long_once), ManualClock()
    async with server.running() as url, listening(sockets_at(url, clock)) as heard:
        for life, wait_ms in ((1, 1_000), (2, 2_000)):
            await until(lambda life=life: len(heard.downs) == life)
            await clock.advance(wait_ms)
        await until(lambda: len(heard.tops) == 3)
        for _ in range(4):
            await clock.advance(10_000)
            await settle()
            await asyncio.sleep(0.02)
        await server.seen[2].close(1001)
        await until(lambda: heard.ups == 4)
        assert heard.downs == ["closed by the server (1001)"] * len(heard.downs)
        await until(lambda: len(heard.downs) == 4)
        await clock.advance(999)
        assert heard.ups == 4
        await clock.advance(1)
        await until(lambda: heard.ups == 5)


async def test_nobody_at_home_is_tried_for_ever() -> None:
    clock = ManualClock()
    sockets = sockets_at("ws://127.0.0.1:9", clock)
    async with listening(sockets) as heard:
        for tries, wait_ms in enumerate((1_000, 2_000, 4_000, 8_000, 16_000, 16_000), start=1):
            await until(lambda tries=tries: len(heard.downs) == tries)
            await clock.advance(wait_ms)
        await until(lambda: len(heard.downs) == 7)
        assert heard.ups == 0
        assert "cannot connect" in heard.downs[0]


async def test_a_server_that_answers_no_pings_is_left() -> None:
    frames: list[bytes] = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Shakes hands and never answers anything again."""
        import base64
        import hashlib

        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
        )
        while data := await reader.read(4_096):
            frames.append(data)
        writer.close()

    clock = ManualClock()
    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with listening(sockets_at(f"ws://127.0.0.1:{port}", clock, ping_interval_s=5.0)) as heard:
        await until(lambda: len(frames) == 1)
        await clock.advance(4_999)
        assert heard.downs == []
        await clock.advance(1)
        await until(lambda: heard.downs == ["no pong within 5 s"])
    server.close()
    await server.wait_closed()


async def test_a_pong_is_a_sign_of_life() -> None:
    server, clock = Server(talk), ManualClock()
    async with server.running() as url:
        sockets = sockets_at(url, clock, ping_interval_s=5.0)
        async with listening(sockets) as heard:
            await until(lambda: len(heard.tops) == 1)
            for _ in range(4):
                before = sockets.last_heard_ms
                await clock.advance(5_000)
                await until(lambda before=before: sockets.last_heard_ms > before)
            assert heard.downs == []


async def test_a_connection_is_replaced_before_it_is_cut() -> None:
    server, clock = Server(talk), ManualClock()
    async with server.running() as url:
        sockets = sockets_at(url, clock, lifetime_ms=600_000.0, ping_interval_s=60.0)
        async with listening(sockets) as heard:
            await until(lambda: len(heard.tops) == 1)
            for _ in range(120):
                await clock.advance(5_000)
                await asyncio.sleep(0.002)
            await until(lambda: sockets.counters.renewals == 1)
            await until(lambda: server.open == 1)
            assert server.most_open == 2, "the new one delivered before the old one went"
            assert len(heard.tops) == 2
            assert (heard.ups, heard.downs) == (1, []), "nobody noticed"


async def test_a_new_connection_that_delivers_nothing_replaces_none() -> None:
    async def first_only(connection: ServerConnection, number: int) -> None:
        if number == 1:
            await connection.send(TOP)
            await connection.send(orjson.dumps({"e": "serverShutdown", "E": 1}).decode())

    server, clock = Server(first_only), ManualClock()
    async with server.running() as url:
        sockets = sockets_at(url, clock)
        async with listening(sockets) as heard:
            await until(lambda: len(server.seen) == 2)
            await clock.advance(10_000)
            await until(lambda: server.open == 1)
            assert sockets.counters.renewals == 0
            await server.seen[0].send(TOP)
            await until(lambda: len(heard.tops) == 2)


async def test_an_announced_shutdown_is_an_early_renewal() -> None:
    async with ground(speed=60.0) as g:
        async with g.feeding():
            await g.bars_more(1)
            g.fault("F27", params={"variant": "shutdown", "grace_ms": 2_000})
            assert g.sockets is not None
            counters = g.sockets.counters
            await g.until(lambda: counters.renewals == 1)
            await g.until(lambda: g.connections == 1)
            await g.bars_more(2)
        assert [r.source.value for r in g.reports()].count("rest") == 0
        assert g.feed.counters.fallbacks == 0
        await g.assert_whole()


async def test_what_is_no_websocket_is_told_and_tried_again() -> None:
    answers = iter((web.Response(text="<html>502</html>", status=502), web.Response(text="hello")))
    moved = []

    async def answer(request: web.Request) -> web.StreamResponse:
        found = next(answers, None)
        if found is None:
            moved.append(request.path)
            raise web.HTTPFound("ws://127.0.0.1:9/stream")
        return found

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = ManualClock()
    async with listening(sockets_at(f"ws://127.0.0.1:{runner.addresses[0][1]}", clock)) as heard:
        for tries in (1, 2, 3):
            await until(lambda tries=tries: len(heard.downs) >= tries)
            await clock.advance(4_000)
        assert heard.downs[:3] == [
            "the connection was refused with HTTP 502",
            "the connection was refused with HTTP 200",
            "the connection was refused with HTTP 302",
        ]
        assert moved, "and the redirect was not followed"
    await runner.cleanup()


async def test_a_refusal_that_names_a_time_is_obeyed() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "300"})

    application = web.Application()
    application.router.add_get("/{path:.*}", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clock = ManualClock()
    sockets = sockets_at(f"ws://127.0.0.1:{runner.addresses[0][1]}", clock)
    async with listening(sockets) as heard:
        await until(lambda: len(heard.downs) == 1)
        await clock.advance(299_999)
        assert sockets.counters.dials == 1
        await clock.advance(1)
        await until(lambda: sockets.counters.dials == 2)
    await runner.cleanup()


async def test_a_giant_frame_ends_the_connection_and_nothing_else() -> None:
    async def shout(connection: ServerConnection, number: int) -> None:
        await connection.send("x" * 1_000_000 if number == 1 else TOP)

    server, clock = Server(shout), ManualClock()
    async with server.running() as url, listening(sockets_at(url, clock)) as heard:
        await until(lambda: len(heard.downs) == 1)
        await clock.advance(1_000)
        await until(lambda: len(heard.tops) == 1)


async def test_binary_and_broken_text_are_garbage_like_any_other() -> None:
    async def babble(connection: ServerConnection, number: int) -> None:
        for frame in (b"\x00\xff", "{ not json ]", "[]", TOP):
            await connection.send(frame)

    server, clock = Server(babble), ManualClock()
    async with server.running() as url:
        sockets = sockets_at(url, clock)
        async with listening(sockets) as heard:
            await until(lambda: len(heard.tops) == 1)
            assert len(heard.unreadable) == sockets.counters.unreadable == 3
            assert heard.downs == []
