"""The wallet's endpoints (`/sapi/v1`) that clients of the spot market call.

Belongs here: key restrictions, commissions, coins, and the margin lists that are empty here. Stays true:
nothing in here moves money.
"""

from __future__ import annotations

from agent.core.money import plain
from agent.localexchange.trading.counter import Ask
from agent.localexchange.wire import Json


def api_restrictions(ask: Ask) -> Json:
    """GET account/apiRestrictions."""
    ask.parameters.nothing_else()
    return ask.counter.permissions.told()


def trade_fee(ask: Ask) -> list[Json]:
    """GET asset/tradeFee."""
    wanted = None if ask.parameters.text("symbol") is None else ask.symbol()
    ask.parameters.nothing_else()
    rates = ask.desk.venue.rates
    return [
        {"symbol": symbol, "makerCommission": plain(rates.maker), "takerCommission": plain(rates.taker)}
        for symbol in ask.desk.market.symbols
        if wanted in (None, symbol)
    ]


def coins(ask: Ask) -> list[Json]:
    """GET capital/config/getall."""
    ask.parameters.text("noCoin")
    ask.parameters.nothing_else()
    balances = ask.desk.venue.ledger.balances(ask.as_of_ms)
    names = set(balances)
    for instrument in ask.desk.market:
        names |= {instrument.pair.base, instrument.pair.quote}
    return [_coin(name, balances) for name in sorted(names)]


def _coin(name: str, balances: Json) -> Json:
    balance = balances.get(name)
    return {
        "coin": name,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "name": name,
        "free": plain(balance.free) if balance else "0",
        "locked": plain(balance.locked) if balance else "0",
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
    }


def nothing(ask: Ask) -> list[Json]:
    """GET margin/allPairs, margin/isolated/allPairs: no margin is offered."""
    ask.parameters.text("symbol")
    ask.parameters.nothing_else()
    return []
