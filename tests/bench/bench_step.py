"""What one step of the core costs: a quote in position, a bar without a signal, an order report."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agent.core import events as e
from agent.core.engine import step
from agent.core.market import DataSource, Quote
from agent.core.order import Fact, OrderReport
from tests.bench.stopwatch import line, microseconds
from tests.playbook import Playbook, quiet_candle

RUNS = 2_000
DAYS = 5


def run() -> Iterator[str]:
    play = Playbook()
    play.ready()
    position = play.enter()
    state, now = play.state, play.now_ms
    trusted = state.prices.trusted
    assert trusted is not None
    quote = e.QuoteSeen(
        Quote(trusted.bid, trusted.bid_qty, trusted.ask, trusted.ask_qty, now, DataSource.WEBSOCKET), True
    )
    stamped = e.Stamped(1, now, 7, quote)
    yield line("step: quote in position", microseconds(lambda: step(state, stamped), RUNS), "us")
    candle = quiet_candle(play.last_bar)
    bar = e.Stamped(1, candle.open_ms + play.setup.bar_ms, 7, e.BarClosed(candle, e.ClosedBy.FLAG))
    yield line("step: closed bar without a signal", microseconds(lambda: step(state, bar), RUNS), "us")
    stop = next(o for o in state.orders_of(position.id) if o.is_working)
    intent = stop.intent
    report = OrderReport(
        intent.client_id,
        "77",
        intent.side,
        intent.type.value,
        Fact.WORKING,
        intent.qty,
        intent.qty,
        stop.filled,
        now,
    )
    yield from _flow(play)
    seen = e.Stamped(1, now, 7, e.OrderReported(report))
    yield line("step: order report", microseconds(lambda: step(state, seen), RUNS), "us")


def _flow(play: Playbook) -> Iterator[str]:
    """Days of an agent with a position: ten quotes for each bar, and the bar."""
    state, at_ms, candle = play.state, play.now_ms, play.last_bar
    trusted = state.prices.trusted
    assert trusted is not None
    count = 0
    start = time.process_time()
    for _ in range(DAYS * 96):
        candle = quiet_candle(candle)
        for part in range(10):
            at_ms = max(at_ms, candle.open_ms + part * play.setup.bar_ms // 10)
            quote = Quote(
                trusted.bid, trusted.bid_qty, trusted.ask, trusted.ask_qty, at_ms, DataSource.WEBSOCKET
            )
            state, _ = step(state, e.Stamped(count, at_ms, count, e.QuoteSeen(quote, True)))
            count += 1
        at_ms = max(at_ms, candle.open_ms + play.setup.bar_ms)
        state, _ = step(state, e.Stamped(count, at_ms, count, e.BarClosed(candle, e.ClosedBy.FLAG)))
        count += 1
    rate = count / (time.process_time() - start)
    yield f"{'step: events a second of CPU, ten quotes and a bar':<58} {rate:12,.0f}"
