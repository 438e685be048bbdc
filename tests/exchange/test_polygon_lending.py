"""Own bars stay away while something is held: the other source is asked, half a minute after the close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent.core import events as e
from agent.core.market import Candle, DataSource
from agent.core.ports import MarketDataError
from agent.core.position import PositionState
from agent.core.state import AgentState
from agent.exchange.polygon.lending import COMPARED, Lender, StandIn
from tests.exchange.test_polygon import BAR, T0, LeapingClock, asking, bar, refusing, times
from tests.playbook import Playbook

#: The bar that was bought in, and where venue time stands: in the middle of the third bar after it.
ENTRY = 60
NOW = T0 + (ENTRY + 3) * BAR + 40_000


def held_since(number: int, seen: int = 0) -> AgentState:
    """A state that holds something since bar `number`, of which `seen` later bars were examined."""
    play = Playbook().ready()
    play.enter()
    held = play.position()
    moved = replace(
        held,
        entry_bar_open_ms=T0 + number * BAR,
        bars_held=seen,
        plan=replace(held.plan, bar_ms=BAR),
    )
    return play.state.but(positions={moved.id: moved}, last_bar=bar(number + seen))


class Ground:
    def __init__(self, lender: Lender, clock: LeapingClock) -> None:
        self.heard: list[e.Event] = []
        self.clock = clock
        self.stand_in = StandIn(lender, "Binance", BAR, clock, self.heard.append)
        self.stand_in.note(e.FeedReported(DataSource.NONE, fresh=False))

    @property
    def lent(self) -> list[Candle]:
        return [event.candle for event in self.heard if isinstance(event, e.BarLent)]

    @property
    def told(self) -> list[str]:
        return [event.level for event in self.heard if isinstance(event, e.Scrutinized)]

    @property
    def sources(self) -> list[tuple[DataSource, bool]]:
        return [(event.source, event.fresh) for event in self.heard if isinstance(event, e.FeedReported)]


def polygon_lends(polygon: Any) -> Lender:
    async def own(since_ms: int, until_ms: int) -> Sequence[Candle]:
        return [c for c in (bar(n) for n in range(ENTRY + 1)) if since_ms <= c.open_ms < until_ms]

    return Lender("Polygon", DataSource.POLYGON, polygon.bars, own)


async def test_missing_bars_come_from_polygon_at_the_exchanges_price_until_its_own_are_back() -> None:
    async with asking() as (stub, polygon, clock):
        stub.bars = [times(bar(n), 1 / 1.004) for n in range(80)]
        ground = Ground(polygon_lends(polygon), clock)
        ground.stand_in.hear(held_since(ENTRY), ())
        clock.at_ms = float(T0 + (ENTRY + 2) * BAR + 29_999)
        await ground.stand_in.look()
        assert (ground.heard, stub.asked) == ([], []), "an own bar has half a minute"

        clock.at_ms = float(NOW)
        await ground.stand_in.look()
        assert [round(c.close, 9) for c in ground.lent] == [
            round(bar(n).close, 9) for n in (ENTRY + 1, ENTRY + 2)
        ]
        assert all(not event.here for event in ground.heard if isinstance(event, e.BarLent))
        assert (ground.told, ground.sources) == (["WARNING"], [(DataSource.POLYGON, False)])
        assert f"/{T0 + (ENTRY + 1 - COMPARED) * BAR}/" in stub.asked[0]
        await ground.stand_in.look()
        assert len(stub.asked) == 1, "what was lent is not asked for again"

        clock.at_ms += BAR
        await ground.stand_in.look()
        assert [c.open_ms for c in ground.lent] == [T0 + n * BAR for n in range(ENTRY + 1, ENTRY + 4)]
        assert ground.told == ["WARNING"]

        ground.stand_in.hear(held_since(ENTRY, seen=2), ())
        await ground.stand_in.look()
        assert ground.told == ["WARNING"], "not all of its own are back"
        ground.stand_in.note(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
        ground.stand_in.hear(held_since(ENTRY, seen=3), ())
        await ground.stand_in.look()
        assert ground.told == ["WARNING", "INFO"]
        assert ground.sources[-1] == (DataSource.WEBSOCKET, True)


async def test_nothing_is_asked_for_while_nothing_is_held_or_own_bars_come() -> None:
    async with asking() as (stub, polygon, clock):
        ground = Ground(polygon_lends(polygon), clock)
        clock.at_ms = float(NOW)
        ground.stand_in.hear(Playbook().ready().state, ())
        await ground.stand_in.look()
        ground.stand_in.hear(held_since(ENTRY, seen=2), ())
        await ground.stand_in.look()
        assert (ground.heard, stub.asked) == ([], [])


async def test_another_market_and_a_refused_key_lend_nothing_and_are_asked_again() -> None:
    async with asking() as (stub, polygon, clock):
        stub.faults = [refusing(401, {"status": "ERROR"})]
        stub.bars = [bar(n, 3.5) for n in range(80)]
        ground = Ground(polygon_lends(polygon), clock)
        ground.stand_in.hear(held_since(ENTRY), ())
        for asked in (1, 2):
            clock.at_ms = float(NOW + (asked - 1) * 30_000)
            await ground.stand_in.look()
            await ground.stand_in.look()
            assert len(stub.asked) == asked, "once in half a minute"
        assert ground.heard == []


async def test_where_polygon_leads_the_exchange_lends_its_own_prices() -> None:
    asked: list[tuple[int, int]] = []

    async def bars(first_ms: int, last_ms: int) -> list[Candle]:
        asked.append((first_ms, last_ms))
        if len(asked) == 1:
            raise MarketDataError("down")
        return [bar(n) for n in range(80)][ENTRY + 1 : ENTRY + 4]

    clock = LeapingClock(NOW)
    ground = Ground(Lender("Binance", DataSource.REST, bars, None), clock)
    ground.stand_in.hear(held_since(ENTRY), ())
    await ground.stand_in.look()
    assert ground.heard == []
    clock.at_ms = float(NOW + 30_000)
    await ground.stand_in.look()
    assert asked[0] == (T0 + (ENTRY + 1) * BAR, T0 + (ENTRY + 2) * BAR)
    lent = [event for event in ground.heard if isinstance(event, e.BarLent)]
    assert [event.candle for event in lent] == [bar(n) for n in range(ENTRY + 1, ENTRY + 4)][: len(lent)]
    assert all(event.here for event in lent)
    assert ground.sources == [(DataSource.REST, False)]


async def test_a_sale_that_a_lent_bar_began_is_not_the_end_of_the_silence() -> None:
    async with asking() as (stub, polygon, clock):
        stub.bars = [bar(n) for n in range(80)]
        ground = Ground(polygon_lends(polygon), clock)
        held = held_since(ENTRY)
        ground.stand_in.hear(held, ())
        clock.at_ms = float(NOW)
        await ground.stand_in.look()
        (position,) = held.open_positions()
        sold = replace(position, state=PositionState.EXITING, bars_held=2)
        ground.stand_in.hear(held.but(positions={sold.id: sold}), ())
        clock.at_ms += BAR
        await ground.stand_in.look()
        assert (ground.told, len(stub.asked)) == (["WARNING"], 1), "and what is sold needs no bars"
        ground.stand_in.hear(held.but(positions={}), ())
        await ground.stand_in.look()
        assert ground.told == ["WARNING", "INFO"]
        assert ground.sources[-1] == (DataSource.NONE, False)
