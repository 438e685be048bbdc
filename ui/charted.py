"""What the chart draws over the candles, from the picture and stored trades: finished values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from agent.core.market import bar_ms
from agent.core.records import DecisionRow, Outcome
from ui.chart.overlays import ClosedTrade, Instrument, Ladder, Level, OpenPosition, Signal
from ui.picture import Holding, Picture
from ui.present import decisions, numbers

if TYPE_CHECKING:
    from agent.store.reading import TradeRow

__all__ = ["UTC", "closed_trade", "instrument", "ladders", "positions", "signal"]


def instrument(picture: Picture) -> Instrument:
    status, strategy = picture.status, picture.strategy
    market = (status.venue or "").partition("@")[0].capitalize()
    return Instrument(
        symbol=status.pair,
        timeframe=status.timeframe,
        bar_ms=bar_ms(status.timeframe),
        price_decimals=min(12, numbers.digits_of(picture.tick)) if picture.tick else 4,
        market=f"DEMO {market}" if picture.is_demo else market,
        ema_fast_name=f"EMA {strategy.ema_fast}",
        ema_slow_name=f"EMA {strategy.ema_slow}",
    )


def ladders(picture: Picture) -> tuple[Ladder, ...]:
    return tuple(
        Ladder(_ms(h.signal_bar), tuple(Level(step, price) for step, price in h.ladder))
        for h in picture.holdings
        if h.ladder and h.signal_bar is not None
    )


def positions(picture: Picture) -> tuple[OpenPosition, ...]:
    found = [_position(picture, holding) for holding in picture.holdings]
    return tuple(position for position in found if position is not None)


def _position(picture: Picture, holding: Holding) -> OpenPosition | None:
    position = holding.position
    if position.entry_price is None or position.opened_at is None:
        return None
    pnl = position.unrealized_pnl
    size = f"{numbers.size(position.size)} {picture.base}"
    entry = numbers.average_price(position.entry_price, picture.tick)
    return OpenPosition(
        id=str(position.id),
        entry_ms=_ms(position.opened_at),
        entry_price=float(position.entry_price),
        stop=_float(position.stop),
        target=_float(position.target),
        take_profit=_float(position.take_profit),
        text=numbers.money(pnl, picture.quote, signed=True),
        gain=None if pnl is None else pnl >= 0,
        note=f"Bought {size} at {entry}\n{numbers.stamp(position.opened_at)} UTC",
    )


def closed_trade(trade: TradeRow, picture: Picture) -> ClosedTrade | None:
    if trade.entry is None or trade.exit is None or trade.exit_ms is None:
        return None
    tick, base, quote = picture.tick, picture.base, picture.quote
    size = f"{numbers.size(trade.size)} {base}"
    result = f"{numbers.money(trade.pnl_quote, quote, signed=True)}, {numbers.ratio(_float(trade.r))}"
    return ClosedTrade(
        id=str(trade.id),
        entry_ms=trade.opened_ms,
        entry_price=float(trade.entry),
        exit_ms=trade.exit_ms,
        exit_price=float(trade.exit),
        won=trade.pnl_quote is not None and trade.pnl_quote > 0,
        entry_note=(
            f"Bought {size} at {numbers.average_price(trade.entry, tick)}\n{_stamp(trade.opened_ms)} UTC"
        ),
        exit_note=(
            f"Sold {size} at {numbers.average_price(trade.exit, tick)}\n{_stamp(trade.exit_ms)} UTC\n"
            f"{trade.reason or ''}  {result}\nfees {numbers.money(trade.fees_quote, quote)}"
        ),
    )


def signal(row: DecisionRow, picture: Picture) -> Signal:
    """A bar with the strategy's signal, and what became of it."""
    shown = decisions.decision(row, picture.strategy, 4)
    lines = [f"Signal: {shown.outcome}", *shown.why.split("; ")]
    return Signal(row.bar_open_ms, row.outcome is Outcome.ENTERED, "\n".join(filter(None, lines)))


def _ms(moment: datetime | None) -> int:
    assert moment is not None
    return round(moment.timestamp() * 1000)


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _stamp(at_ms: int) -> str:
    return numbers.stamp(datetime.fromtimestamp(at_ms / 1000, UTC))
