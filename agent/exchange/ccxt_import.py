"""Importing ccxt without importing all of it.

ccxt imports all its exchange classes with the package (0.7 s and 103 MiB resident). Binance alone needs 20
modules (0.25 s, 53 MiB), which are reachable when the two packages stand in `sys.modules` as empty modules
that only know their directories. The stand-ins are taken away afterwards, so an `import ccxt` elsewhere in
the process is the real one. This relies on the inside of a pinned version, so whatever goes wrong ends in the
plain import; other exchanges use that anyway.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

_LIGHT: Final = frozenset({"binance"})
_STAND_INS: Final = ("ccxt", "ccxt.async_support")


class UnknownExchangeError(Exception):
    """The installed ccxt has no exchange of this name."""


def rest_class(exchange: str) -> Any:
    """ccxt's asynchronous REST class of `exchange` (a ccxt id). Raises UnknownExchangeError."""
    if exchange in _LIGHT and "ccxt" not in sys.modules:
        loaded = sys.modules.get(f"ccxt.async_support.{exchange}")
        light = _light_class(exchange) if loaded is None else getattr(loaded, exchange)
        if light is not None:
            return light
    package = importlib.import_module("ccxt.async_support")
    if exchange not in package.exchanges:
        raise UnknownExchangeError(f"ccxt {package.__version__} knows no exchange {exchange!r}")
    return getattr(package, exchange)


def _light_class(exchange: str) -> Any | None:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = spec.submodule_search_locations[0]
    top, async_support = ModuleType("ccxt"), ModuleType("ccxt.async_support")
    top.__path__ = [root]
    async_support.__path__ = [f"{root}/async_support"]
    before = set(sys.modules)
    sys.modules["ccxt"], sys.modules["ccxt.async_support"] = top, async_support
    try:
        errors = importlib.import_module("ccxt.base.errors")
        for name in errors.__all__:
            setattr(top, name, getattr(errors, name))
        top.Exchange = importlib.import_module("ccxt.base.exchange").Exchange  # type: ignore[attr-defined]
        return getattr(importlib.import_module(f"ccxt.async_support.{exchange}"), exchange)
    except (ImportError, AttributeError):
        for name in set(sys.modules) - before:
            if name.startswith("ccxt."):
                del sys.modules[name]
        return None
    finally:
        for name in _STAND_INS:
            sys.modules.pop(name, None)
