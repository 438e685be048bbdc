"""Faults that last: maintenance, halted symbols, other filters, lost permissions, other hands on the account.

Belongs here: how such a fault begins, what holds while it is in force, and its end. Stays true: what an
operator sets is in force from then on, or from the request it waits for; when it is cleared or its time is
over the listing is as it was before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from agent.core.money import money
from agent.core.value import replace
from agent.localexchange.faults import BadFaultError, Fault, FaultBoard
from agent.localexchange.parameters import RejectionError
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.strangers import StrangerError, Strangers
from agent.localexchange.venue.listing import Listing, listing_of
from agent.localexchange.venue.words import SymbolStatus

_AMOUNTS: Final = (
    "tick",
    "step",
    "min_price",
    "max_price",
    "min_qty",
    "max_qty",
    "market_max_qty",
    "min_notional",
    "max_notional",
    "max_position",
)
_COUNTS: Final = ("max_orders", "max_algo_orders", "max_lists")
_NOTIONAL_FILTERS: Final = ("NOTIONAL", "MIN_NOTIONAL")
#: Faults that change how symbols are listed.
_LISTING_FAULTS: Final = ("F38", "F39", "F40")


class Standing:
    """`terminate` ends the subscriptions of the user stream."""

    def __init__(
        self, board: FaultBoard, desk: Desk, strangers: Strangers, terminate: Callable[[], None]
    ) -> None:
        self._board = board
        self._desk = desk
        self._strangers = strangers
        self._terminate = terminate
        self._changed = False

    # -- beginning -----------------------------------------------------------------------------------

    def set(self, fault: Fault) -> None:
        """A fault was added: begin now, unless it waits for a request. Raises BadFaultError."""
        try:
            if fault.kind == "F40":
                _changes(fault)
            if fault.kind == "F41":
                self._strangers.check(fault.params)
            if fault.match.method is None and fault.match.path is None:
                self._begin(fault)
        except (BadFaultError, StrangerError) as error:
            self._board.clear(fault.id)
            raise BadFaultError(str(error)) from None

    def passes(self, method: str, path: str) -> None:
        """A request comes by: whatever waited for it begins."""
        if not self._changed and not self._board.any_set:
            return
        for fault in self._board.armed():
            if fault.match.request(method, path):
                # Who comes too late, or with too little money, has done nothing.
                with contextlib.suppress(StrangerError):
                    self._begin(fault)
        self.refresh()

    def _begin(self, fault: Fault) -> None:
        if not self._board.fire(fault):
            return
        now_ms = self._desk.catch_up()
        match fault.kind:
            case "F38" if fault.params["expire_orders"]:
                self._expire_orders(None, now_ms)
            case "F39" if fault.variant == "DELISTED":
                self._expire_orders(self._symbol_of(fault), now_ms)
            case "F41":
                self._strangers.act(fault.params)
            case "F42":
                self._desk.wipe(now_ms)
            case "F43" if fault.params["terminate"] and fault.variant != "trading":
                self._terminate()
        self.refresh()
        self._desk.publish()

    def _expire_orders(self, symbol: str | None, now_ms: int) -> None:
        for instrument in self._desk.market:
            name = instrument.pair.symbol
            if symbol in (None, name) and self._desk.market.find(name) is not None:
                self._desk.venue.expire_all(self._desk.prices(name, now_ms))

    # -- while in force ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring all listings in line with the faults in force."""
        faults = self._board.in_force(*_LISTING_FAULTS)
        if not faults and not self._changed:
            return
        self._changed = bool(faults)
        self._desk.market.in_maintenance = any(fault.kind == "F38" for fault in faults)
        for instrument in self._desk.market:
            instrument.listing = listing_of(instrument.pair)
            instrument.delisted = False
            for fault in faults:
                if fault.kind == "F38" and fault.variant == "closed":
                    instrument.listing = replace(instrument.listing, status=SymbolStatus.BREAK)
                elif fault.kind != "F38" and self._symbol_of(fault) == instrument.pair.symbol:
                    if fault.kind == "F40":
                        instrument.listing = _changed(instrument.listing, fault)
                    elif fault.variant == "DELISTED":
                        instrument.delisted = True
                    else:
                        status = SymbolStatus(fault.variant)
                        instrument.listing = replace(instrument.listing, status=status)

    @property
    def unavailable(self) -> bool:
        """Whether nobody is answered."""
        board = self._board
        return board.any_set and any(fault.variant == "unavailable" for fault in board.in_force("F38"))

    def must_be_allowed(self, *, trading: bool) -> None:
        """Raises RejectionError while the key, its address or its permission to trade is lost."""
        for fault in self._board.in_force("F43"):
            if trading or fault.variant != "trading":
                raise RejectionError(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def _symbol_of(self, fault: Fault) -> str:
        return str(fault.params["symbol"]) or self._desk.market.main.pair.symbol


def _changed(listing: Listing, fault: Fault) -> Listing:
    return replace(listing, **_changes(fault))


def _changes(fault: Fault) -> dict[str, Any]:
    """What F40 changes. Raises BadFaultError."""
    changes: dict[str, Any] = {
        name: _amount(name, fault.params[name]) for name in _AMOUNTS if fault.params[name] != ""
    }
    changes |= {name: fault.params[name] for name in _COUNTS if fault.params[name]}
    kind = fault.params["notional_filter"]
    if kind:
        if kind not in _NOTIONAL_FILTERS:
            raise BadFaultError(f"notional_filter of F40 is NOTIONAL or MIN_NOTIONAL, not {kind!r}")
        changes["notional_filter"] = kind
    return changes


def _amount(name: str, text: object) -> Decimal:
    try:
        value = money(str(text))
    except ValueError:
        value = Decimal(-1)
    if value < 0 or (name in ("tick", "step") and value == 0):
        raise BadFaultError(f"the param {name} of F40 is an amount as text, not {text!r}")
    return value
