"""Killed at every single moment of every story, started again: the same books in the end.

A moment is after each step of the core (its commands are lost, what it stored is not) and after each request
that reached the exchange (its answer is lost). What follows is the exchange's truth, told honestly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.order import Purpose
from agent.core.phase import Phase
from agent.core.state import Setup
from tests.playbook import EXITS, LIMITS, D, make_setup
from tests.tiny_world import Crash, TinyWorld, check_books

Action = Callable[[TinyWorld], None]


def signal(world: TinyWorld) -> None:
    world.signal()
    world.calm()


def half_an_entry(world: TinyWorld) -> None:
    world.exchange.depth = D(700)
    signal(world)
    world.exchange.depth = D(1_000_000)


def thin_book(world: TinyWorld) -> None:
    world.exchange.depth = D(900)


def deep_book(world: TinyWorld) -> None:
    world.exchange.depth = D(1_000_000)


def in_pieces(world: TinyWorld) -> None:
    world.exchange.pieces = 3


def next_bar(world: TinyWorld) -> None:
    world.quiet_bar()
    world.calm()


def to(price: float) -> Action:
    def walk(world: TinyWorld) -> None:
        world.walk(price)
        world.calm()

    walk.__name__ = f"to_{price}"
    return walk


def the_entry_answer_is_lost(world: TinyWorld) -> None:
    world.signal()
    while not any(getattr(r, "approved", None) for r in world.requests):
        world.deliver()
        while world.answers:
            world.hear()
    world.deliver_silently(len(world.requests) - 1)
    world.exchange.stream.clear()
    world.calm()


def the_entry_never_arrives(world: TinyWorld) -> None:
    world.signal()
    while not any(getattr(r, "approved", None) for r in world.requests):
        world.deliver()
        while world.answers:
            world.hear()
    world.lose(len(world.requests) - 1)
    world.calm()


def refuse(world: TinyWorld) -> None:
    world.exchange.refusing = "too many orders"


def accept(world: TinyWorld) -> None:
    world.exchange.refusing = None
    world.pass_time(10_000)
    world.calm()


def somebody_cancels_the_stop(world: TinyWorld) -> None:
    for client_id, order in world.exchange.orders.items():
        if order.is_open:
            world.exchange.cancel(client_id)
    world.calm()
    world.pass_time(3_000)
    world.calm()


def wait(ms: int) -> Action:
    def pass_time(world: TinyWorld) -> None:
        world.pass_time(ms)
        world.calm()

    pass_time.__name__ = f"wait_{ms}"
    return pass_time


def ask(event: e.Event) -> Action:
    def asks(world: TinyWorld) -> None:
        world.learn(event)
        world.calm()

    return asks


TARGET = (next_bar, to(0.5040))
NO_STOP = make_setup(protective_stop=False)
LOSING = make_setup(
    limits=replace(
        LIMITS, max_position_size_percent=D(99), risk_per_trade_percent=D(10), max_daily_loss_percent=D(2)
    ),
    exits=replace(EXITS, use_stop_loss=False),
)

#: name: setup, actions, whether everything is sold in the end.
STORIES: dict[str, tuple[Setup, tuple[Action, ...], bool]] = {
    "target": (make_setup(), (signal, *TARGET), True),
    "target without a resting stop": (NO_STOP, (signal, *TARGET), True),
    "resting stop": (make_setup(), (signal, next_bar, to(0.4750)), True),
    "watched stop": (NO_STOP, (signal, next_bar, to(0.4750)), True),
    "time limit": (
        make_setup(exits=replace(EXITS, max_hold=2)),
        (signal, next_bar, next_bar, next_bar),
        True,
    ),
    "half an entry": (make_setup(), (half_an_entry, *TARGET), True),
    "a sale in a thin book": (
        make_setup(),
        (in_pieces, signal, thin_book, *TARGET, deep_book, wait(5_000)),
        True,
    ),
    "lost answer of the entry": (make_setup(), (the_entry_answer_is_lost, wait(20_000), *TARGET), True),
    "entry that never arrived": (make_setup(), (the_entry_never_arrives, wait(40_000)), True),
    "refused sale": (
        NO_STOP,
        (signal, next_bar, refuse, to(0.5040), wait(3_000), accept, wait(30_000)),
        True,
    ),
    "stop canceled by somebody": (make_setup(), (signal, somebody_cancels_the_stop, *TARGET), True),
    "emergency": (make_setup(), (signal, next_bar, ask(e.EmergencyRequested("x")), wait(5_000)), True),
    "stop and flatten": (make_setup(), (signal, ask(e.StopRequested("x", flatten=True)), wait(5_000)), True),
    "manual close": (make_setup(), (signal, next_bar, ask(e.CloseRequested("x", None)), wait(5_000)), True),
    "daily loss": (LOSING, (signal, next_bar, to(0.4860), wait(5_000)), True),
    "holding on": (make_setup(), (signal, next_bar, to(0.4990), wait(61_000)), False),
}


def tell(world: TinyWorld, actions: tuple[Action, ...], crashes: list[int]) -> None:
    """Run the story, dying at the given moments; what an action had not yet done when it died is not done."""
    world.crash_in = crashes.pop(0) if crashes else None
    for action in actions:
        try:
            action(world)
        except Crash:
            come_back(world, crashes)


def come_back(world: TinyWorld, crashes: list[int]) -> None:
    world.crash_in = crashes.pop(0) if crashes else None
    try:
        world.crash()
        world.calm()
    except Crash:
        come_back(world, crashes)


def moments_of(name: str) -> int:
    setup, actions, _ = STORIES[name]
    world = TinyWorld(setup, foreign="500")
    before = world.moments
    tell(world, actions, [])
    return world.moments - before


def end_of(name: str, crashes: list[int]) -> TinyWorld:
    setup, actions, flat = STORIES[name]
    world = TinyWorld(setup, foreign="500")
    tell(world, actions, crashes)
    world.crash_in = None
    world.settle()
    check_books(world)
    assert world.exchange.base_total >= D(500), "foreign coins are never sold"
    if flat:
        # Whatever the crash cost (a price nobody saw, a signal), the next bars and prices end it.
        for _ in range(3 + world.setup.exits.max_hold):
            if not world.state.open_positions():
                break
            world.quiet_bar()
            world.settle()
        assert not world.state.open_positions()
        check_books(world)
    return world


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_killed_at_every_moment_the_books_agree(name: str) -> None:
    undisturbed = end_of(name, [])
    entered = len([i for i in undisturbed.exchange.orders.values() if i.intent.purpose is Purpose.ENTRY])
    for moment in range(moments_of(name)):
        world = end_of(name, [moment])
        again = [i for i in world.exchange.orders.values() if i.intent.purpose is Purpose.ENTRY]
        assert len(again) <= max(entered, 1), f"no second entry after a crash at moment {moment}"
        _same_world(undisturbed, world, name, moment)


def _same_world(undisturbed: TinyWorld, world: TinyWorld, name: str, moment: int) -> None:
    """Halts, days and counters are those of an undisturbed run wherever the crash came after them."""
    day, expected = world.state.durable.day, undisturbed.state.durable.day
    assert day is not None
    assert expected is not None
    assert day.trades == len(
        [o for o in world.exchange.orders.values() if o.intent.purpose is Purpose.ENTRY and o.fills]
    )
    assert day.flows == 0
    assert world.state.phase in (undisturbed.state.phase, Phase.RUNNING, Phase.STOPPED), (name, moment)


@pytest.mark.parametrize("name", ["target", "resting stop", "emergency", "a sale in a thin book"])
@pytest.mark.parametrize("second", [0, 1, 2, 3, 5, 8])
def test_killed_again_while_coming_back(name: str, second: int) -> None:
    for moment in range(0, moments_of(name), 7):
        end_of(name, [moment, second, 1])


def test_coming_back_twice_is_coming_back_once() -> None:
    once, twice = TinyWorld(foreign="500"), TinyWorld(foreign="500")
    for world in (once, twice):
        signal(world)
        world.crash()
        world.calm()
    twice.crash()
    twice.calm()
    assert _ledger(once) == _ledger(twice)


def _ledger(world: TinyWorld) -> tuple[object, ...]:
    fills = tuple(sorted(f.trade_id for o in world.state.orders.values() for f in o.fills))
    held: list[Decimal] = [p.held_qty for p in world.state.open_positions()]
    return fills, tuple(held), world.state.durable.account.cash, len(world.exchange.orders)
