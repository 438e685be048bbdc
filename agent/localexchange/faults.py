"""Faults on order: which are set, what they match, how often they fired.

Belongs here: setting, matching and counting; the catalogue is in `fault_kinds`, what each fault does to a
request, a frame or an order stands in `faults_http`, `faults_stream` and `trading`. Stays true: a fault
does nothing to what it does not match; it fires `count` times at most and not after `for_ms`; firing is
counted. Times: `for_ms` is machine time, since faults disturb networks and sockets, except where the
catalogue says that it is the venue's (limits, maintenance, halts, filters, keys).

An entry of {"add": [...]}: {"id": text, "fault": "F9", "match": {"method", "path", "stream", "nth"},
"count": n, "for_ms": ms, "params": {...}}. `path` and `stream` are patterns with * and ?; `nth` lets the
first n-1 matches pass. `stream` is a market stream, `userDataStream` as a whole (F22, F27), or one kind of
its events: `executionReport.TRADE.*`, `listStatus`. A frame of the socket API is matched as the method WS
and the path /ws-api/v3/order.place. F21, F25 and F26 spoil frames, or answers when `path` or `method` is
given; F1 to F5 concern requests that need a key, and others only when `path` names them. Without `count`
and `for_ms` a fault fires once; F8, F22, a refusing F27 and F38 to F40 and F43 go on until they are
cleared. F38 to F43 begin when they are set, or with the request they match.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from agent.core.value import Value
from agent.localexchange.fault_kinds import CATALOGUE, KINDS, Kind


class BadFaultError(Exception):
    """A fault that cannot be set; the text says why."""


class Match(Value, frozen=True):
    """Which requests or streams a fault concerns; None matches all."""

    method: str | None = None
    path: str | None = None
    stream: str | None = None
    nth: int = 1

    def request(self, method: str, path: str) -> bool:
        if self.stream is not None:
            return False
        return (self.method is None or self.method == method) and (
            self.path is None or fnmatchcase(path, self.path)
        )

    def frames_of(self, stream: str) -> bool:
        return self.stream is None or fnmatchcase(stream, self.stream)


@dataclass(slots=True)
class Fault:
    """One fault that is set. `until` is on the clock of its kind."""

    id: str
    kind: str
    match: Match
    count: int | None
    for_ms: int | None
    params: dict[str, Any]
    until: float | None = None
    seen: int = 0
    fired: int = 0

    @property
    def variant(self) -> str:
        return str(self.params.get("variant", ""))

    @property
    def spent(self) -> bool:
        return self.count is not None and self.fired >= self.count


class FaultBoard:
    """The faults of one exchange. `machine_ms` and `venue_ms` are its two clocks."""

    def __init__(self, machine_ms: Callable[[], float], venue_ms: Callable[[], float]) -> None:
        self._machine_ms = machine_ms
        self._venue_ms = venue_ms
        self._faults: dict[str, Fault] = {}
        self._numbers = itertools.count(1)

    def add(self, entry: object) -> Fault:
        """Set a fault as described. Raises BadFaultError."""
        fault = _parsed(entry, f"fault-{next(self._numbers)}")
        if fault.id in self._faults:
            raise BadFaultError(f"there is a fault {fault.id!r} already; clear it first or choose another id")
        if fault.for_ms is not None:
            fault.until = self._clock_of(fault)() + fault.for_ms
        self._faults[fault.id] = fault
        return fault

    def clear(self, ident: str) -> list[Fault]:
        """Lift one fault, or "all". Raises BadFaultError for an id that is not set."""
        if ident == "all":
            cleared = list(self._faults.values())
            self._faults.clear()
            return cleared
        if ident not in self._faults:
            raise BadFaultError(f"there is no fault {ident!r}; set are: {', '.join(self._faults) or 'none'}")
        return [self._faults.pop(ident)]

    def active(self, fault: Fault) -> bool:
        """Set, not run out of time, not run out of count."""
        return (
            self._faults.get(fault.id) is fault
            and not fault.spent
            and (fault.until is None or self._clock_of(fault)() < fault.until)
        )

    @property
    def any_set(self) -> bool:
        """Whether it is worth asking for any."""
        return bool(self._faults)

    def of_kind(self, *kinds: str) -> list[Fault]:
        if not self._faults:
            return []
        return [f for f in self._faults.values() if f.kind in kinds and self.active(f)]

    def in_force(self, *kinds: str) -> list[Fault]:
        """Standing faults that have begun and are neither cleared nor over."""
        if not self._faults:
            return []
        return [
            f
            for f in self._faults.values()
            if f.kind in kinds and f.fired and (f.until is None or self._clock_of(f)() < f.until)
        ]

    def armed(self) -> list[Fault]:
        """Standing faults that wait for their request."""
        if not self._faults:
            return []
        return [
            f
            for f in self._faults.values()
            if KINDS[f.kind].scope == "standing" and not f.fired and self.active(f)
        ]

    def fire_on_request(self, kinds: tuple[str, ...], method: str, path: str) -> Fault | None:
        """The first fault that concerns this request, counted as fired."""
        for fault in self.of_kind(*kinds):
            if fault.kind == "F27" and fault.variant != "refuse":
                continue
            if fault.kind == "F21" and fault.match.method is None and fault.match.path is None:
                continue
            by_path_only = fault.kind in ("F25", "F26")
            if by_path_only and fault.match.path is None:
                continue
            if fault.match.request(method, path) and self.fire(fault):
                return fault
        return None

    def fire(self, fault: Fault) -> bool:
        """Count a match; False while the fault lets matches pass, and once it is spent."""
        fault.seen += 1
        if fault.seen < fault.match.nth or fault.spent:
            return False
        fault.fired += 1
        return True

    def fire_on_event(self, kinds: tuple[str, ...], name: str) -> Fault | None:
        """The first fault that concerns this event of the user stream, counted as fired."""
        for fault in self.of_kind(*kinds):
            by_request_only = fault.match.method is not None or fault.match.path is not None
            if not by_request_only and fault.match.frames_of(name) and self.fire(fault):
                return fault
        return None

    def described(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f.id,
                "fault": f.kind,
                "title": KINDS[f.kind].title,
                "match": {
                    "method": f.match.method,
                    "path": f.match.path,
                    "stream": f.match.stream,
                    "nth": f.match.nth,
                },
                "count": f.count,
                "for_ms": f.for_ms,
                "params": f.params,
                "fired": f.fired,
                "active": self.active(f),
            }
            for f in self._faults.values()
        ]

    def _clock_of(self, fault: Fault) -> Callable[[], float]:
        return self._venue_ms if KINDS[fault.kind].venue_time else self._machine_ms


def _parsed(entry: object, spare_id: str) -> Fault:
    if not isinstance(entry, dict):
        raise BadFaultError(f"a fault is an object, not {entry!r}")
    _only(entry, ("id", "fault", "match", "count", "for_ms", "params"), "a fault")
    name = entry.get("fault")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadFaultError(_no_such_fault(name))
    count, for_ms = _whole(entry, "count"), _whole(entry, "for_ms")
    params = _params(str(name), kind, entry.get("params", {}))
    lasting = kind.lasting or (name == "F27" and params["variant"] == "refuse")
    if count is None and for_ms is None and not lasting:
        count = 1
    ident = entry.get("id", spare_id)
    if not isinstance(ident, str) or not ident or ident == "all":
        raise BadFaultError(f"the id of a fault is a text other than 'all', not {ident!r}")
    return Fault(ident, str(name), _match(entry.get("match", {})), count, for_ms, params)


def _no_such_fault(name: object) -> str:
    offered = ", ".join(KINDS)
    if name in CATALOGUE:
        return f"{name} is not the venue's to commit; this exchange has {offered}"
    return f"there is no fault {name!r}; this exchange has {offered}"


def _params(name: str, kind: Kind, given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadFaultError(f"the params of {name} are an object, not {given!r}")
    _only(given, tuple(kind.defaults), f"the params of {name}")
    for key, value in given.items():
        wanted = type(kind.defaults[key])
        fits = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise BadFaultError(f"the param {key} of {name} is a {wanted.__name__}, not {value!r}")
    params = {**kind.defaults, **given}
    if kind.variants and params["variant"] not in kind.variants:
        variants = ", ".join(kind.variants)
        raise BadFaultError(f"{name} has no variant {params['variant']!r}; it has {variants}")
    return params


def _match(given: object) -> Match:
    if not isinstance(given, dict):
        raise BadFaultError(f"match is an object, not {given!r}")
    _only(given, ("method", "path", "stream", "nth"), "match")
    for key in ("method", "path", "stream"):
        if not isinstance(given.get(key, ""), str):
            raise BadFaultError(f"{key} in match is a text, not {given[key]!r}")
    nth = _whole(given, "nth")
    return Match(given.get("method"), given.get("path"), given.get("stream"), 1 if nth is None else nth)


def _whole(given: Mapping[str, Any], key: str) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadFaultError(f"{key} is a whole number from 1, not {value!r}")
    return value


def _only(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in given:
        if key not in known:
            raise BadFaultError(f"{what} has no {key!r}; it takes {', '.join(known) or 'nothing'}")
