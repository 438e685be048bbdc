"""When a quote is trusted, and who is asked how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from agent.core.events import Event, QuoteSeen
from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, DataSource, Quote
from agent.core.ports import MarketDataError
from agent.exchange.feed_quotes import QuoteDesk
from agent.exchange.feed_rest import FeedRest
from agent.exchange.feed_terms import FeedCounters, FeedTerms
from agent.exchange.market_frames import TopFrame
from agent.exchange.pace import Pace
from tests.clocks import ManualClock

ONE = Decimal(1)


class Market:
    """REST's price, as told."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.price = Decimal("0.3500")
        self.down = False
        self.asked: list[float] = []

    async def quote(self) -> Quote:
        self.asked.append(self.clock.machine_ms())
        if self.down:
            raise MarketDataError("down")
        return Quote(self.price, ONE, self.price, ONE, self.clock.now_ms(), DataSource.REST)

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        raise NotImplementedError

    async def book(self) -> Book:
        raise NotImplementedError

    async def instrument(self) -> Instrument:
        raise NotImplementedError

    async def server_time_ms(self) -> int:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Scene:
    def __init__(self, speed: float = 1.0) -> None:
        self.clock = ManualClock(speed=speed)
        self.market = Market(self.clock)
        self.events: list[Event] = []
        self.heard_ms = self.clock.machine_ms()
        self.updates = 0
        self.pace = Pace(self.clock)
        self.desk = QuoteDesk(
            FeedRest(self.market, self.clock, FeedCounters()),
            self.clock,
            self.pace,
            FeedTerms(poll_idle_s=60, max_missing_bars=3),
            self.events.append,
            lambda: self.heard_ms,
        )

    def push(self, price: str = "0.3500", update_id: int | None = None) -> None:
        self.updates += 1
        self.heard_ms = self.clock.machine_ms()
        bid = Decimal(price)
        self.desk.pushed(TopFrame(self.updates if update_id is None else update_id, bid, ONE, bid, ONE))

    def told(self) -> list[tuple[str, str, bool]]:
        found = [
            (str(e.quote.bid), e.quote.source.value, e.trusted)
            for e in self.events
            if isinstance(e, QuoteSeen)
        ]
        self.events.clear()
        return found

    async def live(self, ms: float, *, pushes: str | None = None) -> None:
        """Time passes as in the feed: a beat every half second, a frame with it while the socket lives."""
        for _ in range(round(ms / 500)):
            await self.clock.advance(500)
            if pushes:
                self.push(pushes)
            self.desk.beat()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.desk.keep_asking())
        try:
            await self.clock.advance(0)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_socket_quote_is_trusted_from_its_confirmation_on(scene: Scene) -> None:
    scene.desk.lead(True, False)
    async with scene.running():
        scene.told()
        scene.push("0.3501")
        assert scene.told() == [("0.3501", "websocket", False)]
        await scene.clock.advance(1)
        assert scene.told() == [("0.3501", "websocket", True)], "confirmed at once, and said again"
        scene.push("0.3502")
        assert scene.told() == [("0.3502", "websocket", True)]


async def test_confirmations_are_asked_for_before_they_expire(scene: Scene) -> None:
    scene.desk.lead(True, True)
    async with scene.running():
        scene.push()
        await scene.live(120_000, pushes="0.3500")
        untrusted = [t for t in scene.told()[3:] if not t[2]]
        assert untrusted == []
        gaps = [b - a for a, b in zip(scene.market.asked[1:], scene.market.asked[2:], strict=False)]
        assert gaps
        assert max(gaps) <= 25_000
        assert min(gaps) >= 24_000, "no more often than needed"


async def test_without_confirmation_trust_ends_after_thirty_seconds(scene: Scene) -> None:
    scene.desk.lead(True, False)
    async with scene.running():
        scene.push()
        await scene.clock.advance(1)
        scene.market.down = True
        scene.told()
        await scene.live(29_500, pushes="0.3500")
        assert all(trusted for _, _, trusted in scene.told())
        await scene.live(1_000, pushes="0.3500")
        assert not scene.told()[-1][2]


async def test_a_connection_without_sign_of_life_is_not_trusted_and_that_is_said(scene: Scene) -> None:
    scene.desk.lead(True, False)
    async with scene.running():
        scene.push()
        await scene.clock.advance(1)
        scene.market.down = True
        scene.told()
        await scene.live(9_500)
        assert scene.told() == []
        await scene.live(6_500)
        assert scene.told() == [("0.3500", "websocket", False)], "once REST's word is old as well"
        scene.heard_ms = scene.clock.machine_ms()
        scene.market.down = False
        await scene.live(6_000)
        assert scene.told()[-1] == ("0.3500", "websocket", True), "a pong is a sign of life"


async def test_while_watched_untrusted_means_rest_every_second(scene: Scene) -> None:
    scene.desk.lead(True, True)
    async with scene.running():
        scene.push()
        await scene.clock.advance(1)
        scene.told()
        await scene.live(12_000)
        scene.market.asked.clear()
        await scene.live(5_000)
        assert len(scene.market.asked) == 5
        assert scene.told()[-1] == ("0.3500", "rest", True)


async def test_a_price_rest_does_not_share_is_not_trusted(scene: Scene) -> None:
    scene.desk.lead(True, True)
    async with scene.running():
        scene.push()
        await scene.clock.advance(1)
        scene.told()
        scene.push("0.3600")
        await scene.live(25_500, pushes="0.3600")
        told = scene.told()
        assert ("0.3500", "rest", True) in told, "REST's price is delivered instead"
        assert told[-1] == ("0.3600", "websocket", False)
        scene.market.price = Decimal("0.3601")
        await scene.live(2_000, pushes="0.3600")
        assert scene.told()[-1] == ("0.3600", "websocket", True)


async def test_somebody_who_watches_hears_at_least_once_a_second(scene: Scene) -> None:
    scene.desk.lead(True, True)
    async with scene.running():
        scene.push()
        await scene.clock.advance(1)
        scene.told()
        await scene.live(9_000)
        assert len(scene.told()) == 9
        scene.desk.lead(True, False)
        scene.told()
        await scene.live(500)
        assert len(scene.told()) <= 1


async def test_in_fallback_rest_is_asked_each_second_or_at_the_idle_interval(scene: Scene) -> None:
    scene.desk.lead(False, True)
    async with scene.running():
        await scene.live(10_000)
        assert 10 <= len(scene.market.asked) <= 11
        assert {(source, trusted) for _, source, trusted in scene.told()} == {("rest", True)}
        scene.desk.lead(False, False)
        await scene.live(500)
        scene.market.asked.clear()
        await scene.live(119_000)
        assert len(scene.market.asked) == 1


async def test_the_older_copy_of_two_connections_is_dropped(scene: Scene) -> None:
    scene.desk.lead(True, False)
    scene.push("0.3502", update_id=10)
    scene.push("0.3501", update_id=9)
    scene.push("0.3502", update_id=10)
    assert [bid for bid, _, _ in scene.told()] == ["0.3502"]
    scene.desk.forget()
    scene.push("0.3503", update_id=1)
    assert [bid for bid, _, _ in scene.told()] == ["0.3503"], "a new connection counts anew"


async def test_quotes_are_young_while_somebody_tells_them(scene: Scene) -> None:
    assert not scene.desk.is_young
    async with scene.running():
        await scene.clock.advance(1)
        assert scene.desk.is_young
        scene.market.down = True
        await scene.live(80_000)
        assert not scene.desk.is_young
        assert scene.told()[-1] == ("0.3500", "rest", False), "nobody confirms it any more"
        scene.push()
        assert scene.desk.is_young


@pytest.mark.parametrize(
    ("speed", "apart_percent", "agree"),
    [
        (1, "0.9", True),
        (1, "1.1", False),
        (60, "3", True),
        (60, "4", False),
        (1e3, "4", True),
        (1e3, "6", False),
    ],
)
async def test_how_far_two_copies_may_lie_apart_grows_with_the_speed(
    speed: float, apart_percent: str, agree: bool
) -> None:
    scene = Scene(speed)
    await scene.clock.advance(1_000)
    scene.pace.look()
    scene.desk.lead(True, False)
    async with scene.running():
        scene.told()
        scene.push(str(scene.market.price * (1 + Decimal(apart_percent) / 100)))
        await scene.clock.advance(1)
        source = "websocket" if agree else "rest"
        assert scene.told()[-1][1:] == (source, True)
