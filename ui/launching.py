"""How the window starts an engine: the words, and whether it is to trade at once.

Law: an engine comes up STOPPED the first time, afterwards as it was left, unless the start said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: What `agent.demo` leaves in a directory of its own.
_DEMO_MARK: Final = ".demo"


def is_demo_here(data_dir: Path) -> bool:
    """Whether a demo made this directory: its market goes with it, and no other belongs here."""
    return (data_dir / _DEMO_MARK).exists()


@dataclass(frozen=True, slots=True)
class Place:
    """What a window looks at: a configuration, its data directory, and how its engine is started.

    `more` goes to the engine as it is (addresses, clock, environment file). `start` None: as it was left.
    `live`: trading with real money was confirmed.
    `demo`: the demo market runs beside the engine; both are one process to start.
    """

    config: Path
    data_dir: Path
    more: tuple[str, ...] = ()
    exchange: tuple[str, ...] = ()
    start: bool | None = None
    demo: bool = False
    live: bool = False

    @property
    def demo_place(self) -> Path:
        """Where the first-run assistant keeps a demo: beside the data, never among it."""
        return self.data_dir / "demo-data"


def engine_words(place: Place) -> tuple[str, ...]:
    """The command after the interpreter. Reads the stored state; call it off the loop."""
    if place.demo:
        return ("-m", "agent.demo", "--no-window", "--data-dir", str(place.data_dir), *place.more)
    words = [
        "-m",
        "agent.main",
        "--headless",
        "--config",
        str(place.config),
        "--data-dir",
        str(place.data_dir),
    ]
    words += [*place.more, *place.exchange]
    if place.live:
        words.append("--live")
    start = place.start if place.start is not None else _was_trading(place.data_dir)
    words.append("--start" if start else "--no-start")
    return tuple(words)


def emergency_words(place: Place) -> tuple[str, ...]:
    return (
        *("-m", "agent.cli", "emergency-stop", "--data-dir", str(place.data_dir), "--yes"),
        *(("--config", str(place.config)) if place.config.exists() else ()),
        *_env_file(place),
        *place.exchange,
    )


def doctor_words(place: Place, market_url: str = "") -> tuple[str, ...]:
    """`market_url`: the exchange of a demo, where the place itself names none."""
    exchange = place.exchange or (("--exchange-url", market_url) if market_url else ())
    where = ("--config", str(place.config), "--data-dir", str(place.data_dir))
    return ("-m", "agent.cli", "doctor", "--json", *where, *_env_file(place), *exchange)


def drill_words(place: Place) -> tuple[str, ...]:
    return ("-m", "agent.cli", "drill", "--data-dir", str(place.data_dir))


def _env_file(place: Place) -> tuple[str, ...]:
    """Where the keys are, if the start named it."""
    if "--env-file" not in place.more:
        return ()
    at = place.more.index("--env-file")
    return place.more[at : at + 2]


def _was_trading(data_dir: Path) -> bool:
    """Whether the stored state is anything but STOPPED. What cannot be read starts without entries."""
    from agent.command_line.stored import stored_status
    from agent.store.trouble import StoreTrouble

    try:
        stored: Mapping[str, Any] | None = stored_status(data_dir)
    except StoreTrouble:
        return False
    return stored is not None and stored.get("state") not in (None, "STOPPED")
