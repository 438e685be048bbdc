"""Our client order ids in the form that each exchange takes, and back.

PURE. Stays true: the way back is exact for every id of ours, so that orders found at an exchange can be told
from strangers' by our mark, also those in no row of ours. An id of ours has 25 letters and digits that begin
with `s`; most exchanges take that as it is. Kraken takes 32 hexadecimal digits: the 24 others are a number
below 2^125, written with a first digit of `a` or `b`.
"""

from __future__ import annotations

import re
from typing import Final

from agent.core.order import base36

_OURS: Final = re.compile(r"s[0-9a-z]{24}")
_HEX: Final = re.compile(r"[ab][0-9a-f]{31}")
_MARK: Final = 0xA << 124


def as_hex(client_id: str) -> str:
    """For Kraken. Raises ValueError for an id that is not of our form."""
    if not _OURS.fullmatch(client_id):
        raise ValueError(f"{client_id!r} is no client order id of this agent")
    return f"{_MARK + int(client_id[1:], 36):032x}"


def from_hex(wire_id: str) -> str:
    """Our id again; any other text as it is."""
    if not _HEX.fullmatch(wire_id):
        return wire_id
    digits = base36(int(wire_id, 16) - _MARK)
    return f"s{digits.rjust(24, '0')}" if len(digits) <= 24 else wire_id
