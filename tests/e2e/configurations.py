"""Configurations for the tests: the exported example, with what a test needs changed.

Most tests trade one-minute bars at an exchange 60 times as fast as life: a bar a second. What is not the
subject of a test has time enough for a machine with other work to do: a signal is late after twenty minutes
of venue time instead of half a one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from agent_process import ROOT

#: Averages and windows so short that 600 bars of history are enough.
WINDOWS: Final = {"ema_fast": 24, "ema_slow": 48, "z_window": 48, "atr_window": 12}
#: With them a volume that hardly any bar has but one made for it.
QUICK: Final = {**WINDOWS, "vol_z": 5.0, "tr_z": 1.2, "cloc_min": 0.6}
BAR_MS: Final = 60_000

#: What the market must be told, to make these windows see a signal. Afterwards it stands still for more
#: than a day, so that a position stays as it is until a test moves the price.
STILL: Final[dict[str, Any]] = {"bounce": "0.05", "bounce_bars": 2_000}
WISH: Final[dict[str, Any]] = {**QUICK, "interval": "1m", **STILL}
#: A signal older than this is late.
LATE_MS: Final = 1_200_000


def example() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "config.example.json").read_text())
    return document


def changed(document: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """`document` with sections updated by name, and plain keys replaced."""
    for name, value in sections.items():
        if isinstance(value, dict):
            document[name] = {**document.get(name, {}), **value}
        else:
            document[name] = value
    return document


def quick(**sections: Any) -> dict[str, Any]:
    """The example with short windows on one-minute bars, so that a start takes a second."""
    patient = {"late_after_seconds": LATE_MS // 1_000}
    return changed(changed(example(), seller_params=QUICK, timeframe="1m", agent=patient), **sections)


def written(directory: Path, document: dict[str, Any]) -> Path:
    """`config.json` in `directory`, which is made."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / "config.json"
    path.write_text(json.dumps(document, indent=1))
    return path
