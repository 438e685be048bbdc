"""What the window has done beside trading: the doctor, a fire drill, and what happened during an absence.

Law: doctor and drill are processes of their own, so that neither can hold up the window or the engine. The
doctor ends with the window. A drill that has begun plays to its end, because it clears up after itself. What
a process could not do is told in words; nothing is started twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer

from ui.engine_process import DetachedProcess
from ui.launching import doctor_words, drill_words
from ui.picture import Picture, is_simulated
from ui.present import away, doctor, drill
from ui.present.banners import Act, Banner
from ui.present.doctor import Findings
from ui.records import market_of

if TYPE_CHECKING:
    from ui.controller import Controller

#: Its own patience with exchange, mail and Telegram is well below; more means that it hangs.
DOCTOR_S: Final = 120
ABSENCES: Final = 10
_LOOK_MS: Final = 200
#: What a return finds is written within seconds of it.
_SETTLED_MS: Final = 1_500


class Errands(QObject):
    """Belongs to one controller, and follows it when it moves to another place."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._of = controller
        window = controller.window
        window.doctor_card.again.connect(self.examine)
        window.away_card.again.connect(self.show_away)
        window.drill_card.again.connect(self.offer_drill)
        self._doctor: QProcess | None = None
        self._doctor_began_s = 0.0
        self._doctor_late = False
        self._drill: DetachedProcess | None = None
        self._drill_lines: list[str] = []
        self._drill_began_s = 0.0
        self._ticks = QTimer(self)
        self._ticks.setInterval(_LOOK_MS)
        self._ticks.timeout.connect(self._look)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLED_MS)
        self._settled.timeout.connect(lambda: controller.do(self._read_absence()))
        self._absence = ""
        self.banner: Banner | None = None

    @property
    def examining(self) -> bool:
        return self._doctor is not None

    @property
    def drilling(self) -> bool:
        return self._drill is not None

    def end(self) -> None:
        """The window closes."""
        self._ticks.stop()
        self._settled.stop()
        if self._doctor is not None:
            self._doctor.blockSignals(True)
            self._doctor.kill()
            self._doctor.waitForFinished(1_000)
            self._doctor = None
        if self._drill is not None:
            self._drill.forget()
            self._drill = None

    # --- the doctor ------------------------------------------------------------------------------

    def examine(self) -> None:
        """Show the card, and check everything unless a check is under way."""
        card = self._of.window.doctor_card
        card.appear()
        if self._doctor is not None:
            return
        process = self._doctor = QProcess(self)
        environment = QProcessEnvironment.systemEnvironment()
        for name, value in self._of.bridge.secrets.items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.finished.connect(self._examined)
        process.errorOccurred.connect(self._not_begun)
        self._doctor_began_s, self._doctor_late = self._now_s(), False
        card.show_findings(doctor.under_way(0), busy=True)
        self._ticks.start()
        process.start(sys.executable, list(doctor_words(self._of.place, self._market_url())))

    def _market_url(self) -> str:
        """Where a demo's exchange listens, which only its engine knows."""
        picture = self._of.picture
        venue = "" if picture is None else picture.status.venue or ""
        return f"http://{venue.partition('@')[2]}" if self._of.place.demo and is_simulated(venue) else ""

    def _examined(self, exit_code: int, how: QProcess.ExitStatus) -> None:
        process = self._doctor
        if process is None:
            return
        said, complaints = process.readAllStandardOutput().data(), process.readAllStandardError().data()
        ended = how is QProcess.ExitStatus.CrashExit
        found = doctor.told(bytes(said), bytes(complaints), None if ended else exit_code)
        if self._doctor_late:
            found = doctor.failed(f"The check gave no result within {DOCTOR_S} s and was ended.", "It hung.")
        self._doctor_over(found)

    def _not_begun(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._doctor is not None:
            self._doctor_over(doctor.failed("The check could not be started.", self._doctor.errorString()))

    def _doctor_over(self, found: Findings) -> None:
        process, self._doctor = self._doctor, None
        if process is not None:
            process.deleteLater()
        self._of.window.doctor_card.show_findings(found, busy=False)
        self._of.render_soon()

    # --- the drill -------------------------------------------------------------------------------

    def offer_drill(self) -> None:
        """Ask first; while one is played, show it."""
        window = self._of.window
        if self._drill is not None:
            window.drill_card.appear()
        elif why := drill.refusal(self._of.picture, self._of.place.demo):
            window.toasts.show_toast("WARNING", why)
        else:
            window.drill_card.hide()
            window.question.ask(drill.question())

    async def play_drill(self) -> None:
        card = self._of.window.drill_card
        if self._drill is not None:
            return
        try:
            self._drill = await asyncio.to_thread(DetachedProcess, drill_words(self._of.place), "drill")
        except OSError as why:
            card.show_findings(doctor.failed("The drill could not be started.", str(why)), busy=False)
            card.appear()
            return
        self._drill_lines, self._drill_began_s = [], self._now_s()
        self._ticks.start()
        card.show_findings(drill.progress((), 0, None), busy=True)
        card.appear()

    def _look(self) -> None:
        """Ages, new lines, and the end of what runs."""
        if self._doctor is not None:
            seconds = int(self._now_s() - self._doctor_began_s)
            self._of.window.doctor_card.show_findings(doctor.under_way(seconds), busy=True)
            if seconds >= DOCTOR_S and not self._doctor_late:
                self._doctor_late = True
                self._doctor.kill()
        if self._drill is not None:
            code = self._drill.exit_code
            self._drill_lines += self._drill.new_lines()
            seconds = int(self._now_s() - self._drill_began_s)
            found = drill.progress(self._drill_lines, seconds, code)
            self._of.window.drill_card.show_findings(found, busy=code is None)
            if code is not None:
                self._drill.output.unlink(missing_ok=True)
                self._drill = None
                self._of.render_soon()
        if self._doctor is None and self._drill is None:
            self._ticks.stop()

    # --- while I was away ------------------------------------------------------------------------

    def saw(self, before: Picture | None, now: Picture) -> None:
        """An absence may be over: newly attached, the engine is up again, or its data are fresh again."""
        if not self._of.link.is_up or now.status.state == "STARTING" or not now.status.feed.fresh:
            return
        if before is None or before.status.state == "STARTING" or not before.status.feed.fresh:
            self.look_back()

    def look_back(self) -> None:
        self._settled.start()

    async def _read_absence(self) -> None:
        picture = self._of.picture
        if picture is None:
            return
        market = market_of(picture)
        reports = await self._of.records.absences(market, _now_ms(picture), 1)
        if not reports or reports[0].absence.to_ms is None or not away.is_news(reports[0]):
            return
        if not await self._of.records.decision_at(market, reports[0].absence.from_ms):
            return  # the very first start: nobody was there before, so nobody was away
        name = away.name_of(reports[0], f"{market.venue} {market.mode} {market.pair}")
        if name == self._of.settings.text(self._seen_key()):
            return
        self._absence = name
        text = away.headline(reports[0])
        self.banner = Banner("away", "info", text, Act.SHOW_AWAY, "What happened", closes=True)
        self._of.render_soon()

    def show_away(self) -> None:
        """The card with the last absences; whoever has seen it needs no banner."""
        self.dismiss_away()
        self._of.do(self._show_away())

    async def _show_away(self) -> None:
        picture = self._of.picture
        card = self._of.window.away_card
        if picture is None:
            self._of.window.toasts.show_toast("WARNING", "Nothing is known here yet: no engine ever ran.")
            return
        reports = await self._of.records.absences(market_of(picture), _now_ms(picture), ABSENCES)
        card.show_findings(away.page(reports), busy=False)
        card.appear()

    def dismiss_away(self) -> None:
        if self.banner is not None:
            self.banner = None
            self._of.settings.set_text(self._seen_key(), self._absence)
            self._of.render_soon()

    def _seen_key(self) -> str:
        """Each data directory has an absence of its own that was seen last."""
        where = str(self._of.place.data_dir.absolute()).encode()
        return f"away_seen_{hashlib.sha256(where).hexdigest()[:12]}"

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _now_ms(picture: Picture) -> int:
    return 0 if picture.status.at is None else round(picture.status.at.timestamp() * 1000)
