"""What every panel shows now: the picture, the link and ages, put into words by `present` and handed out.

Law: a painting reads no file and asks nobody. It may be repeated at any time and changes only what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ui.arming import Lack
from ui.present import ages, banners, footer, header, positions, stats
from ui.present.ages import Seen
from ui.present.banners import Act

if TYPE_CHECKING:
    from ui.controller import Controller

_REMEDY: Final = {Lack.NOTHING: Act.START_ENGINE, Lack.KEYS: Act.ENTER_KEYS, Lack.ARMING: Act.ARM}


class Showing:
    """Belongs to one controller."""

    def __init__(self, controller: Controller) -> None:
        self._of = controller

    def show(self, now_s: float) -> None:
        """Everything, as of machine time `now_s`."""
        of = self._of
        window, picture, link = of.window, of.picture, of.link
        seen = of.seen(now_s)
        local = of.settings.is_on("local_time")
        shown = header.header(picture, link, seen.picture_s)
        if window.windowTitle() != shown.title:
            window.setWindowTitle(shown.title)
        window.control.show_header(shown)
        window.control.show_progress(header.progress(picture, link))
        self._banners(seen, now_s - link.since_s)
        now = of.venue_now()
        if picture is not None:
            held = positions.cards(picture, now, local, attached=link.is_up, price_age_s=seen.price_s)
            window.positions.show_cards(held, positions.nothing_held(picture, of.last_decision))
        else:
            window.positions.show_cards((), "")
        self._chart(seen)
        window.stats.show_stats(stats.stats(picture, link, of.recorded, seen.price_s), local)
        self._ages(now_s)
        window.bar.show_footer(footer.footer(picture, link, now, of.lag_ms, local, seen.picture_s))

    def _banners(self, seen: Seen, link_s: float) -> None:
        of, window = self._of, self._of.window
        if window.pages.currentWidget() is window.assistant:
            window.banners.show_banners(())
            return
        remedy = _REMEDY[of.bridge.lack]
        found = banners.banners(
            of.picture, of.link, banners.Ages(seen.picture_s, seen.price_s, link_s), remedy
        )
        told = () if of.errands.banner is None else (of.errands.banner,)
        window.banners.show_banners((*found, *told))

    def _chart(self, seen: Seen) -> None:
        of, picture, now = self._of, self._of.picture, self._of.venue_now()
        if picture is None or of.chart is None:
            return
        age = ages.of_price(picture, of.link, seen)
        of.chart.view.set_live(not age.text, age.text)
        of.chart.show(picture, None if now is None else round(now.timestamp() * 1000))

    def _ages(self, now_s: float) -> None:
        """Of the panels of stored rows: the statistics, and the list that is in view."""
        of, window = self._of, self._of.window
        window.stats.show_age(ages.of_stored(of.link, of.seen(now_s, "statistics")))
        listed = {window.decisions: "decisions", window.trades: "trades", window.log: "log"}
        name = listed[window.lower_tabs.currentWidget()]
        since = "last line" if name == "log" else "read"
        age = ages.of_stored(of.link, of.seen(now_s, name), since)
        window.lower_age.say(age.text, window.colours.of(age.tone))
