"""Opening a signed request: key, time, signature, in this order.

Belongs here: what every signed request must carry, whether it came as query, form or frame. Stays true: the
signature is checked over the bytes as they came, without the signature itself; recvWindow and its tolerance
are machine time: at a speed of X they are X times as long in venue time, as a client's network is not faster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from agent.core.value import Value
from agent.localexchange.parameters import Parameters, RejectionError, form_pairs
from agent.localexchange.trading.credentials import Credentials

DEFAULT_WINDOW_MS: Final = 5_000
_LONGEST_WINDOW_MS: Final = 60_000
_AHEAD_MS: Final = 1_000
_SIGNATURE: Final = re.compile(rb"(?:^|&)signature=[^&]*")
_WINDOW: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
#: Parameters of a frame that are signed with the others but are none of the request's own.
_OF_THE_FRAME: Final = ("apiKey", "returnRateLimits")
_MICROSECONDS: Final = 10**15


class Raw(Value, frozen=True):
    """A request before anything is believed of it: `payload` is what was signed."""

    pairs: list[tuple[str, str]]
    payload: bytes

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key == name), None)


def raw_of_http(query: bytes, body: bytes, asked: list[tuple[str, str]] | None = None) -> Raw:
    """Query string and form together; the query's value counts where both name a parameter.

    `asked` is what the query says, where it was read already.
    """
    asked, signed = _pairs(query) if asked is None else asked, _without_signature(query)
    if not body:
        return Raw(asked, signed)
    names = {name for name, _ in asked}
    pairs = [*asked, *((name, value) for name, value in _pairs(body) if name not in names)]
    return Raw(pairs, signed + _without_signature(body))


def raw_of_frame(params: Mapping[str, str]) -> Raw:
    """A frame's parameters, signed in alphabetical order and as plain text."""
    signed = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
    pairs = [(name, value) for name, value in params.items() if name not in _OF_THE_FRAME]
    return Raw(pairs, signed.encode())


def _pairs(form: bytes) -> list[tuple[str, str]]:
    return form_pairs(form.decode("utf-8", "replace"))


def _without_signature(form: bytes) -> bytes:
    signed, found, after = form.rpartition(b"&signature=")
    if found and b"&" not in after and b"signature=" not in signed:
        # One, at the end, where nearly everybody puts it: nothing to search for.
        return signed.removeprefix(b"&")
    return _SIGNATURE.sub(b"", form).removeprefix(b"&")


def check_key(credentials: Credentials, key: str | None) -> None:
    """Raises RejectionError for a key that is none, or somebody else's."""
    if not key:
        raise RejectionError(-2014, "API-key format invalid.", 401)
    if key != credentials.key:
        raise RejectionError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def opened(credentials: Credentials, raw: Raw, now_ms: int, speed: float) -> Parameters:
    """The parameters of a request whose time and signature are right. Raises RejectionError."""
    parameters = Parameters(raw.pairs)
    signature = parameters.required("signature")
    check_time(raw, now_ms, speed, parameters)
    if not credentials.holds(raw.payload, signature):
        raise RejectionError(-1022, "Signature for this request is not valid.")
    return parameters


def check_time(raw: Raw, now_ms: int, speed: float, parameters: Parameters) -> None:
    """Raises RejectionError for a request from the future, or too late."""
    parameters.required("timestamp")
    timestamp = parameters.whole("timestamp")
    assert timestamp is not None
    if timestamp >= _MICROSECONDS:
        timestamp //= 1_000
    window_ms = _window_ms(parameters)
    if timestamp >= now_ms + _AHEAD_MS * speed:
        raise RejectionError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window_ms * speed:
        raise RejectionError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _window_ms(parameters: Parameters) -> float:
    text = parameters.text("recvWindow")
    return DEFAULT_WINDOW_MS if text is None else _window_of(text)


@lru_cache(maxsize=16)
def _window_of(text: str) -> float:
    """Who asks sends the same one again and again."""
    if not _WINDOW.fullmatch(text):
        raise RejectionError(
            -1100,
            "Illegal characters found in parameter 'recvWindow'; "
            "legal range is '^([0-9]{1,6})(\\.[0-9]{1,3})?$'.",
        )
    if Decimal(text) > _LONGEST_WINDOW_MS:
        raise RejectionError(-1131, "'recvWindow' must be less than 60000.")
    return float(text)


def window_edge_ms(raw: Raw, speed: float) -> int | None:
    """The venue time at which the request becomes too old; None when it does not say."""
    timestamp, window = raw.first("timestamp"), raw.first("recvWindow") or str(DEFAULT_WINDOW_MS)
    if timestamp is None or not timestamp.isdigit() or not _WINDOW.fullmatch(window):
        return None
    return int(timestamp) + int(float(window) * speed)
