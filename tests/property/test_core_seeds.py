"""Whole days of bad luck by seed: weighted disasters, long runs, and equal books at the end of each.

Hypothesis (`test_core_world`) shrinks what it finds; this goes further and wider. A failure names its seed
and tells the story that led there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from agent.core import events as e
from agent.core.commands import PlaceOrder, ReplaceOrder
from agent.core.events import Impairment
from agent.core.phase import Phase
from tests.playbook import EXITS, LIMITS, SELLER, D, make_instrument, make_setup
from tests.tiny_world import Crash, TinyWorld, check_books, describe

ACTIONS = 120
#: How many worlds, in twenties; `make prove` lives two thousand.
SEEDS = int(os.environ.get("AGENT_CORE_SEEDS", "60"))
#: With and without order lists, with stops at the market and with stops that are limits.
ORDER_TYPES = (
    ("LIMIT", "MARKET", "STOP_LOSS"),
    ("LIMIT", "MARKET", "STOP_LOSS", "LIMIT_MAKER"),
    ("LIMIT", "MARKET", "STOP_LOSS", "LIMIT_MAKER"),
    ("LIMIT", "MARKET", "STOP_LOSS_LIMIT", "LIMIT_MAKER"),
)

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover
Act = Callable[[TinyWorld, Random], None]
Way = Callable[[int], None]


def make_world(chance: Random) -> TinyWorld:
    limits = replace(
        LIMITS,
        max_open_positions=chance.choice([1, 1, 3]),
        max_position_size_percent=D(chance.choice([10, 20, 30])),
        risk_per_trade_percent=D(10),
        max_daily_trades=chance.choice([3, 10]),
        max_daily_loss_percent=D(chance.choice([1, 5])),
    )
    exits = replace(EXITS, use_stop_loss=chance.random() < 0.7, max_hold=chance.choice([2, 6]))
    setup = make_setup(
        seller=replace(SELLER, vol_z=0.5, tr_z=-9.0),
        exits=exits,
        limits=limits,
        protective_stop=chance.random() < 0.7,
        disaster_stop_percent=chance.choice([None, D(4)]),
        entry_order=chance.choice(["limit", "market"]),
        entry_bar_exits=chance.choice(["stop_only", "all"]),
        capital=chance.choice([None, None, D(4000)]),
        late_signal=chance.choice(["skip", "enter"]),
        auto_resume=chance.random() < 0.8,
    )
    step = D(chance.choice(["1", "0.1", "0.001"]))
    world = TinyWorld(
        setup,
        make_instrument(step=step, min_qty=step, order_types=frozenset(chance.choice(ORDER_TYPES))),
        foreign=chance.choice(["0", "0", "700", "0.5"]),
    )
    world.exchange.fee_currency = chance.choice([None, None, "USDT", "BNB"])
    world.exchange.pieces = chance.choice([1, 2, 3])
    world.exchange.query_lag_ms = chance.choice([0, 0, 3_000])
    return world


# --- what may happen ---------------------------------------------------------------------------------------


def all_goes_well(world: TinyWorld, chance: Random) -> None:
    world.calm()


def seconds_pass(world: TinyWorld, chance: Random) -> None:
    for _ in range(chance.randint(1, 6)):
        world.pass_time(chance.choice([200, 1_000, 3_000]))
        bad_way(world, chance)


def a_minute_passes(world: TinyWorld, chance: Random) -> None:
    world.pass_time(chance.choice([30_000, 60_000]))


def a_signal(world: TinyWorld, chance: Random) -> None:
    world.signal()
    if chance.random() < 0.8:
        world.take_up()


def a_good_entry(world: TinyWorld, chance: Random) -> None:
    if world.state.phase is not Phase.HALTED:
        world.learn(e.StartRequested("op"))
    world.calm()
    world.signal()
    world.calm()


def a_quiet_bar(world: TinyWorld, chance: Random) -> None:
    world.quiet_bar()


def the_price_moves(world: TinyWorld, chance: Random) -> None:
    percent = chance.choice([-3, -2, -1, -1, 1, 1, 2, 3])
    for _ in range(chance.randint(1, 3)):
        world.price(
            world.instrument.price(
                world.exchange.bid * (1000 + percent * chance.randint(1, 10)) / 1000, "nearest"
            )
        )


def the_price_reaches_a_level(world: TinyWorld, chance: Random) -> None:
    """Up to what a target waits for, or down to a stop, a little short of it or beyond."""
    held = world.state.open_positions()
    if not held:
        return
    levels = chance.choice(held).levels
    level = chance.choice([levels.target or levels.stop, levels.stop])
    world.walk(level * chance.choice([0.997, 1.0, 1.0, 1.003]))


def bad_way(world: TinyWorld, chance: Random) -> None:
    """A few things on their way arrive, are lost, are delayed, in any order."""
    for _ in range(chance.randint(1, 8)):
        ways: list[Way] = []
        if world.requests:
            ways += [world.deliver] * 5 + [world.deliver_silently, world.lose, world.delay]
        if world.answers:
            ways += [world.hear] * 6
        if world.exchange.stream:
            ways += [world.hear_stream] * 3 + [world.hear_stream_again, world.drop_from_stream]
        if world.delayed:
            ways += [world.arrive_late]
        if ways:
            chance.choice(ways)(chance.randrange(100))


def an_order_is_unlucky(world: TinyWorld, chance: Random) -> None:
    """What was just sent is executed and not answered, lost, or late."""
    orders = [n for n, r in enumerate(world.requests) if isinstance(r, PlaceOrder | ReplaceOrder)]
    if orders:
        chance.choice([world.deliver_silently, world.lose, world.delay])(orders[-1])
        while world.answers:
            world.hear()


def the_process_dies(world: TinyWorld, chance: Random) -> None:
    world.crash()


def the_process_dies_soon(world: TinyWorld, chance: Random) -> None:
    world.crash_in = chance.randint(0, 30)


def the_book_changes(world: TinyWorld, chance: Random) -> None:
    world.exchange.depth = D(chance.choice([0, 3, 400, 900, 1_000_000, 1_000_000]))


def the_exchange_refuses_for_a_while(world: TinyWorld, chance: Random) -> None:
    world.exchange.refusing = chance.choice([None, None, "too many orders"])


def money_flows(world: TinyWorld, chance: Random) -> None:
    world.flow(D(chance.choice([-500, 700])))


def somebody_takes_coins(world: TinyWorld, chance: Random) -> None:
    world.coins_are_taken(D(chance.choice([30, 600, 100_000])), sold=chance.random() < 0.5)


def somebody_cancels(world: TinyWorld, chance: Random) -> None:
    working = [i for i, o in world.exchange.orders.items() if o.is_open]
    if working:
        world.exchange.cancel(chance.choice(working))


def the_operator_asks(world: TinyWorld, chance: Random) -> None:
    world.learn(
        chance.choice(
            [
                e.PauseRequested("op"),
                e.StopRequested("op", flatten=False),
                e.StopRequested("op", flatten=True),
                e.CloseRequested("op", None),
                e.Impaired(Impairment.CLOCK_OFFSET, "800 ms"),
                e.StartRequested("op"),
            ]
        )
    )
    if chance.random() < 0.7:
        world.learn(e.Healed(Impairment.CLOCK_OFFSET))
        world.learn(e.StartRequested("op"))


def emergency(world: TinyWorld, chance: Random) -> None:
    world.latched = True
    world.learn(e.EmergencyRequested("op"))


def emergency_in_the_middle_of_an_entry(world: TinyWorld, chance: Random) -> None:
    if world.state.in_flight():
        emergency(world, chance)


def the_halt_is_cleared(world: TinyWorld, chance: Random) -> None:
    if world.state.phase is Phase.HALTED:
        world.settle()
        assert not world.state.open_positions(), "a halt goes on until nothing is held"
        world.learn(e.ClearHaltRequested("op"))
        assert world.state.durable.halt is None, "flat and reconciled: it may be cleared"
        world.latched = False
        world.learn(e.StartRequested("op"))


WEIGHTS: dict[Act, int] = {
    bad_way: 30,
    all_goes_well: 8,
    seconds_pass: 14,
    a_minute_passes: 3,
    a_signal: 8,
    a_good_entry: 5,
    a_quiet_bar: 4,
    the_price_moves: 10,
    the_price_reaches_a_level: 5,
    an_order_is_unlucky: 8,
    the_process_dies: 3,
    the_process_dies_soon: 2,
    the_book_changes: 3,
    the_exchange_refuses_for_a_while: 3,
    money_flows: 1,
    somebody_cancels: 3,
    somebody_takes_coins: 1,
    the_operator_asks: 2,
    emergency: 1,
    emergency_in_the_middle_of_an_entry: 2,
    the_halt_is_cleared: 3,
}


def live(seed: int) -> TinyWorld:
    chance = Random(seed)
    world = make_world(chance)
    story: list[str] = []
    try:
        for act in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=ACTIONS):
            story.append(act.__name__)
            try:
                act(world, chance)
            except Crash:
                story.append("(dead)")
                world.crash()
        world.crash_in = None
        world.settle()
        check_books(world)
        if world.state.phase is Phase.HALTED or world.state.durable.flattening:
            assert not world.state.open_positions(), "a halt goes on until nothing is held"
    except AssertionError as error:
        told = "\n  ".join(story[-30:])
        raise AssertionError(f"seed {seed}: {error}\n{describe(world.state)}\n  {told}") from error
    return world


@pytest.mark.parametrize(
    "seeds", [range(n, n + 20) for n in range(0, SEEDS, 20)], ids=lambda r: f"from{r.start}"
)
def test_by_seed(seeds: range) -> None:
    traded = sum(len(live(seed).exchange.all_fills()) > 0 for seed in seeds)
    assert traded > len(seeds) // 2, "most worlds trade, or nothing was tested"


def test_a_seed_is_the_same_world_every_time() -> None:
    first, second = live(7), live(7)
    assert first.commands == second.commands
    assert first.state.durable == second.state.durable
