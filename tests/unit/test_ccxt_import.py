"""Binance's client is had without the rest of ccxt, and the rest is still there for who wants it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent.exchange.ccxt_import import UnknownExchangeError, rest_class

LIGHT = """
import sys
from agent.exchange.ccxt_import import rest_class
binance = rest_class("binance")
loaded = [name for name in sys.modules if name.startswith("ccxt")]
assert len(loaded) < 30, loaded
assert "ccxt" not in sys.modules and "ccxt.async_support" not in sys.modules
assert "ccxt.async_support.kraken" not in sys.modules
client = binance({"enableRateLimit": False})
assert client.id == "binance", client.id
import ccxt.async_support as whole
assert whole.binance is binance, "one class, whoever imports it"
assert issubclass(whole.BadSymbol, whole.ExchangeError) and hasattr(whole, "kraken")
print("ok")
"""

FALLBACK = """
import importlib, sys
from agent.exchange import ccxt_import
real = importlib.import_module
def broken(name, package=None):
    if name == "ccxt.base.exchange":
        raise ImportError("moved")
    return real(name, package)
ccxt_import.importlib.import_module = broken
assert ccxt_import._light_class("binance") is None
ccxt_import.importlib.import_module = real
assert not [name for name in sys.modules if name.startswith("ccxt")]
assert ccxt_import.rest_class("binance").__name__ == "binance"
print("ok")
"""


@pytest.mark.parametrize("program", [LIGHT, FALLBACK])
def test_in_a_process_of_its_own(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "ok", done.stderr


def test_an_exchange_that_ccxt_does_not_know_is_named() -> None:
    with pytest.raises(UnknownExchangeError, match="binanze"):
        rest_class("binanze")
