"""Request weights and bans, as Binance counts them.

Belongs here: the counter of one address (everybody on loopback is one), the answers 429 and 418. Stays
true: everything is counted in venue time, per venue minute; a client that goes on after a 429 is banned,
longer each time. Retry-After is in seconds of venue time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.localexchange.intervals import MINUTE_MS

WEIGHT_PER_MINUTE: Final = 6_000
#: Requests answered 429 before the address is banned.
_PATIENCE: Final = 5
_FIRST_BAN_MS: Final = 2 * MINUTE_MS
_LONGEST_BAN_MS: Final = 3 * 1_440 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not even looked at."""

    status: int
    retry_after_s: int
    text: str


class RequestLimits:
    """Weight used in this venue minute, and whether the address is held off or banned."""

    def __init__(self) -> None:
        self._minute = 0
        self._used = 0
        self._held_until_ms = 0
        self._banned_until_ms = 0
        self._ignored = 0
        self._next_ban_ms = _FIRST_BAN_MS

    def used(self, now_ms: int) -> int:
        self._turn(now_ms)
        return self._used

    def admit(self, weight: int, now_ms: int) -> Refusal | None:
        """Count one request. None when it may go on."""
        self._turn(now_ms)
        if now_ms < self._banned_until_ms:
            return self._ban_notice(now_ms)
        self._used += weight
        if self._used > WEIGHT_PER_MINUTE:
            self._held_until_ms = max(self._held_until_ms, (self._minute + 1) * MINUTE_MS)
        if now_ms < self._held_until_ms:
            self._ignored += 1
            if self._ignored > _PATIENCE:
                self.ban(self._next_ban_ms, now_ms)
                self._next_ban_ms = min(_LONGEST_BAN_MS, self._next_ban_ms * 2)
                return self._ban_notice(now_ms)
            return Refusal(
                429,
                _seconds_until(self._held_until_ms, now_ms),
                f"Too much request weight used; current limit is {WEIGHT_PER_MINUTE} request weight per "
                "1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
            )
        self._ignored = 0
        return None

    def hold(self, for_ms: int, now_ms: int) -> None:
        """Answer 429 for a while."""
        self._held_until_ms = max(self._held_until_ms, now_ms + for_ms)

    def ban(self, for_ms: int, now_ms: int) -> None:
        """Answer 418 for a while."""
        self._banned_until_ms = max(self._banned_until_ms, now_ms + for_ms)

    def pardon(self) -> None:
        """Forget holds and bans."""
        self._held_until_ms = self._banned_until_ms = self._ignored = 0

    def _ban_notice(self, now_ms: int) -> Refusal:
        return Refusal(
            418,
            _seconds_until(self._banned_until_ms, now_ms),
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )

    def _turn(self, now_ms: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._used = minute, 0


def _seconds_until(until_ms: int, now_ms: int) -> int:
    return max(1, -(-(until_ms - now_ms) // 1_000))
