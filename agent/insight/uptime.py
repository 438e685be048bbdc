"""Uptime, counted honestly: up is when a signal of that moment would have been traded.

Belongs here: outages from stored events and from gaps between the minutes of the account. Stays true: a stale
feed is down, an exchange that does not answer is down, an engine that is off is down, whoever stopped it;
what overlaps counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.events import Impairment
from agent.core.records import EventRow
from agent.insight.facts import Down, Outage

#: The engine writes the account's worth every minute; a longer silence than this is none of its habits.
SILENCE_MS: Final = 180_000
#: Kinds of events that `outages` understands.
FEED_KIND: Final = "feed"
ENGINE_KIND: Final = "engine"
TELLING_KINDS: Final = (
    FEED_KIND,
    ENGINE_KIND,
    Impairment.FEED_STALE.value,
    Impairment.EXCHANGE_UNREACHABLE.value,
)
_OVER: Final = ": over"


@dataclass(frozen=True, slots=True)
class Uptime:
    """`share` 0..1 of `total_ms`; `by_cause` splits what is missing (an overlap goes to the first cause)."""

    total_ms: int
    down_ms: int
    by_cause: tuple[tuple[Down, int], ...]

    @property
    def share(self) -> float | None:
        return 1 - self.down_ms / self.total_ms if self.total_ms > 0 else None


def outages(
    events: Iterable[EventRow], gaps: Iterable[tuple[int, int]], from_ms: int, now_ms: int
) -> tuple[Outage, ...]:
    """Every outage between `from_ms` and `now_ms`, by cause; those of different causes may overlap.

    `events` (oldest first) are those of TELLING_KINDS, `gaps` the silences of more than SILENCE_MS between
    two rows of the account, the last one up to now.
    """
    found = [Outage(a, b, Down.ENGINE_OFF) for a, b in gaps]
    since: dict[Down, int] = {}

    def begin(cause: Down, at_ms: int) -> None:
        since.setdefault(cause, at_ms)

    def end(cause: Down, at_ms: int) -> None:
        begun = since.pop(cause, None)
        if begun is not None:
            found.append(Outage(begun, at_ms, cause))

    for event in events:
        kind, at_ms = event.kind, event.at_ms
        if kind == ENGINE_KIND and event.text.startswith("stopped"):
            begin(Down.ENGINE_OFF, at_ms)
        elif kind == ENGINE_KIND:
            # A new process knows nothing of the market until its feed says that it does.
            end(Down.ENGINE_OFF, at_ms)
            end(Down.EXCHANGE_UNREACHABLE, at_ms)
            begin(Down.FEED_STALE, at_ms)
        elif kind == FEED_KIND:
            (end if event.text.startswith("fresh") else begin)(Down.FEED_STALE, at_ms)
        elif kind == Impairment.EXCHANGE_UNREACHABLE.value:
            (end if event.text.endswith(_OVER) else begin)(Down.EXCHANGE_UNREACHABLE, at_ms)
        elif kind == Impairment.FEED_STALE.value and not event.text.endswith(_OVER):
            begin(Down.FEED_STALE, at_ms)
    for cause in tuple(since):
        end(cause, now_ms)
    clipped = (Outage(max(o.from_ms, from_ms), min(o.to_ms, now_ms), o.cause) for o in found)
    return tuple(sorted((o for o in clipped if o.to_ms > o.from_ms), key=lambda o: (o.from_ms, o.to_ms)))


def uptime(down: Sequence[Outage], from_ms: int, now_ms: int) -> Uptime:
    """What is left of the time since `from_ms` when every outage is taken away once."""
    by_cause: list[tuple[Down, int]] = []
    taken: list[tuple[int, int]] = []
    before = 0
    for cause in Down:
        taken = _union([*taken, *((o.from_ms, o.to_ms) for o in down if o.cause is cause)])
        total = sum(b - a for a, b in taken)
        by_cause.append((cause, total - before))
        before = total
    return Uptime(max(0, now_ms - from_ms), before, tuple((c, ms) for c, ms in by_cause if ms))


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for a, b in sorted(spans):
        if joined and a <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], b))
        else:
            joined.append((a, b))
    return joined
