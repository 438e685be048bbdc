"""What a valid configuration may ask for that this release does not do yet.

Validation accepts it, because the file is right; running refuses what would change where orders or signals
come from, and says aloud what it leaves out otherwise. Each feature that arrives removes its entry here.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.config.capabilities import CAPABILITIES, with_proven_orders
from agent.config.findings import Finding
from agent.config.model import Config

_LATER = "not available yet"


@dataclass(frozen=True, slots=True)
class NotAvailableYet:
    """`refused` must keep the engine from starting; `ignored` is shown once and has no effect."""

    refused: tuple[Finding, ...]
    ignored: tuple[Finding, ...]


def not_available_yet(config: Config) -> NotAvailableYet:
    """Everything in `config` that this release refuses to run or leaves out."""
    return NotAvailableYet(tuple(_refused(config)), tuple(_ignored(config)))


def refused_there(exchange_name: str, mode: str) -> str | None:
    """Why orders of `mode` may not leave on an exchange, as a sentence; None when they may."""
    row = CAPABILITIES.get(exchange_name)
    if row is not None:
        return row.refuses(mode)
    if mode == "paper":
        return None
    return f"nothing is known of how {exchange_name} answers to orders: it trades on paper only"


def _refused(config: Config) -> list[Finding]:
    found = []
    name = config.exchange.exchange_name
    why = refused_there(name, config.mode)
    if why is not None:
        fix = f"set paper_trading to true, or trade on {' or '.join(with_proven_orders())}"
        found.append(Finding("exchange.paper_trading", False, f"{why} (agent.cli exchanges)", fix))
    url = config.agent.database_url
    if url is not None and url.reveal().startswith("sqlite"):
        reason = "SQLite is where the ledger is kept anyway: trades.db in the data directory"
        fix = "set it to null, and choose the place with --data-dir"
        found.append(Finding("agent.database_url", None, reason, fix))
    return found


def _ignored(config: Config) -> list[Finding]:
    found = []
    name = config.exchange.exchange_name
    if config.data_feed.use_websocket and not has_candle_stream(name, config.timeframe):
        reason = f"no stream of {name} tells {config.timeframe} candles here: candles and prices come by REST"
        found.append(Finding("data_feed.use_websocket", True, reason, "set it to false to say so"))
    return found


def has_candle_stream(exchange_name: str, timeframe: str) -> bool:
    """Whether candles of a timeframe are listened to. Of parts that no flag closes no bar can be built."""
    row = CAPABILITIES.get(exchange_name)
    return row is not None and row.candle_stream and (row.closed_flag or timeframe in row.timeframes)
