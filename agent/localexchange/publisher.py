"""The heartbeat of the streams: who listens to what, and the tick that sends it.

Belongs here: subscriptions and the order in which frames leave. Stays true: the streams' time (`told_ms`)
follows the clock and never overtakes it; after a jump it catches up in steps, closed bars of all streams in
the order in which they closed; no step begins while a listener's queue is full, and a listener that stays
full is dropped. Ticks are TICK_S of machine time apart, which caps every stream at 20 frames a second.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from agent.localexchange.channels import Channel, Frame, channel_for
from agent.localexchange.exchange import Exchange
from agent.localexchange.stream_names import Stream

TICK_S: Final = 0.05


class Listener(Protocol):
    """A connection, as the publisher sees it."""

    def push(self, frame: Frame) -> None:
        """Queue a frame; never waits."""

    @property
    def full(self) -> bool:
        """Whether its queue is long enough that nothing in bulk should follow."""

    def drop(self) -> None:
        """Disconnect it; it leaves all streams at once."""


class _Subscribed:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.listeners: dict[Listener, None] = {}


class Publisher:
    """Sends every subscribed stream to its listeners while `run` runs."""

    def __init__(self, exchange: Exchange, patience_s: float) -> None:
        self._exchange = exchange
        self._patience_s = patience_s
        self._subscribed: dict[str, _Subscribed] = {}
        self._told_ms = exchange.clock.now_ms()
        self._poked = asyncio.Event()

    def join(self, listener: Listener, stream: Stream) -> None:
        subscribed = self._subscribed.get(stream.name)
        if subscribed is None:
            if not self._subscribed:
                self._told_ms = self._exchange.clock.now_ms()
                self._poked.set()
            subscribed = self._subscribed[stream.name] = _Subscribed(channel_for(stream, self._told_ms))
        subscribed.listeners[listener] = None

    def leave(self, listener: Listener, name: str) -> None:
        subscribed = self._subscribed.get(name)
        if subscribed is None:
            return
        subscribed.listeners.pop(listener, None)
        if not subscribed.listeners:
            subscribed.channel.close()
            del self._subscribed[name]

    def poke(self) -> None:
        """The clock or the market was moved: look now."""
        self._poked.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            if not self._subscribed:
                await self._poked.wait()
            self._poked.clear()
            await self.tick()
            try:
                async with asyncio.timeout(TICK_S):
                    await self._poked.wait()
            except TimeoutError:
                pass

    async def tick(self) -> None:
        """Bring the streams to the clock's present."""
        while True:
            now_ms = self._exchange.clock.now_ms()
            to_ms = min([now_ms, *self._horizons()])
            self._send_closed_bars(self._told_ms, to_ms)
            self._told_ms = max(self._told_ms, to_ms)
            if to_ms >= now_ms:
                break
            await self._room()
        for name, payload in self._exchange.frame_faults.due():
            if name in self._subscribed:
                self._push(self._subscribed[name], payload)
        for subscribed in list(self._subscribed.values()):
            channel = subscribed.channel
            if self._told_ms >= channel.due_ms:
                event = channel.event(self._told_ms)
                if event is not None:
                    self._send(subscribed, event)
                channel.due_ms = self._next_due(channel)

    def _next_due(self, channel: Channel) -> int:
        every = max(1, channel.stream.every_ms)
        return (self._told_ms // every + 1) * every

    def _horizons(self) -> list[int]:
        asked = (s.channel.horizon_ms(self._told_ms) for s in self._subscribed.values())
        return [horizon for horizon in asked if horizon is not None]

    def _send_closed_bars(self, from_ms: int, to_ms: int) -> None:
        closed = [
            (bar.known_ms, order, subscribed, bar.event)
            for order, subscribed in enumerate(self._subscribed.values())
            for bar in subscribed.channel.closed_bars(from_ms, to_ms)
        ]
        closed.sort(key=lambda item: item[:2])
        for _, _, subscribed, event in closed:
            self._send(subscribed, event)

    def _send(self, subscribed: _Subscribed, event: object) -> None:
        stream = subscribed.channel.stream
        for payload in self._exchange.frame_faults.frames(stream, event):
            self._push(subscribed, payload)

    def _push(self, subscribed: _Subscribed, payload: bytes) -> None:
        frame = Frame(subscribed.channel.stream.name, payload)
        for listener in list(subscribed.listeners):
            listener.push(frame)

    async def _room(self) -> None:
        """Wait until nobody's queue is full; drop who does not empty it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_s
        while full := {li: None for s in self._subscribed.values() for li in s.listeners if li.full}:
            if loop.time() > deadline:
                for listener in full:
                    listener.drop()
                return
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)
