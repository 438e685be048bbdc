"""Each trade beside the bar form of the same signal: where the money between the two went.

The bar form enters at the open of the bar after the signal, leaves by the backtester's rule and pays fee_bp
and slippage_bp on both sides. All amounts are quote currency per unit of base, positive where live earned
more, and Decimal: prices of the bar form are those of its candles and levels, to 12 digits. The difference
of the two profits is split without a rest:

- timing: the price moved between the bar form's moment and ours (entry, and exit at the same level and bar);
- slippage: what executing cost against the price decided on, less the slippage the backtest had taken off;
- fee: fees really paid, less the fee the backtest had taken off;
- rule: we left at another level or in another bar than the bar form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from agent.core.exits import check_bar, entered_at
from agent.core.money import PRECISION
from agent.core.position import Position, PositionState
from agent.core.series import CandleSeries
from agent.insight.facts import ACTS, OUTSIDE_METRICS

#: Fewer trades than this suggest nothing for the next backtest.
LEAST_TRADES: Final = 5


@dataclass(frozen=True, slots=True)
class BarTrade:
    """The bar form of one signal; `exit` and what follows None while it would still be held."""

    entry: Decimal
    exit: Decimal | None
    reason: str | None
    bars_held: int | None
    pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class CostRow:
    """One closed trade. `difference` = timing + slippage + fee + rule; all None without a bar form's end."""

    trade_id: int
    signal_ms: int
    bar: BarTrade
    entry: Decimal
    exit: Decimal
    reason: str
    bars_held: int
    pnl: Decimal
    fees: Decimal
    difference: Decimal | None
    timing: Decimal | None
    slippage: Decimal | None
    fee: Decimal | None
    rule: Decimal | None
    notes: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Costs for the next backtest, basis points of each side, from `trades` trades; None from too few.

    `slippage_bp` is what entries and exits cost against the prices the bar form trades at, waiting included.
    """

    trades: int
    fee_bp: float | None
    slippage_bp: float | None


def bar_form(position: Position, bars: CandleSeries) -> BarTrade | None:
    """`bars` begin with the bar after the signal's. None where that bar is missing."""
    plan = position.plan
    if len(bars) == 0 or int(bars.open_ms[0]) != plan.signal_open_ms + plan.bar_ms:
        return None
    opened = float(bars.open[0])
    levels = entered_at(plan.levels, opened, plan.exits)
    entry = _decimal(opened)
    for held in range(1, len(bars)):
        hit = check_bar(levels, bars.candle(held), held, plan.exits)
        if hit is not None:
            left, rate = _decimal(hit.price), _rate(plan.exits.fee_bp) + _rate(plan.exits.slippage_bp)
            return BarTrade(entry, left, hit.reason, held, left - entry - (entry + left) * rate)
    return BarTrade(entry, None, None, None, None)


def cost_row(position: Position, bars: CandleSeries) -> CostRow | None:
    """None while the position is open, when nobody traded its end, without candles, and where it was traded
    at another market's prices than its signal came from."""
    if position.plan.basis is not None:
        return None
    if position.state not in (PositionState.CLOSED, PositionState.MONITORING):
        return None
    bought, sold = position.entry_price, position.exit_price
    if bought is None or sold is None or position.exit_reason in OUTSIDE_METRICS:
        return None
    bar = bar_form(position, bars)
    if bar is None:
        return None
    with localcontext(prec=PRECISION):
        return _split(position, bar, bought, sold)


def _split(position: Position, bar: BarTrade, entry: Decimal, left: Decimal) -> CostRow:
    reason = position.exit_reason or ""
    fees = position.fees_quote / position.bought_qty
    pnl = left - entry - fees
    timing = slippage = fee = rule = difference = None
    if bar.exit is not None and bar.pnl is not None:
        exits = position.plan.exits
        same = reason == bar.reason and position.bars_held == bar.bars_held
        expected: Decimal = position.plan.expected_entry
        decided = left if position.exit_level is None else _decimal(position.exit_level)
        traded = bar.entry + bar.exit
        timing = -(expected - bar.entry) + (decided - bar.exit if same else 0)
        rule = Decimal(0) if same else decided - bar.exit
        slippage = (left - decided) - (entry - expected) + traded * _rate(exits.slippage_bp)
        fee = traded * _rate(exits.fee_bp) - fees
        difference = pnl - bar.pnl
    return CostRow(
        trade_id=position.id,
        signal_ms=position.plan.signal_open_ms,
        bar=bar,
        entry=entry,
        exit=left,
        reason=reason,
        bars_held=position.bars_held,
        pnl=pnl,
        fees=fees,
        difference=difference,
        timing=timing,
        slippage=slippage,
        fee=fee,
        rule=rule,
        notes="; ".join(position.notes),
    )


def suggest(rows: Sequence[CostRow]) -> Suggestion:
    """fee_bp from every trade; slippage_bp from those that left where the bar form did, so that what a rule
    changed is not taken for a cost. A suggested cost is never below zero."""
    fee = slippage = None
    traded = sum(row.entry + row.exit for row in rows)
    if len(rows) >= LEAST_TRADES and traded > 0:
        fee = max(0.0, float(sum(row.fees for row in rows) / traded * 10_000))
    same = [row for row in rows if row.rule == 0 and row.reason not in ACTS and row.bar.exit is not None]
    at_bars = sum(row.bar.entry + (row.bar.exit or 0) for row in same)
    if len(same) >= LEAST_TRADES and at_bars > 0:
        worse = sum((row.entry - row.bar.entry) + ((row.bar.exit or 0) - row.exit) for row in same)
        slippage = max(0.0, float(worse / at_bars * 10_000))
    return Suggestion(len(rows), fee, slippage)


def _decimal(price: float) -> Decimal:
    """A price that the backtester's arithmetic made, without the noise of its last digits."""
    return Decimal(f"{price:.12g}")


def _rate(basis_points: float) -> Decimal:
    return _decimal(basis_points) / 10_000
