"""Where orders go in each mode: the paper broker, or an account at the exchange.

Belongs here: what differs between the modes once the engine runs. Stays true: the paper desk never holds a
client that could send an order, and a desk of an account holds no address but the one orders go to; it is
reached before anything else, so that what is open is looked after while rules and history are still loaded.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from agent.compose.paper_book import LedgerPaperStore
from agent.compose.unreachable import Unreachable
from agent.config.capabilities import CAPABILITIES
from agent.config.credentials import ExchangeKeys
from agent.config.model import Config
from agent.config.strategy import assumed_fee_rate, assumed_slippage_rate
from agent.core.events import Event, Healed, Impaired, Impairment, Scrutinized
from agent.core.instrument import Instrument
from agent.core.market import DAY_MS
from agent.core.ports import Clock, Exchange, MarketData, Sink
from agent.exchange.addresses import BINANCE, Addresses
from agent.exchange.paper.broker import PaperBroker
from agent.exchange.paper.store import PaperStore
from agent.exchange.signed.arming import LiveArming
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.signed.patience import Patience
from agent.exchange.signed.permissions import Gravity, KeyRights, KeyRightsUnreadable, NoKeyRights
from agent.exchange.unified.account import UnifiedAccount
from agent.exchange.weight_gate import WeightGate
from agent.shell.supervisor import Supervisor

LOG: Final = logging.getLogger("agent")

#: Binance's regular taker fee. An account may pay less; that it does is never assumed.
REGULAR_TAKER_FEE: Final = Decimal("0.001")
#: Machine time after which rights that could not be read are asked for again.
_RIGHTS_AGAIN_MS: Final = 300_000.0
_KEYS_AGAIN_MS: Final = 5_000.0


class OrderDesk(Protocol):
    """`exchange` takes orders now; `opened` may change which that is, once the pair's rules are known."""

    @property
    def exchange(self) -> Exchange: ...

    def start(self, supervisor: Supervisor, sink: Sink) -> None:
        """Begin whatever must run beside the engine and needs no rules."""
        ...

    def opened(self, instrument: Instrument, supervisor: Supervisor, sink: Sink) -> Exchange:
        """The exchange to use from now on."""
        ...

    def observe(self, event: Event) -> None:
        """Hear what the market does, before the core does."""
        ...

    async def close(self) -> None: ...


class MakeBroker(Protocol):
    def __call__(
        self,
        *,
        market: MarketData,
        instrument: Instrument,
        fee_bp: Decimal,
        slippage_bp: Decimal,
        initial_balance: Decimal,
        bar_ms: int,
        store: PaperStore,
        clock: Clock,
    ) -> PaperBroker: ...


def expected_fee_rate(config: Config) -> Decimal:
    """The taker fee to expect, a fraction: what the backtest assumed, outside paper never less than real."""
    assumed = assumed_fee_rate(config)
    row = CAPABILITIES.get(config.exchange.exchange_name)
    regular = REGULAR_TAKER_FEE if row is None else Decimal(row.taker_fee_percent) / 100
    return assumed if config.mode == "paper" else max(assumed, regular)


class PaperDesk:
    """The paper broker, which needs the pair's rules before it can take an order."""

    def __init__(
        self, make: MakeBroker, market: MarketData, config: Config, store: LedgerPaperStore, clock: Clock
    ) -> None:
        self._make = make
        self._market = market
        self._config = config
        self._store = store
        self._clock = clock
        self._broker: PaperBroker | None = None
        self._unreachable = Unreachable()

    @property
    def exchange(self) -> Exchange:
        return self._broker or self._unreachable

    def start(self, supervisor: Supervisor, sink: Sink) -> None:
        return None

    def opened(self, instrument: Instrument, supervisor: Supervisor, sink: Sink) -> Exchange:
        broker = self._broker = self._make(
            market=self._market,
            instrument=instrument,
            fee_bp=expected_fee_rate(self._config) * 10_000,
            slippage_bp=assumed_slippage_rate(self._config) * 10_000,
            initial_balance=self._config.exchange.paper_initial_balance,
            bar_ms=self._config.bar_ms,
            store=self._store,
            clock=self._clock,
        )
        supervisor.keep("paper broker", lambda: broker.run(sink))
        return broker

    def observe(self, event: Event) -> None:
        if self._broker is not None:
            self._broker.observe(event)

    async def close(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """An account that may be traded: where it is and what signs for it. `arming` only for real money."""

    orders: Addresses
    keys: ExchangeKeys
    arming: LiveArming | None


class SignedDesk:
    """An account at the exchange, there from the first moment."""

    def __init__(
        self,
        account: Account,
        config: Config,
        gate: WeightGate,
        clock: Clock,
        chance: random.Random,
        halted: Callable[[], bool],
        overtaken: Callable[[str], str | None],
        patience: Patience,
    ) -> None:
        self._clock = clock
        self._arming = account.arming
        pair, use_stream = config.exchange.trading_pair, config.data_feed.use_websocket
        row = CAPABILITIES.get(account.orders.exchange)
        self._tells_rights = row is None or row.key_rights
        self._signed: SignedBinance | UnifiedAccount
        if account.orders.exchange == BINANCE:
            self._signed = SignedBinance(
                account.orders,
                account.keys,
                pair,
                gate,
                clock,
                chance=chance,
                halted=halted,
                overtaken=overtaken,
                arming=account.arming,
                use_stream=use_stream,
                patience=patience,
            )
        else:
            self._signed = UnifiedAccount(
                account.orders,
                account.keys,
                pair,
                gate,
                clock,
                halted=halted,
                overtaken=overtaken,
                arming=account.arming,
                use_stream=use_stream,
                patience=patience,
            )

    @property
    def exchange(self) -> Exchange:
        return self._signed

    def start(self, supervisor: Supervisor, sink: Sink) -> None:
        supervisor.keep("account", lambda: self._signed.run(sink))
        if self._arming is not None:
            sink(Scrutinized("WARNING", "arming", self._arming.notice))
            sink(Impaired(Impairment.KEY_RIGHTS, "what the key may do is not known yet", expected=True))
        supervisor.keep("key rights", lambda: self._keep_looking_at_rights(sink))

    def opened(self, instrument: Instrument, supervisor: Supervisor, sink: Sink) -> Exchange:
        return self._signed

    def observe(self, event: Event) -> None:
        return None

    async def close(self) -> None:
        await self._signed.close()

    async def _keep_looking_at_rights(self, sink: Sink) -> None:
        """At the start and every day: what the key may do beyond trading is said aloud.

        In live that is a gate: no entries while the key may do more than it should, or nobody knows.
        """
        told: tuple[str, ...] = ()
        verdict: Impaired | Healed | None = None
        while True:
            rights = await self._signed.key_rights()
            if isinstance(rights, NoKeyRights) and not self._tells_rights:
                # Nobody will ever know here: the table says so, and so do we, aloud and once.
                if self._arming is not None:
                    LOG.warning("what the key may do is not told here: it must not be able to withdraw")
                    sink(Healed(Impairment.KEY_RIGHTS))
                return
            if self._arming is not None and rights_verdict(rights) != verdict:
                if verdict is not None:
                    # A reason of its own is told as such, not as more of the last one.
                    sink(Healed(Impairment.KEY_RIGHTS))
                verdict = rights_verdict(rights)
                sink(verdict)
            wait_ms = float(DAY_MS)
            if isinstance(rights, KeyRightsUnreadable):
                LOG.info("what the key may do cannot be read: %s", rights.detail)
                wait_ms = _RIGHTS_AGAIN_MS
            elif isinstance(rights, KeyRights):
                found = tuple(f"{finding.right}: {finding.text}" for finding in rights.findings)
                for line in found if found != told else ():
                    LOG.warning("the key may do more than it should: %s", line)
                told = found
            await self._clock.sleep_machine(wait_ms)


def rights_verdict(rights: KeyRights | NoKeyRights | KeyRightsUnreadable) -> Impaired | Healed:
    """What live trading makes of a key's rights: entries only when all of them are known and harmless."""
    if isinstance(rights, KeyRightsUnreadable):
        return Impaired(Impairment.KEY_RIGHTS, f"what the key may do cannot be read: {rights.detail}")
    if isinstance(rights, NoKeyRights):
        return Impaired(Impairment.KEY_RIGHTS, "the exchange does not say what the key may do")
    refused = [f.text for f in rights.findings if f.gravity is Gravity.REFUSES_LIVE]
    if refused:
        return Impaired(Impairment.KEY_RIGHTS, "; ".join(refused))
    return Healed(Impairment.KEY_RIGHTS)


class WaitingDesk:
    """Nothing can be asked or sent, because there is no key for what is open; one is looked for again.

    `look` tells whether there may be one now; `again` then starts the engine anew.
    """

    def __init__(self, why: str, look: Callable[[], bool], again: Callable[[], None], clock: Clock) -> None:
        self._exchange = Unreachable(why)
        self._look = look
        self._again = again
        self._clock = clock

    @property
    def exchange(self) -> Exchange:
        return self._exchange

    def start(self, supervisor: Supervisor, sink: Sink) -> None:
        supervisor.keep("keys", self._keep_looking)

    def opened(self, instrument: Instrument, supervisor: Supervisor, sink: Sink) -> Exchange:
        return self._exchange

    def observe(self, event: Event) -> None:
        return None

    async def close(self) -> None:
        return None

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep_machine(_KEYS_AGAIN_MS)
            if await asyncio.to_thread(self._look):
                LOG.warning("there are keys now: starting again")
                self._again()
                return
