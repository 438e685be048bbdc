"""The whole engine as a process: from the close of a bar over real sockets to an order at the paper exchange.

Every bar is a signal and every position leaves with the next bar, on one-minute bars at 240 times the speed.
All times are the engine's own venue times as it stored them, divided by the speed. The first figure begins at
the close of the bar itself, so it holds what the exchange's streams need to tell it (they tick every 50 ms),
the decision, the book over the loopback and every limit; the second one is the commit, the dispatch and the
second book against which the paper exchange executes. `bench_order` measures what is ours alone.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from tests.bench.stopwatch import line

ROOT: Final = Path(__file__).resolve().parents[2]
SPEED: Final = 240
SIGNALS: Final = 200
A_DAY: Final = 100
DAY_MS: Final = 86_400_000
PATIENCE_S: Final = 300

_STAGES: Final = """
SELECT d.bar_open_ms + 60000, i.created_ms, p.at_ms FROM decisions d
JOIN intents i ON i.position_id = d.position_id AND i.purpose = 'entry'
JOIN paper_orders p ON p.client_id = i.client_id
WHERE d.outcome = 'entered' ORDER BY d.id
"""


def run() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        config = directory / "config.json"
        config.write_text(json.dumps(_every_bar_a_signal()))
        market = _started("agent.localexchange", "--seed", "7", "--speed", str(SPEED))
        engine = None
        try:
            assert market.stdout is not None
            where = json.loads(market.stdout.readline())
            engine = _started(
                *("agent.main", "--headless", "--config", str(config), "--data-dir", str(directory)),
                *("--clock", "exchange", "--exchange-url", where["rest"], "--exchange-ws-url", where["ws"]),
            )
            rows = _entries(engine, directory / "trades.db", where["rest"])
        finally:
            for process in (engine, market):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(10)
    approved = [(created_ms - closed_ms) / SPEED for closed_ms, created_ms, _ in rows]
    executed = [(done_ms - created_ms) / SPEED for _, created_ms, done_ms in rows]
    yield line("engine: bar's close at the exchange -> order approved", approved, "ms")
    yield line("engine: order approved -> executed on paper", executed, "ms")


def _every_bar_a_signal() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((ROOT / "config.example.json").read_text())
    config["timeframe"] = "1m"
    config["seller_params"] |= {"ema_fast": 24, "ema_slow": 48, "z_window": 48, "atr_window": 12}
    config["seller_params"] |= {"vol_z": -9.0, "tr_z": -9.0, "cloc_min": 0.0}
    config["backtest_params"] |= {"use_fib_exits": False, "use_time_exit": True, "max_hold": 1}
    config["risk_management"] |= {"max_position_size_percent": 1.0, "max_daily_loss_percent": 20.0}
    config["risk_management"] |= {"max_daily_trades": A_DAY, "max_open_positions": 3}
    return config


def _entries(engine: subprocess.Popen[str], database: Path, rest: str) -> list[tuple[int, int, int]]:
    """Times of the entries, once there are enough of them."""
    until_s = time.monotonic() + PATIENCE_S
    rows: list[tuple[int, int, int]] = []
    days = 1
    while len(rows) < SIGNALS:
        assert engine.poll() is None, "the engine ended"
        assert time.monotonic() < until_s, f"only {len(rows)} entries in {PATIENCE_S} s"
        time.sleep(2)
        _fall(rest)
        if database.exists():
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as ledger:
                rows = ledger.execute(_STAGES).fetchall()
        if len(rows) >= days * A_DAY:
            days += 1
            _tomorrow(rest)
    return rows


def _fall(rest: str) -> None:
    """A little lower, so that the averages stay in a downtrend."""
    price = float(_asked(f"{rest}/api/v3/ticker/price?symbol=ADAUSDT")["price"])
    _asked(f"{rest}/control/market", {"price": f"{price * 0.99:.4f}"})


def _tomorrow(rest: str) -> None:
    """The trades of a day are limited: go on with the next one."""
    now_ms = _asked(f"{rest}/control/clock")["now_ms"]
    _asked(f"{rest}/control/clock", {"advance_ms": DAY_MS - now_ms % DAY_MS + 60_000})


def _asked(url: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if wish is None else json.dumps(wish).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
