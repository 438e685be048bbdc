"""Orders: what was intended, what the exchange said, and what is certain.

An `Intent` is committed before a request leaves. Everything learned later moves the order through
`TRANSITIONS`, a table over (status, fact). UNKNOWN is a status of its own: no answer is not a
refusal. Fills are the only truth about quantity; they are kept by trade id, so a fill reported
twice counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import field

from agent.core.money import ZERO, Price, Qty
from agent.core.value import Value, replace

#: recvWindow, then the time an accepted request may still take, then the spread between machines.
PROVEN_ABSENT_AFTER_MS: Final = 5_000 + 10_000 + 3_000


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"


#: Types that wait for a stop price, and types that have no price of their own.
CONDITIONAL: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
AT_MARKET: Final = frozenset({OrderType.MARKET, OrderType.STOP_LOSS})


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"


class Purpose(StrEnum):
    """Why the order exists. PROTECT (the stop) and TARGET rest on the exchange; EXIT leaves now."""

    ENTRY = "entry"
    EXIT = "exit"
    PROTECT = "protect"
    TARGET = "target"


class OrderStatus(StrEnum):
    """Binance's words, plus UNKNOWN (no believable answer) and NOT_PLACED (proven by evidence)."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NOT_PLACED = "NOT_PLACED"


#: Nothing more is expected to happen. A late fill may still arrive and is then adopted.
TERMINAL: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.NOT_PLACED,
    }
)


_WORKING: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class Fact(StrEnum):
    """What can be learned about an order."""

    WORKING = "working"
    PART_FILLED = "part_filled"
    FULLY_FILLED = "fully_filled"
    WAS_CANCELED = "was_canceled"
    HAS_EXPIRED = "has_expired"
    WAS_REFUSED = "was_refused"
    ANSWER_LOST = "answer_lost"
    PROVEN_ABSENT = "proven_absent"


def _table() -> dict[tuple[OrderStatus, Fact], OrderStatus]:
    s, f = OrderStatus, Fact
    seen = {
        f.WORKING: s.NEW,
        f.PART_FILLED: s.PARTIALLY_FILLED,
        f.FULLY_FILLED: s.FILLED,
        f.WAS_CANCELED: s.CANCELED,
        f.HAS_EXPIRED: s.EXPIRED,
    }
    table: dict[tuple[OrderStatus, Fact], OrderStatus] = {}
    for start in (s.PENDING_NEW, s.UNKNOWN):
        table |= {(start, fact): status for fact, status in seen.items()}
        table[start, f.WAS_REFUSED] = s.REJECTED
        table[start, f.ANSWER_LOST] = s.UNKNOWN
    # Only evidence gathered over time proves absence; an unanswered request never does.
    table[s.UNKNOWN, f.PROVEN_ABSENT] = s.NOT_PLACED
    table |= {(s.NEW, fact): status for fact, status in seen.items()}
    # Reports overtake each other: an older "working" after a partial fill changes nothing.
    table |= {(s.PARTIALLY_FILLED, fact): status for fact, status in seen.items()}
    table[s.PARTIALLY_FILLED, f.WORKING] = s.PARTIALLY_FILLED
    # A cancel may be reported before the fill that beat it; the fill wins. A partial fill of such an order
    # adds quantity, not life.
    for over in (s.CANCELED, s.EXPIRED):
        table[over, f.FULLY_FILLED] = s.FILLED
    # A late fill revives an order that was proven absent or refused: the exchange is right.
    for gone in (s.NOT_PLACED, s.REJECTED):
        table |= {(gone, fact): status for fact, status in seen.items() if fact is not f.WORKING}
    table[s.NOT_PLACED, f.WORKING] = s.NEW
    return table


#: (status, fact) -> next status. A pair that is missing leaves the status as it is.
TRANSITIONS: Final[Mapping[tuple[OrderStatus, Fact], OrderStatus]] = _table()


def next_status(status: OrderStatus, fact: Fact) -> OrderStatus:
    return TRANSITIONS.get((status, fact), status)


class Fill(Value, frozen=True):
    """One execution. `fee` is in `fee_currency`; `at_ms` is venue time."""

    trade_id: str
    client_id: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_currency: str
    at_ms: int

    def __post_init__(self) -> None:
        assert self.qty > 0, f"fill {self.trade_id} without quantity"
        assert self.price > 0, f"fill {self.trade_id} without price"


class Intent(Value, frozen=True):
    """An order as decided: durable before the request leaves, never changed afterwards.

    `list_id` is the client id of the order list this is a leg of: of its legs only one ever trades.
    """

    client_id: str
    position_id: int
    purpose: Purpose
    side: Side
    type: OrderType
    qty: Qty
    price: Price | None
    stop_price: Price | None
    time_in_force: TimeInForce | None
    created_ms: int
    reason: str
    list_id: str | None = None

    def __post_init__(self) -> None:
        assert self.qty > 0, "an order needs a quantity"
        assert (self.price is None) == (self.type in AT_MARKET)
        assert (self.stop_price is not None) == (self.type in CONDITIONAL)
        assert self.client_id.isalnum(), "client order ids are letters and digits"
        assert len(self.client_id) <= 32, "client order ids have 32 characters at most"

    @property
    def rests(self) -> bool:
        """Whether it waits on the exchange for its price, however long that takes."""
        return self.purpose in (Purpose.PROTECT, Purpose.TARGET)


class OrderReport(Value, frozen=True):
    """The exchange's word on one order, from an answer, a look-up or the user stream.

    `executed_qty` is cumulative. `fills` holds what the message carried, which may be nothing even
    for a filled order (Binance's query answers carry none): then own trades must be read. `triggered`: a
    stop whose price was reached works as an ordinary order now.
    """

    client_id: str
    exchange_order_id: str
    side: Side
    type: str
    fact: Fact
    qty: Decimal
    price: Decimal
    executed_qty: Decimal
    at_ms: int
    fills: tuple[Fill, ...] = ()
    reason: str = ""
    triggered: bool = False


class Order(Value, frozen=True):
    """An intent and all that is known of its fate. `waited`: it was once said to wait for its stop price;
    `triggered_ms`: when that was first said to have been reached after that. `fee_values`: fees in a third
    currency in quote currency, by trade id."""

    intent: Intent
    status: OrderStatus
    fills: tuple[Fill, ...] = ()
    exchange_order_id: str | None = None
    reported_qty: Decimal = ZERO
    unknown_since_ms: int | None = None
    not_found: int = 0
    next_lookup_ms: int | None = None
    cancel_sent_ms: int | None = None
    detail: str = ""
    waited: bool = False
    triggered_ms: int | None = None
    fee_values: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def filled(self) -> Decimal:
        return sum([f.qty for f in self.fills], ZERO) if self.fills else ZERO

    @property
    def leaves_qty(self) -> Decimal:
        """What could still be executed, by everything known so far."""
        return ZERO if self.status in TERMINAL else self.intent.qty - self.filled

    @property
    def is_settled(self) -> bool:
        """Terminal, and every execution the exchange has reported is in our ledger."""
        return self.status in TERMINAL and (not self.reported_qty or self.filled >= self.reported_qty)

    @property
    def is_at_rest(self) -> bool:
        """Settled, told without adding up fills: what is over but incomplete is always to be looked up."""
        return self.status in TERMINAL and self.next_lookup_ms is None

    @property
    def is_working(self) -> bool:
        return self.status in _WORKING

    def with_fill(self, fill: Fill) -> Order:
        """This order with `fill` counted once, whatever order reports arrive in."""
        assert fill.client_id == self.intent.client_id, "a fill belongs to its own order"
        if any(known.trade_id == fill.trade_id for known in self.fills):
            return self
        if fill.side is not self.intent.side:
            # An exchange that began anew gives its numbers a second time: this trade is another order's.
            return self
        fills = (*self.fills, fill)
        filled = sum((f.qty for f in fills), ZERO)
        fact = Fact.FULLY_FILLED if filled >= self.intent.qty else Fact.PART_FILLED
        return replace(
            self,
            fills=fills,
            status=next_status(self.status, fact),
            reported_qty=max(self.reported_qty, filled),
        )

    def found_nowhere(self) -> Order:
        """This order, looked for in vain once more."""
        return replace(self, not_found=self.not_found + 1)

    def with_fact(self, fact: Fact, detail: str = "") -> Order:
        return replace(self, status=next_status(self.status, fact), detail=detail or self.detail)


def client_order_id(tag: str, at_ms: int, entropy: int, index: int) -> str:
    """Install tag, venue time in base 36, injected randomness, and the place within one step.

    At most 32 letters and digits. A sequence number would repeat after a restored backup; entropy
    does not.
    """
    text = (
        f"{tag}{base36(at_ms)}{base36(entropy % 36**10).rjust(10, '0')}{base36(index % 36**2).rjust(2, '0')}"
    )
    assert len(text) <= 32, f"client order id too long: {text}"
    return text


def created_ms_in(client_id: str, tag: str) -> int | None:
    """The venue time that `client_order_id` put into an id; None where it holds none."""
    text = client_id[len(tag) : -_RANDOM_LETTERS]
    return int(text, 36) if text.isascii() and text.isalnum() else None


_RANDOM_LETTERS: Final = 12
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    assert number >= 0
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
