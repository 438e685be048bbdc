"""What each exchange can do that matters to this agent, as data that drives it.

Belongs here: one row of facts per exchange, and the sentence that follows from each fact. Stays true: whoever
behaves differently on another exchange asks this table and no exchange's name; what is not known is not
claimed. Facts that ccxt states too are held against it by a test; the others are the exchanges' documentation
(November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Uniqueness(StrEnum):
    """What an exchange makes of a client order id that it has seen before."""

    OPEN_ORDERS = "among open orders"
    ALWAYS = "always"
    RETURNS_FIRST = "the first order again"

    @property
    def tells_duplicates(self) -> bool:
        """Whether a second order of the same id is never made, even after the first one was filled."""
        return self is not Uniqueness.OPEN_ORDERS


class Listening(StrEnum):
    """How the account's own events reach us."""

    EVENTS = "events"
    """Each event is read and believed."""
    HINTS = "hints"
    """An event only says that the account must be read."""


@dataclass(frozen=True, slots=True)
class ClientIds:
    """`format`: in words; `longest`: characters; `reads_back`: an order found there tells our own id."""

    format: str
    longest: int
    unique: Uniqueness
    reads_back: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One exchange's spot market, as this agent uses it.

    `order_types` and `time_in_force` are what is offered, in Binance's words; `stops` the kinds of them that
    this agent lets rest there. `candles` is the most one request brings, `history` the most there is at all
    (None: all of it). `closed_flag`: a pushed candle says that it is over. `cancel_after`: the exchange can
    cancel everything when it hears nothing more. `orders_refused_because` None: orders with a key are proven
    against this protocol.
    """

    name: str
    title: str
    timeframes: frozenset[str]
    order_types: tuple[str, ...]
    time_in_force: tuple[str, ...]
    stops: tuple[str, ...]
    order_lists: bool
    replaces_at_once: bool
    client_ids: ClientIds
    sandbox: bool
    candles: int
    history: int | None
    candle_stream: bool
    closed_flag: bool
    fee_currency: str
    listening: Listening
    cancel_after: bool
    key_rights: bool
    account_number: bool
    needs_passphrase: bool
    taker_fee_percent: str
    orders_refused_because: str | None = None

    @property
    def orders_are_proven(self) -> bool:
        return self.orders_refused_because is None

    def refuses(self, mode: str) -> str | None:
        """Why orders of `mode` (paper, testnet, live) may not leave there; None when they may."""
        if mode == "paper":
            return None
        return self.why_no_testnet if mode == "testnet" else self.orders_refused_because

    @property
    def why_no_testnet(self) -> str | None:
        """Why testnet cannot be traded, as a sentence without its full stop."""
        if not self.sandbox:
            return f"{self.title} has no sandbox for its spot market"
        return self.orders_refused_because


_COMMON: Final = frozenset({"1m", "5m", "15m", "30m", "60m"})
_PLAIN: Final = ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT")
_GTC_IOC_FOK: Final = ("GTC", "IOC", "FOK")


def _unproven(title: str) -> str:
    return (
        f"orders on {title} were only checked request by request and answer by answer, never traded against "
        "an exchange that speaks its protocol"
    )


#: The exchanges the agent is built for, the first class one first.
CAPABILITIES: Final[Mapping[str, Capabilities]] = {
    row.name: row
    for row in (
        Capabilities(
            name="binance",
            title="Binance",
            timeframes=_COMMON | {"3m"},
            order_types=_PLAIN,
            time_in_force=_GTC_IOC_FOK,
            stops=("STOP_LOSS", "STOP_LOSS_LIMIT"),
            order_lists=True,
            replaces_at_once=True,
            client_ids=ClientIds("[a-zA-Z0-9-_]", 36, Uniqueness.OPEN_ORDERS, reads_back=True),
            sandbox=True,
            candles=1_000,
            history=None,
            candle_stream=True,
            closed_flag=True,
            fee_currency="received, or BNB",
            listening=Listening.EVENTS,
            cancel_after=False,
            key_rights=True,
            account_number=True,
            needs_passphrase=False,
            taker_fee_percent="0.1",
        ),
        Capabilities(
            name="kraken",
            title="Kraken",
            timeframes=_COMMON,
            order_types=_PLAIN,
            time_in_force=_GTC_IOC_FOK,
            stops=("STOP_LOSS",),
            order_lists=False,
            replaces_at_once=False,
            client_ids=ClientIds("hex, or 18 of text", 32, Uniqueness.OPEN_ORDERS, reads_back=True),
            sandbox=False,
            candles=720,
            history=720,
            candle_stream=True,
            closed_flag=False,
            fee_currency="quote, as we ask",
            listening=Listening.HINTS,
            cancel_after=True,
            key_rights=True,
            account_number=False,
            needs_passphrase=False,
            taker_fee_percent="0.4",
        ),
        Capabilities(
            name="bybit",
            title="Bybit",
            timeframes=_COMMON | {"3m"},
            order_types=_PLAIN,
            time_in_force=_GTC_IOC_FOK,
            stops=(),
            order_lists=False,
            replaces_at_once=False,
            client_ids=ClientIds("[a-zA-Z0-9-_]", 36, Uniqueness.ALWAYS, reads_back=True),
            sandbox=True,
            candles=1_000,
            history=None,
            candle_stream=True,
            closed_flag=False,
            fee_currency="received",
            listening=Listening.HINTS,
            cancel_after=True,
            key_rights=False,
            account_number=False,
            needs_passphrase=False,
            taker_fee_percent="0.1",
            orders_refused_because=_unproven("Bybit"),
        ),
        Capabilities(
            name="okx",
            title="OKX",
            timeframes=_COMMON | {"3m"},
            order_types=_PLAIN,
            time_in_force=_GTC_IOC_FOK,
            stops=(),
            order_lists=False,
            replaces_at_once=False,
            client_ids=ClientIds("[a-zA-Z0-9]", 32, Uniqueness.ALWAYS, reads_back=True),
            sandbox=True,
            candles=300,
            history=None,
            candle_stream=True,
            closed_flag=False,
            fee_currency="received",
            listening=Listening.HINTS,
            cancel_after=True,
            key_rights=False,
            account_number=False,
            needs_passphrase=True,
            taker_fee_percent="0.1",
            orders_refused_because=_unproven("OKX"),
        ),
        Capabilities(
            name="coinbase",
            title="Coinbase",
            timeframes=_COMMON,
            order_types=("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT"),
            time_in_force=_GTC_IOC_FOK,
            stops=(),
            order_lists=False,
            replaces_at_once=False,
            client_ids=ClientIds("any text", 128, Uniqueness.RETURNS_FIRST, reads_back=True),
            sandbox=False,
            candles=300,
            history=None,
            candle_stream=False,
            closed_flag=False,
            fee_currency="quote",
            listening=Listening.HINTS,
            cancel_after=False,
            key_rights=False,
            account_number=False,
            needs_passphrase=False,
            taker_fee_percent="1.2",
            orders_refused_because=_unproven("Coinbase"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Stated:
    """One fact in words, and what the agent does because of it."""

    name: str
    fact: str
    so: str


def stated(one: Capabilities) -> tuple[Stated, ...]:
    """Every fact of an exchange, in the order in which it is shown."""
    ids = one.client_ids
    return (
        Stated("orders", "proven" if one.orders_are_proven else "refused", _orders(one)),
        Stated("sandbox", "yes" if one.sandbox else "none", _sandbox(one)),
        Stated("order types", " ".join(map(_short, one.order_types)), "entries are LIMIT or MARKET"),
        Stated("time in force", " ".join(one.time_in_force), "entries by limit are IOC"),
        Stated("resting stops", " ".join(map(_short, one.stops)) or "none", _stops(one)),
        Stated("stop and target", "one list" if one.order_lists else "no list", _lists(one)),
        Stated("cancel, replace", "1 request" if one.replaces_at_once else "2 requests", _replacing(one)),
        Stated("client order id", f"{ids.longest} of {ids.format}", "every order carries one of ours"),
        Stated("id is unique", str(ids.unique), _duplicates(ids)),
        Stated("timeframes", " ".join(sorted(one.timeframes, key=_minutes)), "others are built from these"),
        Stated("bars a request", f"{one.candles:,}", "history is loaded in pages of that"),
        Stated("bars in all", "all" if one.history is None else f"{one.history:,}", _history(one)),
        Stated("candle stream", "yes" if one.candle_stream else "none", _stream(one)),
        Stated("closed flag", "yes" if one.closed_flag else "none", _closing(one)),
        Stated("fee taken in", one.fee_currency, "fills carry their own fee and currency"),
        Stated(
            "taker fee", f"{one.taker_fee_percent} %", "expected of an entry where the backtest assumed less"
        ),
        Stated("user stream", str(one.listening), _listening(one)),
        Stated(
            "cancel-after", "yes" if one.cancel_after else "none", "never used: it would cancel stops too"
        ),
        Stated("key's rights", "told" if one.key_rights else "not told", _rights(one)),
        Stated("passphrase", "needed" if one.needs_passphrase else "none", _passphrase(one)),
    )


def _minutes(timeframe: str) -> int:
    return int(timeframe.removesuffix("m"))


def _short(kind: str) -> str:
    return {"STOP_LOSS": "STOP", "STOP_LOSS_LIMIT": "STOP_LIMIT", "LIMIT_MAKER": "MAKER"}.get(kind, kind)


def _orders(one: Capabilities) -> str:
    return "live is possible, behind its gates" if one.orders_refused_because is None else "paper only"


def _sandbox(one: Capabilities) -> str:
    if not one.sandbox:
        return "testnet is refused; paper lasts as long as both phases"
    return "testnet is possible" if one.orders_are_proven else "testnet is refused with orders"


def _stops(one: Capabilities) -> str:
    if not one.stops:
        return "the agent itself watches every stop; nothing protects while it is down"
    return "protective and disaster stops rest at the exchange"


def _lists(one: Capabilities) -> str:
    if one.order_lists:
        return "stop and target rest together"
    return "the stop rests, the agent sells at the target" if one.stops else "the agent sells at both"


def _replacing(one: Capabilities) -> str:
    if one.replaces_at_once:
        return "an exit takes the stop's place in one step"
    return "an exit waits for the stop's cancel and what it sold"


def _duplicates(ids: ClientIds) -> str:
    if ids.unique is Uniqueness.OPEN_ORDERS:
        return "a lost answer is looked up; a filled order's id would buy twice"
    return "a lost answer is looked up; no order is ever sent again"


def _history(one: Capabilities) -> str:
    if one.history is None:
        return "enough for any warm-up"
    return "entries wait until the warm-up bound is met; candles.db grows beyond it"


def _stream(one: Capabilities) -> str:
    return "REST when it is silent" if one.candle_stream else "candles and prices come by REST"


def _closing(one: Capabilities) -> str:
    return "a bar closes on its flag" if one.closed_flag else "a bar closes by the clock, asked for 2 s later"


def _listening(one: Capabilities) -> str:
    if one.listening is Listening.EVENTS:
        return "fills arrive as events; the account is read after every gap"
    return "an event makes its order be asked about; the account is read every 20 s anyway"


def _rights(one: Capabilities) -> str:
    if one.key_rights:
        return "a key that may withdraw refuses entries in live"
    return "look yourself: it must not be able to withdraw"


def _passphrase(one: Capabilities) -> str:
    return "EXCHANGE_API_PASSPHRASE" if one.needs_passphrase else "key and secret are enough"


def without_sandbox() -> tuple[str, ...]:
    return tuple(row.name for row in CAPABILITIES.values() if not row.sandbox)


def with_proven_sandbox() -> tuple[str, ...]:
    return tuple(row.name for row in CAPABILITIES.values() if row.why_no_testnet is None)


def with_proven_orders() -> tuple[str, ...]:
    return tuple(row.name for row in CAPABILITIES.values() if row.orders_are_proven)
