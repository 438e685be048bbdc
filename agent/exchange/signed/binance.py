"""A Binance spot account, or its sandbox, as the `Exchange` that the core trades on.

Stays true: every order carries our own client id and is sent once; what an answer does not prove is reported
as unknown; an entry does not leave once the latch has fallen, nor any order that waited so long that the core
may have given it up; events of the user stream are delivered as they come, and USER_STREAM says, from every
(re)subscription until the account was read, that some may be missing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

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
from agent.core.ports import Canceled, Clock, Lookup, Placed, Sink
from agent.core.verdict import Approved, ApprovedPair
from agent.exchange.addresses import Addresses
from agent.exchange.ailments import Ailments
from agent.exchange.last_word import OrderGuard
from agent.exchange.pace import Pace
from agent.exchange.signed.account_reader import AccountReader, said
from agent.exchange.signed.ailing import KeyWatch, WordWatch
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.catch_up import CatchUp
from agent.exchange.signed.classify import ARCHIVED, NO_SUCH_ORDER, Accepted, Partly, Refused, read_halves
from agent.exchange.signed.client import NotSent, Outcome, SignedClient
from agent.exchange.signed.endpoints import CANCEL, KEY_RIGHTS, ORDER, PLACE, PLACE_PAIR, REPLACE
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.order_params import named, new_order, new_pair, replacing
from agent.exchange.signed.order_words import OrderWord, Pair, answers, is_list, read_legs, read_order
from agent.exchange.signed.patience import Patience
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable, NoKeyRights, read_key_rights
from agent.exchange.signed.stream_desk import StreamDesk
from agent.exchange.signed.user_stream import UserStream
from agent.exchange.waiting import first_of
from agent.exchange.weight_gate import Urgency, WeightGate

_ANOTHER: Final = "the answer speaks of another order"


class SignedBinance:
    """Orders of one pair (`ADA/USDT`) on the account of `keys`.

    `gate` counts the requests to this host and no other. `halted` and `overtaken` (why not, by client id) are
    asked right before an entry is written to the wire. `use_stream` false, or no socket address: the account
    is polled instead. Raises LiveRefusedError where the address trades real money without `arming`,
    ValueError for a key that cannot sign.
    """

    def __init__(
        self,
        addresses: Addresses,
        keys: ExchangeKeys,
        pair: str,
        gate: WeightGate,
        clock: Clock,
        *,
        chance: random.Random,
        halted: Callable[[], bool],
        overtaken: Callable[[str], str | None] = lambda client_id: None,
        arming: LiveArming | None = None,
        use_stream: bool = True,
        patience: Patience | None = None,
    ) -> None:
        self._pair = Pair.of(pair)
        self._clock = clock
        self._guard = OrderGuard(clock, halted, overtaken)
        self._patience = patience or Patience()
        self._sink: Sink | None = None
        self._untold: list[Event] = []
        ailments = Ailments(self._tell)
        key_watch, words = KeyWatch(ailments), WordWatch(ailments)
        request_keys = RequestKeys(keys)
        self._client = SignedClient(
            addresses,
            request_keys,
            gate,
            clock,
            arming,
            timeout_ms=self._patience.request_ms,
            admit_within_ms=self._patience.admit_ms,
            watch=key_watch.saw,
        )
        self._desk = StreamDesk(
            self._tell, key_watch, words, self._client.resync, self._patience.silent_order_ms
        )
        self._reader = AccountReader(
            self._client,
            clock,
            self._pair,
            self._desk.ids,
            lambda: self._desk.trades_heard,
            words.not_understood,
        )
        self._stream: UserStream | None = None
        if use_stream and addresses.ws_api is not None:
            self._stream = UserStream(
                addresses.ws_api,
                self._pair,
                request_keys,
                self._client.time,
                gate,
                clock,
                ping_interval_s=self._patience.ping_interval_s,
                chance=chance,
            )
        self._catch_up = CatchUp(
            self._reader.account,
            clock,
            self._tell,
            ailments,
            streams=self._stream is not None,
            refresh_every_ms=self._patience.refresh_every_ms,
            poll_every_ms=self._patience.poll_every_ms,
        )
        self._desk.catch_up = self._catch_up

    # --- orders --------------------------------------------------------------------------------------

    async def place(self, approved: Approved) -> Placed:
        intent = approved.intent
        params = new_order(intent, self._pair)
        outcome = await self._client.ask(PLACE, _urgency(intent), params, self._guard.last_word(intent))
        return self._placed(intent, outcome)

    async def cancel(self, intent: Intent) -> Canceled:
        outcome = await self._client.ask(CANCEL, Urgency.LEAVE, named(intent, self._pair))
        return self._canceled(intent, outcome)

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        intent = approved.intent
        params = replacing(cancel, intent, self._pair)
        outcome = await self._client.ask(REPLACE, _urgency(intent), params, self._guard.last_word(intent))
        if isinstance(outcome, Accepted | Partly):
            halves = outcome.answer if isinstance(outcome, Accepted) else outcome.data
            canceled, placed = read_halves(halves)
            return self._canceled(cancel, canceled), None if placed is None else self._placed(intent, placed)
        # Refused, lost or held back as a whole: neither half has a result of its own.
        return self._canceled(cancel, outcome), self._placed(intent, outcome)

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        stop, target = pair.legs
        params = new_pair(pair, self._pair)
        outcome = await self._client.ask(PLACE_PAIR, Urgency.LEAVE, params, self._guard.last_word(stop))
        if not isinstance(outcome, Accepted):
            return self._placed(stop, outcome), self._placed(target, outcome)
        legs = read_legs(outcome.answer, self._pair)
        return self._placed_leg(stop, legs), self._placed_leg(target, legs)

    # --- questions -----------------------------------------------------------------------------------

    async def look_up(self, intent: Intent) -> Lookup:
        outcome = await self._client.ask(ORDER, Urgency.RECONCILE, named(intent, self._pair))
        if isinstance(outcome, Refused) and outcome.code == NO_SUCH_ORDER:
            return LookupFoundNothing(intent.client_id)
        if isinstance(outcome, Refused) and outcome.code == ARCHIVED:
            return OrderReported(_ended_long_ago(intent, self._clock.now_ms()))
        if not isinstance(outcome, Accepted):
            return LookupFailed(intent.client_id, said(outcome))
        if not answers(outcome.answer, intent):
            return LookupFailed(intent.client_id, _ANOTHER)
        report = self._desk.learned(read_order(outcome.answer, self._pair, intent.client_id))
        if isinstance(report, str):
            return LookupFailed(intent.client_id, report)
        # Asked by our id, so the number is its: it may have been another order's before a testnet began anew.
        self._desk.ids.placed(intent.client_id, report.exchange_order_id)
        return OrderReported(report)

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed:
        order_id = self._desk.ids.order_of(intent.client_id)
        if order_id is None:
            found = await self.look_up(intent)
            if isinstance(found, LookupFailed):
                return found
            if isinstance(found, LookupFoundNothing) or not found.report.exchange_order_id:
                return LookupFailed(intent.client_id, "the exchange knows no such order, so no trades of it")
            order_id = found.report.exchange_order_id
        fills = await self._reader.fills_of_order(order_id, intent.client_id)
        return LookupFailed(intent.client_id, fills) if isinstance(fills, str) else FillsSeen(fills)

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        return await self._reader.account(fills_since_ms)

    async def key_rights(self) -> KeyRights | NoKeyRights | KeyRightsUnreadable:
        """What the key may do. The sandbox does not tell, which is no error there."""
        if not self._client.offers_key_rights:
            return NoKeyRights()
        outcome = await self._client.ask(KEY_RIGHTS, Urgency.RECONCILE)
        if not isinstance(outcome, Accepted):
            return KeyRightsUnreadable(said(outcome))
        return read_key_rights(outcome.answer, self._clock.now_ms())

    # --- unasked -------------------------------------------------------------------------------------

    async def run(self, sink: Sink) -> None:
        """Follow the user stream, keep the connection warm and the clock measured, until canceled."""
        self._sink = sink
        while self._untold:
            sink(self._untold.pop(0))
        self._catch_up.begin("not subscribed yet" if self._stream else "not read yet")
        tasks = [self._catch_up.run(), self._keep_warm()]
        if self._stream is not None:
            tasks += [self._stream.run(self._desk), self._watch_stream(self._stream)]
        await first_of(*tasks)

    async def close(self) -> None:
        await self._client.close()

    async def _keep_warm(self) -> None:
        """A small request whenever the connection was idle; its answer tells the exchange's time."""
        while True:
            measured_ms = self._client.time.measured_ms
            stale = measured_ms is None or self._age(measured_ms) >= self._patience.measure_every_ms
            if stale or self._client.idle_ms >= self._patience.keep_warm_ms:
                await self._client.measure_time()
            await self._clock.sleep_machine(self._patience.look_every_ms)

    async def _watch_stream(self, stream: UserStream) -> None:
        """Subscribe again when the stream missed an order, and after the machine slept."""
        pace = Pace(self._clock)
        while True:
            await self._clock.sleep_machine(self._patience.look_every_ms)
            jump_ms = pace.look()
            if jump_ms is not None:
                await self._client.measure_time()
                stream.reconnect(f"time jumped by {jump_ms / 1_000:.0f} s")
            missed = self._desk.awaited.overdue(self._clock.machine_ms())
            if missed is not None:
                self._desk.awaited.forget()
                stream.reconnect(f"order {missed} was accepted and the stream did not tell")

    def _age(self, since_ms: float) -> float:
        return self._clock.machine_ms() - since_ms

    # --- from answers to events ----------------------------------------------------------------------

    def _placed(self, intent: Intent, outcome: Outcome) -> Placed:
        client_id = intent.client_id
        if isinstance(outcome, NotSent):
            return PlacingBlocked(client_id, f"not sent: {outcome.why}")
        if isinstance(outcome, Refused):
            return OrderRefused(client_id, outcome.code, outcome.message)
        if not isinstance(outcome, Accepted):
            return OutcomeUnknown(client_id, said(outcome))
        return self._accepted(intent, read_order(outcome.answer, self._pair))

    def _placed_leg(self, intent: Intent, legs: Mapping[str, OrderWord]) -> Placed:
        word = legs.get(intent.client_id)
        if word is None:
            return OutcomeUnknown(intent.client_id, "the answer to the order list does not speak of it")
        return self._accepted(intent, word)

    def _accepted(self, intent: Intent, word: OrderWord) -> Placed:
        client_id, report = intent.client_id, self._desk.learned(word)
        if isinstance(report, str):
            return OutcomeUnknown(client_id, report)
        if (report.client_id, report.side) != (client_id, intent.side):
            return OutcomeUnknown(client_id, _ANOTHER)
        self._desk.ids.placed(client_id, report.exchange_order_id)
        if self._catch_up.is_subscribed:
            self._desk.awaited.expect(report, self._clock.machine_ms())
        return OrderReported(report)

    def _canceled(self, intent: Intent, outcome: Outcome) -> Canceled:
        client_id = intent.client_id
        if isinstance(outcome, Refused):
            return CancelFailed(client_id, outcome.code, outcome.message)
        if not isinstance(outcome, Accepted):
            return CancelFailed(client_id, None, said(outcome))
        if is_list(outcome.answer):
            return self._canceled_list(intent, outcome.answer)
        report = self._desk.learned(read_order(outcome.answer, self._pair))
        if isinstance(report, str):
            return CancelFailed(client_id, None, report)
        if report.client_id != client_id:
            return CancelFailed(client_id, None, _ANOTHER)
        return OrderReported(report)

    def _canceled_list(self, intent: Intent, answer: object) -> Canceled:
        """Canceling one leg canceled them all: the others are told unasked."""
        asked: Canceled = CancelFailed(intent.client_id, None, "the answer does not speak of it")
        for client_id, word in read_legs(answer, self._pair).items():
            report = self._desk.learned(word)
            if isinstance(report, str):
                continue
            if client_id == intent.client_id:
                asked = OrderReported(report)
            else:
                self._tell(OrderReported(report))
        return asked

    def _tell(self, event: Event) -> None:
        if self._sink is None:
            self._untold.append(event)
        else:
            self._sink(event)


def _urgency(intent: Intent) -> Urgency:
    return Urgency.ENTER if intent.purpose is Purpose.ENTRY else Urgency.LEAVE


def _ended_long_ago(intent: Intent, now_ms: int) -> OrderReport:
    """Archived means: canceled or expired without a fill, more than 90 days ago."""
    return OrderReport(
        client_id=intent.client_id,
        exchange_order_id="",
        side=intent.side,
        type=intent.type.value,
        fact=Fact.HAS_EXPIRED,
        qty=intent.qty,
        price=intent.price or ZERO,
        executed_qty=ZERO,
        at_ms=now_ms,
        reason="archived by the exchange",
    )
