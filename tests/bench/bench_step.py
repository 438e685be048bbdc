"""What one step of the core costs: a quote in position, a bar without a signal, an order report."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core import events as e
from agent.core.engine import step
from agent.core.market import DataSource, Quote
from agent.core.order import Fact, OrderReport
from tests.bench.stopwatch import line, microseconds
from tests.playbook import Playbook, quiet_candle

RUNS = 2_000


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
    seen = e.Stamped(1, now, 7, e.OrderReported(report))
    yield line("step: order report", microseconds(lambda: step(state, seen), RUNS), "us")
