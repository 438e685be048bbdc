"""What stands across the window when something is not as it should be, most urgent first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ui.link import Link, LinkKind
from ui.picture import Picture
from ui.present import numbers
from ui.present.emergency import still_open
from ui.present.header import is_reconciled_since


class Act(StrEnum):
    """What a banner's button does."""

    START_ENGINE = "start_engine"
    CLEAR_HALT = "clear_halt"
    SHOW_LOG = "show_log"
    ENTER_KEYS = "enter_keys"
    ARM = "arm"
    SHOW_AWAY = "show_away"


_REMEDIES = {
    Act.START_ENGINE: "Try again",
    Act.ENTER_KEYS: "Enter keys…",
    Act.ARM: "Arm live trading…",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """`tone` is danger, warning or info; `closes`: whoever has read it can put it away."""

    key: str
    tone: str
    text: str
    act: Act | None = None
    act_text: str = ""
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Ages:
    """Machine seconds since something was last new; None: never."""

    picture_s: float | None = None
    price_s: float | None = None
    link_s: float = 0.0


def banners(
    picture: Picture | None, link: Link, ages: Ages, remedy: Act = Act.START_ENGINE
) -> tuple[Banner, ...]:
    """`remedy`: what the trader can do about an engine that did not start."""
    found = [*_of_link(picture, link, ages, remedy)]
    if picture is not None:
        found += [*_of_halt(picture, link), *_of_protection(picture), *_of_data(picture, link, ages)]
        found += _blocked(picture, link)
    return tuple(found)


def _of_link(picture: Picture | None, link: Link, ages: Ages, remedy: Act) -> list[Banner]:
    held = ""
    if picture is not None and picture.status.positions:
        held = f" {numbers.counted(len(picture.status.positions), 'position')} open when last seen."
    since = f"{int(ages.link_s)} s"
    match link.kind:
        case LinkKind.LOST:
            text = f"ENGINE GONE for {since}: {link.text}{held} Looking for it; what is shown is old."
            if link.fix:
                return [Banner("link", "danger", f"{text} {link.fix}")]
            return [Banner("link", "danger", text, Act.START_ENGINE, "Start the engine")]
        case LinkKind.SILENT:
            text = (
                f"ENGINE DOES NOT ANSWER for {since} (process {link.pid}).{held} What is shown is old. "
                "Emergency Stop works: it acts as a process of its own."
            )
            return [Banner("link", "danger", text)]
        case LinkKind.FAILED:
            text = f"The engine did not start: {link.text} {link.fix}".strip()
            return [Banner("link", "danger", text, remedy, _REMEDIES[remedy])]
        case LinkKind.NONE if link.fix:
            return [Banner("link", "warning", f"{link.text} {link.fix}")]
        case LinkKind.NONE:
            return [Banner("link", "warning", link.text, Act.START_ENGINE, "Start the engine")]
        case LinkKind.MISMATCH:
            return [Banner("link", "warning", f"{link.text} {link.fix}".strip())]
        case _:
            return []


def _of_halt(picture: Picture, link: Link) -> list[Banner]:
    halt = picture.status.halt
    if halt is None:
        return []
    why = "EMERGENCY STOP" if halt.reason == "emergency" else "DAILY LOSS LIMIT"
    at = f"{halt.at:%H:%M:%S} UTC"
    if not halt.flat:
        return [Banner("halt", "danger", f"HALTED ({why}, {at}). {still_open(picture)}.")]
    if not is_reconciled_since(picture, halt.at):
        text = f"HALTED ({why}, {at}). Everything is closed; the account is being compared with the exchange."
        return [Banner("halt", "danger", text)]
    text = (
        f"HALTED ({why}, {at}). Everything is closed; no entries until the halt is cleared, then press Start."
    )
    if not link.is_up:
        return [Banner("halt", "danger", text)]
    return [Banner("halt", "danger", text, Act.CLEAR_HALT, "Clear halt")]


def _of_protection(picture: Picture) -> list[Banner]:
    bare = [p for p in picture.status.positions if p.unprotected_since is not None]
    if not picture.strategy.stop_enforced or not bare:
        return []
    names = ", ".join(str(p.id) for p in bare)
    plural = "s" if len(bare) > 1 else ""
    return [Banner("bare", "danger", f"Position{plural} {names} not protected by a stop on the exchange.")]


def _of_data(picture: Picture, link: Link, ages: Ages) -> list[Banner]:
    status = picture.status
    if not link.is_up or status.state == "STARTING" or status.feed.last_closed_bar is None:
        return []
    if status.feed.fresh:
        return []
    age = f" Last price {numbers.span(ages.price_s)} ago." if ages.price_s is not None else ""
    reach = "" if status.exchange.reachable else " The exchange does not answer."
    return [Banner("stale", "danger", f"MARKET DATA IS STALE.{age}{reach} Entries are off.")]


def _blocked(picture: Picture, link: Link) -> list[Banner]:
    """Only where it is news: a stopped or halted agent says so itself."""
    status = picture.status
    if not link.is_up or status.state in ("STOPPED", "HALTED", "PAUSED", "EXITS_ONLY", "STARTING"):
        return []
    reasons = [why for why in status.entries_blocked_by if not why.startswith("the agent is ")]
    if not reasons:
        return []
    return [Banner("blocked", "warning", f"Entries blocked: {'; '.join(reasons)}.")]
