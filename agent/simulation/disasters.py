"""What goes wrong, when, and for how long: drawn from the seed.

Belongs here: the disasters of a day, each a function of the world. Stays true: a disaster that lasts ends by
itself; when it begins its fault is counted; whoever draws, draws from the world's chance alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agent.core import events as e
from agent.localexchange.faults import BadFaultError
from agent.localexchange.trading.strangers import StrangerError
from agent.simulation.agenda import MS, SECOND
from agent.simulation.network import Weather

if TYPE_CHECKING:
    from agent.simulation.world import World

MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
Act = Callable[["World"], None]


def storm(world: World) -> None:
    """The network misbehaves for a while: some ways, each more or less."""
    chance = world.chance
    weather = Weather()
    ways = ("lost", "answer_lost", "error_before", "error_after", "unknown", "broken", "slow")
    for way in chance.sample(ways, chance.randint(1, 3)):
        setattr(weather, way, chance.choice((0.05, 0.15, 0.4)))
    for way in ("event_lost", "event_doubled", "event_swapped"):
        if chance.random() < 0.4:
            setattr(weather, way, chance.choice((0.1, 0.5)))
    world.weather_for(weather, chance.choice((2, 8, 25)) * MINUTE)


def stream_disorder(world: World) -> None:
    """The user stream says things twice, late and in the wrong order."""
    world.weather_for(Weather(event_doubled=0.5, event_swapped=0.4), world.chance.choice((40, 180)) * MINUTE)


def ambush(world: World) -> None:
    """The next order meets a fault for certain, and for a while the stream may not tell of it."""
    chance = world.chance
    fault = chance.choice(("F1", "F2", "F2", "F3", "F4", "F5", "F5", "F9", "F9", "F10"))
    mute_us = chance.choice((0, 0, 8, 40, 200)) * SECOND
    blind_us = chance.choice((0, 0, 0, 0, 30, 90, 1_200)) * SECOND
    world.network.ambushes.append((fault, mute_us, blind_us))
    if chance.random() < 0.3:
        world.set_fault({"fault": "F37", "params": {"age_ms": 30_000}, "count": 4}, 20 * MINUTE)


def account_unreadable(world: World) -> None:
    """The account cannot be read for a while, mostly when a signal comes, and the agent starts anew then."""
    now_ms = world.agenda.now_ms
    signal_ms = world.venue.path.next_capitulation_ms(now_ms + 90_000)
    wait_us = (signal_ms - 60_000 - now_ms) * MS if world.chance.random() < 0.7 else 0
    world.agenda.plan(wait_us, lambda: _account_unreadable(world))


def _account_unreadable(world: World) -> None:
    if world._healing:
        return
    world.network.counters.fire("F3")
    for_us = world.chance.choice((2, 6)) * MINUTE
    world.network.blind_until_us[world.rules.account_request] = world.agenda.now_us + for_us
    world.lasting(for_us, lambda: None)
    if world.chance.random() < 0.7:
        world.crash("while the account cannot be read", downtime_us=5 * SECOND)


def unreachable(world: World) -> None:
    world.network.counters.fire("F8")
    world.network.drop_sockets()
    world.weather_for(Weather(unreachable=True), world.chance.choice((20 * SECOND, 4 * MINUTE, 15 * MINUTE)))


def silent_sockets(world: World) -> None:
    world.network.counters.fire("F22")
    world.weather_for(Weather(silent=True), world.chance.choice((1, 10, 30)) * MINUTE)


def sockets_end(world: World) -> None:
    world.network.counters.fire("F27")
    if world.chance.random() < 0.3:
        world.weather_for(Weather(refuses_sockets=True), 2 * MINUTE)
    world.network.drop_sockets(world.chance.choice((None, 1001, 1008)))


def too_many_requests(world: World) -> None:
    world.network.counters.fire("F6")
    world.venue.exchange.limits.hold(world.chance.choice((5, 30, 60)) * 1_000, world.agenda.now_ms)


def calls_used_up(world: World) -> None:
    """Another program on the account makes every call there may be, once or for a while."""
    until_us = world.agenda.now_us + world.chance.choice((0, 20 * SECOND, 2 * MINUTE))

    def again() -> None:
        if not world._healing:
            world.rules.use_up_calls(world.venue)
            if world.agenda.now_us < until_us:
                world.agenda.plan(3 * SECOND, again)

    world.network.counters.fire("F6")
    again()
    # Until what it counted is forgotten.
    world.lasting(until_us - world.agenda.now_us + 50 * SECOND, lambda: None)


def ban(world: World) -> None:
    world.network.counters.fire("F7")
    world.venue.exchange.limits.ban(world.chance.choice((2, 5, 30)) * 60_000, world.agenda.now_ms)


def crash(world: World) -> None:
    """Die at some moment of the next seconds: between any two awaits."""
    if world.process is not None:
        world.crash_in(world.chance.randint(0, 400))


def crash_at_next_order(world: World) -> None:
    """Die some moments after the next order sets out."""
    world.crash_after_order = world.chance.choice((0, 1, 2, 5, 20, 60))


def crash_at_commit(world: World) -> None:
    if world.process is not None:
        world.process.crash_at_commit(world.chance.randint(0, 8), before=world.chance.random() < 0.5)


def power_cut(world: World) -> None:
    if world.process is not None:
        world.network.counters.fire("F34")
        world.crash("the power failed", power=True)


def suspend(world: World) -> None:
    world.network.counters.fire("F46")
    world.suspend(world.chance.choice((MINUTE, 20 * MINUTE, 8 * HOUR)))


def absent_at_signal(world: World) -> None:
    """The machine sleeps, or the process hangs, right when an entry is about to be decided."""
    chance = world.chance
    if chance.random() < 0.3:
        world.network.counters.fire("F46")
        world.at_next_signal = partial(world.suspend, chance.choice((MINUTE, 20 * MINUTE)))
    else:
        world.network.counters.fire("F36")
        world.at_next_signal = partial(world.hang, chance.choice((45 * SECOND, 2 * MINUTE)))


def hang(world: World) -> None:
    world.network.counters.fire("F36")
    world.hang(world.chance.choice((15 * SECOND, MINUTE, 5 * MINUTE)))


def ban_over_restart(world: World) -> None:
    """The exchange bans the address, the agent learns it, dies and is started again meanwhile."""
    ban(world)
    world.network.drop_sockets()
    world.agenda.plan(
        40 * SECOND, lambda: world.crash("while the exchange wants silence", downtime_us=5 * SECOND)
    )


def testnet_reset(world: World) -> None:
    """The testnet begins anew: orders, trades and balances of before are gone, and every connection breaks.

    The agent recognises it, also when it traded on before it read the account. Here it waits for calm and
    until nothing rests, so that the witness need not tell what a fault took from what the reset did.
    """
    if not world.rules.has_testnet:
        return
    if not world.is_calm or world.venue.open_orders:
        world.agenda.plan(30 * MINUTE, lambda: None if world._healing else testnet_reset(world))
        return
    world.network.drop_sockets()
    world.wiped_ms = world.agenda.now_ms
    world.touched_base = True
    world.witness.holdings.forget()
    world.set_fault({"fault": "F42"}, HOUR)


def clock_step(world: World) -> None:
    world.network.counters.fire("F45")
    world.step_clock(world.chance.choice((-3_600_000, 3_600_000, -2_000, 2_000, 15_000)))


def disk_full(world: World) -> None:
    reason = world.chance.choice(("the disk is full", "the database is locked", "an I/O error", "read-only"))
    world.network.counters.fire(
        {"the disk is full": "F28", "the database is locked": "F30"}.get(reason, "F31")
    )
    world.fail_disk(reason, world.chance.choice((5 * SECOND, MINUTE, 20 * MINUTE)))


def slow_disk(world: World) -> None:
    world.network.counters.fire("F29")
    world.disk.slow_us = 5 * SECOND
    # A disk that does not answer in time counts as failing: what protects does not wait for it.
    world.disk_failed = True

    def over() -> None:
        world.disk.slow_us = 0

    world.lasting(3 * MINUTE, over)


def thin_book(world: World) -> None:
    """Hardly anything is offered: orders fill in part and expire."""
    world.network.counters.fire("F17")
    world.venue.book.depth = world.chance.choice((0.002, 0.02, 0.1))
    world.venue.book.spread = world.chance.choice((1, 3, 40))

    def over() -> None:
        world.venue.book.depth, world.venue.book.spread = 1.0, 1

    world.lasting(world.chance.choice((1, 15)) * MINUTE, over)


#: The venue's own tricks, with the choices of each.
FATES: Final[tuple[tuple[str, dict[str, tuple[Any, ...]]], ...]] = (
    ("F14", {"share": ("0.5", "1")}),
    ("F15", {"share": ("0.5",), "pieces": (7,)}),
    ("F16", {"variant": ("native", "bnb", "mixed", "free", "rate")}),
    ("F17", {}),
    ("F18", {}),
    ("F20", {"share": ("0", "0.5")}),
    ("F21", {"variant": ("status", "field")}),
    ("F21", {"variant": ("status", "execution", "event", "field")}),
    ("F44", {"variant": ("order_ids", "trade_ids", "renamed")}),
)


def order_fate(world: World) -> None:
    """One of the venue's own tricks, for the next order or answer it fits. A parade deals all of them."""
    chance = world.chance
    number = world.dealt % len(FATES) if world.parade else chance.randrange(len(FATES))
    world.dealt += 1
    kind, choices = FATES[number]
    fault: dict[str, Any] = {"fault": kind}
    if choices:
        fault["params"] = {name: chance.choice(values) for name, values in choices.items()}
    if kind == "F21" and len(choices["variant"]) == 2:
        fault["match"] = {"path": world.rules.signed_paths}
    world.set_fault(fault, (24 if world.parade else 6) * HOUR)


def stale_answers(world: World) -> None:
    world.set_fault(
        {"fault": "F37", "params": {"age_ms": world.chance.choice((2_000, 30_000))}, "count": 200}, MINUTE
    )


def stale_after_an_order(world: World) -> None:
    """Right after the next order everything is told as of before it, or everything but the balances."""
    paths = world.rules.tell_of_trades if world.chance.random() < 0.5 else ("*",)

    def stale() -> None:
        for path in paths:
            fault = {"fault": "F37", "params": {"age_ms": 30_000}, "count": 200, "match": {"path": path}}
            world.set_fault(fault, MINUTE)
        world.network.drop_sockets()

    world.at_next_order = lambda: world.agenda.plan(world.chance.choice((1, 5, 15)) * SECOND, stale)


def maintenance(world: World) -> None:
    params = {
        "variant": world.chance.choice(("unavailable", "closed")),
        "expire_orders": world.chance.random() < 0.5,
    }
    world.network.drop_sockets(1001)
    world.set_fault(
        {"fault": "F38", "params": params}, world.chance.choice((5 * MINUTE, 50 * MINUTE)), standing=True
    )


def halted_symbol(world: World) -> None:
    variant = world.chance.choice(("HALT", "BREAK", "CANCEL_ONLY"))
    world.set_fault({"fault": "F39", "params": {"variant": variant}}, 20 * MINUTE, standing=True)


def other_filters(world: World) -> None:
    chance = world.chance
    params = chance.choice(({"step": "1"}, {"min_notional": "20"}, {"tick": "0.001"}, {"min_qty": "30"}))
    world.set_fault({"fault": "F40", "params": params}, chance.choice((10, 200)) * MINUTE, standing=True)


def key_lost(world: World) -> None:
    variant = world.chance.choice(("revoked", "trading", "address"))
    world.set_fault(
        {"fault": "F43", "params": {"variant": variant}}, world.chance.choice((1, 15)) * MINUTE, standing=True
    )


def strangers(world: World) -> None:
    """Somebody else uses the account."""
    chance, other = world.chance, world.venue.trading.account._strangers
    world.network.counters.fire("F41")
    try:
        match chance.choice(("deposit", "withdraw", "buy", "deposit_base")):
            case "deposit":
                other.deposit("USDT", world.amount(chance.randint(50, 500)))
            case "withdraw":
                other.withdraw("USDT", world.amount(chance.randint(20, 80)))
            case "deposit_base":
                world.touched_base = True
                other.deposit("ADA", world.amount(chance.randint(50, 500)))
            case _:
                world.touched_base = True
                other.order({"side": "BUY", "type": "MARKET", "quantity": str(chance.randint(30, 100))})
    except StrangerError:
        return
    world.witness.flows.note_outside()


def foreign_cancel(world: World, tries: int = 12) -> None:
    """The owner cancels a protective order by hand, as soon as there is one."""
    if world._healing:
        return
    mine = _resting(world)
    if not mine:
        if tries:
            world.agenda.plan(10 * MINUTE, lambda: foreign_cancel(world, tries - 1))
        return
    world.network.counters.fire("F41")
    if world.chance.random() < 0.5:
        # Nobody tells the agent.
        world.network.muted_until_us = world.agenda.now_us + 30 * SECOND
    try:
        world.venue.trading.account._strangers.cancel({"client_id": mine[0].terms.client_id})
    except (StrangerError, BadFaultError):
        return


def half_refused(world: World, tries: int = 400) -> None:
    """The owner closes what is held under a stop: that is canceled, and the sale in its place is refused.

    Or the stop sells in the last moment, and nothing may be replaced.
    """
    if world._healing or "F19" in world.rules.without:
        return
    if not _resting(world):
        if tries:
            world.agenda.plan(MINUTE, lambda: half_refused(world, tries - 1))
        return
    fault: dict[str, Any] = {"fault": "F19", "params": {"variant": "replacing"}}
    if world.chance.random() < 0.3 and not world.parade:
        fault = {"fault": "F14", "params": {"share": "0.5"}}
    world.set_fault(fault, 10 * MINUTE)
    world.ask(e.CloseRequested("the world", None))


def _resting(world: World) -> list[Any]:
    """What the agent has at the venue."""
    return [o for o in world.venue.open_orders if world.is_ours(o.terms.client_id)]


def operator(world: World) -> None:
    chance = world.chance
    world.ask(
        chance.choice(
            (
                e.PauseRequested("the world"),
                e.ResumeRequested("the world"),
                e.StopRequested("the world", flatten=False),
                e.StopRequested("the world", flatten=True),
                e.StartRequested("the world"),
                e.CloseRequested("the world", None),
            )
        )
    )
    world.agenda.plan(chance.choice((5, 30, 90)) * MINUTE, lambda: world.ask(e.StartRequested("the world")))


def emergency(world: World) -> None:
    world.network.counters.fire("F49")
    world.ask("emergency")
    world.agenda.plan(world.chance.choice((20, 60)) * MINUTE, world.clear_halt)


def emergency_elsewhere(world: World) -> None:
    """Another process lets the latch fall and comes no further: while nothing happens, at the very moment of
    an entry, or while the agent is down."""
    world.network.counters.fire("F49")
    draw = world.chance.random()
    if draw < 0.5:
        world.at_next_signal = world.set_latch
    else:
        world.set_latch()
        if draw < 0.75:
            world.crash("right after the latch fell", downtime_us=5 * SECOND)


def clean_restart(world: World) -> None:
    """The service is stopped in good order and started again, perhaps with another configuration."""
    world.stop_cleanly()


def every_way(world: World) -> None:
    """For parades: whatever a network can do to requests and events, within two hours."""
    weather = Weather(0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.2, 0.2, 0.2)
    world.weather_for(weather, 120 * MINUTE)


def every_disk_fault(world: World) -> None:
    """For parades: one after the other."""
    reasons = {"F28": "the disk is full", "F30": "the database is locked", "F31": "an I/O error"}
    for place, (fault, reason) in enumerate(reasons.items()):
        world.network.counters.fire(fault)
        world.agenda.plan(place * 5 * MINUTE, partial(world.fail_disk, reason, 3 * MINUTE))


def other_config(world: World) -> None:
    """The configuration is replaced, and the service started with the new one."""
    world.network.counters.fire("F50")
    world.reconfigure()
    world.stop_cleanly()


def bars_misbehave(world: World) -> None:
    """The next bars come wrong: without their flag, twice, in disorder, or with impossible numbers."""
    world.bar_faults += world.chance.sample(("F23", "F24", "F25", "F26"), 4)


#: How often each happens on a usual day.
USUAL: Final[dict[Act, float]] = {
    storm: 4.0,
    stream_disorder: 0.7,
    ambush: 8.0,
    unreachable: 1.0,
    account_unreadable: 0.8,
    silent_sockets: 0.7,
    sockets_end: 1.5,
    too_many_requests: 0.4,
    ban: 0.15,
    crash: 1.2,
    crash_at_next_order: 2.5,
    crash_at_commit: 0.8,
    power_cut: 0.6,
    suspend: 0.3,
    absent_at_signal: 0.5,
    hang: 0.3,
    ban_over_restart: 0.1,
    testnet_reset: 0.05,
    clock_step: 0.3,
    disk_full: 0.5,
    slow_disk: 0.4,
    thin_book: 2.0,
    order_fate: 5.0,
    stale_answers: 1.0,
    stale_after_an_order: 0.7,
    maintenance: 0.15,
    halted_symbol: 0.2,
    other_filters: 0.3,
    key_lost: 0.3,
    strangers: 0.6,
    foreign_cancel: 0.4,
    half_refused: 0.4,
    operator: 1.5,
    emergency: 0.35,
    emergency_elsewhere: 0.2,
    clean_restart: 0.4,
    other_config: 0.3,
    bars_misbehave: 1.0,
    every_way: 0.0,
    every_disk_fault: 0.0,
}


#: And where an account's calls are counted.
COUNTED: Final[dict[Act, float]] = {calls_used_up: 1.0}

#: In a parade everything happens this often at least; an order's fate has many forms, and what waits for a
#: stop that rests does not always find one.
PARADE: Final = 1
PARADE_OF: Final[dict[Act, int]] = {order_fate: 36, half_refused: 8}


def plan(world: World, days: float, *, parade: bool = False) -> list[tuple[int, Act]]:
    """The disasters of a run, by time from its beginning in microseconds. `parade`: none is left out."""
    chance, planned = world.chance, list[tuple[int, Act]]()
    span_us = int(days * 24 * HOUR)
    usual = USUAL | COUNTED if world.rules.counts_calls else USUAL
    for act, often in usual.items():
        expected = often * days * world.terms.luck
        count = int(expected) + (chance.random() < expected - int(expected))
        if parade:
            count = max(count, PARADE_OF.get(act, PARADE))
        planned += [(chance.randrange(5 * MINUTE, max(6 * MINUTE, span_us)), act) for _ in range(count)]
    return sorted(planned, key=lambda item: item[0])


def after(ms: int) -> int:
    return ms * MS
