"""One text for one content: what the hash of a configuration is taken over.

Keys sorted, no white space, every number in the one form that belongs to its value, so that 1, 1.0 and 10e-1
are the same. The text is JSON that `strict_json` reads back to an equal value; it does not depend on this
program's defaults, only on what the file says.
"""

from __future__ import annotations

import decimal
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal

from agent.config.findings import JsonValue

#: More digits than `strict_json` lets through, so that nothing is rounded here.
_EXACT = decimal.Context(prec=100)


def canonical(value: JsonValue) -> str:
    """The canonical text of a value that `strict_json` read."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return _number(Decimal(value))
        case str():
            return json.dumps(value)
        case Mapping():
            members = (f"{json.dumps(name)}:{canonical(value[name])}" for name in sorted(value))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"


def content_hash(text: str) -> str:
    """SHA-256 of a canonical text, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _number(value: Decimal) -> str:
    """The shorter of the plain and the scientific form, without padding zeros."""
    bare = value.normalize(_EXACT) if value else Decimal(0)
    return min(f"{bare:f}", f"{bare:E}", key=len)
