"""What waits to leave by one channel: bounded, paced, and honest about what it left out. No input or output.

Belongs here: the order (what is urgent first), the pace (a few at once, then one every `refill_ms`), the
digest that everything ordinary becomes when it waits, and the silence a server asked for. Stays true: it
holds at most `capacity` messages of each kind; when that is not enough the oldest goes and is counted. Times
are machine time in milliseconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.alerts.message import Message, Post, digest


@dataclass(frozen=True, slots=True)
class Pace:
    """`burst` posts at once, then one every `refill_ms`."""

    burst: int
    refill_ms: float


class Outbox:
    def __init__(self, pace: Pace, now_ms: float, capacity: int = 100) -> None:
        self._pace = pace
        self._capacity = capacity
        self._urgent: deque[Message] = deque()
        self._ordinary: deque[Message] = deque()
        self._dropped = 0
        self._tokens = float(pace.burst)
        self._counted_ms = now_ms
        self._silent_until_ms = now_ms
        self.dropped_ever = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary)

    def put(self, message: Message) -> None:
        """Never waits and never fails."""
        queue = self._urgent if message.urgent else self._ordinary
        if len(queue) >= self._capacity:
            queue.popleft()
            self._dropped += 1
            self.dropped_ever += 1
        queue.append(message)

    def be_silent(self, until_ms: float) -> None:
        """The server asked for it: nothing leaves before, not even what is urgent."""
        self._silent_until_ms = max(self._silent_until_ms, until_ms)

    def wait_ms(self, now_ms: float) -> float | None:
        """Until when there is something to take: 0 for now, None while there is nothing."""
        if not len(self):
            return None
        self._refill(now_ms)
        lacking = max(0.0, 1.0 - self._tokens) * self._pace.refill_ms
        return max(self._silent_until_ms - now_ms, lacking, 0.0)

    def take(self, now_ms: float) -> tuple[Post, tuple[Message, ...]]:
        """The next post, and the messages in it, to be given back if it cannot be sent."""
        assert self.wait_ms(now_ms) == 0, "nothing may leave yet"
        self._tokens -= 1
        if self._urgent:
            message = self._urgent.popleft()
            level = None if message.at_ms is None else message.level
            return Post(message.line, level, message.buttons), (message,)
        messages = tuple(self._ordinary)
        self._ordinary.clear()
        post = digest(messages, self._dropped)
        self._dropped = 0
        return post, messages

    def give_back(self, messages: tuple[Message, ...]) -> None:
        """What could not be sent, at its old place; the bound holds all the same."""
        for message in reversed(messages):
            queue = self._urgent if message.urgent else self._ordinary
            if len(queue) < self._capacity:
                queue.appendleft(message)
            else:
                self._dropped += 1
                self.dropped_ever += 1

    def withdraw(self) -> tuple[Message, ...]:
        """Everything but answers, oldest first; it waits here no more."""
        taken = [m for queue in (self._urgent, self._ordinary) for m in queue if not m.is_answer]
        self._urgent = deque(m for m in self._urgent if m.is_answer)
        self._ordinary = deque(m for m in self._ordinary if m.is_answer)
        return tuple(sorted(taken, key=lambda m: m.at_ms or 0))

    def _refill(self, now_ms: float) -> None:
        gained = max(0.0, now_ms - self._counted_ms) / self._pace.refill_ms
        self._tokens = min(float(self._pace.burst), self._tokens + gained)
        self._counted_ms = now_ms
