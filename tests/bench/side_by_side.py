"""This agent and freqtrade, one after the other, on the same local exchange at the pace of life.

    python -m tests.bench.side_by_side FREQTRADE [MINUTES]

FREQTRADE is the program of an installation of its own (`python3 -m venv DIR; DIR/bin/pip install freqtrade`).
It runs unmodified, led to the local exchange by its own `ccxt_config.urls`. Both trade real (signed) orders
on one-minute bars with a signal every other minute or so, so that the time from a close to the order shows.
What is measured comes from outside: the exchange's own books and clock, and /proc. Not part of the tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.bench.bench_engine import _asked, _every_bar_a_signal
from tests.bench.bench_process import ROOT

KEY: Final = "bench-key"
SECRET: Final = "bench-secret"
BAR_MS: Final = 60_000

_QUICK: Final = {"vol_z": 5.0, "tr_z": 1.2, "cloc_min": 0.6}
_WINDOWS: Final = {"ema_fast": 24, "ema_slow": 48, "z_window": 48, "atr_window": 12}
_WISH: Final = {**_WINDOWS, **_QUICK, "interval": "1m", "bounce": "0.05", "bounce_bars": 2}

_STRATEGY: Final = """
from freqtrade.strategy import IStrategy


class EveryBar(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 60
    minimal_roi = {"0": 10}
    stoploss = -0.9
    process_only_new_candles = True

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = dataframe["close"].ewm(span=24, adjust=False).mean()
        dataframe["slow"] = dataframe["close"].ewm(span=48, adjust=False).mean()
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = (dataframe["date"].dt.minute % 2 == 0).astype(int)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = (dataframe["date"].dt.minute % 2 == 1).astype(int)
        return dataframe
"""


def main(words: list[str]) -> int:
    if not words:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 1
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    minutes = float(words[1]) if len(words) > 1 else 5.0
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f}, {minutes:g} minutes each")
    for name, start in (("this agent", _agent), ("freqtrade", lambda d, w: _freqtrade(d, w, words[0]))):
        with tempfile.TemporaryDirectory() as made:
            figures = _measured(Path(made), start, minutes)
        print(name)
        for what, value in figures.items():
            print(f"  {what:<44} {value}", flush=True)
    return 0


def _measured(directory: Path, start: Any, minutes: float) -> dict[str, str]:
    market = subprocess.Popen(
        [
            *(sys.executable, "-m", "agent.localexchange", "--seed", "7", "--speed", "1"),
            *("--key", KEY, "--secret", SECRET, "--start", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    trader = None
    try:
        assert market.stdout is not None
        where = json.loads(market.stdout.readline())
        _to_wall_time(where)
        begun = time.monotonic()
        trader, ready = start(directory, where)
        ready()
        started_s = time.monotonic() - begun
        before_cpu, before = _cpu_s(trader.pid), len(_ledger(where)["requests"])
        begin_ms = time.time_ns() // 1_000_000
        watched = time.monotonic()
        while time.monotonic() - watched < minutes * 60:
            assert trader.poll() is None, f"it ended: {(directory / 'said').read_text()[-2000:]}"
            _wish_for_a_signal(where["rest"])
            time.sleep(45)
        hours = (time.monotonic() - watched) / 3600
        cpu, ledger, memory = _cpu_s(trader.pid) - before_cpu, _ledger(where), _rss_mib(trader.pid)
    finally:
        for process in (trader, market):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    # What was entered right at the start followed no close.
    buys = [order["ts"] for order in ledger["orders"] if order["side"] == "BUY"]
    late = [at_ms % BAR_MS for at_ms in buys if at_ms // BAR_MS * BAR_MS > begin_ms]
    return {
        "start to trading": f"{started_s:.1f} s",
        "resident memory": f"{memory:.0f} MiB",
        "closed candle to order at the exchange": (
            "no order" if not late else f"{min(late)} to {max(late)} ms, {len(late)} orders"
        ),
        "processor time an hour": f"{cpu / hours:.0f} s",
        "requests an hour": f"{(len(ledger['requests']) - before) / hours:.0f}",
    }


def _agent(directory: Path, where: dict[str, str]) -> tuple[subprocess.Popen[str], Any]:
    config = _every_bar_a_signal()
    config["seller_params"] |= _QUICK
    config["exchange"] |= {"paper_trading": False, "testnet": True}
    path = directory / "config.json"
    path.write_text(json.dumps(config))
    process = _spawned(
        directory,
        [
            *(sys.executable, "-m", "agent.main", "--headless", "--start", "--config", str(path)),
            *("--data-dir", str(directory / "data"), "--clock", "system"),
            *("--exchange-url", where["rest"], "--exchange-ws-url", where["ws"]),
        ],
        EXCHANGE_API_KEY=KEY,
        EXCHANGE_API_SECRET=SECRET,
        XDG_STATE_HOME=str(directory / "state"),
        PYTHONPATH=str(ROOT),
    )
    return process, lambda: _says(process, directory, "RUNNING |")


def _freqtrade(directory: Path, where: dict[str, str], program: str) -> tuple[subprocess.Popen[str], Any]:
    strategies = directory / "user_data" / "strategies"
    strategies.mkdir(parents=True)
    (strategies / "every_bar.py").write_text(_STRATEGY)
    path = directory / "config.json"
    path.write_text(json.dumps(_freqtrade_config(where["rest"])))
    process = _spawned(
        directory,
        [
            program,
            "trade",
            "--config",
            str(path),
            "--strategy",
            "EveryBar",
            "--userdir",
            str(directory / "user_data"),
        ],
    )
    return process, lambda: _says(process, directory, "state='RUNNING'")


def _freqtrade_config(rest: str) -> dict[str, Any]:
    spot, sapi = f"{rest}/api/v3", f"{rest}/sapi/v1"
    urls = {
        "api": {"public": spot, "private": spot, "v1": spot, "sapi": sapi, "sapiV2": sapi, "sapiV3": sapi}
    }
    options = {"defaultType": "spot", "fetchMarkets": ["spot"], "fetchMargins": False}
    exchange = {
        "name": "binance", "key": KEY, "secret": SECRET, "enable_ws": False,
        "pair_whitelist": ["ADA/USDT"], "pair_blacklist": [],
        "ccxt_config": {"urls": urls, "options": options},
        "ccxt_async_config": {"urls": urls, "options": options},
    }  # fmt: skip
    side = {"price_side": "other", "use_order_book": False}
    return {
        "max_open_trades": 3, "stake_currency": "USDT", "stake_amount": 100, "dry_run": False,
        "trading_mode": "spot", "entry_pricing": side, "exit_pricing": side, "exchange": exchange,
        "pairlists": [{"method": "StaticPairList"}], "internals": {"process_throttle_secs": 5},
        "initial_state": "running",
    }  # fmt: skip


def _spawned(directory: Path, command: list[str], **environment: str) -> subprocess.Popen[str]:
    with (directory / "said").open("w") as said:
        return subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env={**os.environ, **environment},
        )


def _says(process: subprocess.Popen[str], directory: Path, words: str) -> None:
    until = time.monotonic() + 180
    while words not in (said := (directory / "said").read_text()):
        assert process.poll() is None, f"it ended: {said[-3000:]}"
        assert time.monotonic() < until, f"it did not say {words!r}: {said[-3000:]}"
        time.sleep(0.05)


def _wish_for_a_signal(rest: str) -> None:
    """On the next bar, a capitulation as this agent's configuration asks for; the other one does not mind."""
    _asked(f"{rest}/control/market", {"signal": _WISH})


def _to_wall_time(where: dict[str, str]) -> None:
    """Freqtrade decides on the machine's clock, so the market's must be the same."""
    with urllib.request.urlopen(f"{where['control']}/clock", timeout=10) as answer:
        behind_ms = time.time_ns() // 1_000_000 - json.load(answer)["now_ms"]
    wish = json.dumps({"advance_ms": max(0, behind_ms)}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{where['control']}/clock", wish), timeout=10):
        pass


def _ledger(where: dict[str, str]) -> dict[str, Any]:
    with urllib.request.urlopen(f"{where['control']}/ledger", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
