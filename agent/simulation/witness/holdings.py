"""What the agent holds by the venue's own trades, what sells it, and how long nothing did.

Belongs here: invariants 8, 9 and 15 of what is held, the day's loss, and the times without protection.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from agent.core.absence import is_searched_for
from agent.core.market import DAY_MS
from agent.core.money import ZERO
from agent.simulation.daily_loss import DailyLoss
from agent.simulation.witness.figures import Figures
from agent.simulation.witness.flows import Flows
from agent.simulation.witness.violation import Violation

if TYPE_CHECKING:
    from agent.simulation.world import World

#: With all in order and nothing broken, so long may something be held without anything that sells it.
NAKED_MS: Final = 60_000
#: In quote currency; a little more than the venue's least order.
_UNSELLABLE: Final = Decimal(6)
#: An order that an account's reading shows to be gone is looked up within so long.
VANISHED_MS: Final = 60_000
#: A resting order that is not at the venue is known to be absent within so long, whatever look-ups say.
ABSENT_MS: Final = 180_000


class Holdings:
    def __init__(self, world: World, figures: Figures, flows: Flows) -> None:
        self.world = world
        self.figures = figures
        self.flows = flows
        self.ours = ZERO
        self._dust = ZERO
        self.flattening_since_ms: int | None = None
        """Since when what is held is to be sold because of a halt in calm."""
        self._trades_seen = 0
        self._naked_since_ms: int | None = None
        """Since when nothing sells what is held, all of it in calm."""
        self._uncovered_since_ms: int | None = None
        self._looked_ms = world.agenda.now_ms
        self._vanished_ms: dict[str, int] = {}
        """Orders that work in the ledger and are not at the venue, since when."""
        self._absent_ms: dict[str, int] = {}
        """Resting orders of unknown outcome that are not at the venue, since when accounts could be read."""
        self._day_ends_ms = (world.agenda.now_ms // DAY_MS + 1) * DAY_MS
        most = Decimal(str(world.config.config.risk_management.max_daily_loss_percent))
        self._daily_loss = DailyLoss(most, world.terms.cash, world.agenda.now_ms)

    @property
    def worth(self) -> Decimal:
        """The agent's money at the venue: all cash, and what it bought at the last price."""
        cash = self.world.venue.desk.venue.ledger.balances()["USDT"]
        return cash.free + cash.locked + max(ZERO, self.ours) * self.world.venue.last_price()

    def lost_too_much(self) -> str | None:
        """What was lost today, if it is more than an entry may follow."""
        return self._daily_loss.too_much(self.worth, self.flows.outside)

    def forget(self) -> None:
        """The venue begins anew: what it knew is gone."""
        self._trades_seen, self.ours, self._dust = 0, ZERO, ZERO
        self._naked_since_ms = self._uncovered_since_ms = None
        self._daily_loss.forget()

    @property
    def are_sellable(self) -> bool:
        held = self.ours - self._dust
        return held >= 1 and held * self.world.venue.last_price() > _UNSELLABLE

    def note_dust(self, qty: Decimal) -> None:
        """Too little to be sold when it was booked: nobody sells it later, whatever it is worth by then."""
        if qty * self.world.venue.last_price() <= _UNSELLABLE:
            self._dust += qty

    def look(self) -> None:
        """At any moment: what is held at the venue, and whether anything there would sell it."""
        world = self.world
        registry = world.venue.desk.venue.registry
        trades = registry.trades
        while self._trades_seen < len(trades):
            trade = trades[self._trades_seen]
            self._trades_seen += 1
            if not world.is_ours(trade.client_id):
                continue
            self.figures.fills += 1
            if trade.side == "BUY":
                self.ours += trade.qty - (trade.fee if trade.fee_asset == "ADA" else ZERO)
            else:
                self.ours -= trade.qty
                if self.ours < 0:
                    raise Violation(9, f"{trade.client_id} sold {-self.ours} ADA more than the agent owned")
        now_ms = world.agenda.now_ms
        passed_ms, self._looked_ms = now_ms - self._looked_ms, now_ms
        if self._day_ends_ms <= now_ms:
            self._day_ends_ms = (now_ms // DAY_MS + 1) * DAY_MS
            self._daily_loss.look(now_ms, self.worth, self.flows.outside, holds=self.ours >= 1)
        if not self.are_sellable:
            if self.flattening_since_ms is not None:
                self.figures.emergency_flat_ms.append(now_ms - self.flattening_since_ms)
                self.flattening_since_ms = None
            self._is_covered(now_ms)
            return
        if self.flattening_since_ms is not None and not world.is_open:
            self.figures.emergency_cut += 1
            self.flattening_since_ms = None
        self.figures.held_ms += passed_ms
        self._look_for_vanished()
        self._look_for_absent()
        if not world.terms.protects:
            return
        guarded = any(
            o.terms.side == "SELL" and world.is_ours(o.terms.client_id) for o in world.venue.open_orders
        )
        if guarded:
            self._is_covered(now_ms)
            return
        if self._uncovered_since_ms is None:
            self._uncovered_since_ms = now_ms
        self.figures.naked_ms += passed_ms
        self.figures.naked_calm_ms += passed_ms if world.is_calm else 0
        if not world.is_calm:
            self._naked_since_ms = None
        elif self._naked_since_ms is None:
            self._naked_since_ms = now_ms
        elif now_ms - self._naked_since_ms > NAKED_MS:
            raise Violation(8, f"{self.ours} ADA held and nothing that sells them for {NAKED_MS // 1000} s")

    def _is_covered(self, now_ms: int) -> None:
        """Nothing is held, or something sells it."""
        if self._uncovered_since_ms is not None:
            self.figures.unprotected_ms.append(now_ms - self._uncovered_since_ms)
        if self._naked_since_ms is not None:
            self.figures.unprotected_calm_ms.append(now_ms - self._naked_since_ms)
        self._uncovered_since_ms = self._naked_since_ms = None

    def _look_for_absent(self) -> None:
        """What readings of the account show nowhere does not stay unknown: its position has no stop."""
        world = self.world
        process, now_ms = world.process, world.agenda.now_ms
        state = None if process is None else process.state
        lost = () if state is None else [o.intent for o in state.moving_orders() if is_searched_for(o)]
        # A reading that disagrees with the ledger proves nothing, and strangers make it disagree for long.
        agrees = not world.touched_base and self.flows.booked in (None, self.flows.outside)
        if not lost or not agrees or not world.shows_account or world.terms.paper:
            self._absent_ms = {}
            return
        at_venue = {world.rules.own_id(o.terms.client_id) for o in world.venue.open_orders}
        gone = [one.client_id for one in lost if one.client_id not in at_venue]
        self._absent_ms = {k: self._absent_ms.get(k, now_ms) for k in gone}
        for client_id, since_ms in self._absent_ms.items():
            if now_ms > since_ms + ABSENT_MS:
                raise Violation(
                    8, f"{client_id} is not at the venue and stays unknown though accounts are read"
                )

    def _look_for_vanished(self) -> None:
        """What the account's reading shows to be gone is looked up soon."""
        world = self.world
        process, now_ms = world.process, world.agenda.now_ms
        state = None if process is None else process.state
        if process is None or state is None or world.terms.paper:
            return
        at_venue = {world.rules.own_id(o.terms.client_id) for o in world.venue.open_orders}
        gone = [k for k, o in state.orders.items() if o.is_working and k not in at_venue]
        self._vanished_ms = {k: self._vanished_ms.get(k, now_ms) for k in gone}
        read_ms = process.account_read_ms
        if not gone or read_ms is None or now_ms < read_ms + VANISHED_MS or not world.is_open:
            return
        for client_id, since_ms in self._vanished_ms.items():
            if since_ms + VANISHED_MS < read_ms:
                raise Violation(15, f"{client_id} is gone from the venue, which was read, and nobody asks")
