"""Binance's words for orders, as types.

Belongs here: the enumerations of the protocol and what each word means for matching. Stays true: the value of
a member is its text on the wire.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class Kind(StrEnum):
    """The type of an order."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"

    @property
    def limited(self) -> bool:
        """Whether it has a limit price."""
        return self in _LIMITED

    @property
    def conditional(self) -> bool:
        """Whether it waits for its stop price; Binance calls such orders "algo"."""
        return self in _CONDITIONAL

    @property
    def forced(self) -> bool:
        """Whether it is sent with a time in force."""
        return self.limited and self is not Kind.LIMIT_MAKER

    def triggers_below(self, side: Side) -> bool:
        """Whether a conditional order starts when the price falls to its stop price, not when it rises."""
        stops = self in (Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT)
        return stops is (side is Side.SELL)


_LIMITED: Final = (Kind.LIMIT, Kind.LIMIT_MAKER, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT_LIMIT)
_CONDITIONAL: Final = (Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_LIMIT)


class Force(StrEnum):
    """Time in force."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(StrEnum):
    NEW = "NEW"
    PENDING_NEW = "PENDING_NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"

    @property
    def open(self) -> bool:
        return self in _OPEN


_OPEN: Final = (Status.NEW, Status.PENDING_NEW, Status.PARTIALLY_FILLED)


class Execution(StrEnum):
    """What an execution report reports."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    TRADE = "TRADE"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"


class Expiry(StrEnum):
    """Why an order expired."""

    REJECTED = "REJECTED"
    EXCHANGE_CANCELED = "EXCHANGE_CANCELED"
    OCO_TRIGGER = "OCO_TRIGGER"
    OTO_PHASE_ONE_EXPIRED = "OTO_PHASE_ONE_EXPIRED"
    UNFILLED_IOC = "UNFILLED_IOC_QUANTITY_EXPIRED"
    UNFILLED_FOK = "UNFILLED_FOK_ORDER_EXPIRED"
    INSUFFICIENT_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"


class Prevention(StrEnum):
    """What happens when an order would trade with another one of the same account."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class SymbolStatus(StrEnum):
    TRADING = "TRADING"
    END_OF_DAY = "END_OF_DAY"
    HALT = "HALT"
    BREAK = "BREAK"
    CANCEL_ONLY = "CANCEL_ONLY"


class Contingency(StrEnum):
    OCO = "OCO"
    OTO = "OTO"
