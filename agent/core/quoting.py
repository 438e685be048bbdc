"""Which prices are believed, and what a believed price may trigger.

Nothing is triggered by a quote that crosses itself, by one from a connection that is not trusted, or by a
bid further from the last trade than markets jump, until a second source agrees. REST is that source, also
for a quote that itself came by REST: then two readings must agree.
"""

from __future__ import annotations

from typing import Final

from agent.core.commands import ReadQuote
from agent.core.daily import check_daily_loss, roll_day
from agent.core.events import QuoteSeen
from agent.core.leaving import go_on_leaving
from agent.core.market import DataSource, Quote
from agent.core.state import PriceWatch
from agent.core.turn import Turn
from agent.core.value import replace
from agent.core.watching import check_prices

#: A bid further than this fraction from the last trade is a jump (SPEC 6).
JUMP: Final = 0.05
#: What REST confirmed is a measure beside the last trade for this long, venue time.
CONFIRMED_FOR_MS: Final = 30_000
#: A suspect price is asked for again after this long, venue time.
SUSPECT_AGAIN_MS: Final = 1_000


def on_quote(turn: Turn, event: QuoteSeen) -> None:
    """Believe a quote, or ask for a second source first."""
    quote = event.quote
    from_rest = quote.source is not DataSource.WEBSOCKET
    connection_ok = event.trusted or from_rest
    if quote.is_crossed or (_has_jumped(turn, quote) and not (from_rest and _seconds_a_suspect(turn, quote))):
        _doubt(turn, quote, connection_ok)
    elif not connection_ok:
        turn.change(prices=replace(turn.state.prices, connection_ok=False))
    else:
        _believe(turn, quote, from_rest)


def _doubt(turn: Turn, quote: Quote, connection_ok: bool) -> None:
    prices = turn.state.prices
    asked = prices.suspect_asked_ms
    if asked is None or turn.at_ms >= asked + SUSPECT_AGAIN_MS:
        turn.ask(ReadQuote())
        asked = turn.at_ms
    turn.change(prices=replace(prices, suspect=quote, suspect_asked_ms=asked, connection_ok=connection_ok))


def _believe(turn: Turn, quote: Quote, from_rest: bool) -> None:
    prices = turn.state.prices
    turn.change(
        prices=PriceWatch(
            trusted=quote,
            confirmed=quote if from_rest else prices.confirmed,
            suspect=None,
            suspect_asked_ms=None,
            connection_ok=True,
        )
    )
    roll_day(turn)
    # A level that is reached names the exit even when the same price ends the day.
    check_prices(turn)
    check_daily_loss(turn)
    go_on_leaving(turn)


def _has_jumped(turn: Turn, quote: Quote) -> bool:
    """Whether the bid is far from the last trade and from what REST confirmed a moment ago."""
    bid, reference = float(quote.bid), _reference(turn)
    if reference is None or abs(bid - reference) <= JUMP * reference:
        return False
    confirmed = turn.state.prices.confirmed
    if confirmed is None or turn.at_ms > confirmed.at_ms + CONFIRMED_FOR_MS:
        return True
    return abs(bid - float(confirmed.bid)) > JUMP * float(confirmed.bid)


def _seconds_a_suspect(turn: Turn, quote: Quote) -> bool:
    """Whether an earlier suspect lies on the same side of the last trade, beyond a jump as well."""
    suspect, reference = turn.state.prices.suspect, _reference(turn)
    if suspect is None or reference is None or suspect.is_crossed:
        return False
    far = abs(float(suspect.bid) - reference) > JUMP * reference
    return far and (float(suspect.bid) > reference) == (float(quote.bid) > reference)


def _reference(turn: Turn) -> float | None:
    """The last trade; before any is known, or where it is of another market, the last believed bid."""
    trusted = turn.state.prices.trusted
    last = None if turn.state.setup.scales_levels else turn.state.last_price
    return last if last is not None or trusted is None else float(trusted.bid)
