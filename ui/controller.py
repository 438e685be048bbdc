"""Joins the parts of the window: what the engine tells, and when it is painted.

Law: updates are coalesced and a window that nobody sees renders nothing. Every act is a coroutine whose
failure becomes a sentence for the trader. What panels show is `Showing`'s, what is pressed `Acts`', closing
the window `Leaving`'s; this keeps what they share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

from ui.acts import Acts
from ui.bridge import Bridge
from ui.errands import Errands
from ui.launching import Place
from ui.leaving import Leaving
from ui.link import Link, LinkKind
from ui.main_window import MainWindow
from ui.picture import Picture
from ui.present import emergency, stats
from ui.present.ages import Seen
from ui.present.log_lines import LogLine
from ui.readings import Readings
from ui.records import Records
from ui.settings import Settings
from ui.showing import Showing
from ui.sound import Sound
from ui.venue_clock import VenueClock

if TYPE_CHECKING:
    from agent.control.messages import Notice
    from ui.chart_feed import ChartFeed

RENDER_EVERY_MS: Final = 40
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
        self.acts = Acts(self)
        self.leaving = Leaving(self)
        self.showing = Showing(self)
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
        self.lag_ms = 0.0
        self._beat_s = 0.0
        self.flat = asyncio.Event()
        self._emergency = self._emergency_answered = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._due)
        self._second = QTimer(self)
        self._second.setInterval(1_000)
        self._second.timeout.connect(self._each_second)
        self._connect()

    def _connect(self) -> None:
        window, acts = self.window, self.acts
        window.pressed.connect(acts.pressed)
        window.closing.connect(self.leaving.closing)
        window.shown.connect(self.render_soon)
        window.control.start.connect(lambda: acts.pressed("start"))
        window.control.pause.connect(lambda: acts.pressed("pause"))
        window.control.stop.connect(lambda: acts.pressed("stop"))
        window.control.emergency.connect(lambda: acts.pressed("emergency"))
        window.banners.acted.connect(acts.banner_acted)
        window.banners.closed.connect(lambda _key: self.errands.dismiss_away())
        window.positions.close_wanted.connect(acts.close_wanted)
        window.question.answered.connect(acts.answered)
        window.log.errors_changed.connect(self._errors_changed)
        window.keys_card.given.connect(acts.keys_given)
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
        (self.flat.clear if picture.holdings else self.flat.set)()
        if self._emergency:
            self._watch_halt(picture)
        self.render_soon()

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
        if _RANK.get(level, 1) >= 3:
            QApplication.alert(self.window)  # the task bar shows it, unless the window is in front
            if self.settings.is_on("sounds"):
                self.sound.ring()

    # --- an emergency ----------------------------------------------------------------------------

    def begin_emergency(self) -> None:
        self._emergency, self._emergency_answered = True, False
        self.window.emergency_card.begin()
        self.do(self._emergency_asked())

    async def _emergency_asked(self) -> None:
        await self.bridge.emergency()
        self._emergency_answered = True
        if self._emergency and self.picture is not None:
            self._watch_halt(self.picture)

    def _watch_halt(self, picture: Picture) -> None:
        """What the state tells comes after the answer, however fast it is pushed: steps stand in order."""
        halt = picture.status.halt
        if halt is None or not self._emergency_answered:
            return
        if halt.flat:
            self._stepped(emergency.OVER, True)
        else:
            self._stepped(emergency.still_open(picture), False)

    def _stepped(self, text: str, over: bool) -> None:
        if over:
            self._emergency = False
        self.window.emergency_card.step(text, over)

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
        now_s = self._rendered_s = self._now_s()
        self.showing.show(now_s)
        self.acts.refresh_question()
        self.rendered.emit()

    def seen(self, now_s: float, panel: str = "") -> Seen:
        """Ages as of machine time `now_s`; `panel` names what was read for it."""
        moments = (self._picture_s, self._price_s, self.readings.read_s.get(panel))
        return Seen(*(None if moment is None else now_s - moment for moment in moments))

    def _each_second(self) -> None:
        """Ages and countdowns; and how late this loop was."""
        now_s = self._now_s()
        self.lag_ms = max(0.0, (now_s - self._beat_s - 1.0) * 1000)
        self._beat_s = now_s
        self.render_soon()

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

    # --- leaving ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """Close for good."""
        if not self.leaving.begun:
            self.gone()
            self.window.close()

    def gone(self) -> None:
        """The window closes now."""
        self.leaving.begun = True
        self.window.remember()
        self.ended.emit()
