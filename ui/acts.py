"""What is pressed, asked and answered: from a key to a question, from its answer to the engine.

Law: every act is asked of the engine once. An act that moves money has a question before it, except where
the trader is not to be held up; what was not done is told in a sentence, with what to do about it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ui.arming import arming_question, gates, pair_of
from ui.present import drill, questions
from ui.present.banners import Act
from ui.present.log_lines import LogLine

if TYPE_CHECKING:
    from ui.controller import Controller


class Acts:
    """Belongs to one controller."""

    def __init__(self, controller: Controller) -> None:
        self._of = controller

    def pressed(self, name: str) -> None:
        window = self._of.window
        match name:
            case "start":
                self._start()
            case "pause" if window.control.pause_button.isEnabled():
                self._of.do(self._ask("pause"))
            case "stop" if window.control.stop_button.isEnabled():
                self._put("stop")
            case "emergency":
                if not window.isActiveWindow():
                    window.raise_()
                    window.activateWindow()
                window.question.ask(questions.emergency(self._of.picture))
            case "clear_halt":
                self._put("clear")
            case "close_first" if self._of.picture is not None and self._of.picture.holdings:
                self.close_wanted(self._of.picture.holdings[0].position.id)
            case "decisions" | "trades" | "log":
                self.show_tab(name)
            case "search":
                self.show_tab("log")
                window.log.focus_search()
            case "chart" if self._of.chart is not None:
                self._of.chart.view.setFocus()
            case "zone":
                self._of.settings.set_on("local_time", not self._of.settings.is_on("local_time"))
            case "mute":
                self._of.settings.set_on("sounds", not self._of.settings.is_on("sounds"))
                state = "on" if self._of.settings.is_on("sounds") else "off"
                window.toasts.show_toast("INFO", f"Sounds are {state}")
            case "doctor":
                self._of.errands.examine()
            case "away":
                self._of.errands.show_away()
            case "drill":
                self._of.errands.offer_drill()
            case "settings":
                window.settings_card.toggle()
            case "keys":
                window.shortcuts.toggle()
            case "quit":
                window.close()

    def _start(self) -> None:
        if not self._of.window.control.start_button.isEnabled() or self._of.picture is None:
            return
        if self._of.picture.status.halt is not None:
            self._put("clear")
            return
        if questions.start(self._of.picture) is not None:
            self._put("start")
            return
        self._of.do(self._ask("resume" if self._of.picture.status.state == "PAUSED" else "start"))

    def show_tab(self, name: str) -> None:
        window = self._of.window
        page = {"decisions": window.decisions, "trades": window.trades, "log": window.log}[name]
        tabs = window.lower_tabs
        if tabs.currentWidget() is page and tabs.isVisible():
            tabs.hide()
            return
        tabs.show()
        tabs.setCurrentWidget(page)
        self._of.readings.wake()

    def close_wanted(self, position_id: int) -> None:
        self._put(f"close:{position_id}")

    def _put(self, key: str) -> None:
        question = self._question(key)
        if question is not None:
            self._of.window.question.ask(question)

    def _question(self, key: str) -> questions.Question | None:
        if key == "emergency":
            return questions.emergency(self._of.picture)
        if self._of.picture is None or not self._of.link.is_up:
            return None
        kind, _, number = key.partition(":")
        match kind:
            case "close":
                return questions.close(self._of.picture, int(number))
            case "stop":
                return questions.stop(self._of.picture)
            case "clear":
                return questions.clear_halt(self._of.picture)
            case "start":
                return questions.start(self._of.picture)
            case "leave":
                return questions.leave(
                    self._of.picture, attached=True, ours=self._of.bridge.engine is not None
                )
            case _:
                return self._of.window.question.question

    def answered(self, key: str, choice: str) -> None:
        kind, _, number = key.partition(":")
        match kind, choice:
            case "leave", _:
                self._of.leaving.left(choice)
            case _, "":
                return
            case "emergency", _:
                self._of.begin_emergency()
            case "close", _:
                self._of.do(self._ask("close", {"position_id": int(number)}))
            case "stop", _:
                self._of.do(self._ask("stop", {"flatten": choice == "flatten"}))
            case "clear", _:
                self._of.do(self._ask("clear-halt"))
            case drill.KEY, _:
                self._of.do(self._of.errands.play_drill())
            case "arm", _:
                self._of.bridge.start_engine(live=True)
            case "start", _:
                self._of.do(self._ask("start"))

    async def _ask(self, command: str, args: dict[str, Any] | None = None) -> None:
        from agent.control.client import ControlError
        from agent.control.messages import CommandName

        try:
            text = await self._of.bridge.ask(CommandName(command), args)
        except ControlError as why:
            fix = f" ({why.fix})" if why.fix else ""
            self._of.window.toasts.show_toast("ERROR", f"{command}: {why.text}{fix}")
            self._of.window.log.add(
                [LogLine(None, "ERROR", f"window: {command} was not done: {why.text}{fix}")]
            )
        else:
            self._of.window.toasts.show_toast("INFO", f"{text[:1].upper()}{text[1:]}")

    def banner_acted(self, act: Act) -> None:
        match act:
            case Act.START_ENGINE:
                self._of.bridge.start_engine()
            case Act.CLEAR_HALT:
                self._put("clear")
            case Act.ENTER_KEYS:
                self._of.window.keys_card.appear()
            case Act.ARM:
                self._of.do(self._show_gates())
            case Act.SHOW_AWAY:
                self._of.errands.show_away()
            case Act.SHOW_LOG:
                self.show_tab("log")

    async def _show_gates(self) -> None:
        self._of.window.toasts.show_toast("INFO", "Reading every gate of live trading…")
        document = await asyncio.to_thread(gates, self._of.place)
        pair = await asyncio.to_thread(pair_of, self._of.place)
        self._of.window.question.ask(arming_question(document, pair))

    def keys_given(self, typed: dict[str, str]) -> None:
        self._of.bridge.start_engine(typed)

    def refresh_question(self) -> None:
        """An open question shows the numbers of now, and goes when it makes no sense any more."""
        card = self._of.window.question
        if card.question is None or card.question.key in ("arm", drill.KEY):
            return
        fresh = self._question(card.question.key)
        if fresh is None:
            card.cancel()
        elif fresh.choices == card.question.choices:
            card.refresh(fresh)
        else:
            card.ask(fresh)
