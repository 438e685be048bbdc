"""What the strategy was told: the parameters of its entry signal and of its exits.

Plain numbers in bars and floats, as the backtester used them; the configuration turns minutes, strings and
defaults into these. No default lives here, so that a forgotten value cannot go unnoticed. `agent.core.signal`
and `agent.core.exits` offer them under their own names.
"""

from __future__ import annotations

from typing import Literal

from agent.core.value import Value

Policy = Literal["target", "first_level"]
"""Where Fibonacci exits leave: at the configured level, or at the first level of the ladder touched."""


class SellerParams(Value, frozen=True):
    """Windows in bars (>= 1) and the three thresholds of the entry signal, all compared strictly."""

    ema_fast: int
    ema_slow: int
    z_window: int
    atr_window: int
    vol_z: float
    tr_z: float
    cloc_min: float

    def __post_init__(self) -> None:
        assert min(self.ema_fast, self.ema_slow, self.z_window, self.atr_window) >= 1, self


class ExitParams(Value, frozen=True):
    """Which exits are on and where they lie; `max_hold` in bars, costs in basis points of each side."""

    use_fib_exits: bool
    use_stop_loss: bool
    use_time_exit: bool
    use_traditional_tp: bool
    fib_swing_lookback: int
    fib_swing_lookahead: int
    fib_target_level: float
    atr_stop_mult: float
    reward_r: float
    max_hold: int
    fee_bp: float
    slippage_bp: float
    policy: Policy

    def __post_init__(self) -> None:
        assert self.fib_swing_lookback >= 1, self
        assert self.fib_swing_lookahead >= 0, self
        assert self.max_hold >= 1, self

    @property
    def cost_per_side(self) -> float:
        """Fee and slippage of one side as a fraction of its value."""
        return (self.fee_bp + self.slippage_bp) / 10_000
