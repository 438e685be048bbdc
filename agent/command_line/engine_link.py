"""Asking the running engine, for one command: attach, ask, tell what it said.

A question to the user is put while no connection is open: a person may take longer than the engine waits
for a silent client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.terminal import Terminal
from agent.control.client import ControlClient, ControlError, NoEngine, connect
from agent.control.control_file import ControlFileRefused
from agent.control.messages import COMMAND_LINE, CommandName, Versions
from agent.control.status import Status, StatusUnreadable

#: An operator's act is confirmed once it is committed; a slow disk or a busy machine may take its time. Only
#: an emergency does not wait so long.
CONFIRM_TIMEOUT_S: Final = 5.0


class EngineLink:
    """The engine of one data directory, as the command line sees it."""

    def __init__(self, data_dir: Path, versions: Versions) -> None:
        self.data_dir = data_dir
        self.versions = versions

    async def connect(self, timeout_s: float = CONFIRM_TIMEOUT_S) -> ControlClient:
        """Raises ControlError and ControlFileRefused, for who treats them one by one."""
        return await connect(self.data_dir, self.versions, COMMAND_LINE, timeout_s)

    async def attach(self, timeout_s: float = CONFIRM_TIMEOUT_S) -> ControlClient:
        """Raises Ended: 3 when no engine runs, 1 when one runs and does not answer."""
        try:
            return await self.connect(timeout_s)
        except NoEngine as why:
            raise self._nobody_listens(why) from None
        except ControlError as why:
            raise ended(why) from None
        except ControlFileRefused as why:
            raise Ended(ExitCode.REFUSED, f"{why}.") from None

    def _nobody_listens(self, why: NoEngine) -> Ended:
        """No engine, or one that is just starting, stopping, or has lost its control channel."""
        holder = lock_holder(self.data_dir)
        if holder is None:
            return ended(why)
        return Ended(
            ExitCode.REFUSED,
            f"{holder} works in {self.data_dir} but does not listen: it is starting, stopping or stuck.",
            "try again in a few seconds, then look at its log; emergency-stop works in any case",
        )

    async def ask(
        self,
        command: CommandName,
        args: Mapping[str, Any] | None = None,
        timeout_s: float = CONFIRM_TIMEOUT_S,
    ) -> Mapping[str, Any]:
        """One request on a connection of its own. Raises Ended."""
        async with await self.attach(timeout_s) as client:
            try:
                return await client.request(command, args, timeout_s)
            except ControlError as why:
                raise ended(why) from None

    async def status(self, timeout_s: float = CONFIRM_TIMEOUT_S) -> Status:
        return readable(await self.ask(CommandName.STATUS, timeout_s=timeout_s))


def lock_holder(data_dir: Path) -> str | None:
    """Who holds the instance lock, as `Process 123`; None when nobody does or nobody can tell."""
    from agent.store.data_dir import DataDir
    from agent.store.instance_lock import holder_of
    from agent.store.trouble import StoreTrouble

    try:
        holder = holder_of(DataDir(data_dir).lock_file)
    except StoreTrouble:
        return None
    if holder is None:
        return None
    return f"Process {holder.pid}" if holder.pid else "Another process"


def readable(document: Mapping[str, Any]) -> Status:
    try:
        return Status.read(document)
    except StatusUnreadable as why:
        version = document.get("version")
        raise Ended(
            ExitCode.REFUSED,
            f"The status is of another version of the program ({version}): {why}.",
            "restart the engine with the installed version; pause and emergency-stop still work",
        ) from None


def ended(why: ControlError) -> Ended:
    code = ExitCode.NO_ENGINE if isinstance(why, NoEngine) else ExitCode.REFUSED
    text = why.text if why.text.endswith(".") else f"{why.text[:1].upper()}{why.text[1:]}."
    return Ended(code, text, why.fix)


def operate(
    link: EngineLink,
    terminal: Terminal,
    command: CommandName,
    args: Mapping[str, Any] | None,
    question: Callable[[Status], str],
) -> int:
    """Ask for consent in numbers, let the engine do it, and tell its answer."""
    if not terminal.assume_yes:
        status = asyncio.run(link.status())
        terminal.consent(question(status), command)
    tell(terminal, asyncio.run(link.ask(command, args)))
    return ExitCode.DONE


def tell(terminal: Terminal, result: Mapping[str, Any]) -> None:
    """What the engine confirmed."""
    terminal.result(f"{result['state']}: {result['text']}", dict(result))
