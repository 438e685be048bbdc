"""What faults do to frames, and to klines over REST where both must agree.

Belongs here: withholding, doubling, swapping and spoiling of events. Stays true: the market itself is never
changed: a frame is spoilt on its way out, and REST tells the truth unless a fault says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from agent.localexchange.faults import Fault, FaultBoard
from agent.localexchange.pairs import Pair
from agent.localexchange.stream_names import KlineStream, Stream

_KLINE_FIELDS: Final = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_ROW_PLACES: Final = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
#: What "close" means in events that are no klines: the first of these keys that they have.
_PRICE_KEYS: Final = ("c", "p", "b", "lastPrice", "price", "bidPrice")


class FrameFaults:
    """Applies the board's faults to events on their way to the listeners."""

    def __init__(self, board: FaultBoard, venue_ms: Callable[[], int]) -> None:
        self._board = board
        self._venue_ms = venue_ms
        self._late: list[tuple[int, str, bytes]] = []
        self._held: dict[str, list[bytes]] = {}
        self._gone: dict[str, set[int]] = {}

    def frames(self, stream: Stream, event: Any) -> list[bytes]:
        """The payloads to send for `event`, in order; none when it is withheld."""
        bar = event["k"] if isinstance(stream, KlineStream) else None
        if bar is not None and int(bar["t"]) in self._gone.get(stream.name, ()):
            return []
        payloads = [orjson.dumps(event)]
        closed = bar is not None and bool(bar["x"])
        if closed and stream.name in self._held:
            payloads += self._held.pop(stream.name)
        for fault in self._board.of_kind("F22", "F23", "F24", "F25", "F26"):
            if fault.match.path is None and fault.match.frames_of(stream.name):
                payloads = self._apply(fault, stream, event, closed, payloads)
        return payloads

    def due(self) -> list[tuple[str, bytes]]:
        """Late copies whose time has come: stream name and payload."""
        if not self._late:
            return []
        now_ms = self._venue_ms()
        ready = [(name, payload) for at, name, payload in self._late if at <= now_ms]
        self._late = [late for late in self._late if late[0] > now_ms]
        return ready

    def _apply(
        self, fault: Fault, stream: Stream, event: Any, closed: bool, payloads: list[bytes]
    ) -> list[bytes]:
        match fault.kind:
            case "F22" if fault.params["new_sockets"]:
                return [] if self._board.fire(fault) else payloads
            case "F23" if closed:
                return [] if self._board.fire(fault) else payloads
            case "F24" if closed and isinstance(stream, KlineStream):
                return self._differing(fault, stream, event, payloads)
            case "F25" if isinstance(stream, KlineStream):
                return self._out_of_line(fault, stream, event, closed, payloads)
            case "F26":
                return self._impossible(fault, event, payloads)
        return payloads

    def _differing(self, fault: Fault, stream: KlineStream, event: Any, payloads: list[bytes]) -> list[bytes]:
        if not self._board.fire(fault):
            return payloads
        other = orjson.dumps(_moved(stream.instrument.pair, event, int(fault.params["ticks"])))
        if fault.variant == "late_copy":
            self._late.append((self._venue_ms() + int(fault.params["delay_ms"]), stream.name, other))
            return payloads
        return [other]

    def _out_of_line(
        self, fault: Fault, stream: KlineStream, event: Any, closed: bool, payloads: list[bytes]
    ) -> list[bytes]:
        if fault.variant == "gap":
            return self._gap(fault, stream, int(event["k"]["t"]), payloads)
        if not closed or not self._board.fire(fault):
            return payloads
        if fault.variant == "duplicate":
            return payloads * 2
        if fault.variant == "zero_volume":
            zero = dict.fromkeys(("v", "q", "V", "Q"), "0.00000000")
            return [orjson.dumps({**event, "k": {**event["k"], **zero, "n": 0}})]
        # Out of order: the next bar's closing frame takes this one along behind it.
        self._held[stream.name] = payloads
        return []

    def _gap(self, fault: Fault, stream: KlineStream, open_ms: int, payloads: list[bytes]) -> list[bytes]:
        """Withhold a bar from its first frame to its last, as if it had not been."""
        if not self._board.fire(fault):
            return payloads
        self._gone.setdefault(stream.name, set()).add(open_ms)
        if fault.params["rest"]:
            stream.instrument.tape.hide(stream.interval, open_ms)
        return []

    def _impossible(self, fault: Fault, event: Any, payloads: list[bytes]) -> list[bytes]:
        if not isinstance(event, dict) or not self._board.fire(fault):
            return payloads
        if fault.variant == "garbage":
            return [b"\x7b not json at all ]"]
        if fault.variant == "unknown_event":
            return [
                *payloads,
                orjson.dumps({"e": "somethingNew", "E": self._venue_ms(), "s": event.get("s")}),
            ]
        if "k" in event:
            return [orjson.dumps({**event, "k": spoilt_event(fault, event["k"])})]
        return [orjson.dumps(spoilt_event(fault, event))]


def _moved(pair: Pair, event: Any, ticks: int) -> Any:
    """The same closed bar with another close, `ticks` higher, and a high that allows it."""
    k = event["k"]
    units = int(Decimal(k["c"]) / pair.tick) + ticks
    close = pair.price_text(units)
    return {**event, "k": {**k, "c": close, "h": max(k["h"], close, key=Decimal)}}


def _wrong(variant: str, right: str, factor: float) -> str:
    match variant:
        case "nan":
            return "NaN"
        case "negative":
            return f"-{right}"
        case "overflow":
            return "1e999"
        case _:
            return f"{Decimal(right) * Decimal(str(factor)):.8f}"


def spoilt_event(fault: Fault, event: dict[str, Any]) -> dict[str, Any]:
    """One number of an event made impossible, or gone."""
    field = str(fault.params["field"])
    key = _KLINE_FIELDS.get(field, field)
    if key not in event or isinstance(event[key], list | dict):
        key = next((k for k in _PRICE_KEYS if k in event), key)
    if fault.variant == "missing_field":
        return {k: v for k, v in event.items() if k != key}
    if fault.variant == "high_below_low" and "h" in event and "l" in event:
        return {**event, "h": event["l"], "l": event["h"]}
    if not isinstance(event.get(key), str):
        return event
    return {**event, key: _wrong(fault.variant, event[key], float(fault.params["factor"]))}


def spoilt_answer(fault: Fault, body: Any) -> Any:
    """The same over REST: the last kline or object of a list is spoilt, or klines are put out of line."""
    if isinstance(body, dict):
        return spoilt_event(fault, body)
    if not isinstance(body, list) or not body:
        return body
    if fault.kind == "F25":
        return _disordered(fault.variant, body)
    *rest, last = body
    return [*rest, _row(fault, last) if _is_row(last) else spoilt_answer(fault, last)]


def _disordered(variant: str, rows: list[Any]) -> list[Any]:
    """Klines with the last but two missing, doubled, swapped with its neighbour, or empty."""
    place = max(0, len(rows) - 3)
    before, row, after = rows[:place], rows[place], rows[place + 1 :]
    match variant:
        case "gap":
            return before + after
        case "duplicate":
            return [*before, row, row, *after]
        case "out_of_order":
            return [*before, *after[:1], row, *after[1:]]
        case _:
            return [*before, [*row[:5], "0.00000000", row[6], "0.00000000", 0, *row[9:]], *after]


def _is_row(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 12


def _row(fault: Fault, row: list[Any]) -> list[Any]:
    spoilt = list(row)
    if fault.variant == "high_below_low":
        spoilt[2], spoilt[3] = row[3], row[2]
    elif fault.variant == "missing_field":
        spoilt = spoilt[:4]
    else:
        place = _ROW_PLACES.get(str(fault.params["field"]), 4)
        spoilt[place] = _wrong(fault.variant, row[place], float(fault.params["factor"]))
    return spoilt
