"""What should have been tried before real money, and was or was not. PURE. Shown, not enforced.

The phases are gates (`phases.py`); these are the questions a careful trader asks besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from agent.arming.phases import Gate
from agent.insight.phases import PhaseProgress

#: The win rate may be this much, absolute, below the backtest's.
WIN_RATE_WITHIN: Final = 0.10
MOST_CAPITAL: Final = Decimal("0.01")


def checklist(
    phases: Sequence[PhaseProgress],
    promised_win_rate: float | None,
    capital: Decimal | None,
    account_worth: Decimal | None,
) -> tuple[Gate, ...]:
    """`promised_win_rate` is the backtest's; `capital` and `account_worth` in quote currency."""
    before = [phase for phase in phases if phase.mode != "live"]
    trades, wins = sum(p.trades for p in before), sum(p.wins for p in before)
    criticals = sum(p.criticals for p in before)
    return (
        _win_rate(trades, wins, promised_win_rate),
        Gate("no CRITICAL event", criticals == 0, f"{criticals} so far", "read them: `agent.cli export`"),
        _tried("emergency stop", sum(p.emergencies for p in before), "`agent.cli emergency-stop`"),
        _tried("restart", sum(p.restarts for p in before), "stop the engine and start it"),
        _tried("daily loss", sum(p.daily_losses for p in before), "a small max_daily_loss_percent on paper"),
        _tried("manual close", sum(p.manual_closes for p in before), "`agent.cli close`"),
        _small_start(capital, account_worth),
    )


def _win_rate(trades: int, wins: int, promised: float | None) -> Gate:
    name = "win rate near the backtest's"
    if promised is None:
        return Gate(name, True, "the backtest states none")
    if trades == 0:
        return Gate(name, False, f"no trades yet, the backtest won {promised:.0%}", "let it trade")
    rate = wins / trades
    numbers = f"{rate:.0%} of {trades} trades, the backtest {promised:.0%}"
    return Gate(name, rate >= promised - WIN_RATE_WITHIN, numbers, "compare with `agent.cli stats`")


def _tried(what: str, times: int, how: str) -> Gate:
    return Gate(f"{what} exercised", times > 0, f"{times} times", f"try it on paper or testnet: {how}")


def _small_start(capital: Decimal | None, worth: Decimal | None) -> Gate:
    name, fix = "start with less than 1 % of the account", "set agent.capital"
    if capital is None:
        return Gate(name, False, "agent.capital is not set: the whole account counts", fix)
    if worth is None or worth <= 0:
        return Gate(name, True, f"agent.capital is {capital}; what the account is worth is not known here")
    return Gate(name, capital < worth * MOST_CAPITAL, f"{capital} of {worth:.2f}", fix)
