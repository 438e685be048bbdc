"""A seeded market with everything the chart can show, for its tests and its bench."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ui.chart import Candle, ChartView, ClosedTrade, Instrument, Ladder, Level, OpenPosition, Signal

BAR_MS = 900_000
LAST_OPEN_MS = 1_736_951_400_000  # Wed 15 Jan 2025 14:30 UTC
RATIOS = (0.382, 0.5, 0.618, 0.786, 1.0)


@dataclass(frozen=True)
class Market:
    """Columns of candles and their averages."""

    open_ms: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    ema_fast: NDArray[np.float64]
    ema_slow: NDArray[np.float64]

    @property
    def columns(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self.open_ms,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.ema_fast,
            self.ema_slow,
        )

    def part(self, rows: slice) -> tuple[NDArray[np.generic], ...]:
        return tuple(column[rows] for column in self.columns)

    def candle(self, index: int) -> Candle:
        return Candle(int(self.open_ms[index]), *(float(column[index]) for column in self.columns[1:]))


def market(
    count: int, seed: int = 7, price: float = 0.51, decimals: int = 4, last_open_ms: int = LAST_OPEN_MS
) -> Market:
    """A random walk with fat tails and volume that follows the range, rounded to the tick."""
    chance = np.random.default_rng(seed)
    steps = chance.standard_t(4, count) * 0.0021
    close = np.round(price * np.exp(np.cumsum(steps) - np.sum(steps)), decimals)
    opened = np.round(np.concatenate([close[:1], close[:-1]]), decimals)
    reach = np.abs(chance.standard_t(4, (2, count))) * 0.0012 * close
    high = np.round(np.maximum(opened, close) + reach[0], decimals)
    low = np.round(np.minimum(opened, close) - reach[1], decimals)
    volume = np.round((1 + 400 * (high - low) / close) * chance.lognormal(10, 0.5, count), 1)
    open_ms = last_open_ms + (np.arange(count, dtype=np.int64) - count + 1) * BAR_MS
    return Market(open_ms, opened, high, low, close, volume, ema(close, 96), ema(close, 672))


def ema(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    alpha, out = 2 / (span + 1), np.empty_like(values)
    state = float(values[0])
    for index, value in enumerate(values.tolist()):
        state += alpha * (value - state)
        out[index] = state
    return out


def instrument(symbol: str = "ADA/USDT", decimals: int = 4) -> Instrument:
    return Instrument(symbol, "15m", BAR_MS, decimals, "Binance", "EMA 96", "EMA 672")


def trades(seen: Market, count: int, decimals: int = 4) -> list[ClosedTrade]:
    """Trades spread over the market, about every fourth one lost."""
    made = []
    stride = max(8, (len(seen.open_ms) - 40) // max(1, count))
    for number, start in enumerate(range(4, len(seen.open_ms) - 40, stride)):
        end = start + 3 + (number * 7) % max(4, min(60, stride - 4))
        window = slice(start + 1, end + 1)
        won = number % 4 != 0
        inside = seen.high[window] if won else seen.low[window]
        exit_index = start + 1 + int(np.argmax(inside) if won else np.argmin(inside))
        exit_price = float(seen.high[exit_index] if won else seen.low[exit_index])
        entry, sign = float(seen.close[start]), "+" if won else "\u2212"
        made.append(
            ClosedTrade(
                id=str(number),
                entry_ms=int(seen.open_ms[start]),
                entry_price=entry,
                exit_ms=int(seen.open_ms[exit_index]),
                exit_price=exit_price,
                won=won,
                entry_note=f"Bought 1,960.7 ADA at {entry:,.{decimals}f}\nFee 0.50 USDT",
                exit_note=(
                    f"Sold 1,960.7 ADA at {exit_price:,.{decimals}f}\nReason FIB_61.8\n"
                    f"{sign}1.24 R   {sign}21.30 USDT\nFee 0.51 USDT"
                ),
            )
        )
    return made


def position(seen: Market, bars_ago: int = 30, decimals: int = 4) -> tuple[OpenPosition, Ladder]:
    """A position entered some bars ago, with its ladder from the signal bar."""
    at = len(seen.open_ms) - 1 - bars_ago
    entry = float(seen.close[at])
    low = float(seen.low[at - 3 : at + 1].min())
    top = float(seen.high[max(0, at - 96) : at + 1].max())
    levels = tuple(Level(ratio, round(low + (top - low) * ratio, decimals)) for ratio in RATIOS)
    return (
        OpenPosition(
            id="1",
            entry_ms=int(seen.open_ms[at]),
            entry_price=entry,
            stop=round(low - (top - low) * 0.15, decimals),
            target=levels[2].price,
            text="+12.41 USDT\n+0.42 %",
            gain=True,
            note=f"Bought 1,960.7 ADA at {entry:,.{decimals}f}\nFee 0.50 USDT\nStop and target rest here",
        ),
        Ladder(int(seen.open_ms[at - 1]), levels),
    )


def full_view(count: int = 2_000, trades_count: int = 40, seed: int = 7) -> tuple[ChartView, Market]:
    """A view of 900 x 600 with candles, averages, ladder, position and trades."""
    seen = market(count, seed)
    view = ChartView()
    view.resize(900, 600)
    view.set_instrument(instrument())
    view.set_candles(*seen.columns)  # type: ignore[arg-type]
    held, ladder = position(seen)
    view.set_positions([held])
    view.set_ladders([ladder])
    view.set_trades(trades(seen, trades_count))
    view.set_signals([Signal(t.entry_ms, t.won, "Signal: entered") for t in trades(seen, trades_count)])
    view.set_now(int(seen.open_ms[-1]) + 400_000)
    return view, seen
