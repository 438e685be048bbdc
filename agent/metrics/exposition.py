"""The published snapshot as Prometheus figures. Pure: a document in, text out.

Only what the snapshot holds is told, so the figures can never disagree with `status`. A figure that is not
known is left out rather than told as zero. Every figure carries the pair and the mode; the state is one
figure per state, 1 for the one that holds. Units are in the names, as Prometheus wants them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
STATES: Final = ("STOPPED", "STARTING", "RUNNING", "PAUSED", "EXITS_ONLY", "ERROR", "HALTED")
_PREFIX: Final = "agent_"

Json = Mapping[str, Any]


def exposition(snapshot: Json) -> bytes:
    """The figures in Prometheus' text format (UTF-8)."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(snapshot))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, snapshot: Json) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        shown = self._snapshot
        names = ("pair", "mode")
        values = tuple(str(shown[name]) for name in names)

        def gauge(name: str, meaning: str, value: object) -> Iterator[Metric]:
            number = _number(value)
            if number is not None:
                family = GaugeMetricFamily(_PREFIX + name, meaning, labels=names)
                family.add_metric(values, number)
                yield family

        state = GaugeMetricFamily(
            _PREFIX + "state", "1 for the state the agent is in", labels=(*names, "state")
        )
        for known in STATES:
            state.add_metric((*values, known), float(known == shown["state"]))
        yield state

        day, feed, exchange = shown["day"], shown["feed"], shown["exchange"]
        yield from gauge("balance_quote", "Quote currency, free and locked", shown["balance"])
        yield from gauge("equity_quote", "Balance and open positions at best bid", shown["equity"])
        yield from gauge("day_pnl_quote", "Result of the UTC day, open positions included", day["pnl"])
        yield from gauge("day_trades", "Trades of the UTC day", day["trades"])
        yield from gauge("open_positions", "Positions held", len(shown["positions"]))
        unprotected = [p for p in shown["positions"] if p["protected_by"] is None]
        yield from gauge("unprotected_positions", "Positions without a resting stop", len(unprotected))
        unknown = [order for order in shown["orders"] if order["status"] == "UNKNOWN"]
        yield from gauge("open_orders", "Orders that may still trade", len(shown["orders"]))
        yield from gauge("unknown_orders", "Orders whose outcome is not known yet", len(unknown))
        yield from gauge(
            "entries_blocked", "Reasons why no entry is made now", len(shown["entries_blocked_by"])
        )
        yield from gauge("halted", "1 while the halt latch is set", shown["halt"] is not None)
        yield from gauge("feed_fresh", "1 while candles and quotes are young enough", feed["fresh"])
        yield from gauge("last_closed_bar_timestamp_seconds", "Open time of it, UTC", feed["last_closed_bar"])
        yield from gauge("exchange_reachable", "1 while the exchange answers", exchange["reachable"])
        latency_ms = _number(exchange["latency_ms"])
        latency_s = None if latency_ms is None else latency_ms / 1_000
        yield from gauge("exchange_latency_seconds", "Round trip of the last health check", latency_s)
        offset_ms = _number(exchange["clock_offset_ms"])
        offset_s = None if offset_ms is None else offset_ms / 1_000
        yield from gauge("clock_offset_seconds", "Exchange's clock less ours", offset_s)
        yield from gauge("used_weight", "Request weight of this minute", exchange["used_weight"])
        yield from gauge("warmup_bars", "Bars of history loaded", shown["warmup"]["bars"])
        yield from gauge("warmup_bars_needed", "Bars of history needed", shown["warmup"]["needed"])


def _number(value: object) -> float | None:
    """Money as text, times as ISO 8601, flags and numbers; None stays unknown."""
    match value:
        case None:
            return None
        case bool() | int() | float():
            return float(value)
        case str() if "T" in value:
            return datetime.fromisoformat(value).timestamp()
        case str():
            return float(Decimal(value))
    raise TypeError(f"no figure: {type(value).__name__}")
