"""What the configuration must know about exchanges: their ids, bar lengths, sandboxes and keys.

Facts about the few exchanges this agent is tested with; every other id of ccxt is accepted with a warning
and checked when it is connected. ccxt itself is not imported here: that costs half a second and a hundred
megabytes, and validating a file needs neither.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.config.capabilities import CAPABILITIES
from agent.core.market import TIMEFRAME_MINUTES

FIRST_CLASS: Final = "binance"


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange's spot market. `timeframes` are those of the configuration that it serves itself."""

    name: str
    timeframes: frozenset[str]
    has_sandbox: bool
    needs_passphrase: bool


_COMMON: Final = frozenset({"1m", "5m", "15m", "30m", "60m"})

#: The exchanges the agent is built for. Coinbase's sandbox only plays back fixed answers: it is none.
VENUES: Final[Mapping[str, Venue]] = {
    row.name: Venue(row.name, row.timeframes, row.sandbox, row.needs_passphrase)
    for row in CAPABILITIES.values()
}

_WITH_PASSPHRASE: Final = frozenset(
    {"bitget", "blofin", "coinbaseexchange", "kucoin", "myokx", "okx", "okxus"}
)


def known_ids() -> frozenset[str]:
    """Every exchange id of the installed ccxt, read from its directory: one module per exchange."""
    spec = importlib.util.find_spec("ccxt")
    assert spec, "ccxt is a dependency"
    assert spec.submodule_search_locations, "ccxt is a package"
    folder = Path(spec.submodule_search_locations[0])
    return frozenset(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


def needs_passphrase(exchange_name: str) -> bool:
    return exchange_name in _WITH_PASSPHRASE


def source_timeframe(exchange_name: str, timeframe: str) -> str:
    """The timeframe to ask the exchange for: the same one, or the largest it has that divides it.

    Of an exchange that is not in VENUES only the common timeframes are assumed.
    """
    venue = VENUES.get(exchange_name)
    offered = venue.timeframes if venue else _COMMON
    minutes = TIMEFRAME_MINUTES[timeframe]
    return max(
        (name for name in offered if minutes % TIMEFRAME_MINUTES[name] == 0),
        key=TIMEFRAME_MINUTES.__getitem__,
    )
