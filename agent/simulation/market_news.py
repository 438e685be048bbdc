"""What the market says: every trade's quote, every closed bar, and what goes wrong with bars (F23 to F26).

Stays true: bars and quotes are the venue's own; what is spoilt here is spoilt on the way to who listens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.core.market import Candle
from agent.simulation.agenda import MS, SECOND

if TYPE_CHECKING:
    from agent.simulation.world import World


def plan(world: World) -> None:
    """From now on trades happen and bars close."""
    path, agenda = world.venue.path, world.agenda

    def tick() -> None:
        world.venue.desk.catch_up()
        world.witness.holdings.look()
        if world.network.watched:
            world.network.broadcast("quote", world.venue.quote())
        agenda.plan_at(path.next_trade_ms(agenda.now_ms) * MS, tick)

    def close_bar() -> None:
        _tell_closed_bar(world, agenda.now_ms - world.bar_ms)
        agenda.plan(world.bar_ms * MS, close_bar)

    agenda.plan_at(path.next_trade_ms(agenda.now_ms) * MS, tick)
    agenda.plan(world.bar_ms * MS, close_bar)


def _tell_closed_bar(world: World, open_ms: int) -> None:
    network, venue = world.network, world.venue
    network.broadcast("quote", venue.quote(), to_all=True)
    candle = venue.candle(open_ms)
    fault = world.bar_faults.pop() if world.bar_faults else None
    if fault is None or fault in world.rules.without:
        network.broadcast("bar", candle)
        return
    world.counters.fire(fault)
    if world.rules.spoils_answer(venue, fault):
        network.broadcast("bar", candle)
    elif fault == "F25":
        network.broadcast("bar", candle)
        network.broadcast("bar", venue.candle(open_ms - world.bar_ms))
        network.broadcast("bar", candle)
    elif fault == "F24":
        network.broadcast("bar", candle)
        corrected = replace(candle, close=candle.low, volume=candle.volume * 1.5)
        if network.reaches_listeners:
            # Who never heard the bar itself would take its correction for it.
            world.agenda.plan(20 * SECOND, lambda: network.broadcast("bar", corrected))
    elif fault == "F26":
        bad = world.chance.choice((float("nan"), -1.0, float("inf")))
        network.broadcast("bar", Candle(open_ms, candle.open, candle.high, bad, candle.close, candle.volume))
