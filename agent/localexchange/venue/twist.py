"""The hand of fate in one order.

Belongs here: what may go otherwise than the market alone would have it, as values. Stays true: a twist
changes which of the possible things happens, never what they mean: books stay balanced, reports truthful.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.value import Value
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.words import Status


class Twist(Value, frozen=True):
    """`share` of the quantity is filled, in about `pieces` fills, and the rest ends as `rest_ends`.

    `refusal` is answered instead of executing. `bnb_fills`: how many of the order's fills pay their
    commission in BNB (None: all that can). `fee_rate` replaces the account's. `doubled`: the engine executes
    the order twice. `pending_refusal`: why the pending legs of a list are rejected when their time comes.
    """

    share: Decimal | None = None
    pieces: int = 1
    rest_ends: Status = Status.EXPIRED
    refusal: RefusedError | None = None
    bnb_fills: int | None = None
    fee_rate: Decimal | None = None
    doubled: bool = False
    pending_refusal: RefusedError | None = None


NO_TWIST: Final = Twist()
