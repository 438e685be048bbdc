"""An account of any exchange as the `Exchange` that the core trades on, through ccxt's unified methods.

Stays true: every order carries our own client id and is sent once; what an answer does not prove is reported
as unknown and found by evidence (`UnifiedReader.found`); an entry does not leave once the latch has fallen,
nor any order that waited so long that the core may have given it up. What the second protocol does not have
is done without: an accepted order is followed by asking until it is over, because the answer to placing says
nothing of fills; a replacement is a cancel, a look at what was sold meanwhile, and only then a new order; the
account's socket gives hints and no facts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

from agent.config.credentials import ExchangeKeys
from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    CancelFailed,
    Event,
    FillsSeen,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
)
from agent.core.money import ZERO
from agent.core.order import Fact, Intent, OrderReport, Purpose
from agent.core.ports import Canceled, Clock, Lookup, MarketDataError, Placed, Sink
from agent.core.verdict import Approved, ApprovedPair
from agent.exchange.addresses import Addresses
from agent.exchange.ailments import Ailments
from agent.exchange.last_word import OrderGuard
from agent.exchange.pace import Pace
from agent.exchange.signed.ailing import KeyWatch, WordWatch
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.catch_up import CatchUp
from agent.exchange.signed.classify import Accepted, Refused
from agent.exchange.signed.client import NotSent
from agent.exchange.signed.endpoints import ACCOUNT, CANCEL, PLACE, Endpoint
from agent.exchange.signed.fields import FieldError
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.order_words import NotUnderstood
from agent.exchange.signed.patience import Patience
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable, NoKeyRights
from agent.exchange.signed.request_time import Measured, RequestTime
from agent.exchange.unified.account_reader import NotReadError, UnifiedReader, said
from agent.exchange.unified.call_counter import Need
from agent.exchange.unified.carrier import Carrier, Outcome
from agent.exchange.unified.dialect import DIALECTS
from agent.exchange.unified.hints import Hints
from agent.exchange.unified.refusals import Kind
from agent.exchange.unified.words import order_id_of, read_order
from agent.exchange.waiting import first_of
from agent.exchange.weight_gate import Urgency, WeightGate

#: The exchange must have taken an order this long after it was sent, or never: venue time, machine time.
_DEADLINE: Final = (5_000, 2_000)
#: Machine time between looks at an order until what is to be known of it is known.
_FOLLOW_MS: Final = (0.0, 300.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0)
#: Without events of its own the account is read this often, machine time: exchanges count such readings.
_POLL_EVERY_MS: Final = 20_000.0
_OVER: Final = frozenset({Fact.FULLY_FILLED, Fact.WAS_CANCELED, Fact.HAS_EXPIRED, Fact.WAS_REFUSED})
#: Own trades of an order are looked for from this long before it was made.
_BEFORE_MS: Final = 60_000
#: After an order was not found the account is read once more when no answer can be so old any more that it
#: hides what happened since, machine time: the order may have been given up meanwhile.
_STALE_NO_MORE_MS: Final = 35_000.0
_INTENTS_KEPT: Final = 512
_ANOTHER: Final = "the answer speaks of another order"


class UnifiedAccount:
    """Orders of one pair (`ADA/USDT`) on the account of `keys`, at the exchange of `addresses`.

    `gate` counts the requests to this host and no other. `halted` and `overtaken` (why not, by client id) are
    asked right before an entry is handed to the wire. `use_stream` false, or no socket address: no hints, the
    account is polled. Raises LiveRefusedError where the address trades real money without `arming`, KeyError
    for another exchange than those of `DIALECTS`.
    """

    def __init__(
        self,
        addresses: Addresses,
        keys: ExchangeKeys,
        pair: str,
        gate: WeightGate,
        clock: Clock,
        *,
        halted: Callable[[], bool],
        overtaken: Callable[[str], str | None] = lambda client_id: None,
        arming: LiveArming | None = None,
        use_stream: bool = True,
        patience: Patience | None = None,
    ) -> None:
        self._pair = pair
        self._clock = clock
        self._guard = OrderGuard(clock, halted, overtaken)
        self._dialect = DIALECTS[addresses.exchange]
        self._patience = patience or Patience()
        self._pace = Pace(clock)
        self._sink: Sink | None = None
        self._untold: list[Event] = []
        self._following: set[asyncio.Task[None]] = set()
        #: Orders that are being asked about, and whether something happened to them meanwhile.
        self._followed: dict[str, asyncio.Event] = {}
        self._doubts = False
        self._intents: dict[str, Intent] = {}
        #: Canceled by us, and their end is not known yet.
        self._ending: set[str] = set()
        #: When the exchange took an order, by its own clock.
        self._opened_ms: dict[str, int] = {}
        ailments = Ailments(self._tell)
        self._key_watch, self._words = KeyWatch(ailments), WordWatch(ailments)
        self._loading = asyncio.Lock()
        self._ids = OrderIds()
        self._time = RequestTime(clock)
        self._carrier = Carrier(
            addresses,
            keys,
            self._dialect,
            gate,
            clock,
            arming,
            timeout_ms=self._patience.request_ms,
            admit_within_ms=self._patience.admit_ms,
            halted=halted,
        )
        self._reader = UnifiedReader(
            self._carrier, self._dialect, pair, self._ids, clock, self._words.not_understood
        )
        self._hints: Hints | None = None
        if use_stream and (addresses.environment != "replaced" or addresses.ws is not None):
            self._hints = Hints(
                addresses,
                pair,
                self,
                clock,
                lambda: {} if self._dialect.socket_token else _revealed(keys),
                self._admitted,
                ping_interval_s=self._patience.ping_interval_s,
            )
        self._catch_up = CatchUp(
            self.account,
            clock,
            self._tell,
            ailments,
            streams=False,
            refresh_every_ms=self._patience.refresh_every_ms,
            poll_every_ms=_POLL_EVERY_MS,
        )

    # --- orders --------------------------------------------------------------------------------------

    async def place(self, approved: Approved) -> Placed:
        intent = approved.intent
        unknown = await self._unknown_markets()
        if unknown is not None:
            return PlacingBlocked(intent.client_id, f"not sent: {unknown}")
        self._note(intent)
        deadline_ms = self._time.stamp_ms() + self._pace.patience_ms(*_DEADLINE)
        request = self._dialect.placing(intent, self._pair, self._carrier.ccxt, deadline_ms)
        urgency = Urgency.ENTER if intent.purpose is Purpose.ENTRY else Urgency.LEAVE
        outcome = await self._carrier.ask(urgency, request, last_word=self._guard.last_word(intent), calls=0)
        self._saw(PLACE, outcome)
        if isinstance(outcome, NotSent):
            return PlacingBlocked(intent.client_id, f"not sent: {outcome.why}")
        if isinstance(outcome, Refused):
            if outcome.code == Kind.TIME:
                # Its deadline was one of another clock: the next one is right.
                await self._measure_time()
            return OrderRefused(intent.client_id, outcome.code, outcome.message)
        if not isinstance(outcome, Accepted):
            return OutcomeUnknown(intent.client_id, said(outcome))
        try:
            order_id = order_id_of(outcome.answer)
        except FieldError as error:
            return OutcomeUnknown(intent.client_id, f"the answer makes no sense: {error}")
        self._ids.placed(intent.client_id, order_id)
        self._follow(intent)
        return OrderReported(self._accepted(intent, order_id))

    async def cancel(self, intent: Intent) -> Canceled:
        self._note(intent)
        self._ending.add(intent.client_id)
        order_id = self._ids.order_of(intent.client_id)
        if order_id is None and not self._dialect.cancels_by_client_id:
            found = await self._looked_up(intent, over=True)
            if not isinstance(found, OrderReported):
                return CancelFailed(intent.client_id, None, "the exchange does not show the order")
            order_id = found.report.exchange_order_id
        unknown = await self._unknown_markets()
        if unknown is not None:
            return CancelFailed(intent.client_id, None, f"not sent: {unknown}")
        request = self._dialect.canceling(intent.client_id, order_id, self._pair, self._carrier.ccxt)
        outcome = await self._carrier.ask(Urgency.LEAVE, request, calls=0)
        self._saw(CANCEL, outcome)
        if isinstance(outcome, Refused):
            return CancelFailed(intent.client_id, outcome.code, outcome.message)
        if not isinstance(outcome, Accepted):
            return CancelFailed(intent.client_id, None, said(outcome))
        # The answer says that it is being canceled, not what it traded before.
        now = await self._looked_up(intent, over=True)
        if isinstance(now, OrderReported):
            return now
        return CancelFailed(intent.client_id, None, "canceled, and the exchange does not show the order")

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        """Two requests, with a look between them: nothing is sold twice."""
        canceled = await self.cancel(cancel)
        if not isinstance(canceled, OrderReported):
            return canceled, None
        report = canceled.report
        left = report.qty - report.executed_qty
        if report.fact is not Fact.WAS_CANCELED or approved.intent.qty > left:
            return canceled, None
        return canceled, await self.place(approved)

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        stop, target = pair.legs
        why = "not sent: this exchange has no order lists"
        return PlacingBlocked(stop.client_id, why), PlacingBlocked(target.client_id, why)

    # --- questions -----------------------------------------------------------------------------------

    async def look_up(self, intent: Intent) -> Lookup:
        found = await self._looked_up(intent)
        if isinstance(found, LookupFoundNothing) and not self._doubts:
            self._doubts = True
            self._start(self._read_when_nothing_is_stale())
        return found

    async def _read_when_nothing_is_stale(self) -> None:
        await self._clock.sleep_machine(_STALE_NO_MORE_MS)
        self._doubts = False
        self._catch_up.demand()

    async def _looked_up(self, intent: Intent, *, over: bool = False) -> Lookup:
        """`over`: it was just canceled, so that it is looked for among what is over first."""
        client_id = intent.client_id
        unknown = await self._unknown_markets()
        if unknown is not None:
            return LookupFailed(client_id, unknown)
        try:
            found = await self._found(intent, over)
            if found is None:
                return LookupFoundNothing(client_id)
            word = read_order(found, self._pair, client_id, self._clock.now_ms())
            if type(opened_ms := found.get("timestamp")) is int:
                self._opened_ms[client_id] = opened_ms
        except (NotReadError, FieldError) as error:
            return LookupFailed(client_id, str(error))
        if isinstance(word, NotUnderstood):
            self._words.not_understood(word)
            return LookupFailed(client_id, word.detail)
        if word.side is not intent.side or word.qty != intent.qty:
            return LookupFailed(client_id, _ANOTHER)
        self._words.understood(client_id)
        self._ids.learn(client_id, word.exchange_order_id)
        if word.fact in _OVER:
            self._ending.discard(client_id)
        return OrderReported(word)

    def _need(self, intent: Intent) -> Need:
        waited_for = intent.purpose is Purpose.EXIT or intent.client_id in self._ending
        return Need.SALE if waited_for else Need.USUAL

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed:
        order_id = self._ids.order_of(intent.client_id)
        if order_id is None or intent.client_id not in self._opened_ms:
            found = await self.look_up(intent)
            if isinstance(found, OrderReported):
                order_id = found.report.exchange_order_id
            elif isinstance(found, LookupFailed) and order_id is None:
                return found
            elif order_id is None:
                return LookupFailed(intent.client_id, "the exchange knows no such order, so no trades of it")
        # Our clock may have been an hour ahead when it was decided.
        opened_ms = self._opened_ms.get(intent.client_id, intent.created_ms)
        since_ms = min(intent.created_ms, opened_ms) - _BEFORE_MS
        need = self._need(intent)
        fills = await self._reader.fills_of_order(order_id, intent.client_id, since_ms, need)
        return LookupFailed(intent.client_id, fills) if isinstance(fills, str) else FillsSeen(fills)

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        unknown = await self._unknown_markets()
        if unknown is not None:
            return AccountUnreadable(unknown)
        seen = await self._reader.account(fills_since_ms)
        if isinstance(seen, AccountUnreadable) and seen.permanent:
            self._key_watch.refused("reading", seen.detail)
        elif isinstance(seen, AccountSeen):
            self._key_watch.saw(ACCOUNT, Accepted(None))
        return seen

    async def key_rights(self) -> KeyRights | NoKeyRights | KeyRightsUnreadable:
        """What the key may do, where the exchange tells."""
        ask, read = self._dialect.rights, self._dialect.read_rights
        if ask is None or read is None:
            return NoKeyRights()
        outcome = await self._carrier.ask(Urgency.WATCH, ask(self._carrier.ccxt), need=Need.SPARE)
        if not isinstance(outcome, Accepted):
            return KeyRightsUnreadable(said(outcome))
        return read(outcome.answer, self._clock.now_ms())

    async def loaded(self) -> Any:
        """ccxt with its markets known. Raises MarketDataError."""
        api = self._carrier.ccxt
        # ccxt gives all who ask at once one answer, of which only the first would know that it came.
        async with self._loading:
            if api.markets is None:
                outcome = await self._carrier.ask(Urgency.RECONCILE, lambda: api.load_markets(), public=True)
                if not isinstance(outcome, Accepted):
                    raise MarketDataError(f"the markets of {api.id}: {said(outcome)}")
        return api

    # --- unasked -------------------------------------------------------------------------------------

    async def run(self, sink: Sink) -> None:
        """Follow the account and keep the connection warm, until canceled."""
        self._sink = sink
        while self._untold:
            sink(self._untold.pop(0))
        self._catch_up.begin("not read yet")
        tasks = [self._catch_up.run(), self._keep_looking()]
        if self._hints is not None:
            tasks.append(self._hints.run(self._touched, self._catch_up.demand))
        await first_of(*tasks)

    async def close(self) -> None:
        following = tuple(self._following)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await self._carrier.close()

    async def _keep_looking(self) -> None:
        """Markets before they are needed, and the account after the machine slept."""
        while True:
            jumped = await self._unknown_markets() is None and self._pace.look() is not None
            if jumped:
                self._catch_up.demand()
            if self._dialect.deadline and (jumped or self._time_is_old()):
                await self._measure_time()
            await self._clock.sleep_machine(self._patience.look_every_ms)

    def _time_is_old(self) -> bool:
        measured_ms = self._time.measured_ms
        age_ms = math.inf if measured_ms is None else self._clock.machine_ms() - measured_ms
        return age_ms >= self._patience.measure_every_ms

    async def _measure_time(self) -> None:
        """What the exchange's clock says, which deadlines are counted by."""
        api, asked_ms = self._carrier.ccxt, self._clock.now_ms()
        outcome = await self._carrier.ask(Urgency.RECONCILE, lambda: api.fetch_time(), public=True)
        if isinstance(outcome, Accepted) and type(outcome.answer) is int:
            # It tells whole seconds, of which the middle is the best guess.
            now_ms = self._clock.now_ms()
            self._time.learn(Measured((asked_ms + now_ms) / 2, outcome.answer + 500, now_ms - asked_ms))

    async def _admitted(self, made: Any) -> str | None:
        """Give a socket what it needs to be let in; why that is not to be had.

        Kraken's token is asked for here, among all requests whose numbers must rise.
        """
        if not self._dialect.socket_token:
            return None
        api = self._carrier.ccxt
        asking = api.private_post_getwebsocketstoken
        outcome = await self._carrier.ask(Urgency.WATCH, lambda: asking(), need=Need.SPARE)
        if not isinstance(outcome, Accepted):
            return f"no token for the account's socket: {said(outcome)}"
        result = outcome.answer.get("result") if isinstance(outcome.answer, dict) else None
        if not isinstance(result, dict) or not isinstance(result.get("token"), str):
            return "no token for the account's socket: the answer makes no sense"
        told = {**result, "start": made.seconds()}
        made.client(made.urls["api"]["ws"]["private"]).subscriptions["authenticated"] = told
        return None

    def _touched(self, order_id: str) -> None:
        """Something happened to an order."""
        client_id = self._ids.client_of(order_id)
        intent = None if client_id is None else self._intents.get(client_id)
        if intent is None:
            self._catch_up.demand()
        else:
            self._follow(intent)

    # --- following -------------------------------------------------------------------------------------

    def _follow(self, intent: Intent) -> None:
        """Ask until what is to be known of an order is known; who asks already begins anew."""
        stirred = self._followed.get(intent.client_id)
        if stirred is not None:
            stirred.set()
            return
        self._followed[intent.client_id] = asyncio.Event()
        self._start(self._follow_until_known(intent))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow_until_known(self, intent: Intent) -> None:
        """One that rests is known when it was looked at, and hints and readings tell the rest."""
        stirred = self._followed[intent.client_id]
        try:
            waits = iter(_FOLLOW_MS)
            while (wait_ms := next(waits, None)) is not None:
                await first_of(stirred.wait(), self._clock.sleep_machine(wait_ms))
                stirred.clear()
                told = await self._look(intent)
                if told is not None and told.fact in _OVER:
                    return
                if stirred.is_set():
                    waits = iter(_FOLLOW_MS)
                elif told is not None and intent.rests:
                    return
        finally:
            del self._followed[intent.client_id]

    async def _look(self, intent: Intent) -> OrderReport | None:
        """Tell what an order is now, with its fills. None when that could not be told in full."""
        found = await self.look_up(intent)
        if not isinstance(found, OrderReported):
            return None
        report = found.report
        complete = True
        if report.executed_qty:
            fills = await self.fills_of(intent)
            if isinstance(fills, FillsSeen):
                self._tell(fills)
                complete = sum((fill.qty for fill in fills.fills), ZERO) >= report.executed_qty
            else:
                complete = False
        self._tell(found)
        return report if complete else None

    # --- small -----------------------------------------------------------------------------------------

    async def _found(self, intent: Intent, over: bool) -> dict[str, Any] | None:
        order_id = self._ids.order_of(intent.client_id)
        need = Need.NEXT_SALE if over else self._need(intent)
        if order_id is not None:
            return await self._reader.order(order_id, need)
        return await self._reader.found(intent.client_id, need, over=over)

    async def _unknown_markets(self) -> str | None:
        """Why ccxt cannot read orders yet; None when it can."""
        try:
            await self.loaded()
        except MarketDataError as error:
            return str(error)
        return None

    def _accepted(self, intent: Intent, order_id: str) -> OrderReport:
        """Taken, and nothing more is known."""
        return OrderReport(
            client_id=intent.client_id,
            exchange_order_id=order_id,
            side=intent.side,
            type=intent.type.value,
            fact=Fact.WORKING,
            qty=intent.qty,
            price=intent.price or ZERO,
            executed_qty=ZERO,
            at_ms=self._clock.now_ms(),
        )

    def _note(self, intent: Intent) -> None:
        self._intents.pop(intent.client_id, None)
        self._intents[intent.client_id] = intent
        while len(self._intents) > _INTENTS_KEPT:
            del self._intents[next(iter(self._intents))]

    def _saw(self, endpoint: Endpoint, outcome: Outcome) -> None:
        if not isinstance(outcome, NotSent):
            self._key_watch.saw(endpoint, outcome)

    def _tell(self, event: Event) -> None:
        if self._sink is None:
            self._untold.append(event)
        else:
            self._sink(event)


def _revealed(keys: ExchangeKeys) -> dict[str, str]:
    """As ccxt's constructor takes them, for the instance that listens."""
    found = {"apiKey": keys.api_key.reveal(), "secret": keys.api_secret.reveal()}
    if keys.api_passphrase is not None:
        found["password"] = keys.api_passphrase.reveal()
    return found
