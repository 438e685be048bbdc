"""What the doctor asks the exchange: is it there, how fast, whose clock, the pair, history, keys, sizes.

Every question has a few seconds; without an answer the rest is not asked, and that is said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.compose.account_worth import ExchangeTime
from agent.compose.market import Markets, PublicMarket, public_market, weight_gate
from agent.config.credentials import ExchangeKeys
from agent.config.model import Config
from agent.config.strategy import exit_params, seller_params
from agent.core.instrument import Instrument
from agent.core.ports import Clock, MarketDataError
from agent.core.signal import warmup_bars_needed
from agent.doctor import judging
from agent.doctor.result import Finding, green, red, yellow
from agent.exchange.addresses import Addresses
from agent.exchange.dialing import NotOpened, dial
from agent.exchange.glance import reader_for
from agent.exchange.signed.rights_reader import AccountGlance

_PATIENCE_S: Final = 15.0
_MOST_BARS: Final = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Findings, and what further questions need."""

    findings: list[Finding]
    instrument: Instrument | None
    market: PublicMarket


async def reachability(config: Config, markets: Markets, clock: ExchangeTime) -> Asked:
    """The exchange where orders go: reachable, latency, clock, pair. Sets the clock's correction."""
    gate = weight_gate(markets.orders, clock, 0, lambda until_ms: None)
    market = public_market(markets.orders, config, gate, clock)
    where, found = markets.orders.venue, list[Finding]()
    fix = "check line, firewall, DNS and the exchange's status page"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await market.probe()  # the first request also opens the connection
            before_ms = clock.now_ms()
            probe = await market.probe()
            after_ms = clock.now_ms()
            found.append(green("exchange", f"{where} answers"))
            found.append(judging.latency(probe.latency_ms))
            if probe.server_time_ms is not None:
                offset_ms = round((before_ms + after_ms) / 2 - probe.server_time_ms)
                found.append(_clock(markets.orders, offset_ms, after_ms - before_ms))
                clock.offset_ms = offset_ms
            instrument = await market.instrument()
            found.append(judging.pair(instrument))
    except TimeoutError:
        return Asked([*found, red("exchange", f"{where}: no answer", fix)], None, market)
    except MarketDataError as error:
        if error.permanent:
            wrong = red("pair", str(error), "check exchange.trading_pair and exchange.exchange_name")
            return Asked([*found, wrong], None, market)
        return Asked([*found, red("exchange", f"{where}: {error}", fix)], None, market)
    return Asked(found, instrument, market)


def _clock(orders: Addresses, offset_ms: int, round_trip_ms: float) -> Finding:
    if orders.is_loopback:
        return green("clock", "a simulated exchange has a time of its own")
    return judging.clock(offset_ms, round_trip_ms)


async def socket(addresses: Addresses, pair: str, wanted: bool) -> list[Finding]:
    if not wanted or addresses.ws is None:
        return []
    stream = f"{pair.replace('/', '').lower()}@bookTicker"
    opened = await dial(addresses.market_streams([stream]))
    if isinstance(opened, NotOpened):
        fix = "it works without, slower: candles and prices come by REST; open outgoing port of the socket"
        return [yellow("socket", opened.why, fix)]
    await opened.close()
    return [green("socket", "opens")]


async def warm_up(config: Config, markets: Markets, market: PublicMarket, clock: Clock) -> list[Finding]:
    """Whether the exchange has as much history as the indicators need."""
    needed = warmup_bars_needed(seller_params(config), exit_params(config))
    own = None
    if not markets.is_one:
        gate = weight_gate(markets.signals, clock, 0, lambda until_ms: None)
        market = own = public_market(markets.signals, config, gate, clock)
    since_ms = (clock.now_ms() // config.bar_ms - needed) * config.bar_ms
    try:
        async with asyncio.timeout(_PATIENCE_S):
            first = await market.candles(since_ms, 2)
    except (TimeoutError, MarketDataError) as error:
        text = f"history cannot be read: {error or 'no answer'}"
        return [red("warm-up", text, "entries wait until it can; check the line")]
    finally:
        if own is not None:
            await own.close()
    if not first or first[0].open_ms > since_ms + 2 * config.bar_ms:
        fix = "shorter averages, or another exchange; entries wait while the averages carry their start"
        return [yellow("warm-up", f"{needed:,} bars are needed, the exchange does not go back so far", fix)]
    return [green("warm-up", f"{needed:,} bars are needed, the exchange has them")]


async def size_and_fee(
    config: Config, market: PublicMarket, instrument: Instrument, seen: AccountGlance | None, clock: Clock
) -> list[Finding]:
    """Would the configured risk produce an order the exchange takes, and at what fee."""
    found = []
    if seen is not None and seen.taker_fee_rate is not None:
        found.append(judging.fee(config.backtest_params.fee_bp, seen.taker_fee_rate, "this account, taker"))
        rate = seen.taker_fee_rate
    else:
        rate = instrument.taker_fee_rate
        found.append(judging.fee(config.backtest_params.fee_bp, rate, "regular, taker"))
    window = min(config.bars.atr_window, _MOST_BARS - 1)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            quote = await market.quote()
            since_ms = (clock.now_ms() // config.bar_ms - window) * config.bar_ms
            candles = (await market.candles(since_ms, window + 1))[:window]
    except (TimeoutError, MarketDataError) as error:
        return [*found, yellow("tradable size", f"not checked: {error or 'no answer'}", "try again")]
    equity = _equity(config, instrument, seen)
    if equity is None or not candles:
        return [*found, yellow("tradable size", "not checked: the balance is not known", "set the keys")]
    size = judging.sized(config, instrument, quote.ask, equity, judging.mean_true_range(candles))
    return [*found, judging.tradable(config, instrument, size, equity, rate)]


def _equity(config: Config, instrument: Instrument, seen: AccountGlance | None) -> Decimal | None:
    if config.mode == "paper":
        return config.exchange.paper_initial_balance
    if seen is None:
        return None
    held = seen.totals.get(instrument.quote, Decimal(0))
    capital = config.agent.capital
    return held if capital is None else min(held, capital)


async def account(
    config: Config, orders: Addresses, keys: ExchangeKeys | str, clock: Clock
) -> tuple[list[Finding], AccountGlance | None]:
    """Outside paper: are there keys, do they work, may they do too much."""
    if isinstance(keys, str):
        return [red("keys", keys, "python -m agent.cli credentials set")], None
    try:
        reader = reader_for(orders, keys, clock)
    except ValueError as error:
        return [yellow("keys", f"not checked: {error}", "check them at the exchange")], None
    seen, rights = await asyncio.gather(reader.account(), reader.rights())
    if isinstance(seen, str):
        fix = "check key and secret, the addresses the key is restricted to, and the mode it was made for"
        return [red("keys", seen, fix), *judging.key_rights(rights, config.mode)], None
    return [green("keys", "the exchange takes them"), *judging.key_rights(rights, config.mode)], seen
