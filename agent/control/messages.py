"""Everything that may be said over the control channel, and how it looks on the wire.

The law: one JSON object per text frame, its `type` first among its keys. A client speaks `Hello`, then
`Request`; the server answers `Welcome`, then one `Reply` for each request and, after `subscribe`, pushes
`Snapshot` and `Notice`. The parsers believe nothing: whatever is not exactly one of these shapes is
`Unreadable`, with a reason that repeats none of the content. The hello and the three commands that work
between versions (`ALWAYS_ALLOWED`) never change their shape.

The channel is a local one: only code of the same user on the same machine, holding the token, gets here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

PROTOCOL: Final = 1
"""Raised by one whenever a message changes its shape or meaning."""

MAX_REQUEST_BYTES: Final = 16 * 1024
MAX_PUSH_BYTES: Final = 4 * 1024 * 1024
MAX_REQUEST_ID: Final = 2**53
CLIENT_HEADER: Final = "X-Agent-Client"
"""Names the client in the request that opens the channel, before its hello."""
COMMAND_LINE: Final = "command line"

Json: TypeAlias = Mapping[str, Any]


class CommandName(StrEnum):
    """What a client may ask. The spelling is the one of the command line."""

    STATUS = "status"
    SUBSCRIBE = "subscribe"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    EMERGENCY_STOP = "emergency-stop"
    CLEAR_HALT = "clear-halt"
    CLOSE = "close"


def command_named(text: str) -> CommandName | None:
    try:
        return CommandName(text)
    except ValueError:
        return None


#: What still works when the two sides are not of the same version.
ALWAYS_ALLOWED: Final = frozenset({CommandName.STATUS, CommandName.PAUSE, CommandName.EMERGENCY_STOP})


class Unreadable(Exception):  # noqa: N818 - a finding about the other side's message
    """A frame that is none of the messages; the text says which rule it broke."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What both sides must share: the protocol, the program and the schema of its store."""

    protocol: int
    program: str
    schema: str


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a client. `client` names it in the records, such as `command line`."""

    client: str
    versions: Versions


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to a hello. `matched` False: only the commands of `ALWAYS_ALLOWED` will work."""

    versions: Versions
    matched: bool
    pid: int


@dataclass(frozen=True, slots=True)
class Request:
    id: int
    command: str
    args: Json


@dataclass(frozen=True, slots=True)
class Answered:
    """The request was done; `result` is what it asked for, or the confirmation."""

    id: int
    result: Json


@dataclass(frozen=True, slots=True)
class Failed:
    """The request was not done. `text` says why, `fix` what to do about it."""

    id: int
    code: str
    text: str
    fix: str


Reply: TypeAlias = Answered | Failed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole published state. `seq` grows; numbers are missing where several were made into one."""

    seq: int
    state: Json


class NoticeKind(StrEnum):
    ALERT = "alert"
    LOG = "log"
    DECISION = "decision"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened, sent once and in order."""

    kind: NoticeKind
    body: Json


FromServer: TypeAlias = Welcome | Answered | Failed | Snapshot | Notice


def encode(message: Hello | Welcome | Request | Reply | Snapshot | Notice) -> str:
    return json.dumps(_document(message), separators=(",", ":"), allow_nan=False)


def _document(message: Hello | Welcome | Request | Reply | Snapshot | Notice) -> dict[str, Any]:
    match message:
        case Hello(client, versions):
            return {"type": "hello", "client": client} | _spelled(versions)
        case Welcome(versions, matched, pid):
            return {"type": "welcome", "matched": matched, "pid": pid} | _spelled(versions)
        case Request(number, command, args):
            return {"type": "request", "id": number, "command": command, "args": dict(args)}
        case Answered(number, result):
            return {"type": "reply", "id": number, "ok": True, "result": dict(result)}
        case Failed(number, code, text, fix):
            error = {"code": code, "text": text, "fix": fix}
            return {"type": "reply", "id": number, "ok": False, "error": error}
        case Snapshot(seq, state):
            return {"type": "snapshot", "seq": seq, "state": dict(state)}
        case Notice(kind, body):
            return {"type": "notice", "kind": kind.value, "body": dict(body)}


def _spelled(versions: Versions) -> dict[str, Any]:
    return {"protocol": versions.protocol, "program": versions.program, "schema": versions.schema}


def parse_hello(frame: str | bytes) -> Hello:
    fields = _fields(frame, "hello")
    return Hello(client=_name(fields, "client"), versions=_versions(fields))


def parse_request(frame: str | bytes) -> Request:
    fields = _fields(frame, "request")
    number = _whole(fields, "id")
    if not 0 <= number <= MAX_REQUEST_ID:
        raise Unreadable("id is out of range")
    return Request(number, _name(fields, "command"), _object(fields, "args"))


def parse_from_server(frame: str | bytes) -> FromServer:
    fields = _fields(frame, None)
    match fields.get("type"):
        case "welcome":
            return Welcome(_versions(fields), _flag(fields, "matched"), _whole(fields, "pid"))
        case "reply" if _flag(fields, "ok"):
            return Answered(_whole(fields, "id"), _object(fields, "result"))
        case "reply":
            error = _object(fields, "error")
            return Failed(
                _whole(fields, "id"), _text(error, "code"), _text(error, "text"), _text(error, "fix")
            )
        case "snapshot":
            return Snapshot(_whole(fields, "seq"), _object(fields, "state"))
        case "notice":
            return Notice(_notice_kind(fields), _object(fields, "body"))
        case _:
            raise Unreadable("type is none that is known")


def _fields(frame: str | bytes, expected: str | None) -> Json:
    try:
        document = json.loads(frame, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("not a JSON document") from None
    if not isinstance(document, dict):
        raise Unreadable("not a JSON object")
    if expected is not None and document.get("type") != expected:
        raise Unreadable(f"type is not {expected}")
    return document


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _notice_kind(fields: Json) -> NoticeKind:
    try:
        return NoticeKind(_text(fields, "kind"))
    except ValueError:
        raise Unreadable("kind is none that is known") from None


def _versions(fields: Json) -> Versions:
    return Versions(_whole(fields, "protocol"), _name(fields, "program"), _name(fields, "schema"))


def _name(fields: Json, key: str) -> str:
    text = _text(fields, key)
    if len(text) > 64 or not text.isprintable():
        raise Unreadable(f"{key} is longer than 64 characters or not printable")
    return text


def _text(fields: Json, key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise Unreadable(f"{key} is not text")
    return value


def _whole(fields: Json, key: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{key} is not a whole number")
    return value


def _flag(fields: Json, key: str) -> bool:
    value = fields.get(key)
    if not isinstance(value, bool):
        raise Unreadable(f"{key} is not true or false")
    return value


def _object(fields: Json, key: str) -> Json:
    value = fields.get(key)
    if not isinstance(value, dict):
        raise Unreadable(f"{key} is not an object")
    return value
