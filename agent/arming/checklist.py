"""The launch list: what should have been tried before real money, and was or was not. PURE.

The phases are gates of their own (`phases.py`); these are the questions a careful trader asks besides.
Together they are one gate, asked when a configuration is armed and not at every start afterwards: what the
account is worth changes daily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.arming.phases import Gate
from agent.insight.phases import PhaseProgress

#: The win rate may be this much, absolute, below the backtest's.
WIN_RATE_WITHIN: Final = 0.10
MOST_CAPITAL: Final = Decimal("0.01")
#: The name of the list as a gate.
LAUNCH_LIST: Final = "launch list"


@dataclass(frozen=True, slots=True)
class Worth:
    """What the account is worth in `currency`. `unpriced`: coins it holds too, whose price is not known."""

    amount: Decimal
    currency: str
    unpriced: tuple[str, ...] = ()

    def __str__(self) -> str:
        without = f" (without {', '.join(self.unpriced)})" if self.unpriced else ""
        return f"{self.amount:,.2f} {self.currency}{without}"


def checklist(
    phases: Sequence[PhaseProgress],
    promised_win_rate: float | None,
    capital: Decimal | None,
    account: Worth | str,
    start_trades: int = 10,
) -> tuple[Gate, ...]:
    """`promised_win_rate` is the backtest's, `capital` in quote currency; `account` a text: why not known.

    `start_trades`: after so many live trades the start is over, and so is the rule for its size.
    """
    live = sum(phase.trades for phase in phases if phase.mode == "live")
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
        _small_start(capital, account, live, start_trades),
    )


def launch_gate(items: Sequence[Gate]) -> Gate:
    """The whole list as one gate."""
    left = [item.name for item in items if not item.passed]
    numbers = f"{len(items) - len(left)} of {len(items)} done"
    if left:
        return Gate(
            LAUNCH_LIST, False, f"{numbers}; to do: {', '.join(left)}", "`agent.cli arm` shows it all"
        )
    return Gate(LAUNCH_LIST, True, numbers)


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


def _small_start(capital: Decimal | None, account: Worth | str, live: int, start_trades: int) -> Gate:
    name, share = "start with less than 1 % of the account", MOST_CAPITAL
    if live >= max(1, start_trades):
        return Gate(name, True, f"it has started: {live} live trades are behind it")
    if isinstance(account, str):
        held = "not set" if capital is None else f"{capital}"
        numbers = f"agent.capital is {held}; what the account is worth is not known: {account}"
        return Gate(name, False, numbers, "mend that, and ask again")
    most = account.amount * share
    fix = f"set agent.capital below {most:.2f} {account.currency}"
    if capital is None:
        return Gate(name, False, f"agent.capital is not set: all of {account} counts", fix)
    part = f", {capital / account.amount:.1%} of it" if account.amount > 0 else ""
    return Gate(name, capital < most, f"agent.capital is {capital}, the account {account}{part}", fix)
