"""`python -m agent.main`: read the arguments and the configuration, then hand over to `agent.compose`.

Belongs here: arguments, the order of the refusals, exit codes. Every refusal is one sentence on standard
error. A configuration that is refused does not keep an open position from being managed: then the engine is
started all the same, with what it stored. What only the engine needs is imported only for it, because a
window must be there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent.command_line.outcome import ExitCode, leave
from agent.options import CLOCKS, ExchangeAddress, OptionRefused, RunOptions, exchange_address
from agent.store.data_dir import DataDir

if TYPE_CHECKING:
    from agent.config.findings import Report
    from agent.config.load import Loaded


class _Parser(argparse.ArgumentParser):
    """Arguments that are refused end like every other refusal: a sentence, exit code 1."""

    def error(self, message: str) -> NoReturn:
        raise OptionRefused(f"{message}; see python -m agent.main --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m agent.main",
        description="Trades the strategy of a config.json: the window, or with --headless the engine alone.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--config", type=Path, default=Path("config.json"), metavar="FILE", help="default: ./config.json")
    add("--env-file", type=Path, metavar="FILE", help="default: .env beside the configuration")
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="default: AGENT_DATA_DIR, else the configuration's folder",
    )
    add("--headless", action="store_true", help="the engine alone, without a window")
    starting = parser.add_mutually_exclusive_group()
    starting.add_argument(
        "--start",
        dest="start",
        action="store_true",
        default=None,
        help="start trading (default: --headless does, a window's engine goes on as it was left)",
    )
    starting.add_argument("--no-start", dest="start", action="store_false", help="come up STOPPED")
    add("--live", action="store_true", help="confirm trading with real money; needs mode live and arming")
    add("--exchange-url", metavar="URL", help="replaces every REST address (or EXCHANGE_URL)")
    add("--exchange-ws-url", metavar="URL", help="replaces every socket address (or EXCHANGE_WS_URL)")
    add("--clock", choices=CLOCKS, default="system", help="whose time counts (default: system)")
    add("--log-json", action="store_true", help="write the log for machines")
    return parser


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run and return the exit code. `environment` stands in for `os.environ`."""
    env = os.environ if environment is None else environment
    try:
        asked = _parser().parse_args(arguments)
        exchange = exchange_address(
            asked.exchange_url or env.get("EXCHANGE_URL") or None,
            asked.exchange_ws_url or env.get("EXCHANGE_WS_URL") or None,
        )
        data_dir = DataDir.resolve(asked.data_dir, env, asked.config).path
    except OptionRefused as why:
        return _refuse(f"{why}.")
    if not asked.headless:
        return _window(asked, exchange, data_dir, env)
    return _headless(asked, exchange, data_dir)


def _headless(asked: argparse.Namespace, exchange: ExchangeAddress | None, data_dir: Path) -> int:
    from agent.command_line.asking import ask_secret
    from agent.config.findings import Report

    config = _config(asked.config, confirmed_live=asked.live)
    if isinstance(config, Report):
        if not _something_is_open(data_dir):
            return config.exit_code
        _say(
            "A position or an order is still open: the engine starts with the last accepted configuration, "
            "manages what is open to its exit and makes no entries."
        )
    options = RunOptions(
        config=config,
        config_path=asked.config,
        env_path=asked.env_file or asked.config.parent / ".env",
        data_dir=data_dir,
        start=asked.start is not False,
        confirmed_live=asked.live,
        exchange=exchange,
        clock=asked.clock,
        log_json=asked.log_json,
        ask_secret=ask_secret if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )
    from agent.compose import run_headless

    return run_headless(options)


def _window(
    asked: argparse.Namespace, exchange: ExchangeAddress | None, data_dir: Path, env: Mapping[str, str]
) -> int:
    """The window, which starts its engine or attaches to the one that runs."""
    if not has_display(env):
        return _refuse(
            "There is no display for the window. Run the engine alone with --headless, or open the window "
            "in a desktop or VNC session (DISPLAY)."
        )
    try:
        from ui.app import run_window
        from ui.launching import Place, is_demo_here
    except ImportError as missing:
        return _refuse(
            f"The window cannot be loaded ({missing}). Install its parts with `make setup`, or run the "
            "engine alone with --headless."
        )
    addresses: list[str] = []
    if exchange is not None:
        addresses += ["--exchange-url", exchange.rest]
        if exchange.ws is not None:
            addresses += ["--exchange-ws-url", exchange.ws]
    more = ["--clock", asked.clock, *(["--log-json"] if asked.log_json else [])]
    if asked.env_file is not None:
        more += ["--env-file", str(asked.env_file)]
    if exchange is None and is_demo_here(data_dir):
        return run_window(Place(asked.config, data_dir, demo=True))
    place = Place(asked.config, data_dir, tuple(more), tuple(addresses), asked.start, live=asked.live)
    return run_window(place)


def has_display(env: Mapping[str, str]) -> bool:
    """Whether a window can be shown: always on other systems than Linux; `QT_QPA_PLATFORM` is believed."""
    if not sys.platform.startswith("linux"):
        return True
    return any(env.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _config(path: Path, *, confirmed_live: bool) -> Loaded | Report:
    """The configuration, or why it must not be run; what there is to say about it has been said."""
    from agent.config.availability import not_available_yet
    from agent.config.findings import ConfigRefused, Finding, Report
    from agent.config.load import load_config
    from agent.config.report import text

    try:
        loaded = load_config(path)
    except ConfigRefused as refused:
        sys.stderr.write(text(refused.report))
        _say(f"Check it with: python -m agent.cli validate-config {path}")
        return refused.report
    missing = not_available_yet(loaded.config)
    gates = missing.refused
    if confirmed_live and loaded.config.mode != "live":
        reason = f"the configuration's mode is {loaded.config.mode}"
        gates += (Finding("--live", None, reason, "leave --live out; it is for trading with real money"),)
    for finding in (*missing.ignored, *gates):
        _say(f"{finding.key}: {finding.reason}; {finding.fix}.")
    return Report(path, gates, loaded.warnings, None) if gates else loaded


def _something_is_open(data_dir: Path) -> bool:
    """What cannot be read may hold a position: the engine then says itself what is wrong with it."""
    from agent.command_line.stored import stored_exposure
    from agent.store.trouble import StoreTrouble

    try:
        return bool(stored_exposure(data_dir))
    except StoreTrouble:
        return True


def _refuse(sentence: str) -> int:
    _say(sentence)
    return ExitCode.REFUSED


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def run() -> NoReturn:
    code = main()
    if "PySide6" in sys.modules:
        # Qt wants to be taken down.
        sys.exit(code)
    leave(code)


if __name__ == "__main__":
    run()
