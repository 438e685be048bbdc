"""`emergency-stop`: latch first, then let the running engine close everything, then watch until flat.

The order matters. The latch file is written before anything else is tried, so that whatever happens next, no
entry leaves. A running engine has one second to confirm and does the closing. Without an engine nothing can
be sold from here yet: `_without_engine` is the place where a process of its own will take the lock, cancel
and flatten. Until then it says what remains open; the next start comes up HALTED and closes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.command_line import questions
from agent.command_line.engine_link import EngineLink, lock_holder
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of, our_versions
from agent.command_line.terminal import Terminal
from agent.control.client import ControlClient, ControlError, NoEngine, NotAnswering
from agent.control.control_file import ControlFileRefused
from agent.control.messages import CommandName

ACKNOWLEDGE_S: Final = 1.0
LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is not closed yet, a sentence each. `engine`: acknowledged, silent or none."""

    engine: str
    remaining: tuple[str, ...]
    remark: str


def emergency_command(
    config: Path | None,
    data_dir: Path | None,
    exchange_url: str | None,
    exchange_ws_url: str | None,
    wait_s: float,
    yes: bool,
    as_json: bool,
) -> int:
    from agent.options import OptionRefused, exchange_address

    try:
        exchange_address(exchange_url, exchange_ws_url)
    except OptionRefused as why:
        raise Ended(ExitCode.REFUSED, f"{why}.") from None
    directory = data_dir_of(data_dir, config)
    if not directory.is_dir():
        raise Ended(
            ExitCode.REFUSED,
            f"There is no data directory {directory}: nothing was stopped.",
            "name the directory of the agent with --data-dir",
        )
    terminal = Terminal(as_json=as_json, assume_yes=yes)
    link = EngineLink(directory, our_versions())
    if not yes:
        terminal.consent(_question(link), "emergency-stop")
    trouble = _latch(directory)
    try:
        left = asyncio.run(_stop(link, terminal, wait_s))
    except KeyboardInterrupt:
        left = Leftover("silent", ("unknown: watching was interrupted",), "Look at `status`.")
    return _report(terminal, left, trouble)


def _question(link: EngineLink) -> str:
    try:
        return questions.emergency(asyncio.run(link.status()))
    except Ended:
        return (
            "EMERGENCY STOP: refuse every entry until the halt is cleared, and let the engine, when one "
            "runs, cancel our orders and sell what we own. Numbers are not known: no engine answers."
        )


def _latch(directory: Path) -> str | None:
    """Set the latch; None when it is durable, else why not. A halt that is already certain stays as it is."""
    from agent.store.latch import NAME, Latch
    from agent.store.trouble import StoreTrouble

    latch = Latch(directory / NAME)
    found = latch.read()
    if found is not None and found.at_ms:
        return None
    try:
        latch.set("emergency", time.time_ns() // 1_000_000)
    except StoreTrouble as trouble:
        return str(trouble)
    return None


async def _stop(link: EngineLink, terminal: Terminal, wait_s: float) -> Leftover:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + ACKNOWLEDGE_S
    try:
        async with await link.connect(ACKNOWLEDGE_S) as client:
            left_s = max(0.05, until_s - loop.time())
            answer = await client.request(CommandName.EMERGENCY_STOP, timeout_s=left_s)
            terminal.say(f"The engine confirmed: {answer.get('text')}")
            return await _watch(client, terminal, wait_s)
    except NotAnswering as why:
        return _silent(why)
    except (NoEngine, ControlFileRefused) as why:
        return _without_engine(link.data_dir, str(why))
    except ControlError as why:
        return Leftover("silent", ("whatever was open",), f"The engine declined: {why.text}; {why.fix}.")


async def _watch(client: ControlClient, terminal: Terminal, wait_s: float) -> Leftover:
    """Look at the halt until it is flat or the time is over. Works between versions of the program."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    shown: tuple[str, ...] | None = None
    while True:
        remaining = _remaining(await client.request(CommandName.STATUS))
        if not remaining:
            return Leftover("acknowledged", (), "")
        if remaining != shown:
            terminal.say(f"still open: {'; '.join(remaining)}")
            shown = remaining
        if loop.time() >= until_s:
            return Leftover("acknowledged", remaining, "The engine goes on closing it.")
        await asyncio.sleep(LOOK_EVERY_S)


def _remaining(status: Mapping[str, Any]) -> tuple[str, ...]:
    """Empty exactly when the published halt says that it is flat."""
    halt = status.get("halt")
    if not isinstance(halt, Mapping):
        return ("the halt itself is not confirmed yet",)
    if halt.get("flat") is True:
        return ()
    listed = halt.get("remaining")
    named = tuple(str(item) for item in listed) if isinstance(listed, list) else ()
    return named or ("not flat yet",)


def _silent(why: NotAnswering) -> Leftover:
    return Leftover(
        "silent",
        ("whatever the engine holds: it does not answer",),
        f"{why.text} The latch keeps it from sending entries. End process {why.pid} and start the engine "
        "again: it comes up HALTED and closes what is open.",
    )


def _without_engine(data_dir: Path, why: str) -> Leftover:
    from agent.command_line.stored import stored_exposure
    from agent.store.trouble import StoreTrouble

    holder = lock_holder(data_dir)
    if holder is not None:
        return Leftover(
            "silent",
            ("whatever the engine holds: it does not listen",),
            f"{holder} works in {data_dir} but does not listen. The latch keeps it from sending entries. End "
            "it and start the engine again: it comes up HALTED and closes what is open.",
        )
    try:
        remaining = stored_exposure(data_dir)
    except StoreTrouble as trouble:
        return Leftover("none", (f"unknown, the store cannot be read: {trouble}",), why)
    if not remaining:
        return Leftover("none", (), f"{why} Nothing is stored as open.")
    return Leftover(
        "none",
        remaining,
        f"{why} Start the engine: it comes up HALTED, makes no entries and closes what is open.",
    )


def _report(terminal: Terminal, left: Leftover, trouble: str | None) -> int:
    latched = trouble is None or left.engine == "acknowledged"
    flat = latched and not left.remaining
    if terminal.as_json:
        terminal.document(
            {"latched": latched, "flat": flat, "remaining": list(left.remaining), "engine": left.engine}
        )
    if trouble is not None:
        terminal.say(f"The latch file could not be written: {trouble}.")
    if left.remark:
        terminal.say(left.remark)
    if not latched:
        raise Ended(
            ExitCode.NOT_FLAT,
            "NOT LATCHED: nothing keeps the next start from trading.",
            "correct the data directory and repeat emergency-stop at once",
        )
    if flat:
        if not terminal.as_json:
            terminal.show("Halted and flat. To trade again: clear-halt, then start.")
        return ExitCode.DONE
    raise Ended(ExitCode.NOT_FLAT, f"Halted, not yet flat. Still open: {'; '.join(left.remaining)}.")
