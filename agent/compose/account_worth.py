"""What the account is worth, asked of the exchange before real money is armed: a start is to be a small one.

Knows requests that read alone. Counted is every coin with a price of its own against the quote currency; what
has none is named and counts nothing, so the answer errs to the small side.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Final

from agent.arming.checklist import Worth
from agent.compose.account_keys import account_keys
from agent.compose.market import PublicMarket, markets_of, public_market, weight_gate
from agent.config.credentials import ExchangeKeys
from agent.config.model import Config
from agent.core.ports import MarketDataError
from agent.exchange.glance import reader_for
from agent.options import ExchangeAddress
from agent.shell.clock import SystemClock
from agent.shell.redaction import Secrets

_PATIENCE_S: Final = 15.0
#: An account with more coins than this is not a small one.
_MOST_COINS: Final = 40


class ExchangeTime(SystemClock):
    """This machine's clock, corrected by what the exchange said: what is asked for is asked in its time."""

    def __init__(self) -> None:
        super().__init__()
        self.offset_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() - self.offset_ms


def account_worth(config: Config, env_path: Path, replaced: ExchangeAddress | None) -> Worth | str:
    """Or why it is not known, as a sentence. Blocks for seconds: not for a running loop."""
    keys = account_keys(config, env_path, Secrets())
    if isinstance(keys, str):
        return keys
    return asyncio.run(_asked(config, keys, replaced))


async def _asked(config: Config, keys: ExchangeKeys, replaced: ExchangeAddress | None) -> Worth | str:
    orders, clock = markets_of(config, replaced).orders, ExchangeTime()
    try:
        reader = reader_for(orders, keys, clock)
    except ValueError as error:
        return str(error)
    gate = weight_gate(orders, clock, 0, lambda until_ms: None)
    market = public_market(orders, config, gate, clock)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            probe = await market.probe()
            if probe.server_time_ms is not None:
                clock.offset_ms = clock.now_ms() - probe.server_time_ms
            seen = await reader.account()
            if isinstance(seen, str):
                return f"{orders.venue} does not show the account: {seen}"
            return await _valued(seen.totals, config, market)
    except TimeoutError:
        return f"{orders.venue} does not answer"
    except MarketDataError as error:
        return f"{orders.venue}: {error}"
    finally:
        await market.close()


async def _valued(totals: dict[str, Decimal], config: Config, market: PublicMarket) -> Worth:
    quote, base = config.exchange.quote_currency, config.exchange.base_currency
    worth, unpriced = totals.get(quote, Decimal(0)), list[str]()
    held = sorted(coin for coin, amount in totals.items() if amount > 0 and coin != quote)
    for number, coin in enumerate(held):
        try:
            if coin == base:
                price = (await market.quote()).bid
            elif number < _MOST_COINS:
                price = await market.fee_price(coin)
            else:
                unpriced.append(coin)
                continue
        except MarketDataError:
            unpriced.append(coin)
            continue
        worth += totals[coin] * price
    return Worth(worth, quote, tuple(unpriced))
