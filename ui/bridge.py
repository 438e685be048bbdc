"""The window's end of the control channel: attach, attach again, ask, and start an engine when asked to.

Law: it never gives up and never blocks. A silent engine is told from one that is gone, because the trader
does something else each time. What happens to the window happens to nobody else: requests are the only thing
that leaves here, each made once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from agent.control.status_fields import StatusUnreadable
from ui.arming import Lack, lack_of
from ui.engine_process import DetachedProcess
from ui.launching import Place, emergency_words, engine_words
from ui.link import Link, LinkKind
from ui.picture import Picture

if TYPE_CHECKING:
    from agent.control.client import ControlClient
    from agent.control.messages import CommandName

LOOK_EVERY_S: Final = 0.25
PING_EVERY_S: Final = 2.0
ANSWER_S: Final = 1.0
#: An operator's act is confirmed once it is committed; a slow disk may take its time.
CONFIRM_S: Final = 5.0
#: The exit code of an engine that found another one at work.
_LOCKED: Final = 4


class Bridge(QObject):
    """Lives on the window's loop. `run` follows the engine of `place` until canceled."""

    linked = Signal(object)
    pictured = Signal(object)
    noticed = Signal(object)
    stepped = Signal(str, bool)
    """A step of an emergency stop, and whether it is over."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.link = Link(LinkKind.LOOKING, "Looking for a running engine")
        self.engine: DetachedProcess | None = None
        #: The unit that runs the engine, where one does: then no window may start another beside it.
        self.service = os.environ.get("AGENT_SERVICE", "")
        self.may_start = not self.service
        self.lack = Lack.NOTHING
        self.secrets: Mapping[str, str] = {}
        self._client: ControlClient | None = None
        self._was_attached = False
        #: A simulated exchange that the engine traded on, whose address this window was not given.
        self._foreign_venue = ""
        self._watchers: set[DetachedProcess] = set()

    # --- following -------------------------------------------------------------------------------

    async def run(self) -> None:
        from agent.control.client import NoEngine, NotAnswering, connect
        from agent.control.control_file import ControlFileRefused

        while True:
            try:
                client = await connect(self.place.data_dir, _versions(), "window", ANSWER_S)
            except NoEngine:
                await self._nobody()
            except NotAnswering as why:
                self._tell(LinkKind.SILENT, why.text, why.fix, why.pid)
            except ControlFileRefused as why:
                self._tell(LinkKind.FAILED, f"{why}.")
            else:
                await self._follow(client)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _nobody(self) -> None:
        """No engine listens: start one once, wait for one that is starting, or say that there is none."""
        if self.engine is not None:
            code = self.engine.exit_code
            if code is None:
                self._tell(LinkKind.STARTING, "The engine is starting")
                return
            said, self.engine = self.engine.said(), None
            if not self._was_attached and code != _LOCKED:
                self.lack = lack_of(said)
                self._tell(LinkKind.FAILED, last_words(said, code))
                return
        if self._was_attached:
            self._lost()
        elif await asyncio.to_thread(_somebody_starts, self.place):
            self._tell(LinkKind.STARTING, "An engine is starting here")
        elif self.may_start:
            self.may_start = False
            await self._launch()
        elif self.service:
            why = f"No engine is running: {self.service} is stopped or did not start."
            fix = f"sudo systemctl start {self.service}; why it ended: journalctl -u {self.service} -n 30"
            self._tell(LinkKind.NONE, why, fix)
        elif self.link.kind is not LinkKind.FAILED:
            self._tell(LinkKind.NONE, "No engine is running for this data directory.")

    async def _launch(self) -> None:
        self._tell(LinkKind.STARTING, "Starting the engine")
        try:
            words = await asyncio.to_thread(engine_words, self.place)
            self.engine = await asyncio.to_thread(DetachedProcess, words, "engine", self.secrets)
        except OSError as why:
            self._tell(LinkKind.FAILED, f"its process cannot be made: {why}.")

    def start_engine(self, secrets: Mapping[str, str] | None = None, *, live: bool = False) -> None:
        """By the trader's wish: the next look starts one when none runs. `live`: the pair was typed."""
        self.lack = Lack.NOTHING
        if secrets is not None:
            self.secrets = secrets
        if live:
            self.place = replace(self.place, live=True)
        self.may_start, self._was_attached = not self.service, False
        self._tell(LinkKind.LOOKING, "Looking for a running engine")

    async def _follow(self, client: ControlClient) -> None:
        from agent.control.client import ControlError

        self._client, self._was_attached = client, True
        if client.matched:
            self._tell(LinkKind.ATTACHED, "", "", client.pid)
        else:
            theirs = client.welcome.versions.program
            self._tell(
                LinkKind.MISMATCH,
                f"The running engine is version {theirs}: only pause and emergency stop work.",
                "Restart the engine with the installed version.",
                client.pid,
            )
        ping = asyncio.ensure_future(self._ping(client))
        try:
            if client.matched:
                await self._take(client)
            else:
                await ping
        except ControlError:
            pass
        finally:
            self._client = None
            ping.cancel()
            with contextlib.suppress(asyncio.CancelledError, ControlError):
                await ping
            await client.close()
        self._lost()

    def _lost(self) -> None:
        """A service is started again by what runs it, and an engine only where it traded."""
        fix = ""
        if self.service:
            fix = f"{self.service} starts it again; if not: sudo systemctl start {self.service}"
        elif self._foreign_venue:
            fix = f"To start it here, open the window with --exchange-url http://{self._foreign_venue}"
        self._tell(LinkKind.LOST, "the connection to it ended.", fix)

    async def _take(self, client: ControlClient) -> None:
        from agent.control.messages import Snapshot

        async for push in client.pushes():
            if isinstance(push, Snapshot):
                self._show(push.state)
            else:
                self.noticed.emit(push)

    async def _ping(self, client: ControlClient) -> None:
        """Whether it still answers, how fast, and the state, should a push have been lost."""
        from agent.control.client import NotAnswering
        from agent.control.messages import CommandName

        loop = asyncio.get_running_loop()
        up = LinkKind.ATTACHED if client.matched else LinkKind.MISMATCH
        text, fix = self.link.text, self.link.fix
        while True:
            asked_s = loop.time()
            try:
                state = await client.request(CommandName.STATUS, timeout_s=ANSWER_S)
            except NotAnswering as why:
                if "ended" in why.text:
                    raise
                self._tell(LinkKind.SILENT, why.text, why.fix, client.pid)
            else:
                self._tell(up, text, fix, client.pid, (loop.time() - asked_s) * 1000)
                self._show(state)
            await asyncio.sleep(PING_EVERY_S)

    def _show(self, state: Mapping[str, Any]) -> None:
        try:
            picture = Picture.read(state)
        except StatusUnreadable as why:
            self._tell(LinkKind.MISMATCH, f"The engine's state is of another version: {why}.")
            return
        unknown = picture.is_demo and not self.place.demo and not self.place.exchange
        self._foreign_venue = (picture.status.venue or "").partition("@")[2] if unknown else ""
        self.pictured.emit(picture)

    def _tell(
        self, kind: LinkKind, text: str, fix: str = "", pid: int | None = None, trip_ms: float | None = None
    ) -> None:
        link = Link(kind, text, fix, pid, asyncio.get_running_loop().time(), trip_ms)
        if link.kind is self.link.kind and link.text == self.link.text:
            link = replace(link, since_s=self.link.since_s)
        if link != self.link:
            self.link = link
            self.linked.emit(link)

    # --- asking ----------------------------------------------------------------------------------

    async def ask(self, command: CommandName, args: Mapping[str, Any] | None = None) -> str:
        """What the engine confirmed. Raises ControlError with a sentence for the trader."""
        from agent.control.client import NoEngine

        if self._client is None:
            raise NoEngine("No engine is attached.", "start one, or wait until it is found again")
        result = await self._client.request(command, args, CONFIRM_S)
        return str(result.get("text", "done"))

    async def emergency(self) -> None:
        """The running engine does it; one that does not answer in a second is gone around."""
        from agent.control.client import ControlError
        from agent.control.messages import CommandName

        client = self._client
        if client is not None:
            self.stepped.emit("Asked the engine to stop everything", False)
            try:
                answer = await client.request(CommandName.EMERGENCY_STOP, timeout_s=ANSWER_S)
            except ControlError as why:
                self.stepped.emit(f"{why.text} Acting without it.", False)
            else:
                self.stepped.emit(f"Latched: {answer.get('text', 'confirmed')}", False)
                return
        else:
            self.stepped.emit("No engine is attached: acting without it.", False)
        await self._emergency_alone()

    async def _emergency_alone(self) -> None:
        try:
            process = await asyncio.to_thread(
                DetachedProcess, emergency_words(self.place), "emergency", self.secrets
            )
        except OSError as why:
            self.stepped.emit(f"The emergency stop could not be started: {why}. Use the command line.", True)
            return
        self._watchers.add(process)
        self.stepped.emit(f"Started agent.cli emergency-stop as process {process.pid}", False)
        while process.exit_code is None:
            for line in process.new_lines():
                self.stepped.emit(line, False)
            await asyncio.sleep(0.05)
        for line in process.new_lines():
            self.stepped.emit(line, False)
        verdict = {0: "Done: halted and flat.", 6: "Halted, NOT YET FLAT: see what is left above."}
        self.stepped.emit(
            verdict.get(process.exit_code, f"It ended with exit code {process.exit_code}."), True
        )
        self._watchers.discard(process)

    def let_go(self) -> None:
        """The window closes: whatever runs, runs on."""
        for process in (*self._watchers, *([self.engine] if self.engine else [])):
            process.forget()


def _versions() -> Any:
    from agent.command_line.place import our_versions

    return our_versions()


def _somebody_starts(place: Place) -> bool:
    """Whether another engine holds the lock and does not listen yet."""
    from agent.command_line.engine_link import lock_holder

    return lock_holder(place.data_dir) is not None


def last_words(said: str, code: int) -> str:
    """Why it ended: the errors of its configuration, else the last lines it said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors: list[str] = []
    for line, word in ((line, line.partition(" ")[0]) for line in lines):
        if word == "ERROR":
            errors.append(line[6:].partition("  (line")[0])
        elif word == "WARNING":
            errors.append("")
        elif word == "reason:" and errors and errors[-1]:
            errors[-1] += f": {line[7:].strip()}"
        elif word == "fix:" and errors and errors[-1]:
            errors[-1] += f" ({line[4:].strip()})"
    if any(errors):
        return f"{'. '.join(error for error in errors if error)}."
    return " ".join(lines[-4:]) if lines else f"it ended with exit code {code} and said nothing."
