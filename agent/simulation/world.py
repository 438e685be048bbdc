"""One world: venue, network, disk, agent and bad luck, from one seed, in virtual time.

Belongs here: joining the parts, the flow of a run (disasters, healing, checks, restart, checks again), and
what disasters do to more than one part. Stays true: everything that is drawn is drawn from one chance, in an
order that only the seed decides.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

from agent.config.strategy import seller_params
from agent.core import events as e
from agent.core.instant import iso_utc
from agent.core.signal import warmup_bars_needed
from agent.core.state import HaltReason
from agent.localexchange.faults import BadFaultError, Fault
from agent.simulation import disasters, market_news
from agent.simulation import terms as terms_module
from agent.simulation.agenda import MS, SECOND, Agenda
from agent.simulation.disk import Disk
from agent.simulation.feed import KeptCandles
from agent.simulation.network import Counters, Network, Sent, Weather
from agent.simulation.process import Process, substitute
from agent.simulation.rules import BINANCE, Rules
from agent.simulation.settling import at_rest, described
from agent.simulation.terms import Terms
from agent.simulation.venue import SimulatedVenue
from agent.simulation.witness import Figures, Violation, Witness
from agent.store import latch
from agent.store.batch import Batch
from agent.store.latch import Latch

MINUTE: Final = 60 * SECOND
DAY: Final = 24 * 60 * MINUTE
BEGIN_MS: Final = 1_750_000_500_000 // 900_000 * 900_000
#: Virtual time within which everything must have come to rest after the last fault.
CONVERGE_US: Final = 150 * MINUTE
_STORY_LINES: Final = 4_000


@dataclass(slots=True)
class Result:
    seed: int
    days: float
    violation: Violation | None
    story: list[str]
    fired: dict[str, int]
    figures: Figures
    crashes: int
    lives: int
    digest: str = ""
    cpu_s: float = 0.0


class World:
    around_commit: Callable[[dict[str, bytes], dict[str, bytes], Sequence[Batch]], None] | None = None
    """Called with the files before and after every commit, and what was committed."""

    def __init__(
        self,
        seed: int,
        days: float = 1.0,
        *,
        luck: float = 1.0,
        terms: Terms | None = None,
        thorough: bool = False,
        parade: bool = False,
        rules: Rules = BINANCE,
    ) -> None:
        self.rules = rules
        """Of the venue's protocol."""
        self.parade = parade
        """No disaster is left out."""
        self.dealt = 0
        """Fates so far."""
        self.thorough = thorough
        """With ccxt itself in the way, and the product's own rhythm."""
        self.chance = random.Random(f"world {seed}")
        self.terms = terms or terms_module.drawn(seed, self.chance, luck, parade=parade, rules=rules)
        self.days = days
        self.config = terms_module.loaded(self.terms.config)
        config = self.config.config
        self.bar_ms = config.bar_ms
        needed = warmup_bars_needed(seller_params(config))
        start_ms = BEGIN_MS - (needed + 60) * self.bar_ms
        self.agenda = Agenda(BEGIN_MS)
        self.fsync_chance = random.Random(self.chance.getrandbits(64))
        balances = {"USDT": self.terms.cash}
        if self.terms.foreign_base:
            balances["ADA"] = self.terms.foreign_base
        if self.chance.random() < 0.3:
            balances["BNB"] = Decimal("0.05")
        market_chance = random.Random(self.chance.getrandbits(64))
        self.venue = SimulatedVenue(
            self.agenda, market_chance, start_ms, self.bar_ms, balances, busy=self.terms.busy,
            key=rules.key, secret=rules.secret,
        )  # fmt: skip
        rules.front(self.venue)
        self.counters = Counters()
        self.network = Network(
            self.agenda, self.venue, random.Random(self.chance.getrandbits(64)), self.counters, rules
        )
        rules.connect(self.network)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"
        self.tag = "s" + "".join(self.chance.choice(digits) for _ in range(4))
        self.disk = Disk(self.tag)
        self.candles = KeptCandles()
        self._story: deque[tuple[int, str]] = deque(maxlen=_STORY_LINES)
        self.witness = Witness(self)
        self.process: Process | None = None
        self.lives = self.crashes = 0
        self.clock_offset_ms = 0
        self.crash_after_order: int | None = None
        self.at_next_signal: Callable[[], None] | None = None
        """What happens when the book is asked for an entry the next time."""
        self.at_next_order: Callable[[], None] | None = None
        """What happens when an order sets out the next time."""
        self.bar_faults: list[str] = []
        self._stale: list[tuple[Fault, int]] = []
        """Faults that answer from the past, and how often they had when last looked at."""
        self.touched_base = self.disk_failed = False
        self.wiped_ms: int | None = None
        """When the testnet began anew."""
        self.clock_stepped = False
        self._dead: list[Process] = []
        self._suspended = False
        self._weathers = 0
        self._disasters = 0
        self._calm_since_ms = BEGIN_MS
        self._healing = False
        self.violation: Violation | None = None
        self._found: Violation | None = None
        self.network.watchers.append(self._sent)
        self.network.on_answer = self._answered
        self.agenda.on_alarm = self._look
        self.agenda.on_death = lambda: self.crash("between two awaits")

    # --- a run ------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """From the first start to the last check."""
        loggers = [logging.getLogger(name) for name in ("agent", "ccxt")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            self._live()
        except Violation as found:
            self.violation = found
            self.note(str(found))
        except AssertionError as broken:
            self.violation = Violation(0, f"an assertion failed: {broken!r}")
            self.note(str(self.violation))
        finally:
            digest = self.digest() if self.violation is None else ""
            self._bury()
            # Whoever lives on in this process finds everything as it was.
            substitute({})
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
        return Result(
            self.terms.seed, self.days, self.violation, self.story, dict(self.counters.fired),
            self.witness.figures, self.crashes, self.lives, digest,
        )  # fmt: skip

    def _live(self) -> None:
        self.start()
        market_news.plan(self)
        for at_us, act in disasters.plan(self, self.days, parade=self.parade):
            self.agenda.plan(at_us, partial(self._strike, act))
        self._go(int(self.days * DAY))
        self.heal()
        self.settle("after the last disaster")
        self.witness.check_rest()
        self.witness.check_decisions()
        for round_ in ("once", "twice"):
            self.crash(f"to recover {round_}", downtime_us=SECOND)
            self.settle(f"recovered {round_}")
            self.witness.check_rest()

    def _go(self, for_us: int, until: Callable[[], bool] | None = None) -> bool:
        return self.agenda.run_until(self.agenda.now_us + for_us, until)

    def _strike(self, act: disasters.Act) -> None:
        if not self._healing:
            self.note(f"disaster: {act.__name__}")
            act(self)

    # --- processes --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the agent as its service would."""
        assert self.process is None
        self.lives += 1
        self.process = Process(self, self.lives)
        self.note(f"start no. {self.lives}")
        self.process.start(self.config)

    def crash_in(self, moments: int) -> None:
        self.agenda.dies_in = moments

    def found(self, violation: Violation) -> None:
        """Something is violated: the run ends after this moment."""
        self._found = self._found or violation
        self.agenda.alarmed = True

    def _look(self) -> None:
        """Something happened in the living process that may not be so, or its end."""
        process = self.process
        if self._found is not None:
            raise self._found
        if process is None:
            return
        if process.loop.errors:
            context = process.loop.errors[0]
            error = context.get("exception")
            raise Violation(20, f"{context.get('message')}: {error!r}") from error
        if process.main is not None and process.main.done():
            self._ended(process)

    def _ended(self, process: Process) -> None:
        """The engine ended by itself."""
        assert process.main is not None
        error = process.main.exception()
        self.note(f"the engine ended: {error!r}" if error else "the engine ended")
        if error is not None and not self.disk.failing:
            raise Violation(20, f"the engine ended with {error!r}") from error
        self.crash("the process ended", count=False)

    def crash(
        self, why: str, *, power: bool = False, downtime_us: int | None = None, count: bool = True
    ) -> None:
        process = self.process
        if process is None:
            return
        self.note(f"CRASH: {why}" if count else why)
        self.crashes += count
        if count:
            self.counters.fire("F32")
            if process.account_read_ms is None and process.number > 1:
                self.counters.fire("F33")
        self.process = None
        process.lose(power=power, chance=self.chance)
        self._dead.append(process)
        self.witness.durability.after_death(lost_power=process.lost_power)
        if downtime_us is None:
            downtime_us = SECOND if self._healing else self._downtime_us()
        self._uncalm()
        if self.chance.random() < (0.35 if self.parade else 0.15 * self.terms.luck) and not self._healing:
            # And again while it recovers.
            self.agenda.plan(downtime_us, lambda: self.crash_in(self.chance.randint(0, 300)))
        self.agenda.plan(downtime_us, self._start_again)

    def _downtime_us(self) -> int:
        """How long the machine takes to start it again."""
        return self.chance.choice((SECOND, 5 * SECOND, 5 * SECOND, MINUTE, 20 * MINUTE, 180 * MINUTE))

    def _start_again(self) -> None:
        if self.process is None:
            self.start()

    def stop_cleanly(self) -> None:
        process = self.process
        if process is None or process.dead or not hasattr(process, "stopping"):
            return
        self.note("stopped in good order")
        process.loop.call_soon(process.stopping.set)

    def reconfigure(self) -> None:
        """Another configuration lies there at the next start: other sizes, orders and patience."""
        body = json.loads(self.terms.config)
        risk, agent = body["risk_management"], body["agent"]
        risk["max_position_size_percent"] = self.chance.choice((5.0, 15.0, 25.0))
        risk["order_timeout_seconds"] = self.chance.choice((5, 20, 60))
        risk["risk_per_trade_percent"] = self.chance.choice((0.5, 2.0, 5.0))
        agent["entry_order"] = self.chance.choice(("limit", "market"))
        agent["late_signal"] = self.chance.choice(("skip", "enter"))
        self.config = terms_module.loaded(json.dumps(body))

    def suspend(self, for_us: int) -> None:
        process = self.process
        if process is None or process.loop.frozen:
            return
        process.loop.freeze()
        self._uncalm()

        def wake() -> None:
            if not process.dead and process.loop.frozen:
                process.clock_steps(process.loop.thaw)
                self.network.drop_sockets()

        self.agenda.plan(for_us, wake)

    def hang(self, for_us: int) -> None:
        """The process does nothing for a while: it computes, or pages, or is stopped by its machine."""
        process = self.process
        if process is None or process.loop.frozen:
            return
        process.loop.freeze(clock_runs=True)
        self._uncalm()

        def go_on() -> None:
            if not process.dead and process.loop.frozen:
                process.clock_steps(process.loop.thaw)
                self._uncalm()

        self.agenda.plan(for_us, go_on)

    def step_clock(self, by_ms: int) -> None:
        self._clock_steps(by_ms)
        self._uncalm()
        self.lasting(self.chance.choice((5, 120)) * MINUTE, partial(self._clock_steps, 0))

    def _clock_steps(self, offset_ms: int) -> None:
        def step() -> None:
            self.clock_stepped = self.clock_stepped or offset_ms != 0
            self.clock_offset_ms = offset_ms

        if self.process is None:
            step()
        else:
            self.process.clock_steps(step)

    def wall_ns(self) -> int:
        return (self.agenda.now_us + self.clock_offset_ms * MS) * 1_000

    def fail_disk(self, reason: str, for_us: int) -> None:
        self.disk.failing = reason
        self.disk_failed = True

        def over() -> None:
            self.disk.failing = None

        self.lasting(for_us, over)

    # --- disasters --------------------------------------------------------------------------------------

    def weather_for(self, weather: Weather, for_us: int) -> None:
        self._weathers += 1
        number = self._weathers
        self.network.weather = weather
        self.note(f"weather: {weather}")

        def over() -> None:
            if self._weathers == number:
                self.network.weather = Weather()

        self.lasting(for_us, over)

    def lasting(self, for_us: int, over: Callable[[], None]) -> None:
        self._disasters += 1
        self._uncalm()

        def ended() -> None:
            self._disasters -= 1
            over()
            self._uncalm()

        self.agenda.plan(for_us, ended)

    def set_fault(self, fault: dict[str, Any], for_us: int, *, standing: bool = False) -> None:
        try:
            set_ = self.venue.faults.add(fault)
            self.venue.trading.suffer(set_)
        except BadFaultError as error:
            raise AssertionError(f"{fault}: {error}") from error
        self.note(f"fault: {fault}")
        if set_.kind == "F37":
            self._stale.append((set_, 0))

        def over() -> None:
            if set_.fired:
                self.counters.fired[set_.kind] = self.counters.fired.get(set_.kind, 0) + set_.fired
            if set_.id in {f["id"] for f in self.venue.faults.described()}:
                self.venue.faults.clear(set_.id)
            self.venue.trading.standing.refresh()

        if standing:
            self.lasting(for_us, over)
        else:
            self._uncalm()
            self.agenda.plan(for_us, over)

    def _uncalm(self) -> None:
        self._calm_since_ms = self.agenda.now_ms

    @property
    def reachable_since_ms(self) -> int:
        """Since when the agent lives, and may ask the venue, and is answered."""
        now_ms, network = self.agenda.now_ms, self.network
        since_ms = [self.process.started_ms if self.process else now_ms, self._calm_since_ms]
        since_ms += [network.silent_until_ms, *(us // MS for us in network.blind_until_us.values())]
        return max(at for at in since_ms if at <= now_ms)

    @property
    def is_calm(self) -> bool:
        """Nothing has been wrong for some minutes, and nothing is unknown of before."""
        return self.is_open and self.network.is_fair

    @property
    def is_open(self) -> bool:
        """Whatever the agent asks is answered, and has been for some minutes."""
        return self._is_undisturbed and self.network.is_open

    @property
    def shows_account(self) -> bool:
        """The agent can read its account, and could for some minutes, whatever else is not answered."""
        return self._is_undisturbed and self.network.shows_accounts

    @property
    def _is_undisturbed(self) -> bool:
        return (
            self._disasters == 0
            and self.process is not None
            and not self.process.loop.frozen
            and self.agenda.now_ms - self._calm_since_ms > 240_000
        )

    def ask(self, event: Any) -> None:
        if self.process is not None and not self._healing:
            self.process.ask(event)

    def clear_halt(self) -> None:
        self.ask(e.ClearHaltRequested("the world"))
        self.agenda.plan(10 * SECOND, lambda: self.ask(e.StartRequested("the world")))

    def set_latch(self) -> None:
        """As another process does it: this one notices when it looks next. The operator clears it later."""
        if self._healing:
            return
        self.note("the latch falls")
        Latch(self.disk.path / latch.NAME).set(HaltReason.EMERGENCY.value, self.agenda.now_ms)
        self.agenda.plan(45 * MINUTE, self.clear_halt)

    def is_ours(self, client_id: str) -> bool:
        """Whether the agent placed it, by what the venue calls it."""
        return self.rules.own_id(client_id).startswith(self.tag)

    def amount(self, number: int) -> Decimal:
        return Decimal(number)

    # --- healing ----------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._healing = True
        self.note("everything heals")
        self._weathers += 1
        self.network.weather = Weather()
        for fault in self.venue.faults.clear("all"):
            if fault.fired:
                self.counters.fired[fault.kind] = self.counters.fired.get(fault.kind, 0) + fault.fired
        self.venue.trading.standing.refresh()
        self.venue.exchange.limits.pardon()
        self.venue.book.depth, self.venue.book.spread = 1.0, 1
        self.disk.failing, self.disk.slow_us = None, 0
        self._clock_steps(0)
        self.agenda.dies_in = self.crash_after_order = None
        self.bar_faults.clear()
        self.at_next_signal = self.at_next_order = None
        self.network.ambushes.clear()
        self.network.muted_until_us = 0
        self.network.blind_until_us.clear()
        process = self.process
        if process is not None and process.loop.frozen:
            process.clock_steps(process.loop.thaw)
            self.network.drop_sockets()
        if process is None:
            self.start()

    def settle(self, when: str) -> None:
        begun_ms = self.agenda.now_ms
        if self._go(CONVERGE_US, lambda: at_rest(self, begun_ms)):
            return
        raise Violation(20, f"not at rest {CONVERGE_US // MINUTE} minutes {when}: {described(self)}")

    # --- seen on the wire -------------------------------------------------------------------------------

    def _sent(self, sent: Sent) -> None:
        try:
            self.witness.wire.sent(sent)
        except Violation as found:
            # This runs inside the agent, which would take it for a broken request.
            self.found(found)
        if sent.client_id:
            self.note(f"-> {sent.request.method} {sent.request.path} {_short(sent.request.text)}")
            if self.crash_after_order is not None:
                self.crash_in(self.crash_after_order)
                self.crash_after_order = None
            if self.at_next_order is not None:
                act, self.at_next_order = self.at_next_order, None
                act()
        elif sent.request.path == self.rules.book_path and self.at_next_signal is not None:
            act, self.at_next_signal = self.at_next_signal, None
            act()
        elif sent.request.method != "GET":
            self.note(f"-> {sent.request.method} {sent.request.path} {_short(sent.request.text)}")

    def _answered(self, sent: Sent) -> None:
        if sent.request.method != "GET":
            self.note(f"   the venue answers {sent.status} {'(' + sent.fate + ')' if sent.fate else ''}")
        elif self._stale:
            self._look_for_stale_answers()
        self.witness.wire.answered(sent)

    def _look_for_stale_answers(self) -> None:
        """Who is answered from the past believes it until the next answer."""
        if any(fault.fired > seen for fault, seen in self._stale):
            self.network.lost_event_us = self.agenda.now_us
        self._stale = [(f, f.fired) for f, _ in self._stale if self.venue.faults.active(f)]

    def note(self, text: str) -> None:
        self._story.append((self.agenda.now_ms, text))

    @property
    def story(self) -> list[str]:
        """What happened, line by line, oldest first."""
        return [f"{iso_utc(at_ms)} {text}" for at_ms, text in self._story]

    def digest(self) -> str:
        """Of the wire log and of everything stored."""
        total = hashlib.sha256()
        for sent in self.network.log:
            total.update(f"{sent.at_ms} {sent.request} {sent.fate} {sent.status}\n".encode())
        for table in (
            "trades", "intents", "verdicts", "orders", "fills", "decisions", "events", "balances",
            "documents", "dust",
        ):  # fmt: skip
            for row in self.disk.read(f"SELECT * FROM {table} ORDER BY id"):
                total.update(repr(row).encode())
        return total.hexdigest()

    def _bury(self) -> None:
        if self.process is not None:
            process, self.process = self.process, None
            process.lose(power=False, chance=self.chance)
            self._dead.append(process)
        for process in self._dead:
            process.bury()
        self._dead.clear()
        self.disk.close()


def _short(text: str) -> str:
    kept = [part for part in text.split("&") if not part.startswith(("signature", "recvWindow", "timestamp"))]
    return " ".join(kept)
