"""The engine with all its parts, from start to stop.

The loop and the control channel run first, so that a halted or waiting agent can be asked and stopped;
then the exchange is reached. What is open is followed at once; otherwise history is loaded first, and the
feed begins where the last decision was made.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

import agent
from agent.compose.access import PAPER, Access
from agent.compose.accounts import AccountTaken, Traded, trading_alone
from agent.compose.alerting import Alerting, Joined
from agent.compose.database import Database
from agent.compose.door import Door
from agent.compose.early_feed import Unjudged, examined_to_ms
from agent.compose.errand import Site
from agent.compose.first_reading import account_read
from agent.compose.hurry import unhurried
from agent.compose.install_tag import install_tag
from agent.compose.latch_file import LatchFile
from agent.compose.ledger_journal import LedgerJournal, state_from
from agent.compose.market import SignalMarket, fee_prices, markets_of
from agent.compose.metrics import metrics_at
from agent.compose.onlookers import left_open
from agent.compose.order_desk import (
    OrderDesk,
    PaperDesk,
    SignedDesk,
    WaitingDesk,
    expected_fee_rate,
)
from agent.compose.paper_book import LedgerPaperStore
from agent.compose.parts import Parts
from agent.compose.patience import patiently
from agent.compose.polygon import Polygon, hears_decisions, second_opinion, stand_in
from agent.compose.progress import WarmupProgress
from agent.compose.rules_watch import RulesWatch
from agent.compose.same_world import another_run
from agent.compose.scrutiny import Scrutiny
from agent.compose.silences import Silences
from agent.compose.two_markets import TwoFeeds
from agent.compose.whose import Whose, open_scopes, whose
from agent.config.model import Config
from agent.config.strategy import setup
from agent.control.log_relay import LogRelay
from agent.control.messages import PROTOCOL, Versions
from agent.core.boot import latched_halt
from agent.core.events import (
    EmergencyRequested,
    Event,
    Healed,
    Impaired,
    Impairment,
    InstrumentSeen,
    StartRequested,
    StopRequested,
    WarmedUp,
)
from agent.core.gate import entry_overtaken
from agent.core.phase import Phase
from agent.core.ports import Clock, Feed, MarketData, MarketDataError
from agent.core.signal import SignalWindow
from agent.core.snapshot import is_flat
from agent.core.state import AgentState, HaltReason
from agent.exchange.addresses import Addresses
from agent.exchange.polygon.deeper import DeeperHistory
from agent.exchange.polygon.signals import PolygonSignals
from agent.exchange.warm_up import WarmUp
from agent.exchange.weight_gate import WeightGate
from agent.options import RunOptions
from agent.shell.clock import ExchangeClock, SystemClock
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import JournalError, Runtime
from agent.shell.supervisor import Supervisor
from agent.store.candles import SeriesKey, StoredSeries, older_venue
from agent.store.courier import Courier, Road
from agent.store.data_dir import DataDir
from agent.store.far_ledger import Claimed
from agent.store.latch import Latch
from agent.store.ledger import Ledger
from agent.store.paper import paper_scope
from agent.store.paper_rows import PaperRows
from agent.store.revision import SCHEMA_REVISION
from agent.store.scrutiny_findings import findings_in
from agent.store.trouble import StoreTrouble
from agent.store.writer import Watch

T = TypeVar("T")

LOG: Final = logging.getLogger("agent")
AGENT_ID: Final = "agent"
#: A stop must be over in five seconds; requests under way get this much of it.
STOP_GRACE_S: Final = 2.0

DONE: Final = 0
REFUSED: Final = 1
LOCKED: Final = 4
#: Not an exit code: the same start is to be made once more.
AGAIN: Final = -1


class Engine:
    """One run of the engine in `directory`, whose lock the caller holds."""

    def __init__(
        self,
        options: RunOptions,
        config: Config,
        directory: DataDir,
        exits_only_because: str | None,
        parts: Parts | None = None,
        access: Access = PAPER,
        alerts: Alerting | None = None,
        database: Database | None = None,
        polygon: Polygon | None = None,
    ) -> None:
        self._polygon = polygon
        self._alerts = alerts
        self._database = database
        self._far = None if database is None else database.far
        self._parts = parts or Parts()
        # A worker process has no place in another world than this one.
        self._is_real = parts is None
        self._access = access
        self._options = options
        self._config = config
        self._directory = directory
        self._exits_only_because = exits_only_because
        self._markets = markets_of(config, options.exchange)
        self._chance = self._parts.chance()
        self._runtime: Runtime | None = None
        self._stopping: asyncio.Event | None = None
        #: Told whenever something begins to be held or on its way, and when nothing is any more.
        self.on_holding: Callable[[bool], None] = lambda holding: None
        #: Gives its argument every line of the log, where there is one.
        self.follow_log: Callable[[Callable[[str], None]], None] | None = None
        self._again = False

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
        self._stopping = stopping
        clock, samples = self._parts.clock(self._options, self._config, self._markets.orders)
        waiting = self._wait_visibly(clock)
        try:
            if isinstance(clock, ExchangeClock) and not await _unless_stopped(_started(clock), stopping):
                return DONE
            found = await _unless_stopped(self._whose(clock), stopping)
            if found is None:
                return DONE
            waiting.cancel()
            if isinstance(found, str):
                print(f"{found}.", file=sys.stderr)
                return REFUSED
            self._exits_only_because = self._exits_only_because or found.exits_only_because
            await self._claim_account(found)
            with self._alone(found):
                return await self._run(clock, found, stopping)
        except AccountTaken as taken:
            print(f"{taken}.", file=sys.stderr)
            return LOCKED
        finally:
            waiting.cancel()
            if samples is not None:
                await samples.close()
            if self._far is not None:
                await asyncio.to_thread(self._far.hang_up)

    def _wait_visibly(self, clock: Clock) -> asyncio.Task[None]:
        """Whoever supervises this process is told why it does not begin yet."""

        async def wait() -> None:
            if self._alerts is not None:
                await self._alerts.wait_visibly(clock, self._markets.orders.venue)

        return asyncio.create_task(wait(), name="visible waiting")

    async def _whose(self, clock: Clock) -> Whose | str:
        """The scope of this run. On an account of the exchange that may take a request."""
        database, venue = self._directory.trades_db, self._markets.orders.venue
        pair, account = self._config.exchange.trading_pair, self._access.account
        if self._config.mode == "paper":
            return Whose(paper_scope(database, AGENT_ID, venue, pair))
        exposed = open_scopes(database)
        if account is None:
            # Started all the same, so something is open there.
            return Whose(next(s for s in exposed if (s.venue, s.pair) == (venue, pair)), self._access.why)
        gate = self._gate(self._markets.orders, clock)
        return await whose(AGENT_ID, self._config, account, self._directory.path, exposed, gate, clock)

    async def _claim_account(self, found: Whose) -> None:
        """Outside paper: one engine for each account and pair, also on other machines of one database."""
        scope = found.scope
        far = self._far
        if far is None or scope.mode == "paper":
            return
        what = f"{scope.pair} on account {scope.account} at {scope.venue}"
        try:
            await asyncio.to_thread(far.claim, f"account {what}", what)
        except Claimed as claimed:
            if not claimed.by_namesake:
                raise AccountTaken(str(claimed)) from None
        except StoreTrouble as trouble:
            LOG.warning("%s", trouble)
            await asyncio.to_thread(far.hang_up)

    @contextmanager
    def _alone(self, found: Whose) -> Iterator[None]:
        """Outside paper: one engine for each exchange, account and pair."""
        scope, parts = found.scope, self._parts
        if scope.mode == "paper" or not parts.trades_alone:
            yield
            return
        traded = Traded(scope.venue, scope.account, scope.pair, self._config.agent.capital)
        with trading_alone(traded, time.time_ns() // 1_000_000):
            yield

    def _gate(self, addresses: Addresses, clock: Clock) -> WeightGate:
        """The gate of one host; what the exchange asked for before the start still holds."""
        # A deadline in the time of a simulated exchange says nothing about the next one's.
        lasting = isinstance(clock, SystemClock)
        silences = Silences(self._directory.path)
        until_ms = silences.until_ms(addresses.venue) if lasting else 0

        def keep(blocked_until_ms: int) -> None:
            silences.keep(addresses.venue, blocked_until_ms)

        return self._parts.gate(addresses, clock, until_ms, keep if lasting else _forget)

    async def _run(self, clock: SystemClock | ExchangeClock, found: Whose, stopping: asyncio.Event) -> int:
        config, directory, parts = self._config, self._directory, self._parts
        markets, scope = self._markets, found.scope
        ledger = parts.ledger(directory.trades_db, scope)
        stored = await asyncio.to_thread(ledger.load)
        if isinstance(clock, ExchangeClock):
            refusal = another_run(stored, scope.venue, clock.now_ms())
            if refusal is not None:
                ledger.close()
                print(refusal, file=sys.stderr)
                return REFUSED
        core_setup = setup(
            config,
            venue=scope.venue,
            tag=install_tag(directory.path),
            fee_rate=expected_fee_rate(config),
        )
        leads = self._polygon is not None and self._polygon.leads
        core_setup = replace(core_setup, scales_levels=leads or not markets.is_one)
        if isinstance(clock, ExchangeClock):
            core_setup = unhurried(core_setup, clock.speed)
        latch = Latch.create(directory.path)
        halted = latch.read()
        latched = latched_halt(halted.reason, halted.at_ms) if halted else None
        state = state_from(core_setup, stored, clock.now_ms(), latched)
        writer = parts.writer(ledger, Watch(failed=_store_failed, broken=_store_broken))
        courier = self._courier(ledger)
        journal = LedgerJournal(writer, agent.__version__, courier.arrived if courier else None)
        journal.note_start(state)
        latch_file = LatchFile(latch)
        runtime = self._runtime = Runtime(state, clock, journal, latch_file, self._chance)

        gate = self._gate(markets.orders, clock)
        market = parts.market(markets.orders, config, gate, clock)
        signals: SignalMarket = market
        polygon = self._polygon
        asked = None if polygon is None else polygon.aggregates(config, clock, directory.path)
        source = markets.signals.venue
        if asked is not None and polygon is not None and polygon.leads:
            signals, source = PolygonSignals(asked, market), polygon.venue
        elif not markets.is_one:
            signals = parts.market(markets.signals, config, self._gate(markets.signals, clock), clock)
        candles = parts.candles(directory.candles_db)
        series = candles.series(SeriesKey(source, config.exchange.trading_pair, config.timeframe))
        rows = PaperRows(directory.trades_db, scope)
        feed: Feed = parts.feed(signals, markets.signals, config, clock, series, self._chance)
        if signals is not market:
            quotes = parts.quotes(market, markets.orders, config, clock, self._chance)
            feed = TwoFeeds(feed, quotes, clock)
        door = Door(runtime, agent.__version__)
        control = parts.control(door, Versions(PROTOCOL, agent.__version__, SCHEMA_REVISION))
        supervisor = Supervisor(_task_failed(runtime), monotonic_s=lambda: clock.machine_ms() / 1000)
        progress = WarmupProgress()

        def watch(holding: bool) -> None:
            feed.watch_closely(holding)
            self.on_holding(holding)

        observer = parts.onlookers(control, progress, watch)
        runtime.observe(observer)
        if not self._begins(state.phase):
            observer(state, ())
        if self._is_real:
            kept = findings_in(stored.documents)
            scrutiny = Scrutiny(directory.path, scope, clock, writer.submit, runtime.sink, kept)
            runtime.observe(scrutiny)
            supervisor.keep("parity worker", scrutiny.run)

        if asked is not None and not leads:
            opinion = second_opinion(asked, clock, runtime.sink, writer.submit, stored.documents)
            runtime.observe(hears_decisions(opinion))
            supervisor.keep("second opinion", opinion.run)

        lending = None
        if asked is not None:
            exchange = config.exchange.exchange_name.capitalize()
            lending = stand_in(asked, market, series, clock, runtime.sink, leads=leads, exchange=exchange)
            runtime.observe(lending.hear)
            supervisor.keep("lent bars", lending.run)

        desk = self._desk(
            found, market, LedgerPaperStore(rows, writer, clock), gate, clock, runtime, latch_file
        )
        rules = RulesWatch(runtime.sink)
        prices = fee_prices(market)
        connection = Dispatcher(desk.exchange, market, latch_file, rules.hear, runtime.intent_of, prices)
        runtime.connect(connection)
        connected = desk.exchange

        def holding() -> bool:
            return not is_flat(runtime.state)

        async def reach() -> None:
            """Reach the exchange, load history, and from then on follow the market."""
            nonlocal connection
            instrument = await patiently(market.instrument, clock.sleep_machine, "the exchange", holding)
            exchange = desk.opened(instrument, supervisor, runtime.sink)
            if exchange is not connected:
                connection = Dispatcher(exchange, market, latch_file, rules.hear, runtime.intent_of, prices)
                runtime.connect(connection)

            unjudged = Unjudged()

            def learn(event: Event) -> None:
                desk.observe(event)
                unjudged.note(event)
                if lending is not None:
                    lending.note(event)
                runtime.sink(event)

            probe = parts.probe if config.mode == "paper" else parts.signed_probe
            supervisor.keep("health probe", probe(market, gate, clock, learn).run)
            supervisor.keep("pair's rules", lambda: rules.run(market.instrument, learn, clock))
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
            if parts.errand is not None:
                await parts.errand(Site(runtime, exchange, clock, journal))
                stopping.set()
                return
            if config.mode != "paper":
                await account_read(runtime, clock)
            deeper = None
            if asked is not None and not leads:
                older = SeriesKey(older_venue(source), series.key.pair, series.key.timeframe)
                deeper = DeeperHistory(asked, candles.series(older))
            warm = WarmUp(
                signals, series, signals.source, clock, core_setup.seller, core_setup.exits, told, deeper
            )
            warmed = await patiently(warm.run, clock.sleep_machine, "the exchange's history", holding)
            decided = runtime.state.durable.decided_open_ms
            warmed = await asyncio.to_thread(_as_of, warmed, decided, series, warm.needed, config.bar_ms)
            progress.close()
            keep_for_good()
            unjudged.hand_over(warmed, runtime.sink)
            if after_open_ms is None:
                after_open_ms = warmed.last_open_ms
                supervisor.keep("market feed", follow)

        if self._alerts is not None:
            run = Joined(runtime, door.snapshot, clock, writer, directory.trades_db, scope, stored.documents)
            supervisor.keep("alerts", self._alerts.join(run))
        try:
            supervisor.keep("engine loop", runtime.run)
            supervisor.keep("latch watch", lambda: watch_latch(runtime, latch_file, parts.latch_look_s))
            supervisor.keep(
                "control channel", lambda: control.run(directory.path, time.time_ns() // 1_000_000)
            )
            if self.follow_log is not None:
                relay = LogRelay(control)
                self.follow_log(relay.hear)
                supervisor.keep("log relay", relay.run)
            if config.agent.metrics_port is not None:
                supervisor.keep("metrics", metrics_at(door, config.agent.metrics_port))
            if isinstance(clock, ExchangeClock):
                supervisor.keep("venue clock", lambda: clock.run(lambda: gate.is_blocked))
            if self._exits_only_because is None:
                await journal.accept_config(config.config_hash, config.canonical, clock.now_ms())
            self._send_changes(runtime, courier)
            self._begin(runtime)
            desk.start(supervisor, runtime.sink)
            code = await _until(stopping, reach())
            return AGAIN if self._again and code == DONE else code
        finally:
            progress.close()
            await connection.close(STOP_GRACE_S)
            await runtime.settle_writes()
            await supervisor.stop()
            await _say_goodbye(runtime.state, journal)
            await desk.close()
            await market.close()
            if signals is not market:
                await signals.close()
            if asked is not None:
                await asked.close()
            left = await asyncio.to_thread(writer.close)
            if left:
                LOG.error("%d changes could not be written before the end", left)
            if courier is not None and (behind := await asyncio.to_thread(courier.close)):
                LOG.warning("%d changes are kept here until the database is back", behind)
            rows.close()
            candles.close()
            ledger.close()

    # --- the server ------------------------------------------------------------------------------

    def _courier(self, ledger: Ledger) -> Courier | None:
        """Who brings every change to the database, where there is one."""
        far = self._far
        if far is None or ledger.spool is None:
            return None
        loop = asyncio.get_running_loop()

        def away(reason: str, final: bool) -> None:
            told = Impaired(Impairment.DATABASE_AWAY, reason, permanent=final)
            loop.call_soon_threadsafe(self._tell, told)

        def in_step() -> None:
            loop.call_soon_threadsafe(self._tell, Healed(Impairment.DATABASE_AWAY))

        return Courier(far, ledger.spool, self._directory.trades_db, Road(away, in_step))

    def _tell(self, event: Event) -> None:
        if self._runtime is not None:
            self._runtime.sink(event)

    def _send_changes(self, runtime: Runtime, courier: Courier | None) -> None:
        """Entries wait until the database has everything that was before."""
        if self._database is None:
            return
        trouble = self._database.trouble
        by, why = Impairment.DATABASE_AWAY, trouble or "the ledger is being compared"
        runtime.sink(Impaired(by, why, permanent=courier is None, expected=trouble is None))
        if courier is not None:
            courier.start()

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

    def _desk(
        self,
        found: Whose,
        market: MarketData,
        paper: LedgerPaperStore,
        gate: WeightGate,
        clock: Clock,
        runtime: Runtime,
        latch: LatchFile,
    ) -> OrderDesk:
        """Where orders go in this run."""
        config, access = self._config, self._access
        if config.mode == "paper":
            return PaperDesk(self._parts.paper_broker, market, config, paper, clock)
        if access.account is None or found.strangers_key:
            why = found.exits_only_because or access.why
            return WaitingDesk(why, access.look, self._start_again, clock)
        patience = self._parts.patience(config)

        def overtaken(client_id: str) -> str | None:
            return entry_overtaken(runtime.state, client_id)

        return SignedDesk(
            access.account, config, gate, clock, self._chance, latch.is_set, overtaken, patience
        )

    def _start_again(self) -> None:
        self._again = True
        if self._stopping is not None:
            self._stopping.set()


def keep_for_good() -> None:
    """Never look for garbage in what exists now: code and history, a quarter of a million objects.

    Going through them takes a tenth of a second, and would begin whenever enough was made, most likely while
    an order is on its way.
    """
    gc.freeze()


async def _unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Event) -> T | None:
    """What `work` returns, or None when the stop comes first."""
    working = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((working, stop), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stop):
            task.cancel()
        await asyncio.gather(working, stop, return_exceptions=True)


async def _started(clock: ExchangeClock) -> bool:
    """Take venue time from the exchange, however long that takes."""
    await patiently(clock.start, clock.sleep_machine, "the exchange's clock")
    return True


def _forget(until_ms: int) -> None:
    return None


async def watch_latch(runtime: Runtime, latch: LatchFile, look_every_s: float) -> None:
    """Another process may let the latch fall, perhaps while this one was frozen: then do our part.

    An emergency counts also after a daily loss, whose liquidation waits for a price. A file that is damaged
    or gone keeps entries back (see `is_set`), at the start as later, and sells nothing.
    """
    while True:
        reason, halted = latch.reason(), runtime.state.durable.halt
        told = Impairment.HALT_LATCH in runtime.state.impairments
        known = reason in {one.value for one in HaltReason}
        emergency = reason == HaltReason.EMERGENCY.value
        if known and (halted is None or (emergency and halted.reason is not HaltReason.EMERGENCY)):
            await runtime.ask(EmergencyRequested("latch file"))
        unreadable = reason is not None and not known and halted is None
        if unreadable and reason is not None and not told:
            runtime.sink(Impaired(Impairment.HALT_LATCH, reason))
        elif told and not unreadable:
            runtime.sink(Healed(Impairment.HALT_LATCH))
        await asyncio.sleep(look_every_s)


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
