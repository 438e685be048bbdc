"""AddOrder and CancelOrder.

Belongs here: from Kraken's parameters to the venue's terms and back. Stays true: a parameter nobody knows
here is refused before anything is executed; a client order id is unique among open orders and no longer; a
stop whose price is already behind the market works at once, as an order at market; the commission is taken
in quote currency unless `fcib` asks for base.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from agent.core.money import ZERO, money
from agent.core.value import replace
from agent.localexchange.kraken import names as kraken
from agent.localexchange.kraken.errors import (
    ELAPSED,
    INSUFFICIENT,
    UNKNOWN_ORDER,
    UNKNOWN_PAIR,
    KrakenError,
    as_kraken,
    invalid,
)
from agent.localexchange.kraken.names import find, names_of
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.fate import Fate
from agent.localexchange.venue.order import Order, Terms, quote_needed
from agent.localexchange.venue.outcomes import Which
from agent.localexchange.venue.refusals import RefusedError, would_trigger
from agent.localexchange.venue.words import Force, Kind, Side

_KINDS: Final[Mapping[str, Kind]] = {
    "market": Kind.MARKET,
    "limit": Kind.LIMIT,
    "stop-loss": Kind.STOP_LOSS,
    "stop-loss-limit": Kind.STOP_LOSS_LIMIT,
}
_KNOWN: Final = frozenset(
    {
        *("pair", "type", "ordertype", "volume", "price", "price2", "oflags", "timeinforce"),
        *("cl_ord_id", "userref", "validate", "deadline", "trigger", "leverage"),
    }
)
_FLAGS: Final = frozenset({"post", "fciq", "fcib", "nompp"})
_CLIENT_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}|[\x20-\x7e]{1,18}", re.I
)
#: A deadline may lie so far ahead, seconds.
_LATEST_S: Final = 60
#: Orders nobody named have a name of ours, which is not told.
_NAMELESS: Final = "~"


@dataclass(slots=True)
class References:
    """`userref` of orders that have one, and the next name for one that has none."""

    of_order: dict[int, int]
    nameless: int = 0


def client_id_of(order: Order) -> str | None:
    name = order.terms.client_id
    return None if name.startswith(_NAMELESS) else name


def add_order(desk: Desk, references: References, sent: Mapping[str, str], fate: Fate, now_ms: int) -> Any:
    """POST AddOrder. Raises KrakenError."""
    for name in sent:
        if name not in _KNOWN:
            raise invalid(name)
    _meet(sent.get("deadline"), now_ms, desk.clock.speed)
    instrument = find(desk.market, sent.get("pair", ""))
    if instrument is None:
        raise KrakenError(UNKNOWN_PAIR)
    names = names_of(instrument.pair)
    terms = _terms(instrument.pair.symbol, sent, names, references)
    prices = desk.prices(instrument.pair.symbol, now_ms)
    described = {"order": described_order(terms, names)}
    try:
        if sent.get("validate") in ("true", "True", "1"):
            desk.venue.check(terms, prices)
            return {"descr": described}
        _must_afford(desk, terms, prices.last())
        fate.jump(desk.venue)
        try:
            order = desk.venue.place(terms, prices, fate.of_order(terms)).order
        except RefusedError as refused:
            if refused.text != would_trigger().text:
                raise
            at_once = replace(terms, kind=Kind.MARKET, stop_price=ZERO, price=ZERO, force=Force.GTC)
            order = desk.venue.place(at_once, prices, fate.of_order(at_once)).order
    except RefusedError as refused:
        raise as_kraken(refused) from None
    if "userref" in sent:
        references.of_order[order.id] = int(sent["userref"])
    return {"descr": described, "txid": [kraken.order_id(order.id)]}


def cancel_order(desk: Desk, references: References, sent: Mapping[str, str], fate: Fate, now_ms: int) -> Any:
    """POST CancelOrder, by txid, userref or client order id. Raises KrakenError."""
    for name in sent:
        if name not in ("txid", "cl_ord_id"):
            raise invalid(name)
    found = named(desk, references, sent)
    if not found:
        raise KrakenError(UNKNOWN_ORDER)
    for order in found:
        prices = desk.prices(order.terms.symbol, now_ms)
        share = fate.race(order)
        if share is not None:
            desk.venue.fill_by_fate(order, share, prices)
        try:
            desk.venue.cancel(order.terms.symbol, Which(order.id), "", "", prices)
        except RefusedError as refused:
            raise as_kraken(refused) from None
    return {"count": len(found)}


def named(desk: Desk, references: References, sent: Mapping[str, str]) -> list[Order]:
    """The open orders that a request names."""
    text, client_id = sent.get("txid"), sent.get("cl_ord_id")
    number = None if text is None else kraken.number_of(text)
    return [
        order
        for order in desk.venue.registry.open_orders()
        if order.id == number
        or (client_id is not None and order.terms.client_id == client_id)
        or (text is not None and str(references.of_order.get(order.id)) == text)
    ]


def described_order(terms: Terms, names: kraken.Names) -> str:
    """An order as a sentence, the way Kraken writes it."""
    said = f"{terms.side.lower()} {terms.qty:.8f} {names.altname} @ "
    if terms.kind is Kind.MARKET:
        return f"{said}market"
    if terms.kind is Kind.STOP_LOSS:
        return f"{said}stop loss {names.price(terms.stop_price)}"
    if terms.kind is Kind.STOP_LOSS_LIMIT:
        return f"{said}stop loss {names.price(terms.stop_price)} -> limit {names.price(terms.price)}"
    return f"{said}limit {names.price(terms.price)}"


def _terms(symbol: str, sent: Mapping[str, str], names: kraken.Names, references: References) -> Terms:
    if sent.get("type") not in ("buy", "sell"):
        raise invalid("type")
    kind = _KINDS.get(sent.get("ordertype", ""))
    if kind is None or sent.get("leverage", "none") != "none":
        raise invalid("ordertype" if kind is None else "leverage")
    flags = {flag for flag in sent.get("oflags", "").split(",") if flag}
    if flags - _FLAGS or {"fciq", "fcib"} <= flags:
        raise invalid("oflags")
    if "post" in flags:
        if kind is not Kind.LIMIT:
            raise invalid("oflags")
        kind = Kind.LIMIT_MAKER
    force = sent.get("timeinforce", "GTC")
    if force not in Force.__members__ or (force != "GTC" and kind is not Kind.LIMIT):
        raise invalid("timeinforce")
    price, price2 = _amount(sent, "price"), _amount(sent, "price2")
    conditional = kind.conditional
    for named_price in (price, price2):
        if kraken.decimals(named_price) > names.price_decimals:
            limit = f"{names.wsname} price can only be specified up to {names.price_decimals} decimals."
            raise KrakenError(f"EOrder:Invalid price:{limit}")
    if ((kind.limited or conditional) and not price) or (kind is Kind.STOP_LOSS_LIMIT and not price2):
        raise invalid("price")
    qty = _amount(sent, "volume")
    if qty <= 0:
        raise invalid("volume")
    return Terms(
        symbol=symbol,
        side=Side.BUY if sent["type"] == "buy" else Side.SELL,
        kind=kind,
        client_id=_client_id(sent, references),
        qty=qty,
        price=(price2 if conditional else price) if kind.limited else ZERO,
        stop_price=price if conditional else ZERO,
        force=Force(force),
        fee_in_quote="fcib" not in flags,
    )


def _client_id(sent: Mapping[str, str], references: References) -> str:
    userref, client_id = sent.get("userref"), sent.get("cl_ord_id")
    if userref is not None and (client_id is not None or not userref.lstrip("-").isdigit()):
        raise invalid("userref")
    if client_id is None:
        references.nameless += 1
        return f"{_NAMELESS}{references.nameless}"
    if not _CLIENT_ID.fullmatch(client_id):
        raise invalid("cl_ord_id")
    return client_id


def _amount(sent: Mapping[str, str], name: str) -> Decimal:
    if name not in sent:
        return ZERO
    try:
        amount = money(sent[name])
    except ValueError:
        raise invalid(name) from None
    if amount < 0:
        raise invalid(name)
    return amount


def _meet(deadline: str | None, now_ms: int, speed: float) -> None:
    """Raises KrakenError for a request that comes too late, or plans to."""
    if deadline is None:
        return
    try:
        at_ms = datetime.fromisoformat(deadline).timestamp() * 1_000
    except ValueError:
        raise invalid("deadline") from None
    if at_ms > now_ms + _LATEST_S * 1_000 * speed:
        raise invalid("deadline")
    if at_ms < now_ms:
        raise KrakenError(ELAPSED)


def _must_afford(desk: Desk, terms: Terms, last: Decimal) -> None:
    """A purchase must leave enough for its commission. Raises KrakenError."""
    if terms.side is Side.SELL or not terms.fee_in_quote:
        return
    instrument = desk.market.find(terms.symbol)
    assert instrument is not None, "it was found before"
    cost = quote_needed(terms.price or terms.stop_price or last, terms.qty)
    if desk.venue.ledger.balance(instrument.pair.quote).free < cost * (1 + desk.venue.rates.taker):
        raise KrakenError(INSUFFICIENT)
