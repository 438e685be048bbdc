"""What a start of the engine lacks and a person at the window can give: keys, or the word for real money.

Law: nothing is stored here. Keys go to the engine's environment and nowhere else, for that run; the gates of
live trading are the command line's (`agent.cli arm`), the window shows them and has the pair typed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from ui.launching import Place
from ui.present.questions import Choice, Question

_PATIENCE_S: Final = 30
KEY_NAMES: Final = ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "EXCHANGE_API_PASSPHRASE")


class Lack(StrEnum):
    """Why an engine did not start, as far as the window can do something about it."""

    NOTHING = ""
    KEYS = "keys"
    ARMING = "arming"


def lack_of(said: str) -> Lack:
    """From the engine's last words."""
    if "live trading is refused" in said or "live trading is not armed" in said:
        return Lack.ARMING
    if "EXCHANGE_API_KEY" in said and "missing" in said:
        return Lack.KEYS
    return Lack.NOTHING


def gates(place: Place) -> dict[str, Any]:
    """The document of `arm --json`, {} when there is none. Blocks for seconds; call it off the loop."""
    words = ["-m", "agent.cli", "arm", "--json", "--config", str(place.config)]
    words += ["--data-dir", str(place.data_dir), *place.exchange]
    if "--env-file" in place.more:
        words += ["--env-file", place.more[place.more.index("--env-file") + 1]]
    try:
        ended = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
        document = json.loads(ended.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def arming_question(document: dict[str, Any], pair: str) -> Question:
    """Every gate with its numbers; the pair is typed only where all of them are open."""
    rows = [row for row in document.get("gates", []) if isinstance(row, dict)]
    lines = [_line(row) for row in rows]
    listed = [row for row in document.get("checklist", []) if isinstance(row, dict)]
    if listed:
        lines += ["Launch list:", *(f"   {_line(row)}" for row in listed)]
    is_open = bool(rows) and all(row.get("passed") for row in rows)
    if not rows:
        lines.append("The gates could not be read: run `python -m agent.cli arm`.")
    choices: tuple[Choice, ...] = ()
    if is_open:
        lines.append(f"This is real money. Type {pair} to start the engine for live trading.")
        choices = (Choice("arm", "Trade with real money", "danger"),)
    else:
        lines.append("A gate is closed: live trading cannot start.")
    typed = pair if is_open else ""
    return Question("arm", "LIVE TRADING", tuple(lines), choices, "Stay safe", danger=True, typed=typed)


def _line(row: Mapping[str, Any]) -> str:
    fix = f" ({row['fix']})" if row.get("fix") and not row.get("passed") else ""
    return f"{'✓' if row.get('passed') else '✗'} {row.get('name')}: {row.get('numbers')}{fix}"


def pair_of(place: Place) -> str:
    from agent.config.load import check_file

    config = check_file(place.config).config
    return "" if config is None else config.exchange.trading_pair
