"""What one world is: drawn from its seed, before anything happens.

Belongs here: configuration, account, how busy and how unlucky. Stays true: two worlds of one seed are one.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from agent.config.check import check_config
from agent.config.load import Loaded
from agent.simulation.rules import BINANCE, Rules

EXAMPLE: Final = Path(__file__).parent.parent.parent / "config.example.json"


@dataclass(frozen=True, slots=True)
class Terms:
    seed: int
    paper: bool
    config: str
    protects: bool
    busy: float
    luck: float
    """0: nothing goes wrong; 1: as usual."""
    foreign_base: Decimal
    cash: Decimal


def drawn(
    seed: int, chance: random.Random, luck: float = 1.0, *, parade: bool = False, rules: Rules = BINANCE
) -> Terms:
    """`parade`: with every kind of order, and no limit that ends the day early."""
    body = json.loads(BASE)
    exits, risk, agent = body["backtest_params"], body["risk_management"], body["agent"]
    paper = chance.random() < 0.08
    body["exchange"]["paper_trading"] = paper
    exits["use_fib_exits"] = chance.random() < 0.9
    exits["use_stop_loss"] = chance.random() < 0.75
    exits["use_time_exit"] = True
    exits["use_traditional_tp"] = chance.random() < 0.3
    exits["fib_target_level"] = chance.choice([0.382, 0.5, 0.618])
    exits["max_hold"] = chance.choice([2, 3, 5])
    risk["max_open_positions"] = chance.choice([1, 1, 2, 3])
    risk["max_position_size_percent"] = chance.choice([10.0, 20.0, 30.0])
    risk["max_daily_loss_percent"] = chance.choice([1.0, 5.0, 20.0, 20.0])
    risk["max_daily_trades"] = chance.choice([3, 40, 100])
    risk["order_timeout_seconds"] = chance.choice([5, 30])
    risk["slippage_tolerance_percent"] = chance.choice([0.3, 1.0])
    agent["protective_stop"] = chance.random() < 0.8
    agent["disaster_stop_percent"] = chance.choice([None, None, 5])
    agent["entry_order"] = chance.choice(["limit", "limit", "market"])
    agent["entry_bar_exits"] = chance.choice(["stop_only", "all"])
    agent["fib_exit"] = chance.choice(["target", "target", "first_level"])
    agent["enter_without_room"] = chance.random() < 0.8
    agent["late_signal"] = chance.choice(["skip", "skip", "enter"])
    agent["auto_resume"] = chance.random() < 0.9
    if parade:
        paper = body["exchange"]["paper_trading"] = False
        exits["use_stop_loss"] = agent["protective_stop"] = True
        risk |= {"max_daily_trades": 100, "max_daily_loss_percent": 20.0}
    rules.configure(body)
    stop = exits["use_stop_loss"] and agent["protective_stop"]
    return Terms(
        seed=seed,
        paper=paper,
        config=json.dumps(body),
        protects=stop or agent["disaster_stop_percent"] is not None,
        busy=chance.choice([0.7, 1.0, 1.0, 2.0]),
        luck=luck,
        foreign_base=Decimal(chance.choice(["0", "0", "700", "0.5"])),
        cash=Decimal(chance.choice(["10000", "1000"])),
    )


def loaded(text: str) -> Loaded:
    report = check_config(text)
    assert report.config is not None, report.errors
    return Loaded(report.config, report.warnings, Path("config.json"))


def _base() -> dict[str, Any]:
    """The example's configuration with windows as short as a simulated day is."""
    body: dict[str, Any] = json.loads(EXAMPLE.read_text()) if EXAMPLE.exists() else {}
    body["seller_params"] |= {
        "ema_fast": 2, "ema_slow": 8, "z_window": 10, "atr_window": 4, "vol_z": 0.6, "tr_z": -1.5,
        "cloc_min": 0.35,
    }  # fmt: skip
    body["backtest_params"] |= {"fib_swing_lookback": 12, "fib_swing_lookahead": 1}
    body["backtest_metrics"] = None
    body.setdefault("agent", {})
    return body


BASE: Final = json.dumps(_base())
