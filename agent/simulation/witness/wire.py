"""What leaves: every request as it sets out, against what is on disk and at the venue by then.

Belongs here: invariants 2, 6, 9, 10, 12, 13, 15, 16 and 22 of a request on its way, and the weight used.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from agent.core.money import ZERO
from agent.core.order import Order, OrderStatus
from agent.core.state import AgentState
from agent.localexchange.limits import WEIGHT_PER_MINUTE
from agent.simulation.network import Sent
from agent.simulation.witness.flows import Flows
from agent.simulation.witness.holdings import Holdings
from agent.simulation.witness.steps import Steps
from agent.simulation.witness.violation import Violation

if TYPE_CHECKING:
    from agent.simulation.world import World

_OWN_IDS: Final = ("newClientOrderId", "aboveClientOrderId", "belowClientOrderId")


class Wire:
    def __init__(self, world: World, holdings: Holdings, flows: Flows, steps: Steps) -> None:
        self.world = world
        self.holdings = holdings
        self.flows = flows
        self.steps = steps

    def sent(self, sent: Sent) -> None:
        """A request sets out. Whatever lets it out must be on disk by now."""
        request, world = sent.request, self.world
        if sent.at_ms < world.network.silent_until_ms and not world.clock_stepped:
            left_s = (world.network.silent_until_ms - sent.at_ms) / 1000
            raise Violation(13, f"{request.method} {request.path} {left_s:.1f} s before the ban is over")
        said = world.rules.placed(request)
        if said is None:
            if request.key is not None and world.terms.paper:
                raise Violation(22, f"a signed request on paper: {request.method} {request.path}")
            return
        sent.client_id = said.get("newClientOrderId", said.get("listClientOrderId", ""))
        if world.terms.paper:
            raise Violation(22, f"an order left on paper: {sent.client_id}")
        for client_id in (said[name] for name in _OWN_IDS if name in said):
            self._may_leave(client_id, said)

    def _may_leave(self, client_id: str, said: dict[str, str]) -> None:
        world = self.world
        process = world.process
        assert process is not None
        row = self._row("SELECT purpose, qty, side, type, price FROM intents WHERE client_id = ?", client_id)
        entry = said.get("side") == "BUY"
        if row is None:
            if entry or not world.disk_failed:
                raise Violation(6, f"order {client_id} left without a durable intent")
        else:
            purpose, qty, side, kind, price = row
            if Decimal(qty) != Decimal(said["quantity"]) or side != said["side"]:
                raise Violation(6, f"order {client_id} left as {said}, the row says {row}")
            if "type" in said and kind != said["type"]:
                raise Violation(6, f"order {client_id} left as {said['type']}, the row says {kind}")
            if "type" in said and price is not None and Decimal(price) != Decimal(said.get("price", "-1")):
                raise Violation(6, f"order {client_id} left at {said.get('price')}, the row says {price}")
            if purpose == "entry":
                verdict = self._row("SELECT approved FROM verdicts WHERE client_id = ?", client_id)
                if verdict is None or not verdict[0]:
                    raise Violation(6, f"entry {client_id} left without an accepted verdict")
        if self._row("SELECT 1 FROM fills WHERE client_id = ?", client_id) is not None:
            raise Violation(2, f"order {client_id} leaves although it has fills already")
        if any(s.client_id == client_id for s in world.network.log[-400:-1]):
            raise Violation(2, f"order {client_id} is sent a second time")
        if not entry and row is not None and world.wiped_ms is None:
            self._sells_what_was_bought(client_id, Decimal(said["quantity"]))
        state = process.state
        if entry and process.account_read_ms is None:
            raise Violation(15, f"entry {client_id} left before the account was read in this life")
        if entry:
            self._entry_may_leave(client_id, said, state)

    def _sells_what_was_bought(self, client_id: str, qty: Decimal) -> None:
        """No sale is for more than its position ever got, whatever was ordered."""
        entries = self.world.disk.read(
            "SELECT client_id FROM intents WHERE purpose = 'entry' AND position_id = "
            "(SELECT position_id FROM intents WHERE client_id = ?)",
            client_id,
        )
        ids = {row[0] for row in entries}
        got = ZERO
        for trade in self.world.venue.desk.venue.registry.trades:
            if self.world.rules.own_id(trade.client_id) in ids:
                got += trade.qty - (trade.fee if trade.fee_asset == "ADA" else ZERO)
        if qty > got:
            raise Violation(9, f"sale {client_id} is for {qty} ADA, its position never got more than {got}")

    def _entry_may_leave(self, client_id: str, said: dict[str, str], state: AgentState | None) -> None:
        world = self.world
        assert state is not None
        now_ms = world.agenda.now_ms
        if self.steps.latched or self.steps.halted_ms is not None:
            raise Violation(16, f"entry {client_id} left although the agent is halted")
        if state.reconciled_ms is None:
            raise Violation(15, f"entry {client_id} left before a reconciliation")
        bar = state.last_bar
        is_old = bar is None or now_ms > bar.open_ms + 2 * state.setup.bar_ms + 30_000
        if is_old and abs(world.clock_offset_ms) < 1_000:
            raise Violation(12, f"entry {client_id} left on old data")
        for order in state.orders.values():
            if order.status is OrderStatus.UNKNOWN and order.intent.client_id != client_id:
                raise Violation(12, f"entry {client_id} left while {order.intent.client_id} is unknown")
        self._within_cap(client_id, said, state)
        if lost := self.holdings.lost_too_much():
            raise Violation(10, f"entry {client_id}: {lost}")
        own = state.orders.get(client_id)
        assert own is not None
        self._in_time(client_id, own, state)
        position = state.positions[own.intent.position_id]
        held = [p for p in state.open_positions() if p.id != position.id]
        flying = [p for p in state.in_flight() if p.id != position.id]
        if len(held) + len(flying) + 1 > state.setup.limits.max_open_positions:
            raise Violation(10, f"entry {client_id}: {len(held)} open and {len(flying)} under way already")

    def _in_time(self, client_id: str, own: Order, state: AgentState) -> None:
        """A book that comes late makes no entry."""
        if self.world.clock_stepped:
            return
        late_ms = own.intent.created_ms - self.steps.signals[own.intent.position_id]
        if late_ms > state.setup.late_after_ms:
            raise Violation(12, f"entry {client_id} was approved {late_ms / 1000:.0f} s after its signal")

    def _within_cap(self, client_id: str, said: dict[str, str], state: AgentState) -> None:
        world = self.world
        price = Decimal(said["price"]) if "price" in said else world.venue.last_price()
        worth = self.holdings.worth
        if self.flows.booked is not None and not (world.network.is_fair and self.flows.are_known):
            # What went since the last good answer cannot be known yet.
            worth += max(ZERO, self.flows.booked - self.flows.outside)
        cap = worth * state.setup.limits.max_position_size_percent / 100
        cost = Decimal(said["quantity"]) * price
        if cost > cap * Decimal("1.03"):
            raise Violation(10, f"entry {client_id} costs {cost:.2f} USDT, the cap is {cap:.2f}")

    def answered(self, sent: Sent) -> None:
        """The venue carried out a request."""
        request = sent.request
        world = self.world
        process = world.process
        if process is not None and world.rules.is_account(request) and sent.status == 200:
            process.account_read_ms = world.agenda.now_ms
        used = self.world.venue.exchange.limits.used(self.world.agenda.now_ms)
        if used > WEIGHT_PER_MINUTE // 2:
            raise Violation(13, f"{used} of {WEIGHT_PER_MINUTE} request weight used in one minute")
        self.holdings.look()

    def _row(self, question: str, *given: str) -> Any:
        return next(iter(self.world.disk.read(question, *given)), None)
