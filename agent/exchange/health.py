"""Every 30 seconds: does the exchange answer, how fast, does its clock agree with ours, what have we used.

Belongs here: EXCHANGE_UNREACHABLE and CLOCK_OFFSET. Stays true: unreachable is told after the attempts of 1,
2, 4, 8 and 16 seconds have failed, or at once when the exchange itself asked for silence; the attempts go on
for ever. A clock is called wrong only by what the round trip cannot explain, in three measurements. An offset
is our clock minus the exchange's: positive when ours is ahead. Once an hour the pair's rules are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Final, Protocol

from agent.core.events import ExchangeReported, Impairment, InstrumentSeen
from agent.core.instrument import Instrument
from agent.core.ports import Clock, MarketDataError, Sink
from agent.exchange.ailments import Ailments
from agent.exchange.pace import Pace
from agent.exchange.probe import Probe
from agent.exchange.waiting import BackOff, first_of
from agent.exchange.weight_gate import WeightGate

_log = logging.getLogger(__name__)

_EVERY_MS: Final = 30_000.0
_RULES_EVERY_MS: Final = 3_600_000.0
_PATIENCE_MS: Final = 15_000.0
#: Venue time, and what sampling a sped-up clock over a network may be wrong by in machine time.
_OFFSET_MS: Final = (1_000, 50)
#: Where requests carry a time of ours, half of that is too much.
SIGNED_OFFSET_MS: Final = (500, 50)
_MEASUREMENTS: Final = 3


class Probed(Protocol):
    """What health needs of the market client."""

    async def probe(self) -> Probe: ...

    async def instrument(self) -> Instrument: ...


class HealthProbe:
    """Run it beside the feed. It reports what it finds to `sink`."""

    def __init__(
        self,
        market: Probed,
        gate: WeightGate,
        clock: Clock,
        sink: Sink,
        *,
        every_ms: float = _EVERY_MS,
        rules_every_ms: float = _RULES_EVERY_MS,
        offset_ms: tuple[int, int] = _OFFSET_MS,
    ) -> None:
        self._offset_ms = offset_ms
        self._market = market
        self._gate = gate
        self._clock = clock
        self._sink = sink
        self._every_ms = every_ms
        self._rules_every_ms = rules_every_ms
        self._pace = Pace(clock)
        self._ailments = Ailments(sink)
        self._rules_read_ms = clock.machine_ms()

    async def run(self) -> None:
        """Probe until canceled."""
        back_off = BackOff()
        while True:
            self._pace.look()
            if self._gate.is_blocked:
                self._silenced()
                await first_of(
                    self._clock.sleep_until(self._gate.blocked_until_ms),
                    self._clock.sleep_machine(self._every_ms),
                )
                continue
            failure = await self._look()
            if failure is None:
                back_off.reset()
                self._ailments.gone(Impairment.EXCHANGE_UNREACHABLE)
                await self._refresh_rules()
                await self._clock.sleep_machine(self._every_ms)
                continue
            self._report(reachable=False)
            wait_ms = back_off.next_ms()
            if back_off.exhausted:
                self._ailments.found(Impairment.EXCHANGE_UNREACHABLE, failure)
            await self._clock.sleep_machine(wait_ms)

    async def _look(self) -> str | None:
        """One probe, repeated while the clocks seem to disagree. None, or why there was no answer."""
        latency_ms = 0.0
        least: tuple[int, int] | None = None
        for _ in range(_MEASUREMENTS):
            before_ms = self._clock.now_ms()
            probe = await self._within_patience(self._market.probe())
            after_ms = self._clock.now_ms()
            if isinstance(probe, str):
                return probe
            latency_ms = probe.latency_ms
            if probe.server_time_ms is None:
                break
            offset_ms = round((before_ms + after_ms) / 2 - probe.server_time_ms)
            certain_ms = max(0, abs(offset_ms) - round((after_ms - before_ms) / 2))
            if least is None or certain_ms < least[0]:
                least = certain_ms, offset_ms
            if certain_ms <= self._pace.patience_ms(*self._offset_ms):
                break
        self._report(reachable=True, latency_ms=latency_ms, offset_ms=None if least is None else least[1])
        if least is not None and least[0] > self._pace.patience_ms(*self._offset_ms):
            self._ailments.found(
                Impairment.CLOCK_OFFSET,
                f"our clock is {abs(least[1]) / 1_000:.1f} s {'ahead of' if least[1] > 0 else 'behind'} "
                "the exchange's: set it by NTP",
            )
        else:
            self._ailments.gone(Impairment.CLOCK_OFFSET)
        return None

    async def _within_patience(self, probe: Awaitable[Probe]) -> Probe | str:
        answer: list[Probe | str] = []

        async def ask() -> None:
            try:
                answer.append(await probe)
            except MarketDataError as error:
                answer.append(str(error))

        await first_of(ask(), self._clock.sleep_machine(_PATIENCE_MS))
        return answer[0] if answer else f"no answer within {_PATIENCE_MS / 1_000:g} s"

    async def _refresh_rules(self) -> None:
        if self._clock.machine_ms() - self._rules_read_ms < self._rules_every_ms:
            return
        try:
            self._sink(InstrumentSeen(await self._market.instrument()))
        except MarketDataError as error:
            _log.warning("%s", error)
            return
        self._rules_read_ms = self._clock.machine_ms()

    def _silenced(self) -> None:
        until = datetime.fromtimestamp(self._gate.blocked_until_ms / 1_000, UTC)
        self._report(reachable=False)
        self._ailments.found(
            Impairment.EXCHANGE_UNREACHABLE,
            f"too many requests: the exchange wants none before {until:%Y-%m-%d %H:%M:%S} UTC",
        )

    def _report(
        self, *, reachable: bool, latency_ms: float | None = None, offset_ms: int | None = None
    ) -> None:
        self._sink(ExchangeReported(reachable, latency_ms, offset_ms, self._gate.used_weight))
