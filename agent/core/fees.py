"""Fees in a currency that is neither bought nor paid with (BNB), valued at that currency's own price.

Stays true: nothing waits for a price. A fee whose price is not known is counted as zero for the moment, kept
by amount and currency, and counted at the first price that comes, also after its position has closed: then
the trade is booked again by the difference. A price older than `PRICE_GOOD_FOR_MS` is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from agent.core.account import holdings_total
from agent.core.booking import position_booked
from agent.core.commands import AlertLevel, ReadFeePrice
from agent.core.events import FeePriceSeen, Holding
from agent.core.money import ZERO, plain
from agent.core.order import Fill
from agent.core.state import AgentState, FeePrice
from agent.core.turn import Turn
from agent.core.value import replace

#: Fees are paid in it on Binance when the account holds it and is set so.
BNB: Final = "BNB"
#: A price is asked for again when it is older than this while fees may be taken in that currency.
PRICE_AGAIN_MS: Final = 300_000
#: Fewer fees than this left in BNB, of the size of the largest one that is remembered, are few.
LOW_BNB_FEES: Final = 10
#: The value of a fee may be off by as much as the currency moved in this time.
PRICE_GOOD_FOR_MS: Final = 1_800_000


def fee_value(state: AgentState, fill: Fill) -> Decimal | None:
    """The fee in quote currency; None while a third currency has no price."""
    if fill.fee == 0:
        return ZERO
    if fill.fee_currency == state.setup.quote:
        return fill.fee
    if fill.fee_currency == state.setup.base:
        return fill.fee * fill.price
    known = state.fee_prices.get(fill.fee_currency)
    if known is None or state.now_ms > known.at_ms + PRICE_GOOD_FOR_MS:
        return None
    return fill.fee * known.price


def ask_fee_price(turn: Turn, currency: str) -> None:
    command = ReadFeePrice(currency)
    if command not in turn.commands:
        turn.ask(command)


def keep_fee_prices(turn: Turn, held: Iterable[str]) -> None:
    """Ask for prices that are, or will be, needed: of BNB where it is held, and of what was charged."""
    setup = turn.state.setup
    wanted = {c for p in turn.state.positions.values() for c in p.unvalued_fees}
    if BNB in held and BNB not in (setup.base, setup.quote):
        known = turn.state.fee_prices.get(BNB)
        if known is None or turn.at_ms >= known.at_ms + PRICE_AGAIN_MS:
            wanted.add(BNB)
    for currency in sorted(wanted):
        ask_fee_price(turn, currency)


def warn_of_low_bnb(turn: Turn, holdings: Mapping[str, Holding]) -> None:
    """Told once when fees are taken in BNB and few more will be: then they come out of what is traded.

    Nothing breaks without BNB, but the discount is gone, and less arrives of a coin than was asked for.
    """
    fees = [f.fee for o in turn.state.orders.values() for f in o.fills if f.fee_currency == BNB]
    if not fees or BNB in (turn.state.setup.base, turn.state.setup.quote):
        return
    held, wanted = holdings_total(holdings, BNB), max(fees) * LOW_BNB_FEES
    is_low = held < wanted
    if is_low and not turn.state.bnb_is_low:
        text = f"{plain(held)} BNB left, less than {LOW_BNB_FEES} times the largest fee lately"
        what = f"{text} ({plain(max(fees))}): buy some, or fees come out of what is traded"
        turn.alert(AlertLevel.WARNING, "low BNB", what)
    if is_low is not turn.state.bnb_is_low:
        turn.change(bnb_is_low=is_low)


def on_fee_price(turn: Turn, event: FeePriceSeen) -> None:
    """Remember a price, and count what was charged in its currency and had no value yet."""
    known = FeePrice(event.price, turn.at_ms)
    turn.change(fee_prices={**turn.state.fee_prices, event.currency: known})
    for position in tuple(turn.state.positions.values()):
        amount = position.unvalued_fees.get(event.currency)
        if amount is None:
            continue
        left = {c: a for c, a in position.unvalued_fees.items() if c != event.currency}
        cash_fees = position.cash_fees_quote + amount * event.price
        valued = turn.put_position(replace(position, unvalued_fees=left, cash_fees_quote=cash_fees))
        _value_fills(turn, position.id, event)
        if valued.booked_pnl is not None:
            position_booked(turn, valued)


def _value_fills(turn: Turn, position_id: int, event: FeePriceSeen) -> None:
    for order in turn.state.orders_of(position_id):
        values = {
            fill.trade_id: fill.fee * event.price
            for fill in order.fills
            if fill.fee_currency == event.currency and fill.trade_id not in order.fee_values
        }
        if values:
            turn.put_order(replace(order, fee_values={**order.fee_values, **values}))
