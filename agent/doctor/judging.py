"""From a measured number to a light. PURE: every threshold of the doctor is here.

Offsets and latencies in milliseconds, fees as fractions, money in quote currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.arming.phases import Gate
from agent.config.model import Config
from agent.core.instrument import Instrument
from agent.core.market import Candle
from agent.core.money import ZERO, percent_of, plain
from agent.doctor.result import Finding, green, red, yellow
from agent.exchange.signed.permissions import Gravity, KeyRights, KeyRightsUnreadable, NoKeyRights

#: The exchange refuses requests that are a second ahead; half of it is where trust ends.
OFFSET_RED_MS: Final = 500
OFFSET_YELLOW_MS: Final = 250
LATENCY_YELLOW_MS: Final = 500.0
LATENCY_RED_MS: Final = 3_000.0
MIB: Final = 1024 * 1024
DISK_RED: Final = 200 * MIB
DISK_YELLOW: Final = 2_048 * MIB
#: A position this many times the exchange's minimum leaves room for a falling price.
COMFORT: Final = Decimal(2)


def clock(offset_ms: int, round_trip_ms: float) -> Finding:
    """`offset_ms`: ours minus the exchange's. What the round trip explains is no offset."""
    certain = max(0.0, abs(offset_ms) - round_trip_ms / 2)
    text = f"{offset_ms:+d} ms against the exchange (round trip {round_trip_ms:.0f} ms)"
    fix = "set the clock by NTP: timedatectl set-ntp true"
    if certain > OFFSET_RED_MS:
        return red("clock", text, fix)
    return yellow("clock", text, fix) if certain > OFFSET_YELLOW_MS else green("clock", text)


def latency(round_trip_ms: float) -> Finding:
    text = f"{round_trip_ms:.0f} ms for a request"
    fix = "run it nearer to the exchange, or on a better line"
    if round_trip_ms > LATENCY_RED_MS:
        return red("latency", text, fix)
    return yellow("latency", text, fix) if round_trip_ms > LATENCY_YELLOW_MS else green("latency", text)


def disk(free: int) -> Finding:
    text = f"{free / MIB:,.0f} MiB free"
    fix = "make room: old backups and logs first"
    if free < DISK_RED:
        return red("disk", text, fix)
    return yellow("disk", text, fix) if free < DISK_YELLOW else green("disk", text)


def fee(assumed_bp: float, real_rate: Decimal, source: str) -> Finding:
    """The backtest's fee against the taker fee of `source`."""
    real_bp = float(real_rate * 10_000)
    text = f"the exchange takes {real_bp:g} bp ({source}), the backtest assumed {assumed_bp:g} bp"
    if real_bp > assumed_bp + 0.05:
        fix = f"run the backtest again with fee_bp {real_bp:g}, or pay less (BNB, a higher level)"
        return yellow("fee", text, fix)
    return green("fee", text)


def pair(instrument: Instrument) -> Finding:
    smallest = f"smallest order {plain(instrument.min_notional)} {instrument.quote}"
    steps = f"step {plain(instrument.step)}, tick {plain(instrument.tick)}"
    if not instrument.trading:
        text = f"{instrument.symbol} is not in trading status"
        return red("pair", text, "wait until the exchange trades it again, or choose another pair")
    return green("pair", f"{instrument.symbol} trades; {smallest}, {steps}")


@dataclass(frozen=True, slots=True)
class Sized:
    """What a signal now would buy. `stop` is estimated: one mean true range under the price, and the multiple
    of the configuration below that."""

    qty: Decimal
    price: Decimal
    stop: Decimal
    by_risk: Decimal
    by_cap: Decimal


def sized(config: Config, instrument: Instrument, price: Decimal, equity: Decimal, atr: Decimal) -> Sized:
    """Size by risk and by cap, the smaller, rounded down to the step."""
    risk = config.risk_management
    distance = atr * (1 + Decimal(repr(config.backtest_params.atr_stop_mult)))
    stop = max(instrument.tick, price - distance)
    by_risk = percent_of(equity, risk.risk_per_trade_percent) / max(price - stop, instrument.tick)
    by_cap = percent_of(equity, risk.max_position_size_percent) / price
    return Sized(instrument.qty(min(by_risk, by_cap)), price, stop, by_risk, by_cap)


def tradable(
    config: Config, instrument: Instrument, size: Sized, equity: Decimal, fee_rate: Decimal
) -> Finding:
    """Whether the entry, and its exit at the stop after the fee, are above the exchange's minima."""
    money, base = instrument.quote, instrument.base
    value = size.qty * size.price
    text = f"a signal now would buy {plain(size.qty)} {base}, about {value:.2f} of {equity:.2f} {money}"
    entry = instrument.breaches(size.qty, instrument.price(size.price, "up"), market=False)
    left = instrument.qty(size.qty * (1 - fee_rate))
    leaving = instrument.breaches(left, size.stop, market=True)
    needed = _equity_needed(config, instrument, size, equity, fee_rate)
    fix = f"an equity of about {needed:.0f} {money}, or a higher max_position_size_percent or risk"
    if entry:
        return red("tradable size", f"{text}: {entry[0]}", fix)
    if leaving:
        return red("tradable size", f"{text}: after a stop it could not be sold: {leaving[0]}", fix)
    if instrument.min_notional and left * size.stop < instrument.min_notional * COMFORT:
        return yellow("tradable size", f"{text}, hardly above the minimum", fix)
    return green("tradable size", text)


def _equity_needed(
    config: Config, instrument: Instrument, size: Sized, equity: Decimal, fee_rate: Decimal
) -> Decimal:
    """At which the same signal is comfortably above the smallest order."""
    wanted = max(instrument.min_notional * COMFORT, instrument.min_qty * size.price) / (1 - fee_rate)
    share = min(size.by_risk, size.by_cap) * size.stop / equity if equity else ZERO
    return wanted / share if share > 0 else wanted * 100


def mean_true_range(candles: Sequence[Candle]) -> Decimal:
    """Over closed candles, oldest first; the first one counts high less low."""
    assert candles, "some candles"
    total, before = 0.0, None
    for one in candles:
        ranges = [one.high - one.low]
        if before is not None:
            ranges += [abs(one.high - before), abs(one.low - before)]
        total += max(ranges)
        before = one.close
    return Decimal(repr(total / len(candles)))


def live_gates(config: Config, gates: Sequence[Gate]) -> list[Finding]:
    """Closed gates are red where the configuration wants live, and a reminder of the way elsewhere."""
    found = []
    for gate in gates:
        if gate.passed:
            found.append(green(gate.name, gate.numbers))
        elif config.mode == "live":
            found.append(red(gate.name, gate.numbers, gate.fix))
        else:
            found.append(yellow(gate.name, gate.numbers, gate.fix))
    return found


def key_rights(rights: KeyRights | NoKeyRights | KeyRightsUnreadable, mode: str) -> list[Finding]:
    name = "key rights"
    if isinstance(rights, NoKeyRights):
        return [green(name, "the sandbox does not tell; it has nothing to protect")]
    if isinstance(rights, KeyRightsUnreadable):
        judge = red if mode == "live" else yellow
        return [judge(name, rights.detail, "check key, secret and the addresses the key is restricted to")]
    found = []
    for one in rights.findings:
        refuses = one.gravity is Gravity.REFUSES_LIVE and mode == "live"
        text, _, fix = one.text.partition(": ")
        found.append((red if refuses else yellow)(name, text, fix or "change the key's rights"))
    return found or [green(name, "reads and trades spot, from known addresses, nothing else")]
