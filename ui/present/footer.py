"""The status bar: connection, feed, clock, lag, next candle. Words, not only dots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.core.market import TIMEFRAME_MINUTES
from ui.link import Link, LinkKind
from ui.picture import Picture
from ui.present import numbers
from ui.present.tone import Tone

_LINKS = {
    LinkKind.LOOKING: ("looking for the engine", Tone.NOTICE),
    LinkKind.STARTING: ("engine is starting", Tone.NOTICE),
    LinkKind.ATTACHED: ("engine attached", Tone.GOOD),
    LinkKind.SILENT: ("engine does not answer", Tone.BAD),
    LinkKind.LOST: ("engine gone", Tone.BAD),
    LinkKind.MISMATCH: ("engine of another version", Tone.BUSY),
    LinkKind.FAILED: ("engine did not start", Tone.BAD),
    LinkKind.NONE: ("no engine", Tone.BAD),
}


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: Tone = Tone.LABEL
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Footer:
    link: Cell
    feed: Cell
    exchange: Cell
    lag: Cell
    next_candle: Cell
    clock: Cell


def footer(
    picture: Picture | None,
    link: Link,
    now: datetime | None,
    lag_ms: float,
    local: bool = False,
    picture_age_s: float | None = None,
) -> Footer:
    """`now` is venue time, `lag_ms` how late the window's own loop was at its worst in the last second.

    `picture_age_s`: machine seconds since the engine last told its state.
    """
    word, tone = _LINKS[link.kind]
    trip = f" {link.round_trip_ms:.0f} ms" if link.round_trip_ms is not None and link.is_up else ""
    lag = Cell(f"lag {lag_ms:.0f} ms", Tone.LABEL if lag_ms < 100 else Tone.BUSY, "how late this window is")
    clock = Cell(f"{numbers.clock(now, local)} {numbers.zone_name(local, now)}", Tone.PLAIN, "venue time")
    old = (
        f", state {numbers.span(picture_age_s)} old"
        if picture_age_s is not None and picture_age_s >= 3
        else ""
    )
    attached = Cell(f"● {word}{trip}{old}", tone, "round trip to the engine, and how old what is shown is")
    if picture is None:
        nothing = Cell("")
        return Footer(attached, nothing, nothing, lag, nothing, clock if now is not None else nothing)
    return Footer(
        attached, _feed(picture, link), _exchange(picture, link), lag, _next_candle(picture, now), clock
    )


def _feed(picture: Picture, link: Link) -> Cell:
    feed = picture.status.feed
    if feed.source == "none":
        if feed.last_closed_bar is None:
            return Cell("● feed: none yet", Tone.NOTICE if link.is_up else Tone.QUIET)
        return Cell("● feed: none", Tone.BAD if link.is_up else Tone.QUIET, "no prices and no candles come")
    state = "" if feed.fresh else ", STALE"
    tone = Tone.QUIET if not link.is_up else Tone.GOOD if feed.fresh else Tone.BAD
    return Cell(f"● feed: {feed.source}{state}", tone, "where prices and candles come from")


def _exchange(picture: Picture, link: Link) -> Cell:
    seen = picture.status.exchange
    name = (picture.status.venue or "exchange").partition("@")[0]
    if not seen.reachable:
        return Cell(f"● {name}: not reachable", Tone.BAD if link.is_up else Tone.QUIET)
    latency = f" {seen.latency_ms:.0f} ms" if seen.latency_ms is not None else ""
    weight = f", used weight {seen.used_weight:,}" if seen.used_weight is not None else ""
    offset = f"clock offset {seen.clock_offset_ms:.0f} ms" if seen.clock_offset_ms is not None else ""
    slow = seen.latency_ms is not None and seen.latency_ms > 1_000
    tone = Tone.QUIET if not link.is_up else Tone.BUSY if slow else Tone.GOOD
    return Cell(f"● {name}{latency}", tone, f"{offset}{weight}".strip(", "))


def _next_candle(picture: Picture, now: datetime | None) -> Cell:
    minutes = TIMEFRAME_MINUTES.get(picture.status.timeframe)
    if now is None or minutes is None:
        return Cell(numbers.UNKNOWN)
    length_s = minutes * 60
    return Cell(
        f"next candle {numbers.countdown(length_s - now.timestamp() % length_s)}",
        Tone.LABEL,
        "until this bar closes, in venue time",
    )
