"""From parameters to orders.

Belongs here: which parameters each type of order must and must not carry, for single orders and for the legs
of lists, whose parameters have a prefix (`aboveStopPrice`). Stays true: what is missing is -1102, what is
sent though it makes no sense is -1106; an id nobody gave is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from agent.core.money import ZERO
from agent.core.value import Value
from agent.localexchange.parameters import Parameters, RejectionError, missing, not_valid
from agent.localexchange.trading import reading
from agent.localexchange.venue.order import Terms
from agent.localexchange.venue.refusals import prevention_not_allowed
from agent.localexchange.venue.words import Force, Kind, Prevention, Side


class Answer(StrEnum):
    """How much of a new order is answered."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


#: Words of other self-trade preventions, which exist but no symbol here allows.
_OTHER_PREVENTIONS: Final = ("NONE", "DECREMENT", "TRANSFER", "NON_REPRESENTABLE")


class Names(Value, frozen=True):
    """How the parameters of one order are called: those of a leg have a prefix."""

    prefix: str = ""

    def __call__(self, name: str) -> str:
        if not self.prefix:
            return "newClientOrderId" if name == "clientOrderId" else name
        return self.prefix + name[0].upper() + name[1:]


def side_of(parameters: Parameters, name: str = "side") -> Side:
    side = reading.word(parameters, name, Side, RejectionError(-1117, "Invalid side."))
    if side is None:
        raise missing(name)
    return side


def kind_of(parameters: Parameters, name: str = "type") -> Kind:
    kind = reading.word(parameters, name, Kind, RejectionError(-1116, "Invalid orderType."))
    if kind is None:
        raise missing(name)
    return kind


def prevention_of(parameters: Parameters) -> Prevention:
    name = "selfTradePreventionMode"
    text = parameters.text(name)
    if text is None:
        return Prevention.EXPIRE_MAKER
    if text in _OTHER_PREVENTIONS:
        refused = prevention_not_allowed()
        raise RejectionError(refused.code, refused.text)
    try:
        return Prevention(text)
    except ValueError:
        raise not_valid(name) from None


def answer_of(parameters: Parameters, default: Answer) -> Answer:
    name = "newOrderRespType"
    return reading.word(parameters, name, Answer, not_valid(name)) or default


def default_answer(kind: Kind) -> Answer:
    return Answer.FULL if kind in (Kind.MARKET, Kind.LIMIT) else Answer.ACK


def order_terms(parameters: Parameters, symbol: str, make_id: Callable[[], str]) -> Terms:
    """A single order. Raises RejectionError."""
    side, kind = side_of(parameters), kind_of(parameters)
    quantity = reading.amount(parameters, "quantity")
    quote_qty = reading.amount(parameters, "quoteOrderQty")
    if kind is Kind.MARKET:
        if quantity is None and quote_qty is None:
            raise RejectionError(
                -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
            )
        if quantity is not None and quote_qty is not None:
            raise RejectionError(-1128, "Combination of optional parameters invalid.")
    elif quantity is None:
        raise missing("quantity")
    elif quote_qty is not None:
        raise _not_required("quoteOrderQty")
    prevention = prevention_of(parameters)
    return leg_terms(
        parameters, Names(), symbol, side, kind, quantity, prevention, make_id, quote_qty=quote_qty or ZERO
    )


def leg_terms(
    parameters: Parameters,
    names: Names,
    symbol: str,
    side: Side,
    kind: Kind,
    quantity: Decimal | None,
    prevention: Prevention,
    make_id: Callable[[], str],
    *,
    quote_qty: Decimal = ZERO,
) -> Terms:
    """What is left to read of an order once side, type and quantity are known. Raises RejectionError."""
    _unsupported(parameters, names)
    price = reading.amount(parameters, names("price"))
    stop_price = reading.amount(parameters, names("stopPrice"))
    force = reading.word(
        parameters, names("timeInForce"), Force, RejectionError(-1115, "Invalid timeInForce.")
    )
    iceberg_qty = reading.amount(parameters, names("icebergQty"))
    strategy_id, strategy_type = reading.strategy(parameters, names("strategyId"), names("strategyType"))
    given: Mapping[str, tuple[object, bool]] = {
        "timeInForce": (force, kind.forced),
        "price": (price, kind.limited),
        "stopPrice": (stop_price, kind.conditional),
    }
    for name, (value, belongs) in given.items():
        if belongs and value is None:
            raise missing(names(name))
        if value is not None and not belongs:
            raise _not_required(names(name))
    if iceberg_qty is not None and not kind.limited:
        raise _not_required(names("icebergQty"))
    if iceberg_qty and force not in (None, Force.GTC):
        raise RejectionError(-1014, "Unsupported order combination.")
    return Terms(
        symbol,
        side,
        kind,
        reading.client_id(parameters, names("clientOrderId")) or make_id(),
        qty=quantity or ZERO,
        quote_qty=quote_qty,
        price=price or ZERO,
        stop_price=stop_price or ZERO,
        force=force or Force.GTC,
        iceberg_qty=iceberg_qty or ZERO,
        prevention=prevention,
        strategy_id=strategy_id,
        strategy_type=strategy_type,
    )


def _unsupported(parameters: Parameters, names: Names) -> None:
    """What exists on the real exchange and no symbol here offers."""
    if parameters.text(names("trailingDelta")) is not None:
        raise RejectionError(-2010, "Trailing stop orders are not supported for this symbol.")
    for name in ("pegPriceType", "pegOffsetType", "pegOffsetValue"):
        if parameters.text(names(name)) is not None:
            raise RejectionError(-2010, "Pegged orders are not supported for this symbol.")


def _not_required(name: str) -> RejectionError:
    return RejectionError(-1106, f"Parameter '{name}' sent when not required.")
