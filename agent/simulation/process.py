"""The agent as a process of a simulated machine: the real engine on a virtual loop, and how it dies.

Belongs here: which of the engine's parts are others in a simulation (`SimulatedParts`), starting and losing a
process. Stays true: the start-up path, the runtime, the core, the store, the paper broker and the connector
are the product's own; what is replaced is what touches a clock, a socket or a thread.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from agent.compose import engine as engine_module
from agent.compose import ledger_journal
from agent.compose.access import PAPER, Access
from agent.compose.engine import Engine
from agent.compose.order_desk import Account
from agent.compose.parts import Parts
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core import engine as core_engine
from agent.core import fees, reconcile
from agent.core.commands import Command
from agent.core.ports import Clock, Sink
from agent.core.state import AgentState
from agent.exchange import ccxt_client
from agent.exchange.addresses import Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.ccxt_import import rest_class
from agent.exchange.health import SIGNED_OFFSET_MS, HealthProbe
from agent.exchange.signed import client as signed_client
from agent.exchange.signed import user_stream
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import WeightGate
from agent.options import ExchangeAddress, RunOptions
from agent.shell.clock import SystemClock
from agent.simulation.agenda import MS, SECOND, VirtualLoop
from agent.simulation.carriers import PublicCarrier, SignedCarrier
from agent.simulation.chance import below
from agent.simulation.disk import UncertainLedger
from agent.simulation.feed import QuickFeed
from agent.simulation.kraken_parts import kraken_parts
from agent.simulation.quick_ledger import QuickLedger, QuickReaders, recorded_order, recorded_position
from agent.simulation.session import MemorySession
from agent.simulation.witness import Violation
from agent.store import ledger as ledger_module
from agent.store import loading, paper, paper_rows, reading
from agent.store.batch import Batch, Scope
from agent.store.data_dir import DataDir
from agent.store.ledger import Ledger
from agent.store.writer import Watch, Writer

if TYPE_CHECKING:
    from agent.simulation.world import World

REST: Final = "http://127.0.0.1:9"
WS: Final = "ws://127.0.0.1:9"
#: The quick profile looks at idle connections less often: what it watches is broken on purpose all the time.
QUICK: Final = Patience(
    keep_warm_ms=3_600_000.0,
    ping_interval_s=3_600.0,
    look_every_ms=1_800_000.0,
    measure_every_ms=3_600_000.0,
    poll_every_ms=600_000.0,
)
#: The quick profile's minutes: what happens every one in the product happens every thirty here.
QUICK_MINUTE_MS: Final = 1_800_000
QUICK_LOOK_AGAIN_MS: Final = 15_000
#: What is read again every hour, or every few minutes without much depending on it.
QUICK_HOUR_MS: Final = 14_400_000
QUICK_LATCH_LOOK_S: Final = 1_800.0
PROBE_EVERY_MS: Final = 1_800_000.0
#: As the store has them; the file stays as long as it once was, so written batches are counted too.
WORTH_FOLDING: Final = 1_000_000
FOLDED_AFTER_S: Final = 0.5
WORTH_FOLDING_BATCHES: Final = 100


class VirtualClock(SystemClock):
    """The machine's clocks in the world's time.

    The real one naps for a second at most, so that a step of its machine's clock is noticed soon. This one
    sleeps until something steps.
    """

    def __init__(self, world: World, loop: VirtualLoop) -> None:
        super().__init__(world.wall_ns, loop.time, self._doze)
        self._world = world
        self._loop = loop
        self._dozing: dict[asyncio.Future[None], None] = {}

    def now_ms(self) -> int:
        world = self._world
        return super().now_ms() if world.clock_stepped else world.agenda.now_us // MS

    def steps(self, step: Callable[[], None]) -> None:
        """Let the machine's clock step, and whoever sleeps look at it again."""
        super().now_ms()
        step()
        for waiting in list(self._dozing):
            _end(waiting)

    async def sleep_until(self, venue_ms: int) -> None:
        while (left := venue_ms - self.now_ms()) > 0:
            await self._doze(left / 1000)

    async def sleep_machine(self, ms: float) -> None:
        if ms <= 0:
            await asyncio.sleep(0)
            return
        # As `asyncio.sleep`, one coroutine less deep: hundreds sleep a day.
        waiting: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        timer = self._loop.call_later(ms / 1000, _end, waiting)
        try:
            await waiting
        finally:
            timer.cancel()

    async def _doze(self, for_s: float) -> None:
        waiting: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        timer = self._loop.call_later(for_s, _end, waiting)
        self._dozing[waiting] = None
        try:
            await waiting
        finally:
            timer.cancel()
            del self._dozing[waiting]


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class VirtualWriter(Writer):
    """The ledger's writer without its thread: a commit takes its time and then happens in one moment."""

    def __init__(self, ledger: UncertainLedger, watch: Watch, process: Process) -> None:
        self._process = process
        self._planned = self._folding = False
        self._unfolded = 0
        super().__init__(ledger, watch)

    def _begin(self) -> None:
        return None

    def submit(self, batch: Batch) -> Future[None]:
        future = super().submit(batch)
        self._plan(self._process.fsync_us())
        return future

    def close(self, timeout_s: float = 5.0) -> int:
        self._closing = True
        while self._queue and self._write_next():
            pass
        return self.backlog

    @property
    def pending(self) -> list[Batch]:
        return [waiting.batch for waiting in self._queue]

    def _plan(self, in_us: int) -> None:
        if not self._planned and self._queue:
            self._planned = True
            self._process.loop.call_later(in_us / SECOND, self._pump)

    def _pump(self) -> None:
        self._planned = False
        process = self._process
        if process.dead or process.dies_at_commit(before=True):
            return
        written = list(self.pending)
        around = process.world.around_commit
        before = process.world.disk.snapshot() if around is not None else {}
        if self._write_next():
            self._fold_when_idle()
            written = written[: len(written) - self.backlog]
            if around is not None:
                around(before, process.world.disk.snapshot(), written)
            process.committed(written)
            self._plan(process.fsync_us())
        else:
            self._plan(SECOND)
        process.dies_at_commit(before=False)

    def _fold_when_idle(self) -> None:
        """As the thread does: once the log is worth it and nothing was written for a moment."""
        ledger = self._process.ledger
        self._unfolded += 1
        if ledger is None or self._folding or self._unfolded < WORTH_FOLDING_BATCHES:
            return
        if self._process.world.disk.log_size < WORTH_FOLDING:
            return
        self._folding, self._unfolded = True, 0

        def fold() -> None:
            self._folding = False
            if not self._process.dead and not self._queue:
                ledger.tidy()

        self._process.loop.call_later(FOLDED_AFTER_S, fold)


class NoControl:
    """Nobody connects from outside: the world asks through the door itself."""

    def __init__(self, door: Any) -> None:
        self.door = door

    async def run(self, directory: Any, at_ms: int) -> None:
        await asyncio.Event().wait()

    def changed(self) -> None:
        return None


class SimulatedParts(Parts):
    latch_look_s = 5.0

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world = process.world
        world, loop = self.world, process.loop

        def public(addresses: Addresses, gate: WeightGate, timeout_ms: int) -> Any:
            return PublicCarrier(world.network, loop, gate, timeout_ms)

        def signed(
            addresses: Addresses, hosts: Any, keys: Any, gate: WeightGate, time: Any, timeout_ms: int
        ) -> Any:
            return SignedCarrier(world.network, loop, keys, gate, time, timeout_ms)

        async def dial(url: str, frame_log: Any = None) -> Any:
            return await world.network.dial(loop)

        def session(tls: Any, *traces: Any, keep_alive_s: float = 0.0) -> Any:
            return MemorySession(world.network, loop)

        def readers(place: Any) -> Any:
            return QuickReaders(world.disk)

        rest_class(world.rules.name)
        others: dict[tuple[ModuleType, str], object] = {
            (engine_module, "trading_alone"): _unlocked,
            # Every world that lived until then would be kept for good too.
            (engine_module, "keep_for_good"): lambda: None,
            (ccxt_client, "time"): _LoopTime(loop),
            (user_stream, "dial"): dial,
        }
        if world.thorough:
            others |= {(ccxt_client, "open_session"): session, (signed_client, "open_session"): session}
        else:
            others |= {
                (core_engine, "BALANCE_ROW_EVERY_MS"): QUICK_MINUTE_MS,
                (reconcile, "RECONCILE_EVERY_MS"): QUICK_MINUTE_MS,
                (reconcile, "LOOK_AGAIN_MS"): QUICK_LOOK_AGAIN_MS,
                (fees, "PRICE_AGAIN_MS"): QUICK_HOUR_MS,
                (ledger_journal, "STATUS_EVERY_MS"): QUICK_MINUTE_MS,
                (ccxt_client, "_instance"): public,
                (signed_client, "_instance"): signed,
                # The schema of a world's database was checked when its first copy was made.
                (ledger_module, "open_for_reading"): readers,
                (paper, "open_for_reading"): readers,
                (paper_rows, "open_for_reading"): readers,
                (reading, "open_for_reading"): readers,
                (loading, "recorded_order"): recorded_order,
                (loading, "recorded_position"): recorded_position,
            }
            self.latch_look_s = QUICK_LATCH_LOOK_S
        if world.rules.name == "kraken":
            others |= kraken_parts(world.network, loop, process.ccxt_made, world.wall_ns)
        substitute(others)

    def chance(self) -> random.Random:
        return random.Random(self.world.chance.getrandbits(64))

    def clock(self, options: Any, config: Any, addresses: Any) -> Any:
        clock = self.process.clock = VirtualClock(self.world, self.process.loop)
        return clock, None

    def ledger(self, path: Path, scope: Scope) -> Ledger:
        if self.world.thorough:
            return super().ledger(path, scope)
        self.world.disk.look()
        return QuickLedger.on(self.world.disk, scope)

    def writer(self, ledger: Ledger, watch: Watch) -> Writer:
        self.process.ledger = ledger
        self.process.writer = VirtualWriter(UncertainLedger(ledger, self.world.disk), watch, self.process)
        return self.process.writer

    def gate(self, addresses: Any, clock: Clock, blocked_until_ms: int, on_blocked: Any) -> WeightGate:
        return super().gate(addresses, clock, blocked_until_ms, on_blocked)

    def candles(self, path: Any) -> Any:
        return self.world.candles

    def feed(self, market: Any, addresses: Any, config: Any, clock: Any, archive: Any, chance: Any) -> Any:
        return QuickFeed(
            self.world.network,
            self.process.loop,
            market,
            clock,
            archive,
            config.bar_ms,
            tells_closing=self.world.rules.tells_closing,
        )

    def patience(self, config: Any) -> Patience:
        return super().patience(config) if self.world.thorough else QUICK

    def probe(self, market: Any, gate: WeightGate, clock: Clock, sink: Sink) -> HealthProbe:
        if self.world.thorough:
            return super().probe(market, gate, clock, sink)
        return _quick_probe(market, gate, clock, sink)

    def signed_probe(self, market: Any, gate: WeightGate, clock: Clock, sink: Sink) -> HealthProbe:
        if self.world.thorough:
            return super().signed_probe(market, gate, clock, sink)
        return _quick_probe(market, gate, clock, sink, offset_ms=SIGNED_OFFSET_MS)

    def control(self, door: Any, versions: Any) -> Any:
        self.process.door = door
        return NoControl(door)

    def onlookers(self, control: Any, progress: Any, watch: Any) -> Callable[[Any, Any], None]:
        watching: list[bool] = []

        def look(state: AgentState, commands: tuple[Command, ...]) -> None:
            closely = bool(state.open_positions()) or bool(state.in_flight())
            if watching != [closely]:
                watching[:] = [closely]
                watch(closely)
            self.process.stepped(state, commands)

        return look


def _close(coroutine: Any) -> None:
    """End it, however often its clean-up begins to wait again."""
    for _ in range(50):
        try:
            coroutine.close()
            return
        except BaseException:  # noqa: BLE001 - what clean-up does among the dead concerns nobody
            continue


_OURS: Final[dict[tuple[ModuleType, str], object]] = {}


def substitute(others: dict[tuple[ModuleType, str], object]) -> None:
    """Put something else where modules look for it, and back what an earlier world had put there.

    One world at a time lives in a process.
    """
    for (module, name), ours in _OURS.items():
        setattr(module, name, ours)
    for (module, name), other in others.items():
        assert hasattr(module, name), f"{module.__name__} has no {name} any more"
        _OURS.setdefault((module, name), getattr(module, name))
        setattr(module, name, other)


def _quick_probe(market: Any, gate: WeightGate, clock: Clock, sink: Sink, **others: Any) -> HealthProbe:
    rhythm: dict[str, Any] = {"every_ms": PROBE_EVERY_MS, "rules_every_ms": float(QUICK_HOUR_MS)}
    return HealthProbe(cast(BinancePublic, market), gate, clock, sink, **rhythm, **others)


def _unlocked(traded: Any, at_ms: int) -> Any:
    """The lock between processes of one machine: a world has one machine and one process at a time."""
    return nullcontext()


class _LoopTime:
    def __init__(self, loop: VirtualLoop) -> None:
        self.monotonic = loop.time


class Process:
    """One life of the agent, from its start to its end."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.loop = VirtualLoop(world.agenda)
        self.clock: VirtualClock | None = None
        self.dead = self.lost_power = False
        self.commits = 0
        self.door: Any = None
        self.ledger: Ledger | None = None
        self.writer: VirtualWriter | None = None
        self.state: AgentState | None = None
        self.started_ms = world.agenda.now_ms
        self.account_read_ms: int | None = None
        self.main: asyncio.Task[int] | None = None
        self._crash_at_commit: tuple[int, bool] | None = None
        self._engine: Engine | None = None
        self.ccxt_made: list[Any] = []

    def start(self, config: Any) -> None:
        options = RunOptions(
            config=config, config_path=config.path, env_path=config.path,
            data_dir=self.world.disk.path, start=True, confirmed_live=False,
            exchange=ExchangeAddress(REST, WS), clock="system", log_json=False,
        )  # fmt: skip
        parts = SimulatedParts(self)
        access, rules = PAPER, self.world.rules
        if not self.world.terms.paper:
            orders = Addresses.replaced(rules.name, REST, WS)
            access = Access(
                Account(orders, ExchangeKeys(Secret(rules.key), Secret(rules.secret), None), None),
                "",
                lambda: False,
            )
        directory = DataDir(self.world.disk.path)
        self._engine = Engine(options, config.config, directory, None, parts, access)
        self.world.agenda.loop = self.loop

        async def main() -> int:
            self.stopping = asyncio.Event()
            assert self._engine is not None
            return await self._engine.run(self.stopping)

        self.main = self.loop.create_task(main(), name="main")
        self.main.add_done_callback(self._ended)

    def _ended(self, main: asyncio.Task[int]) -> None:
        self.world.agenda.alarmed = True

    def is_halted(self) -> bool:
        from agent.store.latch import Latch

        return Latch(self.world.disk.path / "halt.latch").read() is not None

    def clock_steps(self, step: Callable[[], None]) -> None:
        """The machine's clock steps, or its time goes on after it stood still."""
        if self.clock is None:
            step()
        else:
            self.clock.steps(step)

    # --- the disk ---------------------------------------------------------------------------------------

    def fsync_us(self) -> int:
        return self.world.disk.slow_us or (1 + below(self.world.fsync_chance, 8)) * MS

    def crash_at_commit(self, number: int, *, before: bool) -> None:
        """Die right before or right after the commit that is `number` commits from now."""
        self._crash_at_commit = (number, before)

    def dies_at_commit(self, *, before: bool) -> bool:
        planned = self._crash_at_commit
        if planned is None or planned[1] is not before:
            return False
        if planned[0] > 0:
            self._crash_at_commit = (planned[0] - 1, before)
            return False
        self._crash_at_commit = None
        self.world.crash(f"{'before' if before else 'right after'} a commit")
        return True

    def committed(self, batches: list[Batch]) -> None:
        self.commits += 1
        self.world.witness.durability.committed(batches)

    # --- the core ---------------------------------------------------------------------------------------

    def stepped(self, state: AgentState, commands: tuple[Command, ...]) -> None:
        before, self.state = self.state, state
        try:
            self.world.witness.steps.stepped(self, before, state, commands)
        except Violation as found:
            self.world.found(found)

    def ask(self, event: Any) -> None:
        """The operator asks for something, as through the control channel."""
        door = self.door
        if door is None or self.dead:
            return

        async def asked() -> None:
            answer = await (door.emergency("the world") if event == "emergency" else door.ask(event))
            self.world.note(f"operator: {event} -> {answer}")

        self.loop.call_soon(lambda: self.loop.create_task(asked()))

    # --- the end ----------------------------------------------------------------------------------------

    def lose(self, *, power: bool, chance: random.Random) -> None:
        """Die at this very moment."""
        self.dead = True
        self.loop.lose()
        world = self.world
        world.network.forget(self.loop)
        if world.agenda.loop is self.loop:
            world.agenda.loop = None
        ledger, writer = self.ledger, self.writer

        def hang_up() -> None:
            if ledger is not None:
                ledger.close()

        self.lost_power = power
        if power and ledger is not None and writer is not None and world.disk.failing is None:
            pending = writer.pending[: chance.randint(0, 3)]
            world.disk.cut_power(ledger, pending, hang_up, chance)
        else:
            world.disk.survive(hang_up)

    def bury(self) -> None:
        """Let go of what the dead process left, once nothing it does can matter any more."""
        from asyncio import events

        previous = events._get_running_loop()
        events._set_running_loop(self.loop)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for task in list(self.loop.tasks):
                    _close(cast(Any, task.get_coro()))
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(previous)
        for instance in self.ccxt_made:
            instance.session = None
        self.loop.tasks.clear()
        self.loop.ready.clear()
        self._engine = None
