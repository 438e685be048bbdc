"""`emergency-stop`: latch first, then let the running engine close everything, then watch until flat.

The order matters. The latch file is written before anything else is tried, so that whatever happens next, no
entry leaves. A running engine has one second to confirm and does the closing. One that does not is ended, and
this process takes its lock, cancels, sells and reads again until flat (`agent.compose.emergency`).
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.command_line import questions
from agent.command_line.engine_link import EngineLink, lock_holder
from agent.command_line.latching import Latching
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of, our_versions
from agent.command_line.terminal import Terminal
from agent.control.client import ControlClient, ControlError, NoEngine, NotAnswering
from agent.control.control_file import ControlFileRefused
from agent.control.messages import CommandName

if TYPE_CHECKING:
    from agent.options import ExchangeAddress

ACKNOWLEDGE_S: Final = 1.0
DISK_PATIENCE_S: Final = 3.0
PRELOAD_S: Final = 0.15
LOOK_EVERY_S: Final = 0.25
#: An engine that has confirmed is at work: it is not ended for an answer that a busy machine delays.
WATCH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """What is not closed yet, a sentence each. `engine`: acknowledged, silent or none.

    `others` was found on the account, is not ours and was left alone. `unreachable`: no exchange answered.
    """

    engine: str
    remaining: tuple[str, ...]
    remark: str
    others: tuple[str, ...] = ()
    unreachable: bool = False


def emergency_command(
    config: Path | None,
    data_dir: Path | None,
    env_file: Path | None,
    exchange_url: str | None,
    exchange_ws_url: str | None,
    wait_s: float,
    yes: bool,
    as_json: bool,
) -> int:
    from agent.options import OptionRefused, exchange_address

    try:
        exchange = exchange_address(exchange_url, exchange_ws_url)
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
    latching = Latching(directory)
    latching.wait(ACKNOWLEDGE_S)
    try:
        left = asyncio.run(_stop(link, terminal, wait_s))
        if left.engine != "acknowledged":
            # A disk that is only slow is worth a moment: without it, what is sold is written elsewhere.
            latching.wait(DISK_PATIENCE_S)
            disk = latching.trouble
            left = _ourselves(left, directory, config, env_file, exchange, wait_s, terminal, disk)
    except KeyboardInterrupt:
        left = Leftover("silent", ("unknown: watching was interrupted",), "Look at `status`.")
    return _report(terminal, left, latching.trouble)


def _question(link: EngineLink) -> str:
    try:
        return questions.emergency(asyncio.run(link.status(ACKNOWLEDGE_S)))
    except Ended:
        return (
            "EMERGENCY STOP: refuse every entry until the halt is cleared, and let the engine, when one "
            "runs, cancel our orders and sell what we own. Numbers are not known: no engine answers."
        )


async def _stop(link: EngineLink, terminal: Terminal, wait_s: float) -> Leftover:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + ACKNOWLEDGE_S
    # An engine that works answers in milliseconds; while one that does not is waited for, get ready.
    ready = loop.call_later(PRELOAD_S, _preload)
    try:
        async with await link.connect(ACKNOWLEDGE_S) as client:
            left_s = max(0.05, until_s - loop.time())
            answer = await client.request(CommandName.EMERGENCY_STOP, timeout_s=left_s)
            ready.cancel()
            terminal.say(f"The engine confirmed: {answer.get('text')}")
            return await _watch(client, terminal, wait_s)
    except NotAnswering as why:
        return _silent(why)
    except (NoEngine, ControlFileRefused) as why:
        holder = lock_holder(link.data_dir)
        if holder is None:
            return Leftover("none", (), str(why))
        text = f"{holder} works in {link.data_dir} but does not listen."
        return Leftover("silent", ("whatever the engine holds: it does not listen",), text)
    except ControlError as why:
        return Leftover("silent", ("whatever was open",), f"The engine declined: {why.text}; {why.fix}.")
    finally:
        ready.cancel()


def _preload() -> None:
    """Import what doing it ourselves needs: it takes a second of processor time."""
    load = threading.Thread(target=importlib.import_module, args=("agent.compose.emergency",), daemon=True)
    load.start()


async def _watch(client: ControlClient, terminal: Terminal, wait_s: float) -> Leftover:
    """Look at the halt until it is flat or the time is over. Works between versions of the program."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    shown: tuple[str, ...] | None = None
    while True:
        remaining = _remaining(await client.request(CommandName.STATUS, timeout_s=WATCH_S))
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
    return Leftover("silent", ("whatever the engine holds: it does not answer",), why.text)


def _ourselves(
    left: Leftover,
    directory: Path,
    config: Path | None,
    env_file: Path | None,
    exchange: ExchangeAddress | None,
    wait_s: float,
    terminal: Terminal,
    disk_trouble: str | None,
) -> Leftover:
    """No engine does it: take the lock, whoever holds it, and cancel and sell from here."""
    from agent.command_line.place import DEFAULT_CONFIG
    from agent.compose.emergency import Asked, NotEnded, stop_here
    from agent.compose.env_file_note import noted_env_file
    from agent.config.load import check_file

    if left.engine == "silent":
        terminal.say(left.remark)
    path = config or DEFAULT_CONFIG
    beside = path.parent / ".env"
    # The engine's own first: this may be called from any folder.
    known = (noted_env_file(directory), beside, directory / ".env")
    env_path = env_file or next((p for p in known if p is not None and p.exists()), beside)
    given = check_file(path).config if path.exists() else None
    asked = Asked(directory, env_path, exchange, given, wait_s, disk_trouble)
    try:
        done = stop_here(asked, terminal.say)
    except NotEnded as why:
        return Leftover(left.engine, (*left.remaining, str(why)), "The latch keeps it from sending entries.")
    remark = "" if left.engine == "silent" else left.remark
    if not done.cases:
        remark = f"{remark} Nothing is stored as open.".strip()
    return Leftover(left.engine, done.remaining, remark, done.others, done.unreachable)


def _report(terminal: Terminal, left: Leftover, trouble: str | None) -> int:
    latched = trouble is None or left.engine == "acknowledged"
    flat = latched and not left.remaining
    if terminal.as_json:
        terminal.document(
            {
                "latched": latched,
                "flat": flat,
                "remaining": list(left.remaining),
                "engine": left.engine,
                "others": list(left.others),
            }
        )
    if trouble is not None:
        terminal.say(f"The latch file could not be written: {trouble}.")
    if left.remark:
        terminal.say(left.remark)
    if left.others:
        terminal.say(f"Not ours, left alone: {', '.join(left.others)}.")
    if not latched:
        sold = f"Still open: {'; '.join(left.remaining)}." if left.remaining else "Everything is sold."
        raise Ended(
            ExitCode.NOT_FLAT,
            f"NOT LATCHED: nothing keeps the next start from trading. {sold}",
            "correct the data directory and repeat emergency-stop at once",
        )
    if flat:
        if not terminal.as_json:
            terminal.show("Halted and flat. To trade again: clear-halt, then start.")
        return ExitCode.DONE
    still_open = f"Still open: {'; '.join(left.remaining)}."
    if left.unreachable:
        raise Ended(
            ExitCode.UNREACHABLE,
            f"Halted, but the exchange cannot be reached. {still_open}",
            "repeat emergency-stop, or close it at the exchange",
        )
    raise Ended(ExitCode.NOT_FLAT, f"Halted, not yet flat. {still_open}")
