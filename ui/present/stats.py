"""Statistics as rows: what is published now, and what the stored rows add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from ui.link import Link
from ui.picture import Picture
from ui.present import numbers
from ui.present.tone import Tone, result_tone


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    text: str
    tone: Tone = Tone.PLAIN
    remark: str = ""
    remark_tone: Tone = Tone.QUIET
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    rows: tuple[Row, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """`curve` is (time in seconds, equity)."""

    results: tuple[Section, ...] = ()
    backtest: tuple[Section, ...] = ()
    health: tuple[Section, ...] = ()
    phases: tuple[Section, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    curve_summary: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the stored rows add up to, as finished sections; empty until they were read."""

    all_time: tuple[Section, ...] = ()
    backtest: tuple[Section, ...] = ()
    execution: tuple[Section, ...] = ()
    phases: tuple[Section, ...] = ()
    curve: tuple[tuple[float, float], ...] = field(default=(), repr=False)


_NOT_YET = "appears once there are trades"


def stats(picture: Picture | None, link: Link, recorded: Recorded, price_age_s: float | None) -> Stats:
    results = (*_today(picture), *(recorded.all_time or (Section("All time", remark=_NOT_YET),)))
    curve = recorded.curve
    summary = ""
    if len(curve) >= 2 and picture is not None:
        summary = (
            f"equity from {curve[0][1]:,.2f} to {curve[-1][1]:,.2f} {picture.quote},"
            f" lowest {min(y for _, y in curve):,.2f}"
        )
    return Stats(
        results=results,
        backtest=recorded.backtest or (Section("Live against backtest", remark=_NOT_YET),),
        health=(*_health(picture, link, price_age_s), *recorded.execution),
        phases=recorded.phases or (Section("Phases", remark="not known yet"),),
        curve=curve,
        curve_summary=summary,
    )


def _today(picture: Picture | None) -> tuple[Section, ...]:
    if picture is None:
        return (Section("Today", remark="no engine is attached"),)
    day = picture.status.day
    wins, losses = picture.wins or 0, picture.losses or 0
    closed = wins + losses
    limit = picture.strategy.max_daily_trades
    rate = numbers.percent(wins / closed, 0, signed=False) if closed else numbers.UNKNOWN
    of_limit = f"of {limit} allowed" if limit else ""
    rows = (
        Row("Trades opened", str(day.trades), remark=of_limit),
        Row("Wins / losses", f"{wins} / {losses}", remark=f"win rate {rate}" if closed else ""),
        Row("PnL", numbers.money(day.pnl, picture.quote, signed=True), result_tone(day.pnl)),
    )
    return (Section(f"Today ({day.date} UTC)" if day.date else "Today", rows),)


def _bar(opened: datetime | None) -> str:
    return numbers.UNKNOWN if opened is None else f"{opened.astimezone(UTC):%d %b %H:%M} UTC"


def _health(picture: Picture | None, link: Link, price_age_s: float | None) -> tuple[Section, ...]:
    if picture is None:
        return (Section("Health", remark="no engine is attached"),)
    status = picture.status
    feed, seen = status.feed, status.exchange
    latency = f"{seen.latency_ms:.0f} ms" if seen.latency_ms is not None else numbers.UNKNOWN
    offset = numbers.UNKNOWN
    if seen.clock_offset_ms is not None:
        offset = f"{numbers.number(seen.clock_offset_ms, 0, signed=True)} ms"
    weight = f"{seen.used_weight:,}" if seen.used_weight is not None else numbers.UNKNOWN
    age = f"{numbers.span(price_age_s)} ago" if price_age_s is not None else numbers.UNKNOWN
    bound = status.warmup.error_bound
    rows = (
        Row("Feed", feed.source, Tone.GOOD if feed.fresh else Tone.BAD, "fresh" if feed.fresh else "STALE"),
        Row("Last price", age),
        Row("Last closed bar", _bar(feed.last_closed_bar)),
        Row(
            "Exchange",
            "reachable" if seen.reachable else "NOT REACHABLE",
            Tone.GOOD if seen.reachable else Tone.BAD,
            latency,
        ),
        Row("Clock offset", offset),
        Row("Request weight", weight),
        Row(
            "History",
            f"{status.warmup.bars:,} bars",
            remark=f"error {bound:.0e}" if bound else f"of {status.warmup.needed:,}",
        ),
        Row("Engine", f"process {link.pid}" if link.pid else numbers.UNKNOWN, remark=f"v{status.version}"),
    )
    return (Section("Health", rows),)
