"""The venue of a replay: a paper account that trades at the price of the moment and answers at once.

The book is one tick wide and deeper than any order, because candles say nothing about depth; the account's
own terms add the slippage. Nothing is lost, nothing is late, and nobody else touches the account.

Recorded candles know nothing of an exchange's grid either: the instrument here has steps of 1e-8 and no
minimum.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import takewhile
from typing import Final

from agent.core import events as e
from agent.core.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    PlaceOrder,
    PlacePair,
    ReadAccount,
    ReadBook,
    ReadFills,
    ReadQuote,
    ReplaceByPair,
    ReplaceOrder,
)
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, DataSource, Quote
from agent.core.money import ZERO, Price
from agent.core.order import Fill
from agent.core.state import Setup
from agent.core.verdict import ApprovedPair
from agent.exchange.paper import account as paper
from agent.exchange.paper.state import Moved, PaperState, Refusal, Ticket, open_account, report_of
from agent.exchange.paper.terms import Terms

TICK: Final = Decimal("0.00000001")
DEEP: Final = Decimal(10) ** 15


class RecordedVenue:
    """`now_ms` and `bid` are the moment; whoever walks the candles moves them."""

    def __init__(
        self, setup: Setup, balance: Decimal, slippage_bp: Decimal, at_ms: int, price: float
    ) -> None:
        self.instrument = _instrument(setup)
        self.now_ms = at_ms
        self.bid: Price = self.instrument.price(price, "nearest")
        self.account: PaperState = open_account(self.instrument, balance, at_ms)
        self._fills: list[Fill] = []
        self._terms = Terms(self.instrument, setup.fee_rate * 10_000, slippage_bp)

    def quote(self) -> Quote:
        return Quote(self.bid, DEEP, self.bid + TICK, DEEP, self.now_ms, DataSource.REST)

    def book(self) -> Book:
        return Book((BookLevel(self.bid, DEEP),), (BookLevel(self.bid + TICK, DEEP),), self.now_ms)

    def waiting_prices(self) -> set[Price]:
        """Where orders rest."""
        return {Price(o.ticket.stop_price) for o in self.account.open_orders if o.ticket.stop_price}

    def fills(self) -> list[e.Event]:
        """What the price of the moment does to resting orders."""
        if not self.account.open_orders or not paper.reached_by(self.account, self.quote()):
            return []
        return self._take(paper.tick(self.account, self.book(), self._terms, self.now_ms))

    def answers(self, command: Command) -> list[e.Event]:
        """What the venue answers to a command; nothing to those that ask it for nothing."""
        match command:
            case PlaceOrder(approved=approved):
                ticket = Ticket.of(approved.intent)
                result = paper.place(self.account, ticket, self.book(), self._terms, self.now_ms)
                return self._placed(ticket, result)
            case PlacePair(pair=pair):
                return self._paired(pair)
            case ReplaceByPair():
                return self._replaced_by_pair(command)
            case ReplaceOrder():
                return self._replaced(command)
            case CancelOrder(client_id=client_id):
                canceled = paper.cancel(self.account, client_id, self._terms, self.now_ms)
                if isinstance(canceled, Refusal):
                    return [e.CancelFailed(client_id, canceled.code, canceled.detail)]
                return self._take(canceled)
            case ReadBook(asked_by=asked_by):
                return [e.BookSeen(self.book(), asked_by)]
            case ReadQuote():
                return [e.QuoteSeen(self.quote(), trusted=True)]
            case ReadAccount(fills_since_ms=since_ms):
                open_orders = tuple(report_of(o) for o in self.account.open_orders)
                newer = takewhile(lambda fill: fill.at_ms >= since_ms, reversed(self._fills))
                fills = tuple(newer)[::-1]
                balances = dict(self.account.balances)
                return [e.AccountSeen(balances, open_orders, fills, since_ms, self.now_ms)]
            case LookUpOrder(client_id=client_id):
                order = self.account.open_order(client_id)
                return [e.OrderReported(report_of(order)) if order else e.LookupFoundNothing(client_id)]
            case ReadFills():
                raise AssertionError("every answer of this venue carries its fills")
            case _:
                return []

    def _replaced(self, command: ReplaceOrder) -> list[e.Event]:
        intent = command.approved.intent
        ticket = Ticket.of(intent)
        result = paper.replace(
            self.account, command.cancel_client_id, ticket, self.book(), self._terms, self.now_ms
        )
        if isinstance(result.canceled, Refusal):
            failed = result.canceled
            return [
                e.CancelFailed(command.cancel_client_id, failed.code, failed.detail),
                e.PlacingBlocked(intent.client_id, "the stop could not be canceled"),
            ]
        assert result.placed is not None, "a cancel that succeeded is followed by a try to place"
        canceled = self._take(result.canceled)
        return canceled + self._placed(ticket, result.placed)

    def _paired(self, pair: ApprovedPair) -> list[e.Event]:
        stop, target = (Ticket.of(leg) for leg in pair.legs)
        result = paper.place_pair(self.account, stop, target, self.book(), self._terms, self.now_ms)
        if isinstance(result, Refusal):
            return [e.OrderRefused(leg.client_id, result.code, result.detail) for leg in pair.legs]
        return self._take(result)

    def _replaced_by_pair(self, command: ReplaceByPair) -> list[e.Event]:
        resting = command.cancel_client_id
        canceled = paper.cancel(self.account, resting, self._terms, self.now_ms)
        if isinstance(canceled, Refusal):
            failed = e.CancelFailed(resting, canceled.code, canceled.detail)
            why = "the stop could not be canceled"
            return [failed, *(e.PlacingBlocked(leg.client_id, why) for leg in command.pair.legs)]
        return self._take(canceled) + self._paired(command.pair)

    def _placed(self, ticket: Ticket, result: Moved | Refusal) -> list[e.Event]:
        if isinstance(result, Refusal):
            return [e.OrderRefused(ticket.client_id, result.code, result.detail)]
        return self._take(result)

    def _take(self, moved: Moved) -> list[e.Event]:
        self.account = moved.state
        self._fills += moved.fills
        return [e.OrderReported(report_of(order, moved.fills)) for order in moved.orders]


def _instrument(setup: Setup) -> Instrument:
    return Instrument(
        symbol=setup.pair,
        base=setup.base,
        quote=setup.quote,
        tick=TICK,
        step=TICK,
        min_qty=TICK,
        max_qty=ZERO,
        market_max_qty=ZERO,
        min_notional=ZERO,
        max_notional=ZERO,
        min_price=TICK,
        max_price=ZERO,
        order_types=frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"}),
        trading=True,
        taker_fee_rate=setup.fee_rate,
    )
