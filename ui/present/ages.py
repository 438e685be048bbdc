"""How old what a panel shows is, in words: quiet while it is current, loud once it is not.

Law: an age is measured on this machine's clock from the moment something was last told or read. What cannot
have changed is current, however long ago it was read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ui.link import Link
from ui.picture import Picture
from ui.present import numbers
from ui.present.tone import Tone

#: A running engine tells its state about ten times a second, and answers every two seconds.
STALE_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Age:
    text: str = ""
    tone: Tone = Tone.QUIET
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Machine seconds since the engine last told its state, a price last came, and a panel was last read."""

    picture_s: float | None = None
    price_s: float | None = None
    read_s: float | None = None


def is_current(link: Link, seen: Seen) -> bool:
    """Whether the engine would have told if anything were different."""
    return link.is_up and seen.picture_s is not None and seen.picture_s < STALE_AFTER_S


def of_stored(link: Link, seen: Seen, since: str = "") -> Age:
    """Of a panel of stored rows: `read 4 s ago`, or in orange `12 min old`; `since` is the word before it."""
    if seen.read_s is None:
        return Age()
    if is_current(link, seen):
        text = f"{since} {numbers.brief_span(seen.read_s)} ago".strip()
        return Age(text, hint="when this was last read; every change is told by the engine")
    old_s = seen.read_s if seen.picture_s is None else max(seen.read_s, seen.picture_s)
    return Age(f"{numbers.brief_span(old_s)} old", Tone.BUSY, "no engine tells what has changed since")


def of_price(picture: Picture, link: Link, seen: Seen) -> Age:
    """Of the chart's last price, empty while it is live: `12 s old`."""
    if link.is_up and picture.status.feed.fresh:
        return Age()
    if seen.price_s is None or picture.status.feed.last_closed_bar is None:
        return Age("not live", Tone.BUSY)
    return Age(f"{numbers.span(seen.price_s)} old", Tone.BUSY)
