"""The venue's news as events of the user stream.

Belongs here: from news to the payloads of WIRE 3.4, and the names faults know them by. Stays true: the keys
of an execution report are exactly Binance's; `C` is empty except on a cancel; pure functions.
"""

from __future__ import annotations

from agent.localexchange.pairs import eight
from agent.localexchange.venue.events import Flow, ListChanged, News, Positions, Report
from agent.localexchange.venue.words import Execution
from agent.localexchange.wire import Json

_NO_TRADE = -1


def event_of(news: News) -> Json:
    match news:
        case Report():
            return _execution_report(news)
        case Positions():
            return {
                "e": "outboundAccountPosition",
                "E": news.at_ms,
                "u": news.at_ms,
                "B": [{"a": a, "f": eight(b.free), "l": eight(b.locked)} for a, b in news.balances],
            }
        case Flow():
            return {
                "e": "balanceUpdate",
                "E": news.at_ms,
                "a": news.asset,
                "d": eight(news.delta),
                "T": news.at_ms,
            }
        case ListChanged():
            return _list_status(news)


def terminated(now_ms: int) -> Json:
    """The last event of a subscription."""
    return {"e": "eventStreamTerminated", "E": now_ms}


def event_name(event: Json) -> str:
    """What a fault's `stream` is compared with: `executionReport.TRADE.FILLED`, `listStatus`."""
    if event["e"] == "executionReport":
        return f"executionReport.{event['x']}.{event['X']}"
    return str(event["e"])


def _execution_report(report: Report) -> Json:
    order, trade = report.order, report.trade
    terms = order.terms
    canceled = report.execution is Execution.CANCELED
    event: Json = {
        "e": "executionReport",
        "E": report.at_ms,
        "s": terms.symbol,
        "c": order.cancel_id if canceled else terms.client_id,
        "S": terms.side,
        "o": terms.kind,
        "f": terms.force,
        "q": eight(order.qty),
        "p": eight(terms.price),
        "P": eight(terms.stop_price),
        "F": eight(terms.iceberg_qty),
        "g": order.list_id,
        "C": terms.client_id if canceled else "",
        "x": report.execution,
        "X": order.status,
        "r": "NONE",
        "i": order.id,
        "l": eight(trade.qty) if trade else "0.00000000",
        "z": eight(order.filled),
        "L": eight(trade.price) if trade else "0.00000000",
        "n": eight(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": report.at_ms,
        "t": trade.id if trade else _NO_TRADE,
        "I": report.id,
        "w": report.on_book,
        "m": trade is not None and trade.maker,
        "M": trade is not None,
        "O": order.created_ms,
        "Z": eight(order.quote_filled),
        "Y": eight(trade.quote) if trade else "0.00000000",
        "Q": eight(terms.quote_qty),
    }
    if order.working:
        event["W"] = order.working_ms
    event["V"] = terms.prevention
    return event | _sometimes(report)


def _sometimes(report: Report) -> Json:
    """Keys that appear only when they have something to say."""
    order = report.order
    shown: Json = {}
    if order.terms.strategy_id is not None:
        shown["j"] = order.terms.strategy_id
    if order.terms.strategy_type is not None:
        shown["J"] = order.terms.strategy_type
    if report.prevented is not None:
        prevented = eight(report.prevented)
        shown |= {"v": order.id, "A": prevented, "B": prevented, "u": order.id, "Cs": order.terms.symbol}
    if report.execution is Execution.EXPIRED and order.expiry is not None:
        shown["eR"] = order.expiry
    return shown


def _list_status(news: ListChanged) -> Json:
    one = news.list
    return {
        "e": "listStatus",
        "E": news.at_ms,
        "s": one.symbol,
        "g": one.id,
        "c": one.contingency,
        "l": "ALL_DONE" if one.done else "EXEC_STARTED",
        "L": "ALL_DONE" if one.done else "EXECUTING",
        "r": "NONE",
        "C": one.client_id,
        "T": news.at_ms,
        "O": [
            {"s": one.symbol, "i": order_id, "c": client_id}
            for order_id, client_id in zip(one.order_ids, one.client_ids, strict=True)
        ],
    }
