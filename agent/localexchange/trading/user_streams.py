"""Who listens to the account's events.

Belongs here: subscriptions of all sockets, and the way of an event to them. Stays true: every subscription
gets every event from its beginning to its end, in order, each with its own `subscriptionId`; what faults do
to an event they do once, for all listeners alike.
"""

from __future__ import annotations

from typing import Protocol

from agent.core.value import Value
from agent.localexchange.trading.event_faults import EventFaults
from agent.localexchange.trading.wire_events import event_of, terminated
from agent.localexchange.venue.events import News
from agent.localexchange.wire import Json


class Listener(Protocol):
    """A socket, as this module sees it."""

    def push_event(self, frame: Json) -> None:
        """Queue a frame; never waits."""

    def next_subscription(self) -> int:
        """A number this socket has not given to a subscription yet."""


class Subscription(Value, frozen=True):
    listener: Listener
    id: int


class UserStreams:
    def __init__(self, faults: EventFaults) -> None:
        self._faults = faults
        self._subscriptions: list[Subscription] = []

    def subscribe(self, subscription: Subscription) -> None:
        self._subscriptions.append(subscription)

    def unsubscribe(self, listener: Listener, subscription_id: int | None, now_ms: int) -> bool:
        """End one subscription of a socket, or all of them. False when there is none."""
        ended = [s for s in self._subscriptions if s.listener is listener and subscription_id in (None, s.id)]
        self._end(ended, now_ms)
        return bool(ended)

    def leave(self, listener: Listener) -> None:
        """The socket is gone."""
        self._subscriptions = [s for s in self._subscriptions if s.listener is not listener]

    def terminate_all(self, now_ms: int) -> None:
        """The key lost its right to listen."""
        self._end(list(self._subscriptions), now_ms)

    def ids_of(self, listener: Listener) -> list[int]:
        return [s.id for s in self._subscriptions if s.listener is listener]

    def publish(self, news: News) -> None:
        """Tell all subscribers."""
        if self._subscriptions:
            self._faults.spoilt(event_of(news), self._send)

    def _send(self, event: Json) -> None:
        for subscription in list(self._subscriptions):
            subscription.listener.push_event({"subscriptionId": subscription.id, "event": event})

    def _end(self, ended: list[Subscription], now_ms: int) -> None:
        for subscription in ended:
            self._subscriptions.remove(subscription)
            frame = {"subscriptionId": subscription.id, "event": terminated(now_ms)}
            subscription.listener.push_event(frame)
