"""The one way of every alert to every channel: who is told what, and what is said once. No input or output.

Belongs here: each channel's level, the exceptions to it (positions opened and closed, the end of something
that was told), and repetition. Stays true: the same sentence is not sent again within `_REPEAT_MS`; how often
it was held back is said when it comes again. `route` takes microseconds and never waits: the engine's loop
calls it. Every text passes `redact` before anything else sees it. Times are machine time in milliseconds,
except a message's own, which is venue time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.alerts.message import Message, reaches
from agent.core.commands import Alert, AlertLevel

#: A CRITICAL sentence may be repeated sooner: somebody who missed it must hear it again.
_REPEAT_MS: Final = dict.fromkeys(AlertLevel, 600000.0) | {AlertLevel.CRITICAL: 60_000.0}
#: Sentences remembered; more than that many different ones within ten minutes are a flood of their own.
_REMEMBERED: Final = 500
_POSITIONS: Final = "position"


@dataclass(slots=True)
class Channel:
    """One way out. `put` never waits. `positions`: also what was bought and sold, whatever the level."""

    name: str
    level: AlertLevel
    positions: bool
    put: Callable[[Message], None]
    told: set[str] = field(default_factory=set)
    """Kinds of trouble this channel was told about, and not yet of their end."""

    def wants(self, alert: Alert) -> bool:
        if reaches(alert.level, self.level) or (self.positions and alert.kind == _POSITIONS):
            if reaches(alert.level, AlertLevel.ERROR):
                self.told.add(alert.kind)
            return True
        if alert.kind in self.told and alert.text.endswith(": over"):
            self.told.discard(alert.kind)
            return True
        return False


@dataclass(slots=True)
class _Said:
    at_ms: float
    since: int = 0


class Router:
    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._channels: list[Channel] = []
        self._said: OrderedDict[tuple[str, str], _Said] = OrderedDict()

    def add(self, channel: Channel) -> None:
        self._channels.append(channel)

    def route(self, alert: Alert, at_ms: int, now_ms: float) -> None:
        """`at_ms`: venue time, `now_ms`: machine time."""
        if not self._channels:
            return
        text = self._new_text(alert, now_ms)
        if text is None:
            return
        urgent = alert.level is AlertLevel.CRITICAL
        message = Message(self._redact(f"{alert.kind}: {text}"), at_ms, alert.level, urgent)
        for channel in self._channels:
            if channel.wants(alert):
                channel.put(message)

    def _new_text(self, alert: Alert, now_ms: float) -> str | None:
        """What to say; None while the same was said a moment ago."""
        key = (alert.kind, alert.text)
        said = self._said.pop(key, None)
        # An end belongs to the trouble that began anew, however soon.
        ends = alert.text.endswith(": over")
        if said is not None and not ends and now_ms - said.at_ms < _REPEAT_MS[alert.level]:
            said.since += 1
            self._said[key] = said
            return None
        self._said[key] = _Said(now_ms)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        text = alert.text.removeprefix(f"{alert.kind}: ")
        return text if said is None or not said.since else f"{text} (and {said.since} times more before)"
