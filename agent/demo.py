"""`make demo`: the agent on paper against the built-in demo market, in one command.

It starts the local exchange as its own process on loopback, with a market that is soon due for a signal and
runs many times faster than life, and the engine in front of it with the default configuration. Nothing
outside this machine is contacted; its data lies apart from every other venue's. Where there is a display, a
window shows it; without one, Ctrl-C ends both.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.command_line.engine_link import lock_holder
from agent.config.env_file import without_credentials
from agent.main import has_display

SEED: Final = 1
#: Shortly before a signal of this seed whose trade is over within hours; later ones follow within days.
START: Final = "2025-04-24T22:30:00Z"
SPEED: Final = 300
#: Proves that a directory was made by a demo and may be put aside by the next one.
MARK: Final = ".demo"
ROOT: Final = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo until Ctrl-C; returns the engine's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.demo", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--speed", type=float, default=SPEED, help=f"times life (default {SPEED})")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "demo-data", help="default: ./demo-data")
    parser.add_argument("--no-window", action="store_true", help="the engine alone, without a window")
    asked = parser.parse_args(arguments)
    if not asked.no_window:
        if has_display(os.environ):
            return _window(asked.data_dir.absolute(), asked.speed)
        print("There is no display: the demo runs without its window.", flush=True)
    holder = lock_holder(asked.data_dir)
    if holder is not None:
        print(f"{holder} already works in {asked.data_dir}; end it first.", file=sys.stderr)
        return 1
    if not _make_room(asked.data_dir):
        return 1
    config = asked.data_dir / "config.json"
    shutil.copyfile(ROOT / "config.example.json", config)
    command = [sys.executable, "-m", "agent.localexchange", "--seed", str(SEED), "--start", START]
    market = subprocess.Popen(
        [*command, "--speed", f"{asked.speed:g}", "--attached"],
        # Never written to: the market ends when it does, and so with this process, however that ends.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=without_credentials(os.environ),
    )
    try:
        assert market.stdout is not None
        line = market.stdout.readline()
        if not line:
            print("The demo market did not start; see the lines above.", file=sys.stderr)
            return 1
        where = json.loads(line)
        _welcome(asked.speed, asked.data_dir)
        return _engine(config, asked.data_dir, where)
    finally:
        market.terminate()
        market.wait(10)


def _window(data_dir: Path, speed: float) -> int:
    """The window starts the rest, or attaches to a demo that still runs."""
    try:
        from ui.app import run_window
        from ui.launching import Place
    except ImportError as missing:
        print(f"The window cannot be loaded ({missing}); use --no-window.", file=sys.stderr)
        return 1
    place = Place(data_dir / "config.json", data_dir, ("--speed", f"{speed:g}"), demo=True)
    return run_window(place)


def _make_room(data_dir: Path) -> bool:
    """An empty directory for this run; the run before is kept beside it, the one before that is not.

    Each run is another market that begins at the same moment, so its data must not meet the last one's.
    """
    mark = data_dir / MARK
    if data_dir.exists() and any(data_dir.iterdir()) and not mark.exists():
        print(f"{data_dir} holds something else than a demo; choose another --data-dir.", file=sys.stderr)
        return False
    if mark.exists():
        earlier = data_dir.with_name(data_dir.name + ".previous")
        if (earlier / MARK).exists():
            shutil.rmtree(earlier)
        data_dir.rename(earlier)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()
    return True


def _engine(config: Path, data_dir: Path, where: dict[str, str]) -> int:
    from agent.main import main as engine

    return engine(
        [
            *("--headless", "--config", str(config), "--data-dir", str(data_dir)),
            *("--exchange-url", where["rest"], "--exchange-ws-url", where["ws"], "--clock", "exchange"),
        ]
    )


def _welcome(speed: float, data_dir: Path) -> None:
    place = data_dir if not data_dir.is_relative_to(Path.cwd()) else data_dir.relative_to(Path.cwd())
    print(
        f"DEMO market, {speed:g} times faster than life, play money only. Ctrl-C ends it.\n"
        "In another terminal:\n"
        f"    .venv/bin/python -m agent.cli status --data-dir {place}\n"
        f"    .venv/bin/python -m agent.cli decisions --data-dir {place}\n"
        f"    .venv/bin/python -m agent.cli emergency-stop --data-dir {place}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
