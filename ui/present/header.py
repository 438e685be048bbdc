"""The control panel and the banners: what the agent is doing, for whom, and what the buttons may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ui.link import Link, LinkKind
from ui.picture import Picture
from ui.present import numbers
from ui.present.tone import Tone, result_tone

PRODUCT: Final = "Seller Exhaustion"

_STATE_TONES: Final = {
    "STOPPED": Tone.BAD,
    "STARTING": Tone.NOTICE,
    "RUNNING": Tone.GOOD,
    "PAUSED": Tone.BUSY,
    "EXITS_ONLY": Tone.BUSY,
    "ERROR": Tone.BAD,
    "HALTED": Tone.BAD,
}
_STATE_MARKS: Final = {
    "STOPPED": "■",
    "STARTING": "◌",
    "RUNNING": "●",
    "PAUSED": "▮▮",
    "EXITS_ONLY": "▶|",
    "ERROR": "✖",
    "HALTED": "■",
}
_STATE_WORDS: Final = {
    "STOPPED": "nothing is watched",
    "STARTING": "getting ready",
    "RUNNING": "watching for signals",
    "PAUSED": "no entries; exits go on",
    "EXITS_ONLY": "no entries; exits go on",
    "ERROR": "entries off; positions kept",
    "HALTED": "no entries until cleared",
}
_BADGES: Final = {
    "paper": ("Paper", Tone.GOOD, "PAPER"),
    "testnet": ("Testnet", Tone.INFO, "TESTNET"),
    "live": ("LIVE TRADING", Tone.BAD, "LIVE"),
}


@dataclass(frozen=True, slots=True)
class Action:
    """A button: whether it can be pressed, what it says, and why not."""

    text: str
    enabled: bool
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total`; total 0: how long it takes is not known."""

    text: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Header:
    title: str
    state: str
    state_words: str
    state_tone: Tone
    flashing: bool
    badge: str
    badge_tone: Tone
    is_demo: bool
    is_live: bool
    market: str
    venue: str
    balance: str
    equity: str
    pnl: str
    pnl_share: str
    pnl_tone: Tone
    start: Action
    pause: Action
    stop: Action


def header(picture: Picture | None, link: Link, picture_age_s: float | None = None) -> Header:
    """Without a picture everything is unknown and nothing but the emergency stop can be pressed.

    `picture_age_s`: machine seconds since the engine last told its state.
    """
    if picture is None:
        state = {LinkKind.STARTING: "STARTING", LinkKind.LOOKING: "LOOKING"}.get(link.kind, "NO ENGINE")
        off = Action("Start", False, "no engine is attached")
        tone = Tone.NOTICE if link.kind in (LinkKind.STARTING, LinkKind.LOOKING) else Tone.BAD
        return Header(
            PRODUCT, state, link.text or "looking for the engine", tone, False, "", Tone.QUIET, False, False,
            "", "", numbers.UNKNOWN, numbers.UNKNOWN, numbers.UNKNOWN, "", Tone.QUIET, off,
            Action("Pause", False, off.hint), Action("Stop", False, off.hint),
        )  # fmt: skip
    status = picture.status
    badge, badge_tone, title_mode = _BADGES[status.mode]
    demo = picture.is_demo
    title = f"{'DEMO · ' if demo else ''}{title_mode} · {status.pair} {status.timeframe} · {PRODUCT}"
    words = _STATE_WORDS[status.state]
    if status.state == "RUNNING" and status.positions:
        words = f"holding {numbers.counted(len(status.positions), 'position')}"
    if status.halt is not None:
        words = "emergency stop" if status.halt.reason == "emergency" else "daily loss limit"
        words += ", flat" if status.halt.flat else ", closing"
    start_equity, pnl = status.day.start_equity, status.day.pnl
    share = pnl / start_equity if pnl is not None and start_equity else None
    return Header(
        title=title,
        state=f"{_STATE_MARKS[status.state]} {status.state}",
        state_words=words if link.is_up else _last_known(picture_age_s),
        state_tone=_STATE_TONES[status.state] if link.is_up else Tone.QUIET,
        flashing=status.state == "ERROR" and link.is_up,
        badge=badge,
        badge_tone=badge_tone,
        is_demo=demo,
        is_live=status.mode == "live",
        market=f"{status.pair}  {status.timeframe}",
        venue=_venue(status.venue),
        balance=numbers.money(status.balance, status.quote),
        equity=numbers.money(status.equity, status.quote),
        pnl=numbers.money(pnl, status.quote, signed=True),
        pnl_share=numbers.percent(share) if share is not None else "",
        pnl_tone=result_tone(pnl),
        start=_start(picture, link),
        pause=_pause(picture, link),
        stop=_stop(picture, link),
    )


def _last_known(age_s: float | None) -> str:
    return "last known state" if age_s is None else f"last known, {numbers.span(age_s)} old"


def _venue(venue: str | None) -> str:
    return (venue or "").partition("@")[0].capitalize()


def _start(picture: Picture, link: Link) -> Action:
    status = picture.status
    if status.halt is not None:
        text = "Clear halt"
        if not link.is_up:
            return Action(text, False, "no engine is attached")
        if not status.halt.flat:
            return Action(text, False, "possible once everything is closed")
        if not is_reconciled_since(picture, status.halt.at):
            return Action(text, False, "possible once the account was compared with the exchange again")
        return Action(text, True, "ends the halt; the agent is STOPPED then, and trades only when started")
    text = "Resume" if status.state == "PAUSED" else "Start"
    if not link.is_up:
        return Action(text, False, "no engine is attached")
    if status.state in ("RUNNING", "STARTING"):
        return Action(text, False, f"the agent is {status.state}")
    return Action(text, True, "allow entries")


def is_reconciled_since(picture: Picture, moment: datetime) -> bool:
    return picture.reconciled_at is not None and picture.reconciled_at > moment


def _pause(picture: Picture, link: Link) -> Action:
    if not link.is_up:
        return Action("Pause", False, "no engine is attached")
    possible = picture.status.state in ("RUNNING", "STARTING", "ERROR")
    return Action("Pause", possible, "no entries; open positions are managed to their exit")


def _stop(picture: Picture, link: Link) -> Action:
    if not link.is_up:
        return Action("Stop", False, "no engine is attached")
    possible = picture.status.state in ("RUNNING", "STARTING", "ERROR", "PAUSED")
    return Action("Stop", possible, "stop trading; asks what becomes of open positions")


def progress(picture: Picture | None, link: Link) -> Progress | None:
    """What a start is waiting for; None when it waits for nothing."""
    if picture is None:
        return Progress(link.text, 0, 0) if link.kind in (LinkKind.STARTING, LinkKind.LOOKING) else None
    if not link.is_up:
        return None
    status = picture.status
    if status.feed.last_closed_bar is not None and status.state != "STARTING":
        return None
    if not status.exchange.reachable:
        return Progress("Connecting to the exchange", 0, 0)
    warm = status.warmup
    if warm.needed and warm.bars < warm.needed and warm.error_bound is None:
        return Progress(f"Loading history: {warm.bars:,} of {warm.needed:,} bars", warm.bars, warm.needed)
    if picture.reconciled_at is None and status.state != "STOPPED":
        return Progress("Reconciling orders and balances with the exchange", 0, 0)
    return None
