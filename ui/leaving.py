"""Closing the window: the engine goes on without it, or is stopped first, by the trader's choice.

Law: the window goes only once the engine has confirmed what was chosen; a refusal keeps it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from PySide6.QtGui import QCloseEvent

from ui.present import questions

if TYPE_CHECKING:
    from ui.controller import Controller

FLAT_WITHIN_S: Final = 15.0


class Leaving:
    """Belongs to one controller. `begun`: the window is closing for good."""

    def __init__(self, controller: Controller) -> None:
        self._of = controller
        self.begun = False

    def closing(self, event: QCloseEvent) -> None:
        if self.begun:
            event.accept()
            return
        event.ignore()
        question = questions.leave(
            self._of.picture, attached=self._of.link.is_up, ours=self._of.bridge.engine is not None
        )
        if question is None:
            event.accept()
            self._of.gone()
        else:
            self._of.window.question.ask(question)

    def left(self, choice: str) -> None:
        match choice:
            case "keep":
                self._say_that_it_goes_on()
                self._of.leave()
            case "flat" | "flatten" | "exits":
                self._of.do(self._stop_and_leave(flatten=choice != "exits", ends=choice != "exits"))
            case "end":
                self._of.do(self._stop_and_leave(flatten=False, ends=True))

    def _say_that_it_goes_on(self) -> None:
        """For who started the window in a terminal."""
        sys.stdout.write(
            f"The engine goes on without its window (process {self._of.link.pid}) "
            f"in {self._of.place.data_dir}. Open the window again to see or stop it.\n"
        )

    async def _stop_and_leave(self, *, flatten: bool, ends: bool) -> None:
        """Leave only once the engine has confirmed it; a refusal keeps the window."""
        from agent.control.client import ControlError
        from agent.control.messages import CommandName

        try:
            if self._of.picture is not None and self._of.picture.status.state not in ("STOPPED", "HALTED"):
                await self._of.bridge.ask(CommandName.STOP, {"flatten": flatten})
        except ControlError as why:
            self._of.window.toasts.show_toast("ERROR", f"The engine did not stop: {why.text}")
            return
        engine = self._of.bridge.engine
        if ends and engine is not None:
            try:
                await asyncio.wait_for(self._of.flat.wait(), FLAT_WITHIN_S)
            except TimeoutError:
                self._of.window.toasts.show_toast(
                    "ERROR", "Not flat yet: the window stays, the engine goes on selling."
                )
                return
            engine.end()
        self._of.leave()
