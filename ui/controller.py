"""Joins the parts of the window: what is told goes to the panels, what is pressed goes to the engine.

Law: updates are coalesced and a window that nobody sees renders nothing. Every act is a coroutine whose
failure becomes a sentence for the trader; nothing is asked of the engine twice.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QCloseEvent

from ui.arming import Lack, arming_question, gates, pair_of
from ui.bridge import Bridge
from ui.errands import Errands
from ui.launching import Place
from ui.link import Link, LinkKind
from ui.main_window import MainWindow
from ui.picture import Picture
from ui.present import banners, drill, footer, header, positions, questions, stats
from ui.present.banners import Act, Ages
from ui.present.log_lines import LogLine
from ui.readings import Readings
from ui.records import Records
from ui.settings import Settings
from ui.sound import Sound
from ui.venue_clock import VenueClock

if TYPE_CHECKING:
    from agent.control.messages import Notice
    from ui.chart_feed import ChartFeed

RENDER_EVERY_MS: Final = 40
FLAT_WITHIN_S: Final = 15.0
_REMEDY: Final = {Lack.NOTHING: Act.START_ENGINE, Lack.KEYS: Act.ENTER_KEYS, Lack.ARMING: Act.ARM}
_RANK: Final = {"INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}


class Controller(QObject):
    """One window on one place. `run` until it is closed; `rendered` after every painting of new state."""

    rendered = Signal()
    ended = Signal()

    def __init__(self, window: MainWindow, settings: Settings, place: Place) -> None:
        super().__init__()
        self.window = window
        self.settings = settings
        self.place = place
        self.bridge = Bridge(place)
        self.records = Records(place.data_dir)
        self.readings = Readings(self)
        self.sound = Sound()
        self.errands = Errands(self)
        self.chart: ChartFeed | None = None
        self.picture: Picture | None = None
        self.recorded = stats.Recorded()
        self.last_decision = ""
        self.clock = VenueClock()
        self._following: asyncio.Task[None] | None = None
        self._link_kind = LinkKind.LOOKING
        self._tasks: set[asyncio.Task[None]] = set()
        self._picture_s: float | None = None
        self._price_s: float | None = None
        self._rendered_s = 0.0
        self._lag_ms = 0.0
        self._beat_s = 0.0
        self._flat = asyncio.Event()
        self._leaving = False
        self._emergency = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._due)
        self._second = QTimer(self)
        self._second.setInterval(1_000)
        self._second.timeout.connect(self._each_second)
        self._connect()

    def _connect(self) -> None:
        window = self.window
        window.pressed.connect(self._pressed)
        window.closing.connect(self._closing)
        window.shown.connect(self.render_soon)
        window.control.start.connect(lambda: self._pressed("start"))
        window.control.pause.connect(lambda: self._pressed("pause"))
        window.control.stop.connect(lambda: self._pressed("stop"))
        window.control.emergency.connect(lambda: self._pressed("emergency"))
        window.banners.acted.connect(self._banner_acted)
        window.banners.closed.connect(lambda _key: self.errands.dismiss_away())
        window.positions.close_wanted.connect(self._close_wanted)
        window.question.answered.connect(self._answered)
        window.log.errors_changed.connect(self._errors_changed)
        window.keys_card.given.connect(self._keys_given)
        self.settings.changed.connect(self._settings_changed)
        self._follow_bridge()

    def _follow_bridge(self) -> None:
        self.bridge.linked.connect(self._linked)
        self.bridge.pictured.connect(self._pictured)
        self.bridge.noticed.connect(self._noticed)
        self.bridge.stepped.connect(self._stepped)

    # --- life ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """On the running loop: follow the engine, or begin with the assistant."""
        self._second.start()
        self._beat_s = self._now_s()
        self._settings_changed()
        if not self.place.demo and not self.place.config.exists():
            self._first_run()
        else:
            self.follow()

    def follow(self) -> None:
        self.window.pages.setCurrentWidget(self.window.whole)
        self._following = asyncio.ensure_future(self.bridge.run())
        self._following.add_done_callback(self._over)
        self.readings.begin()
        self.render()

    def attach_chart(self, feed: ChartFeed) -> None:
        self.chart = feed
        feed.view.bar_activated.connect(self.readings.bar_chosen)
        feed.view.older_wanted.connect(self.readings.older_wanted)
        self.window.set_chart(feed.view)
        self.readings.wake()
        self.render_soon()

    def _first_run(self) -> None:
        from ui.first_run import FirstRun

        self._first = FirstRun(self)
        self._first.begin()
        self.render()

    def move_to(self, place: Place) -> None:
        """Another configuration or the demo: a new bridge and new records, the same window."""
        self.place = place
        self.bridge = Bridge(place)
        self.records.close()
        self.records = Records(place.data_dir)
        self._follow_bridge()
        self.errands.banner = None
        self.follow()

    async def end(self) -> None:
        """Stop following; whatever runs, runs on."""
        self._second.stop()
        self._soon.stop()
        self.errands.end()
        reading = self.readings.end()
        running = [task for task in (*self._tasks, self._following, reading) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.records.close()
        self.bridge.let_go()

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an act; what goes wrong in it is told."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (why := task.exception()) is not None:
            self.tell_fault("a task of the window failed", why)

    def tell_fault(self, what: str, why: BaseException | None) -> None:
        """A mistake of ours in the window: into the log, with a note; trading is not concerned."""
        import traceback

        text = f"window: {what}" + (f": {why!r}" if why is not None else "")
        if why is not None:
            text += "\n" + "".join(traceback.format_exception(why)).rstrip()
        self.window.log.add([LogLine(None, "ERROR", text)])
        if self.settings.is_on("toasts"):
            self.window.toasts.show_toast("ERROR", f"A mistake in the window (trading goes on): {why!r}")

    # --- what the bridge tells -------------------------------------------------------------------

    @property
    def link(self) -> Link:
        return self.bridge.link

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def venue_now(self) -> datetime | None:
        return self.clock.now(self._now_s())

    def _linked(self, link: Link) -> None:
        """Every ping tells the link again; only another kind of it is news."""
        before, self._link_kind = self._link_kind, link.kind
        if link.kind is before:
            pass
        elif link.kind is LinkKind.ATTACHED:
            self.readings.wake()
            self.readings.read_log()
            if self.picture is not None:
                self.errands.look_back()
        elif link.kind in (LinkKind.NONE, LinkKind.FAILED) and self.picture is None:
            self.do(self._show_stored())
        self.render_soon()

    async def _show_stored(self) -> None:
        """What was known when the last engine ended, for as long as none answers."""
        stored = await self.records.last_status()
        if stored is not None and self.picture is None and not self.link.is_up:
            self.picture = stored
            self.readings.wake()
            self.render_soon()

    def _pictured(self, picture: Picture) -> None:
        before, self.picture = self.picture, picture
        now_s = self._picture_s = self._now_s()
        if picture.status.at is not None:
            self.clock.seen(picture.status.at, now_s)
        if before is None or picture.price.at != before.price.at:
            self._price_s = now_s
        self.readings.saw(before, picture)
        self.errands.saw(before, picture)
        (self._flat.clear if picture.holdings else self._flat.set)()
        if self._emergency:
            self._watch_halt(picture)
        self.render_soon()

    def _watch_halt(self, picture: Picture) -> None:
        halt = picture.status.halt
        if halt is None:
            return
        if halt.flat:
            self._emergency = False
            self._stepped("Everything is closed: halted and flat", True)
        else:
            self._stepped(f"Closing: {'; '.join(halt.remaining)}", False)

    def _noticed(self, notice: Notice) -> None:
        match notice.kind.value:
            case "log":
                self.readings.told_log(notice.body)
            case "decision":
                self.readings.told_decision(notice.body)
            case "alert":
                self._alerted(notice)

    def _alerted(self, notice: Notice) -> None:
        level, text = str(notice.body.get("level", "INFO")), str(notice.body.get("text", ""))
        if _RANK.get(level, 1) >= 2 and self.settings.is_on("toasts"):
            self.window.toasts.show_toast(level, text)
        if _RANK.get(level, 1) >= 3 and self.settings.is_on("sounds"):
            self.sound.ring()

    # --- painting --------------------------------------------------------------------------------

    def render_soon(self) -> None:
        """At once when nothing was painted lately, else when the interval is over."""
        if self._soon.isActive() or not self.window.is_seen:
            return
        since_ms = (self._now_s() - self._rendered_s) * 1000
        self._soon.start(max(0, round(RENDER_EVERY_MS - since_ms)))

    def _due(self) -> None:
        if self.window.is_seen:
            self.render()

    def render(self) -> None:
        window, picture, link = self.window, self.picture, self.link
        now_s = self._rendered_s = self._now_s()
        local = self.settings.is_on("local_time")
        price_age_s = None if self._price_s is None else now_s - self._price_s
        picture_age_s = None if self._picture_s is None else now_s - self._picture_s
        shown = header.header(picture, link)
        if window.windowTitle() != shown.title:
            window.setWindowTitle(shown.title)
        window.control.show_header(shown)
        window.control.show_progress(header.progress(picture, link))
        if window.pages.currentWidget() is window.assistant:
            window.banners.show_banners(())
        else:
            ages = Ages(self._picture_s, price_age_s, now_s - link.since_s)
            found = banners.banners(picture, link, ages, _REMEDY[self.bridge.lack])
            told = () if self.errands.banner is None else (self.errands.banner,)
            window.banners.show_banners((*found, *told))
        now = self.venue_now()
        if picture is not None:
            held = positions.cards(picture, now, local, attached=link.is_up)
            window.positions.show_cards(held, positions.nothing_held(picture, self.last_decision))
            if self.chart is not None:
                self.chart.view.set_live(link.is_up and picture.status.feed.fresh)
                self.chart.show(picture, None if now is None else round(now.timestamp() * 1000))
        else:
            window.positions.show_cards((), "")
        window.stats.show_stats(stats.stats(picture, link, self.recorded, price_age_s))
        window.bar.show_footer(footer.footer(picture, link, now, self._lag_ms, local, picture_age_s))
        self._refresh_question()
        self.rendered.emit()

    def _each_second(self) -> None:
        """Ages and countdowns; and how late this loop was."""
        now_s = self._now_s()
        self._lag_ms = max(0.0, (now_s - self._beat_s - 1.0) * 1000)
        self._beat_s = now_s
        self.render_soon()

    def _refresh_question(self) -> None:
        """An open question shows the numbers of now, and goes when it makes no sense any more."""
        card = self.window.question
        if card.question is None or card.question.key in ("arm", drill.KEY):
            return
        fresh = self._question(card.question.key)
        if fresh is None:
            card.cancel()
        elif fresh.choices == card.question.choices:
            card.refresh(fresh)
        else:
            card.ask(fresh)

    def _errors_changed(self, errors: int) -> None:
        tabs = self.window.lower_tabs
        tabs.setTabText(tabs.indexOf(self.window.log), f"Log  ✖ {errors}" if errors else "Log")

    def _settings_changed(self) -> None:
        on = self.settings.is_on
        self.window.colours.blue_orange = on("blue_orange")
        self.window.log.set_local_time(on("local_time"))
        for name, box in self.window.settings_card.boxes.items():
            box.setChecked(on(name))
        if self.chart is not None:
            self.chart.apply_settings()
        self.readings.wake()
        self.render_soon()

    # --- what is pressed -------------------------------------------------------------------------

    def _pressed(self, name: str) -> None:
        window = self.window
        match name:
            case "start":
                self._start()
            case "pause" if window.control.pause_button.isEnabled():
                self.do(self._ask("pause"))
            case "stop" if window.control.stop_button.isEnabled():
                self._put("stop")
            case "emergency":
                window.question.ask(questions.emergency(self.picture))
            case "clear_halt":
                self._put("clear")
            case "close_first" if self.picture is not None and self.picture.holdings:
                self._close_wanted(self.picture.holdings[0].position.id)
            case "decisions" | "trades" | "log":
                self._show_tab(name)
            case "search":
                self._show_tab("log")
                window.log.focus_search()
            case "chart" if self.chart is not None:
                self.chart.view.setFocus()
            case "zone":
                self.settings.set_on("local_time", not self.settings.is_on("local_time"))
            case "mute":
                self.settings.set_on("sounds", not self.settings.is_on("sounds"))
                state = "on" if self.settings.is_on("sounds") else "off"
                window.toasts.show_toast("INFO", f"Sounds are {state}")
            case "doctor":
                self.errands.examine()
            case "away":
                self.errands.show_away()
            case "drill":
                self.errands.offer_drill()
            case "settings":
                window.settings_card.toggle()
            case "keys":
                window.shortcuts.toggle()
            case "quit":
                window.close()

    def _start(self) -> None:
        if not self.window.control.start_button.isEnabled() or self.picture is None:
            return
        if self.picture.status.halt is not None:
            self._put("clear")
            return
        if questions.start(self.picture) is not None:
            self._put("start")
            return
        self.do(self._ask("resume" if self.picture.status.state == "PAUSED" else "start"))

    def _show_tab(self, name: str) -> None:
        window = self.window
        page = {"decisions": window.decisions, "trades": window.trades, "log": window.log}[name]
        tabs = window.lower_tabs
        if tabs.currentWidget() is page and tabs.isVisible():
            tabs.hide()
            return
        tabs.show()
        tabs.setCurrentWidget(page)
        self.readings.wake()

    def _close_wanted(self, position_id: int) -> None:
        self._put(f"close:{position_id}")

    def _put(self, key: str) -> None:
        question = self._question(key)
        if question is not None:
            self.window.question.ask(question)

    def _question(self, key: str) -> questions.Question | None:
        if key == "emergency":
            return questions.emergency(self.picture)
        if self.picture is None or not self.link.is_up:
            return None
        kind, _, number = key.partition(":")
        match kind:
            case "close":
                return questions.close(self.picture, int(number))
            case "stop":
                return questions.stop(self.picture)
            case "clear":
                return questions.clear_halt(self.picture)
            case "start":
                return questions.start(self.picture)
            case "leave":
                return questions.leave(self.picture, attached=True, ours=self.bridge.engine is not None)
            case _:
                return self.window.question.question

    def _answered(self, key: str, choice: str) -> None:
        kind, _, number = key.partition(":")
        match kind, choice:
            case "leave", _:
                self._left(choice)
            case _, "":
                return
            case "emergency", _:
                self._emergency = True
                self.window.emergency_card.begin()
                self.do(self.bridge.emergency())
            case "close", _:
                self.do(self._ask("close", {"position_id": int(number)}))
            case "stop", _:
                self.do(self._ask("stop", {"flatten": choice == "flatten"}))
            case "clear", _:
                self.do(self._ask("clear-halt"))
            case drill.KEY, _:
                self.do(self.errands.play_drill())
            case "arm", _:
                self.bridge.start_engine(live=True)
            case "start", _:
                self.do(self._ask("start"))

    async def _ask(self, command: str, args: dict[str, Any] | None = None) -> None:
        from agent.control.client import ControlError
        from agent.control.messages import CommandName

        try:
            text = await self.bridge.ask(CommandName(command), args)
        except ControlError as why:
            fix = f" ({why.fix})" if why.fix else ""
            self.window.toasts.show_toast("ERROR", f"{command}: {why.text}{fix}")
            self.window.log.add([LogLine(None, "ERROR", f"window: {command} was not done: {why.text}{fix}")])
        else:
            self.window.toasts.show_toast("INFO", f"{command}: {text}")

    def _banner_acted(self, act: Act) -> None:
        match act:
            case Act.START_ENGINE:
                self.bridge.start_engine()
            case Act.CLEAR_HALT:
                self._put("clear")
            case Act.ENTER_KEYS:
                self.window.keys_card.appear()
            case Act.ARM:
                self.do(self._show_gates())
            case Act.SHOW_AWAY:
                self.errands.show_away()
            case Act.SHOW_LOG:
                self._show_tab("log")

    async def _show_gates(self) -> None:
        document = await asyncio.to_thread(gates, self.place)
        pair = await asyncio.to_thread(pair_of, self.place)
        self.window.question.ask(arming_question(document, pair))

    def _keys_given(self, typed: dict[str, str]) -> None:
        self.bridge.start_engine(typed)

    def _stepped(self, text: str, over: bool) -> None:
        if over:
            self._emergency = False
        self.window.emergency_card.step(text, over)

    # --- leaving ---------------------------------------------------------------------------------

    def _closing(self, event: QCloseEvent) -> None:
        if self._leaving:
            event.accept()
            return
        event.ignore()
        question = questions.leave(
            self.picture, attached=self.link.is_up, ours=self.bridge.engine is not None
        )
        if question is None:
            event.accept()
            self._gone()
        else:
            self.window.question.ask(question)

    def _left(self, choice: str) -> None:
        match choice:
            case "keep":
                self._say_that_it_goes_on()
                self.leave()
            case "flat" | "flatten" | "exits":
                self.do(self._stop_and_leave(flatten=choice != "exits", ends=choice != "exits"))
            case "end":
                self.do(self._stop_and_leave(flatten=False, ends=True))

    def _say_that_it_goes_on(self) -> None:
        """For who started the window in a terminal."""
        sys.stdout.write(
            f"The engine goes on without its window (process {self.link.pid}) in {self.place.data_dir}. "
            "Open the window again to see or stop it.\n"
        )

    async def _stop_and_leave(self, *, flatten: bool, ends: bool) -> None:
        """Leave only once the engine has confirmed it; a refusal keeps the window."""
        from agent.control.client import ControlError
        from agent.control.messages import CommandName

        try:
            if self.picture is not None and self.picture.status.state not in ("STOPPED", "HALTED"):
                await self.bridge.ask(CommandName.STOP, {"flatten": flatten})
        except ControlError as why:
            self.window.toasts.show_toast("ERROR", f"The engine did not stop: {why.text}")
            return
        engine = self.bridge.engine
        if ends and engine is not None:
            try:
                await asyncio.wait_for(self._flat.wait(), FLAT_WITHIN_S)
            except TimeoutError:
                self.window.toasts.show_toast(
                    "ERROR", "Not flat yet: the window stays, the engine goes on selling."
                )
                return
            engine.end()
        self.leave()

    def leave(self) -> None:
        """Close for good."""
        if not self._leaving:
            self._gone()
            self.window.close()

    def _gone(self) -> None:
        self._leaving = True
        self.window.remember()
        self.ended.emit()
