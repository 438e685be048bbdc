"""The first run: from no configuration to a followed engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ui.link import Link, LinkKind
from ui.present.assistant import Checked, checked

if TYPE_CHECKING:
    from ui.controller import Controller


class FirstRun:
    """Shows the assistant until a valid configuration or the demo is chosen."""

    def __init__(self, controller: Controller) -> None:
        self._of = controller
        assistant = controller.window.assistant
        assistant.chosen.connect(lambda path: controller.do(self._check(path)))
        assistant.accepted.connect(self._accept)
        assistant.demo.connect(self._demo)

    def begin(self) -> None:
        window = self._of.window
        self._of.bridge.link = Link(LinkKind.NONE, "no configuration yet")
        window.assistant.explain(self._of.place.config.absolute())
        window.pages.setCurrentWidget(window.assistant)
        window.assistant.open_button.setFocus()

    async def _check(self, path: Path) -> None:
        self._of.window.assistant.show_checked(await asyncio.to_thread(_look, path))

    def _accept(self, path: Path) -> None:
        """The configuration is used where it lies; its folder is the data directory unless one was named."""
        place = self._of.place
        named = place.data_dir != place.config.absolute().parent
        data_dir = place.data_dir if named else path.absolute().parent
        self._of.move_to(replace(place, config=path, data_dir=data_dir))

    def _demo(self) -> None:
        place = self._of.place
        self._of.move_to(
            replace(
                place, config=place.demo_place / "config.json", data_dir=place.demo_place, demo=True, more=()
            )
        )


def _look(path: Path) -> Checked:
    from agent.config.load import check_file
    from agent.config.report import text

    report = check_file(path)
    return checked(path, len(report.errors), len(report.warnings), text(report))
