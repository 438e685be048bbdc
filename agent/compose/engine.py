"""The engine with all its parts, from start to stop.

The loop and the control channel run first, so that a halted or waiting agent can be asked and stopped;
then the exchange is reached. What is open is followed at once; otherwise history is loaded first, and the
feed begins where the last decision was made.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import agent
from agent.compose.door import Door
from agent.compose.early_feed import Unjudged, examined_to_ms
from agent.compose.hurry import unhurried
from agent.compose.install_tag import install_tag
from agent.compose.ledger_journal import LedgerJournal, state_from
from agent.compose.market import addresses_of
from agent.compose.onlookers import left_open
from agent.compose.paper_book import LedgerPaperStore
from agent.compose.parts import Parts
from agent.compose.patience import patiently
from agent.compose.progress import WarmupProgress
from agent.compose.same_world import another_run
from agent.compose.unreachable import Unreachable
from agent.config.model import Config
from agent.config.strategy import assumed_fee_rate, assumed_slippage_rate, setup
from agent.control.messages import PROTOCOL, Versions
from agent.core.boot import latched_halt
from agent.core.events import (
    EmergencyRequested,
    Event,
    Impaired,
    Impairment,
    InstrumentSeen,
    StartRequested,
    StopRequested,
    WarmedUp,
)
from agent.core.phase import Phase
from agent.core.ports import MarketDataError
from agent.core.signal import SignalWindow
from agent.core.snapshot import is_flat
from agent.core.state import AgentState, HaltReason
from agent.exchange.warm_up import WarmUp
from agent.options import RunOptions
from agent.shell.clock import ExchangeClock, SystemClock
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import JournalError, Runtime
from agent.shell.supervisor import Supervisor
from agent.store.batch import Batch
from agent.store.candles import SeriesKey, StoredSeries
from agent.store.data_dir import DataDir
from agent.store.latch import Latch
from agent.store.ledger import Ledger
from agent.store.paper import paper_scope
from agent.store.paper_rows import PaperRows
from agent.store.revision import SCHEMA_REVISION
from agent.store.trouble import StoreTrouble
from agent.store.writer import Watch

T = TypeVar("T")

LOG: Final = logging.getLogger("agent")
AGENT_ID: Final = "agent"
RATE_LIMIT_KEY: Final = "rate_limit"
#: A stop must be over in five seconds; requests under way get this much of it.
STOP_GRACE_S: Final = 2.0

DONE: Final = 0
REFUSED: Final = 1


class LatchFile:
    """The latch as the runtime and the dispatcher use it. A disk that fails counts as set."""

    def __init__(self, latch: Latch) -> None:
        self._latch = latch

    def set(self, reason: str, at_ms: int) -> None:
        try:
            self._latch.set(reason, at_ms)
        except StoreTrouble as trouble:
            LOG.critical("the halt latch could not be written: %s", trouble)

    def clear(self) -> None:
        try:
            self._latch.clear()
        except StoreTrouble as trouble:
            LOG.critical("the halt latch could not be cleared, entries stay off: %s", trouble)

    def is_set(self) -> bool:
        return self._latch.read() is not None

    def reason(self) -> str | None:
        """What the file says, or what is wrong with it; None when it is certainly clear."""
        halted = self._latch.read()
        return None if halted is None else halted.reason


class Engine:
    """One run of the engine in `directory`, whose lock the caller holds."""

    def __init__(
        self,
        options: RunOptions,
        config: Config,
        directory: DataDir,
        exits_only_because: str | None,
        parts: Parts | None = None,
    ) -> None:
        self._parts = parts or Parts()
        self._options = options
        self._config = config
        self._directory = directory
        self._exits_only_because = exits_only_because
        self._addresses = addresses_of(config, options.exchange)
        self._chance = self._parts.chance()
        self._runtime: Runtime | None = None

    def emergency_by_signal(self) -> None:
        """SIGUSR1: latch and flatten. Safe to call from a signal handler of the loop.

        While the exchange's clock is still waited for there is nothing to flatten with: the latch falls, and
        what is open is sold as soon as the exchange answers.
        """
        runtime = self._runtime
        if runtime is None:
            latch = LatchFile(Latch.create(self._directory.path))
            latch.set(HaltReason.EMERGENCY.value, time.time_ns() // 1_000_000)
            LOG.critical("emergency stop by signal: entries are latched off")
            return
        task = asyncio.ensure_future(runtime.emergency("signal"))
        task.add_done_callback(lambda done: done.exception())

    async def run(self, stopping: asyncio.Event) -> int:
        """Trade until `stopping`; returns the exit code."""
        clock, samples = self._parts.clock(self._options, self._config, self._addresses)
        try:
            if isinstance(clock, ExchangeClock) and not await self._clock_started(clock, stopping):
                return DONE
            return await self._run(clock, stopping)
        finally:
            if samples is not None:
                await samples.close()

    async def _run(self, clock: SystemClock | ExchangeClock, stopping: asyncio.Event) -> int:
        config, directory, parts = self._config, self._directory, self._parts
        pair = config.exchange.trading_pair
        scope = paper_scope(directory.trades_db, AGENT_ID, self._addresses.venue, pair)
        ledger = Ledger.open(directory.trades_db, scope)
        stored = await asyncio.to_thread(ledger.load)
        if isinstance(clock, ExchangeClock):
            refusal = another_run(stored, self._addresses.venue, clock.now_ms())
            if refusal is not None:
                ledger.close()
                print(refusal, file=sys.stderr)
                return REFUSED
        core_setup = setup(
            config,
            venue=self._addresses.venue,
            tag=install_tag(directory.path),
            fee_rate=assumed_fee_rate(config),
        )
        if isinstance(clock, ExchangeClock):
            core_setup = unhurried(core_setup, clock.speed)
        latch = Latch.create(directory.path)
        halted = latch.read()
        latched = latched_halt(halted.reason, halted.at_ms) if halted else None
        state = state_from(core_setup, stored, clock.now_ms(), latched)
        writer = parts.writer(ledger, Watch(failed=_store_failed, broken=_store_broken))
        journal = LedgerJournal(writer, agent.__version__)
        journal.note_start(state)
        latch_file = LatchFile(latch)
        runtime = self._runtime = Runtime(state, clock, journal, latch_file, self._chance)

        def on_blocked(until_ms: int) -> None:
            writer.submit(Batch(clock.now_ms(), documents={RATE_LIMIT_KEY: until_ms}))

        # A deadline in the time of a simulated exchange says nothing about the next one's.
        kept = stored.documents.get(RATE_LIMIT_KEY) if isinstance(clock, SystemClock) else None
        blocked_until_ms = kept if isinstance(kept, int) else 0
        gate = parts.gate(self._addresses, clock, blocked_until_ms, on_blocked)
        market = parts.market(self._addresses, config, gate, clock)
        candles = parts.candles(directory.candles_db)
        series = candles.series(
            SeriesKey(self._addresses.venue, config.exchange.trading_pair, config.timeframe)
        )
        rows = PaperRows(directory.trades_db, scope)
        feed = parts.feed(market, self._addresses, config, clock, series, self._chance)
        door = Door(runtime, agent.__version__)
        control = parts.control(door, Versions(PROTOCOL, agent.__version__, SCHEMA_REVISION))
        supervisor = Supervisor(_task_failed(runtime), monotonic_s=lambda: clock.machine_ms() / 1000)
        progress = WarmupProgress()
        observer = parts.onlookers(control, progress, feed.watch_closely)
        runtime.observe(observer)
        if not self._begins(state.phase):
            observer(state, ())

        connection = Dispatcher(Unreachable(), market, latch_file, runtime.sink, runtime.intent_of)
        runtime.connect(connection)

        def holding() -> bool:
            return not is_flat(runtime.state)

        async def reach() -> None:
            """Reach the exchange, load history, and from then on follow the market."""
            nonlocal connection
            instrument = await patiently(market.instrument, clock.sleep_machine, "the exchange", holding)
            broker = parts.paper_broker(
                market=market,
                instrument=instrument,
                fee_bp=core_setup.fee_rate * 10_000,
                slippage_bp=assumed_slippage_rate(config) * 10_000,
                initial_balance=config.exchange.paper_initial_balance,
                bar_ms=config.bar_ms,
                store=LedgerPaperStore(rows, writer, clock),
                clock=clock,
            )
            connection = Dispatcher(broker, market, latch_file, runtime.sink, runtime.intent_of)
            runtime.connect(connection)

            unjudged = Unjudged()

            def learn(event: Event) -> None:
                broker.observe(event)
                unjudged.note(event)
                runtime.sink(event)

            supervisor.keep("paper broker", lambda: broker.run(runtime.sink))
            supervisor.keep("health probe", parts.probe(market, gate, clock, learn).run)
            learn(InstrumentSeen(instrument))
            after_open_ms = examined_to_ms(runtime.state, clock.now_ms())

            async def follow() -> None:
                window = runtime.state.window
                begin_ms = window.last_open_ms if window else after_open_ms
                assert begin_ms is not None, "the feed starts when something is open, or history is loaded"
                await feed.run(learn, begin_ms)

            if after_open_ms is not None:
                # What is open does not wait for history.
                supervisor.keep("market feed", follow)
            told = runtime.sink
            warm = WarmUp(market, series, market.source, clock, core_setup.seller, core_setup.exits, told)
            warmed = await patiently(warm.run, clock.sleep_machine, "the exchange's history", holding)
            decided = runtime.state.durable.decided_open_ms
            warmed = await asyncio.to_thread(_as_of, warmed, decided, series, warm.needed, config.bar_ms)
            progress.close()
            unjudged.hand_over(warmed, runtime.sink)
            if after_open_ms is None:
                after_open_ms = warmed.last_open_ms
                supervisor.keep("market feed", follow)

        try:
            supervisor.keep("engine loop", runtime.run)
            supervisor.keep("latch watch", lambda: _watch_latch(runtime, latch_file, parts.latch_look_s))
            supervisor.keep(
                "control channel", lambda: control.run(directory.path, time.time_ns() // 1_000_000)
            )
            if isinstance(clock, ExchangeClock):
                supervisor.keep("venue clock", clock.run)
            if self._exits_only_because is None:
                await journal.accept_config(config.config_hash, config.canonical, clock.now_ms())
            self._begin(runtime)
            return await _until(stopping, reach())
        finally:
            progress.close()
            await connection.close(STOP_GRACE_S)
            await runtime.settle_writes()
            await supervisor.stop()
            await _say_goodbye(runtime.state, journal)
            await market.close()
            left = await asyncio.to_thread(writer.close)
            if left:
                LOG.error("%d changes could not be written before the end", left)
            rows.close()
            candles.close()
            ledger.close()

    # --- start -------------------------------------------------------------------------------------

    def _begin(self, runtime: Runtime) -> None:
        """Start, stay stopped, or only manage what is open, as asked."""
        phase = runtime.state.phase
        if self._exits_only_because is not None:
            runtime.sink(Impaired(Impairment.SETUP_REFUSED, self._exits_only_because))
            runtime.sink(StopRequested("the start", flatten=False))
        elif not self._options.start:
            if phase is Phase.STARTING:
                runtime.sink(StopRequested("--no-start", flatten=False))
        elif self._begins(phase):
            runtime.sink(StartRequested("start of the engine"))

    def _begins(self, phase: Phase) -> bool:
        """Whether this start is what makes the agent trade."""
        return phase is Phase.STOPPED and self._options.start and self._exits_only_because is None

    async def _clock_started(self, clock: ExchangeClock, stopping: asyncio.Event) -> bool:
        """Take venue time from the exchange, however long that takes; false when stopped before."""
        start = asyncio.ensure_future(patiently(clock.start, clock.sleep_machine, "the exchange's clock"))
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not start.done():
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            return False
        start.result()
        return True


async def _watch_latch(runtime: Runtime, latch: LatchFile, look_every_s: float) -> None:
    """Another process may let the latch fall, perhaps while this one was frozen: then do our part.

    A file that is merely damaged or gone keeps entries back (see `is_set`) and sells nothing.
    """
    told = False
    while True:
        await asyncio.sleep(look_every_s)
        reason = latch.reason()
        if reason is None or runtime.state.durable.halt is not None:
            told = False
        elif reason in {known.value for known in HaltReason}:
            await runtime.ask(EmergencyRequested("latch file"))
        elif not told:
            told = True
            runtime.sink(Impaired(Impairment.AGENT_FAULT, reason))


async def _until(stopping: asyncio.Event, reach: Coroutine[Any, Any, None]) -> int:
    """Wait for the stop. Only a pair that cannot be traded, and is not held, ends the engine by itself."""
    reaching = asyncio.ensure_future(reach)
    ended = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((reaching, ended), return_when=asyncio.FIRST_COMPLETED)
        if reaching.done():
            reaching.result()
        await ended
        return DONE
    except MarketDataError as error:
        print(f"{error}. Check exchange.trading_pair and exchange.exchange_name.", file=sys.stderr)
        return REFUSED
    finally:
        for task in (reaching, ended):
            task.cancel()
        await asyncio.gather(reaching, ended, return_exceptions=True)


async def _say_goodbye(state: AgentState, journal: LedgerJournal) -> None:
    """Resting stops stay; what stays open is named, here and in the stored status."""
    try:
        await journal.write_last_status(state)
    except JournalError as error:
        LOG.error("the last status could not be stored: %s", error)
    for line in left_open(state):
        LOG.warning("%s", line)


def _as_of(
    warmed: WarmedUp, decided_open_ms: int | None, series: StoredSeries, needed: int, bar_length_ms: int
) -> WarmedUp:
    """History as of the last decision, so that every bar since is judged, late or not, and none twice."""
    if decided_open_ms is None or decided_open_ms >= warmed.last_open_ms:
        return warmed
    since_ms = decided_open_ms - (needed - 1) * bar_length_ms
    known = series.read(since_ms, decided_open_ms + bar_length_ms)
    if len(known) < min(needed, warmed.window.bars_seen) // 2 or int(known.open_ms[-1]) != decided_open_ms:
        LOG.warning(
            "signals since the last decision are not judged: the history before it is not known any more"
        )
        return warmed
    window = SignalWindow.warm(warmed.window.params, warmed.window.exits, known)
    return WarmedUp(window, decided_open_ms, float(known.close[-1]))


def _task_failed(runtime: Runtime) -> Callable[[str, BaseException], None]:
    """A part that broke was started again, but nobody knows why it broke: no entries until a restart."""

    def told(name: str, error: BaseException) -> None:
        runtime.sink(Impaired(Impairment.AGENT_FAULT, f"the {name} broke and was started again: {error}"))

    return told


def _store_failed(reason: str) -> None:
    LOG.error("the database cannot be written: %s", reason)


def _store_broken(error: Exception) -> None:
    LOG.critical("the ledger contradicts what happened: %s", error, exc_info=error)
