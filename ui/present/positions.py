"""A position as its card shows it: prices, result, levels, protection, age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ui.picture import Holding, Picture
from ui.present import numbers
from ui.present.tone import Tone, result_tone


@dataclass(frozen=True, slots=True)
class Field:
    label: str
    text: str
    tone: Tone = Tone.PLAIN
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PositionCard:
    id: int
    title: str
    result: str
    result_tone: Tone
    fields: tuple[Field, ...]
    protection: str
    protection_tone: Tone
    notes: str
    can_close: bool
    #: Where several are shown: target, stop and age in one line, the result without its unit, the protection
    #: in a word.
    brief: str = ""
    brief_result: str = ""
    brief_protection: str = ""


def cards(
    picture: Picture,
    now: datetime | None,
    local: bool = False,
    *,
    attached: bool = True,
    price_age_s: float | None = None,
) -> tuple[PositionCard, ...]:
    """Oldest first. `now` is venue time; without an engine `attached` nothing can be closed.

    `price_age_s`: machine seconds since the price was last another one, or confirmed.
    """
    at = now or picture.status.at
    old = price_age_s if not attached or not picture.status.feed.fresh else None
    return tuple(_card(picture, holding, at, local, attached, old) for holding in picture.holdings)


def nothing_held(picture: Picture, last_decision: str) -> str:
    """What stands in the panel while nothing is held: why nothing was bought on the last bar."""
    match picture.status.state:
        case "RUNNING":
            return f"No open position. Waiting for a signal.\n\n{last_decision}".strip()
        case "STOPPED":
            return "No open position.\nPress Start to watch for signals."
        case _:
            return "No open position."


def _card(
    picture: Picture,
    holding: Holding,
    now: datetime | None,
    local: bool,
    attached: bool,
    old_s: float | None,
) -> PositionCard:
    position, tick = holding.position, picture.tick
    bid, entry = picture.price.bid, position.entry_price
    worth = position.size * bid if bid is not None else None
    pnl = position.unrealized_pnl
    cost = position.size * entry if entry is not None else None
    share = pnl / cost if pnl is not None and cost else None
    percent = f"  {numbers.percent(share)}" if share is not None else ""
    held = f"{numbers.size(position.size)} {picture.base}"
    return PositionCard(
        id=position.id,
        title=f"#{position.id}  LONG {held}",
        result=f"{numbers.money(pnl, picture.quote, signed=True)}{percent}",
        result_tone=result_tone(pnl) if old_s is None else Tone.QUIET,
        fields=(
            Field("Entry", f"{numbers.average_price(entry, tick)}  {_at(position.opened_at, now, local)}"),
            _price_now(bid, tick, old_s),
            Field("Worth", numbers.money(worth, picture.quote)),
            _level("Target", position.target or position.take_profit, picture, holding),
            _level("Stop", position.stop, picture, holding),
            Field("R so far", _r_so_far(holding, bid)),
            Field("Held", _held(holding, now)),
        ),
        protection=_protection(picture, holding, now, attached),
        protection_tone=_protection_tone(picture, holding, attached),
        notes="; ".join(holding.notes),
        can_close=attached and position.leaving is None,
        brief=_brief(picture, holding, now),
        brief_result=f"{numbers.money(pnl, signed=True)}{percent}",
        brief_protection=_brief_protection(picture, holding, attached),
    )


def _brief(picture: Picture, holding: Holding, now: datetime | None) -> str:
    position, tick = holding.position, picture.tick
    parts = []
    goal = position.target or position.take_profit
    if goal is not None:
        parts.append(f"T {numbers.price(goal, tick)}")
    if position.stop is not None:
        parts.append(f"S {numbers.price(position.stop, tick)}")
    if position.opened_at is not None and now is not None:
        parts.append(numbers.brief_span((now - position.opened_at).total_seconds()))
    return "  ".join(parts)


def _brief_protection(picture: Picture, holding: Holding, attached: bool) -> str:
    if holding.position.leaving is not None:
        return "LEAVING"
    if holding.position.protected_by is not None:
        return "✓ stop" if attached else "stop?"
    return "EXPOSED" if picture.strategy.stop_enforced else "no stop"


def _at(opened: datetime | None, now: datetime | None, local: bool) -> str:
    """The time alone on the same day, else with the date."""
    if opened is None:
        return ""
    zone = numbers.zone(local)
    here, today = opened.astimezone(zone), now.astimezone(zone) if now else None
    return here.strftime("%H:%M:%S" if today and today.date() == here.date() else "%d %b %H:%M")


def _price_now(bid: Decimal | None, tick: Decimal | None, old_s: float | None) -> Field:
    text, hint = numbers.price(bid, tick), "the best bid: what a sale would bring now"
    if old_s is None:
        return Field("Now (bid)", text, hint=hint)
    return Field(
        "Last bid", f"{text}  {numbers.span(old_s)} old", Tone.BUSY, "not fresh: the market may be elsewhere"
    )


def _level(name: str, level: Decimal | None, picture: Picture, holding: Holding) -> Field:
    """Where it lies, how far away, and what the position would have made or lost there."""
    if level is None:
        return Field(name, "none", Tone.QUIET)
    bid, position = picture.price.bid, holding.position
    away = f"  {numbers.percent((level - bid) / bid)}" if bid else ""
    text, hint = f"{numbers.price(level, picture.tick)}{away}", "distance from the bid"
    if position.entry_price is not None:
        worth = (level - position.entry_price) * position.size
        text += f"  {numbers.money(worth, picture.quote, signed=True)}"
        hint += "; what the position would have made there, before fees"
    return Field(name, text, hint=hint)


def _r_so_far(holding: Holding, bid: Decimal | None) -> str:
    entry = holding.position.entry_price
    if bid is None or entry is None or not holding.risk:
        return numbers.UNKNOWN
    return numbers.ratio(float(bid - entry) / holding.risk)


def _held(holding: Holding, now: datetime | None) -> str:
    opened = holding.position.opened_at
    if opened is None or now is None:
        return numbers.UNKNOWN
    bars = holding.bars_held
    counted = "" if bars is None else f"  {_bars(bars)}"
    if holding.max_hold and bars is not None:
        counted += f" of {holding.max_hold}"
    return f"{numbers.span(now - opened)}{counted}"


def _bars(count: int) -> str:
    return f"{count} bar{'' if count == 1 else 's'}"


def _protection(picture: Picture, holding: Holding, now: datetime | None, attached: bool) -> str:
    protection = _protected(picture, holding, now, attached)
    leaving = holding.position.leaving
    return protection if leaving is None else f"Leaving: {leaving}, being sold. {protection}"


def _protected(picture: Picture, holding: Holding, now: datetime | None, attached: bool) -> str:
    position = holding.position
    if position.protected_by is not None:
        if not attached:
            return f"Protected by order {position.protected_by} when last seen"
        ago = ""
        if picture.reconciled_at is not None and now is not None:
            ago = f", verified {numbers.span(now - picture.reconciled_at)} ago"
        return f"Protected by order {position.protected_by}{ago}"
    if not picture.strategy.stop_enforced:
        return "No stop on the exchange: this strategy has none"
    if position.unprotected_since is None or now is None:
        return "Not protected on the exchange"
    return f"NOT PROTECTED for {numbers.span(now - position.unprotected_since)}"


def _protection_tone(picture: Picture, holding: Holding, attached: bool) -> Tone:
    if holding.position.leaving is not None and holding.position.unprotected_since is None:
        return Tone.NOTICE
    if holding.position.protected_by is not None:
        return Tone.GOOD if attached else Tone.BUSY
    return Tone.BAD if picture.strategy.stop_enforced else Tone.QUIET
