"""The commands that steer a running engine: start, pause, resume, stop, close, clear-halt.

Each asks for consent in numbers, sends one request, and tells what the engine confirmed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.command_line import questions
from agent.command_line.engine_link import EngineLink, operate, tell
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import engine_link
from agent.command_line.terminal import Terminal
from agent.control.messages import CommandName


def _ready(data_dir: Path | None, yes: bool, as_json: bool) -> tuple[EngineLink, Terminal]:
    return engine_link(data_dir), Terminal(as_json=as_json, assume_yes=yes)


def start_command(data_dir: Path | None, yes: bool, as_json: bool) -> int:
    return operate(*_ready(data_dir, yes, as_json), CommandName.START, None, questions.start)


def pause_command(data_dir: Path | None, yes: bool, as_json: bool) -> int:
    return operate(*_ready(data_dir, yes, as_json), CommandName.PAUSE, None, questions.pause)


def resume_command(data_dir: Path | None, yes: bool, as_json: bool) -> int:
    return operate(*_ready(data_dir, yes, as_json), CommandName.RESUME, None, questions.resume)


def clear_halt_command(data_dir: Path | None, yes: bool, as_json: bool) -> int:
    return operate(*_ready(data_dir, yes, as_json), CommandName.CLEAR_HALT, None, questions.clear_halt)


def close_command(
    data_dir: Path | None, position_id: int | None, everything: bool, yes: bool, as_json: bool
) -> int:
    if (position_id is None) != everything:
        raise Ended(
            ExitCode.REFUSED,
            "Say which position to close.",
            "give either one id or --all; `status` shows the ids",
        )
    args = {"position_id": position_id}
    link, terminal = _ready(data_dir, yes, as_json)
    return operate(link, terminal, CommandName.CLOSE, args, lambda s: questions.close(s, position_id))


def stop_command(data_dir: Path | None, flatten: bool, exits_only: bool, yes: bool, as_json: bool) -> int:
    if flatten and exits_only:
        raise Ended(ExitCode.REFUSED, "--flatten and --exits-only contradict each other.", "give one of them")
    link, terminal = _ready(data_dir, yes, as_json)
    if not (yes and (flatten or exits_only)):
        status = asyncio.run(link.status())
        if status.positions and not (flatten or exits_only):
            flatten = _choose(terminal, questions.holdings(status, status.positions))
        terminal.consent(questions.stop(status, flatten=flatten), CommandName.STOP)
    tell(terminal, asyncio.run(link.ask(CommandName.STOP, {"flatten": flatten})))
    return ExitCode.DONE


def _choose(terminal: Terminal, held: str) -> bool:
    """True to sell what is held, False to keep it until it exits. Nothing is assumed."""
    if terminal.assume_yes or not terminal.can_ask:
        raise Ended(
            ExitCode.REFUSED,
            f"Something is held: {held}.",
            "say what becomes of it: --flatten sells it at market, --exits-only manages it to its exit",
        )
    answer = terminal.ask(f"Held: {held}.\n[f]latten now, [e]xits only, or [c]ancel? ").lower()
    if answer in ("f", "flatten"):
        return True
    if answer in ("e", "exits", "exits only", "exits-only"):
        return False
    raise Ended(ExitCode.REFUSED, "Nothing was done: stop was not confirmed.")
