"""Cash that came from outside or went there, by the venue's books and by the ledger's.

Belongs here: invariant 4 of flows: the ledger books what came from outside, and nothing else at any moment.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from agent.core.money import ZERO
from agent.core.state import AgentState
from agent.simulation.witness.violation import Violation

if TYPE_CHECKING:
    from agent.simulation.world import World

#: A flow is read up to ten seconds after it was told, must stand for 35, and is read again after fifteen.
KNOWN_AFTER_MS: Final = 60_000
_FLOW: Final = re.compile(r"(deposit|withdrawal) of ([0-9.]+) USDT")


class Flows:
    def __init__(self, world: World) -> None:
        self.world = world
        self.booked: Decimal | None = None
        """What the ledger has booked as flows in all; None while nothing was read."""
        self._history: list[Decimal] = [ZERO]
        """What had come from outside in all, in quote currency, after each time that somebody paid."""
        self.paid_ms: int | None = None
        """When somebody last did."""

    @property
    def outside(self) -> Decimal:
        return self._history[-1]

    @property
    def are_known(self) -> bool:
        """Whether an agent that hears and asks undisturbed must have booked what came or went."""
        return self.paid_ms is None or self.world.agenda.now_ms > self.paid_ms + KNOWN_AFTER_MS

    def note_outside(self) -> None:
        """Somebody paid in or out, or traded with what is not ours."""
        balances, own = self.world.venue.desk.venue.ledger.balances(), ZERO
        for trade in self.world.venue.desk.venue.registry.trades:
            if self.world.is_ours(trade.client_id):
                own += _cash_of(trade.side, trade.price, trade.qty, trade.fee, trade.fee_asset)
        cash = balances["USDT"].free + balances["USDT"].locked
        self._history.append(cash - self.world.terms.cash - own)
        self.paid_ms = self.world.agenda.now_ms

    def stepped(self, before: AgentState | None, after: AgentState) -> None:
        """Cash changes by fills, and by flows that came from outside: by nothing else, at no moment."""
        world = self.world
        cash = after.durable.account.cash
        if world.terms.paper or world.wiped_ms is not None or cash is None:
            return
        if before is None or self.booked is None or before.durable.account.cash is None:
            rows = world.disk.read("SELECT side, price, qty, fee, fee_currency FROM fills")
            known = [_cash_of(side, Decimal(p), Decimal(q), Decimal(f), a) for side, p, q, f, a in rows]
            self.booked = cash - world.terms.cash - sum(known, ZERO)
        else:
            was = before.durable.account.cash
            if cash == was:
                return
            self.booked += cash - was - _cash_of_new_fills(before, after)
        if self.booked not in self._history:
            raise Violation(4, f"{self.booked} USDT were booked as flows, which never came from outside")

    def check_rest(self) -> None:
        """What was booked as coming and going from outside is what did: nothing else hides among it."""
        world, own = self.world, ZERO
        if world.wiped_ms is not None:
            # What the reset changed is booked as a flow too.
            return
        for trade in world.venue.desk.venue.registry.trades:
            if world.is_ours(trade.client_id):
                value = trade.price * trade.qty
                own += value if trade.side == "SELL" else -value
                own -= trade.fee if trade.fee_asset == "USDT" else ZERO
        cash = world.venue.desk.venue.ledger.balances()["USDT"]
        outside = cash.free + cash.locked - world.terms.cash - own
        booked = ZERO
        for (text,) in world.disk.read("SELECT text FROM events WHERE kind = 'account'"):
            found = _FLOW.match(text)
            if found:
                booked += Decimal(found[2]) * (1 if found[1] == "deposit" else -1)
        if booked != outside:
            raise Violation(4, f"{booked} USDT were booked as flows, {outside} came from outside")


def _cash_of(side: str, price: Decimal, qty: Decimal, fee: Decimal, fee_asset: str) -> Decimal:
    """What a trade brings in quote currency."""
    value = price * qty if side == "SELL" else -price * qty
    return value - (fee if fee_asset == "USDT" else ZERO)


def _cash_of_new_fills(before: AgentState, after: AgentState) -> Decimal:
    found = ZERO
    for client_id, order in after.orders.items():
        old = before.orders.get(client_id)
        if old is order:
            continue
        known = set() if old is None else {fill.trade_id for fill in old.fills}
        for fill in order.fills:
            if fill.trade_id not in known:
                found += _cash_of(fill.side.value, fill.price, fill.qty, fill.fee, fill.fee_currency)
    return found
