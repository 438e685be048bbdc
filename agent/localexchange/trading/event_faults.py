"""What faults do to the events of the user stream.

Belongs here: doubling, dropping, holding back and spoiling of events on their way out. Stays true: the
venue is never changed; an event that is held back leaves right after the next one it waits for, or after
`hold_ms` of machine time, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from agent.localexchange.faults import Fault, FaultBoard
from agent.localexchange.trading.wire_events import event_name
from agent.localexchange.wire import Json

#: The name under which faults of streams know the whole user stream.
STREAM: Final = "userDataStream"
#: Which events a reordering holds back, by variant.
_HELD: Final = {"fill_before_ack": "NEW", "cancel_before_fill": "TRADE"}


@dataclass(frozen=True, slots=True)
class _Held:
    event: Json
    fault: Fault


class EventFaults:
    """`later` calls a function after so many machine milliseconds."""

    def __init__(self, board: FaultBoard, later: Callable[[int, Callable[[], None]], None]) -> None:
        self._board = board
        self._later = later
        self._held: list[_Held] = []

    def spoilt(self, event: Json, send: Callable[[Json], None]) -> None:
        """Send what becomes of `event`: it, nothing, more, something else, or all of that later."""
        name = event_name(event)
        if self._silenced():
            return
        released = [held for held in self._held if _waits_for(held, event)]
        self._held = [held for held in self._held if held not in released]
        if not released and self._hold(event, name, send):
            return
        if self._board.fire_on_event(("F12",), name) is None:
            doubled = self._board.fire_on_event(("F11",), name)
            for _ in range(1 if doubled is None else max(1, int(doubled.params["times"]))):
                send(self._strange(event, name))
        for held in released:
            send(held.event)

    def _silenced(self) -> bool:
        """Whether a silence of all sockets, old and new, swallows this event."""
        for fault in self._board.of_kind("F22"):
            concerns = fault.match.path is None and fault.match.frames_of(STREAM)
            if fault.params["new_sockets"] and concerns and self._board.fire(fault):
                return True
        return False

    def _hold(self, event: Json, name: str, send: Callable[[Json], None]) -> bool:
        for fault in self._board.of_kind("F13"):
            wanted = _HELD.get(fault.variant)
            by_request_only = fault.match.method is not None or fault.match.path is not None
            if by_request_only or not fault.match.frames_of(name):
                continue
            if wanted is not None and event.get("x") != wanted:
                continue
            if self._board.fire(fault):
                held = _Held(event, fault)
                self._held.append(held)
                self._later(int(fault.params["hold_ms"]), partial(self._release, held, send))
                return True
        return False

    def _release(self, held: _Held, send: Callable[[Json], None]) -> None:
        """Nothing came that it waited for."""
        if held in self._held:
            self._held.remove(held)
            send(held.event)

    def _strange(self, event: Json, name: str) -> Json:
        fault = self._board.fire_on_event(("F21",), name)
        return event if fault is None else strange_event(fault, event)


def _waits_for(held: _Held, event: Json) -> bool:
    """A swap waits for any event, the other reorderings for the next one of the same order."""
    if held.fault.variant == "swap":
        return True
    return event.get("e") == "executionReport" and event["i"] == held.event["i"]


def strange_event(fault: Fault, event: Json) -> Json:
    """An event with something in it that nobody has heard of."""
    value = str(fault.params["value"])
    match fault.variant:
        case "status" if "X" in event:
            return {**event, "X": value}
        case "execution" if "x" in event:
            return {**event, "x": value}
        case "event":
            return {**event, "e": value}
        case _:
            return {**event, "zz": value, "newThing": {"deep": [1, None, value]}}


def strange_answer(fault: Fault, body: object) -> object:
    """The same for an answer of REST: every order in it, at any depth."""
    if isinstance(body, list):
        return [strange_answer(fault, item) for item in body]
    if not isinstance(body, dict):
        return body
    told = {key: strange_answer(fault, value) for key, value in body.items()}
    value = str(fault.params["value"])
    if fault.variant == "field":
        return {**told, "newThing": {"deep": [1, None, value]}}
    return {**told, "status": value} if "status" in told and "orderId" in told else told
