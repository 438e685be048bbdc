"""Where a position leaves: levels fixed at entry, and the checks of a closed bar and of a live price.

`check_bar` is the backtester's rule and the only one: the replay runs it over recorded bars, the engine runs
it at every bar close. `check_price` asks the same levels about one live price. Priority is the backtester's:
stop, Fibonacci, take-profit, time. All prices are floats in quote currency; the engine turns what it sends
into money. Long only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from agent.core.fibonacci import Ladder
from agent.core.market import Candle
from agent.core.parameters import ExitParams, Policy
from agent.core.signal import Features
from agent.core.value import Value, replace

__all__ = [
    "ExitHit",
    "ExitKind",
    "ExitParams",
    "Levels",
    "Policy",
    "check_bar",
    "check_price",
    "entered_at",
    "first_exit_level",
    "has_room",
    "levels_for",
    "profit_hit",
]

#: Risk of a position whose stop is not enforced (or not below the entry), as a fraction of the entry price.
UNSTOPPED_RISK: Final = 0.01
#: The least risk release 2.1 of the backtester divided by.
LEAST_RISK: Final = 1e-8


class ExitKind(StrEnum):
    STOP = "stop"
    FIBONACCI = "fibonacci"
    TAKE_PROFIT = "take_profit"
    TIME = "time"


class ExitHit(Value, frozen=True):
    """A level was reached. `price` is where the backtester fills it; `reason` is spelled as there."""

    reason: str
    price: float
    kind: ExitKind


class Levels(Value, frozen=True):
    """What was fixed at entry. `entry_price` is the expected price until `entered_at` knows the real one.

    `stop` is always there, for sizing; it makes the position leave only when `stop_enforced`. `target` is the
    ladder price at which the policy leaves (None without ladder or Fibonacci exits) and `target_ratio` its
    ratio. `risk` is what R divides by.
    """

    entry_price: float
    stop: float
    stop_enforced: bool
    target: float | None
    target_ratio: float | None
    take_profit: float | None
    risk: float
    ladder: Ladder | None


def levels_for(
    features: Features, entry_price: float, params: ExitParams, basis: float | None = None
) -> Levels:
    """The levels of a signal bar entered at `entry_price`. Stop and target do not depend on it.

    `basis` is what a price on the market that is traded costs, by that of the signal's market, where the two
    differ; it scales what comes from the signal bar.
    """
    assert features.atr is not None, "a signal bar has an average true range"
    stop = features.low - params.atr_stop_mult * features.atr
    ladder = features.ladder
    if basis is not None:
        assert basis > 0, basis
        stop *= basis
        ladder = None if ladder is None else ladder.scaled(basis)
    target = target_ratio = None
    if params.use_fib_exits and ladder is not None:
        if params.policy == "target":
            target_ratio = params.fib_target_level
            target = ladder.price(target_ratio)
        else:
            target_ratio, target = ladder.levels[0]
    levels = Levels(
        entry_price=entry_price,
        stop=stop,
        stop_enforced=params.use_stop_loss,
        target=target,
        target_ratio=target_ratio,
        take_profit=None,
        risk=0.0,
        ladder=ladder,
    )
    return entered_at(levels, entry_price, params)


def entered_at(levels: Levels, entry_price: float, params: ExitParams) -> Levels:
    """The same stop and target with the risk and take-profit of another entry price."""
    assert entry_price > 0, entry_price
    distance = entry_price - levels.stop
    if levels.stop_enforced and params.policy == "first_level":
        risk = max(LEAST_RISK, distance)
    elif levels.stop_enforced and distance > 0:
        risk = distance
    else:
        risk = UNSTOPPED_RISK * entry_price
    take_profit = entry_price + params.reward_r * risk if params.use_traditional_tp else None
    return replace(levels, entry_price=entry_price, risk=risk, take_profit=take_profit)


def check_bar(
    levels: Levels, bar: Candle, bars_held: int, params: ExitParams, *, stop_only: bool = False
) -> ExitHit | None:
    """Whether a position leaves on a closed bar, and where.

    `bars_held` is 1 on the first bar after the entry bar (the backtester does not examine the entry bar
    itself; 0 stands for it). `stop_only` asks about the stop alone. A gapped stop fills at the stop in the
    current release and at the open in release 2.1 (`first_level`).
    """
    if levels.stop_enforced:
        if bar.open <= levels.stop:
            return _stop_gap(levels.stop, bar.open, params)
        if bar.low <= levels.stop:
            return _stop(levels.stop, params)
    if stop_only:
        return None
    if levels.target is not None and bar.high >= levels.target:
        return _fibonacci(levels, levels.target, params)
    if levels.take_profit is not None and bar.high >= levels.take_profit:
        return _take_profit(levels.take_profit, params)
    if params.use_time_exit and bars_held >= params.max_hold:
        return ExitHit("TIME" if params.policy == "target" else "time", bar.close, ExitKind.TIME)
    return None


def check_price(levels: Levels, bid: float, params: ExitParams, *, stop_only: bool) -> ExitHit | None:
    """Whether a position leaves at a live price; `bid` is what we could sell at.

    `stop_only`: the stop is in force from the fill, target and take-profit later. The time limit is a
    matter of closed bars. The hit names the level reached and its price, not `bid`.
    """
    if levels.stop_enforced and bid <= levels.stop:
        return _stop(levels.stop, params)
    if stop_only:
        return None
    if levels.target is not None and bid >= levels.target:
        return _fibonacci(levels, levels.target, params)
    if levels.take_profit is not None and bid >= levels.take_profit:
        return _take_profit(levels.take_profit, params)
    return None


def first_exit_level(levels: Levels) -> float | None:
    """The lowest price at which the position would take its profit, None when no such exit is on."""
    prices = [price for price in (levels.target, levels.take_profit) if price is not None]
    return min(prices, default=None)


def profit_hit(levels: Levels, params: ExitParams) -> ExitHit | None:
    """The exit at the lowest profit level: what a target order resting there stands for."""
    first = first_exit_level(levels)
    if first is None:
        return None
    return _fibonacci(levels, first, params) if levels.target == first else _take_profit(first, params)


def has_room(levels: Levels, params: ExitParams) -> bool:
    """Whether the first exit level pays for the entry and the costs of both sides.

    True when no profit-taking exit is on: nothing then says where the position leaves.
    """
    first = first_exit_level(levels)
    if first is None:
        return True
    return first > levels.entry_price + (levels.entry_price + first) * params.cost_per_side


def _stop(stop: float, params: ExitParams) -> ExitHit:
    return ExitHit("STOP" if params.policy == "target" else "stop", stop, ExitKind.STOP)


def _stop_gap(stop: float, bar_open: float, params: ExitParams) -> ExitHit:
    if params.policy == "target":
        return ExitHit("STOP_GAP", stop, ExitKind.STOP)
    return ExitHit("stop_gap", bar_open, ExitKind.STOP)


def _fibonacci(levels: Levels, target: float, params: ExitParams) -> ExitHit:
    assert levels.target_ratio is not None
    name = "FIB" if params.policy == "target" else "fib"
    return ExitHit(f"{name}_{levels.target_ratio * 100:.1f}", target, ExitKind.FIBONACCI)


def _take_profit(price: float, params: ExitParams) -> ExitHit:
    reason = f"TP_{params.reward_r:.1f}R" if params.policy == "target" else "tp"
    return ExitHit(reason, price, ExitKind.TAKE_PROFIT)
