"""The witness: what must hold, checked from the venue's own ledger while a world runs.

Belongs here: the invariants of RELIABILITY as far as engine and store are concerned. Stays true: the witness
changes nothing and believes nothing the agent says about itself where the venue's books can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from agent.core.commands import Command
from agent.core.events import Impairment
from agent.core.market import DAY_MS
from agent.core.money import ZERO
from agent.core.order import TERMINAL, Order, OrderStatus, Purpose
from agent.core.position import MOVES, PositionState
from agent.core.state import AgentState
from agent.localexchange.limits import WEIGHT_PER_MINUTE
from agent.simulation.daily_loss import DailyLoss
from agent.simulation.network import Sent
from agent.store.batch import Batch

if TYPE_CHECKING:
    from agent.simulation.process import Process
    from agent.simulation.world import World

_OWN_IDS: Final = ("newClientOrderId", "aboveClientOrderId", "belowClientOrderId")
PROVEN_ABSENT_MS: Final = 18_000
#: With all in order and nothing broken, so long may something be held without anything that sells it.
NAKED_MS: Final = 60_000
#: An order that an account's reading shows to be gone is looked up within so long.
VANISHED_MS: Final = 60_000
_FLOW: Final = re.compile(r"(deposit|withdrawal) of ([0-9.]+) USDT")
_NEXT: Final = {(a, m.to) for (a, _), m in MOVES.items()}


class Violation(Exception):  # noqa: N818 - a finding, not a failure of the simulation
    """An invariant does not hold. `law` is its number."""

    def __init__(self, law: int, text: str) -> None:
        # Both as they are: a finding is handed from one process to another, which makes it anew from them.
        super().__init__(law, text)
        self.law = law
        self.text = text

    def __str__(self) -> str:
        return f"invariant {self.law}: {self.text}"


@dataclass(slots=True)
class Figures:
    """What is measured on the way."""

    orders: int = 0
    fills: int = 0
    entries: int = 0
    unknown: int = 0
    unknown_ms: list[int] = field(default_factory=list)
    naked_ms: int = 0
    naked_calm_ms: int = 0
    """Of that, while the agent lived and nothing had been wrong for some minutes."""
    held_ms: int = 0
    unprotected_ms: list[int] = field(default_factory=list)
    """Of every time without anything that sells what is held, how long it lasted."""
    unprotected_calm_ms: list[int] = field(default_factory=list)
    """The same of those that began and ended in calm."""
    restart_ms: list[int] = field(default_factory=list)
    emergency_flat_ms: list[int] = field(default_factory=list)
    """From a halt in calm, with something held, until it was sold, while whatever was asked was answered."""
    emergency_cut: int = 0
    """How often a fault began before all was sold: what the agent could not do then is not its time."""


class Witness:
    def __init__(self, world: World) -> None:
        self.world = world
        self.figures = Figures()
        self._flattening_since_ms: int | None = None
        self._acked: set[str] = set()
        self._acked_fills: set[tuple[str, str]] = set()
        self._bars: dict[int, int] = {}
        self._not_founds: dict[str, int] = {}
        self._trades_seen = 0
        self._ours = ZERO
        self._naked_since_ms: int | None = None
        """Since when nothing sells what is held, all of it in calm."""
        self._uncovered_since_ms: int | None = None
        self._looked_ms = world.agenda.now_ms
        self._told_held_ms = 0
        self.halted_ms: int | None = None
        self._signals: dict[int, int] = {}
        """Of every signal taken up, when it was decided."""
        self._approved_ms: dict[str, int] = {}
        """Of every order, when it was decided, by the world's clock and not by the agent's."""
        self._vanished_ms: dict[str, int] = {}
        """Orders that work in the ledger and are not at the venue, since when."""
        self._entries_by_day: dict[int, set[str]] = {}
        self._outside: list[Decimal] = [ZERO]
        """What had come from outside in all, in quote currency, after each time that somebody paid."""
        self._day_ends_ms = (world.agenda.now_ms // DAY_MS + 1) * DAY_MS
        most = Decimal(str(world.config.config.risk_management.max_daily_loss_percent))
        self._daily_loss = DailyLoss(most, world.terms.cash, world.agenda.now_ms)
        self._flows: Decimal | None = None
        """What the ledger has booked as flows in all; None while nothing was read."""

    # --- the wire -------------------------------------------------------------------------------------

    def sent(self, sent: Sent) -> None:
        """A request sets out. Whatever lets it out must be on disk by now."""
        request, world = sent.request, self.world
        if sent.at_ms < world.network.silent_until_ms and not world.clock_stepped:
            left_s = (world.network.silent_until_ms - sent.at_ms) / 1000
            raise Violation(13, f"{request.method} {request.path} {left_s:.1f} s before the ban is over")
        said = world.rules.placed(request)
        if said is None:
            if request.key is not None and self.world.terms.paper:
                raise Violation(22, f"a signed request on paper: {request.method} {request.path}")
            return
        sent.client_id = said.get("newClientOrderId", said.get("listClientOrderId", ""))
        if self.world.terms.paper:
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
        if self.latched or self.halted_ms is not None:
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
        if lost := self._daily_loss.too_much(self._worth(), self._outside[-1]):
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
        late_ms = own.intent.created_ms - self._signals[own.intent.position_id]
        if late_ms > state.setup.late_after_ms:
            raise Violation(12, f"entry {client_id} was approved {late_ms / 1000:.0f} s after its signal")

    def _within_cap(self, client_id: str, said: dict[str, str], state: AgentState) -> None:
        world = self.world
        price = Decimal(said["price"]) if "price" in said else world.last_price()
        worth = self._worth()
        if self._flows is not None and not world.network.is_fair:
            # What went since the last good answer cannot be known yet.
            worth += max(ZERO, self._flows - self._outside[-1])
        cap = worth * state.setup.limits.max_position_size_percent / 100
        cost = Decimal(said["quantity"]) * price
        if cost > cap * Decimal("1.03"):
            raise Violation(10, f"entry {client_id} costs {cost:.2f} USDT, the cap is {cap:.2f}")

    def _worth(self) -> Decimal:
        """The agent's money at the venue: all cash, and what it bought at the last price."""
        cash = self.world.venue.desk.venue.ledger.balances()["USDT"]
        return cash.free + cash.locked + max(ZERO, self._ours) * self.world.last_price()

    def answered(self, sent: Sent, body: bytes) -> None:
        """The venue carried out a request."""
        request = sent.request
        world = self.world
        process = world.process
        if process is not None and world.rules.is_account(request) and sent.status == 200:
            process.account_read_ms = world.agenda.now_ms
        used = self.world.venue.exchange.limits.used(self.world.agenda.now_ms)
        if used > WEIGHT_PER_MINUTE // 2:
            raise Violation(13, f"{used} of {WEIGHT_PER_MINUTE} request weight used in one minute")
        self.look()

    @property
    def latched(self) -> bool:
        process = self.world.process
        return process is not None and process.is_halted()

    def forget(self) -> None:
        """The venue begins anew: what it knew is gone."""
        self._trades_seen, self._ours = 0, ZERO
        self._naked_since_ms = self._uncovered_since_ms = None
        self._daily_loss.forget()

    # --- the venue's books ------------------------------------------------------------------------------

    def look(self) -> None:
        """At any moment: what is held at the venue, and whether anything there would sell it."""
        world = self.world
        registry = world.venue.desk.venue.registry
        trades = registry.trades
        while self._trades_seen < len(trades):
            trade = trades[self._trades_seen]
            self._trades_seen += 1
            if not self._is_ours(trade.client_id):
                continue
            self.figures.fills += 1
            if trade.side == "BUY":
                self._ours += trade.qty - (trade.fee if trade.fee_asset == "ADA" else ZERO)
            else:
                self._ours -= trade.qty
                if self._ours < 0:
                    raise Violation(9, f"{trade.client_id} sold {-self._ours} ADA more than the agent owned")
        now_ms = world.agenda.now_ms
        passed_ms, self._looked_ms = now_ms - self._looked_ms, now_ms
        if self._day_ends_ms <= now_ms:
            self._day_ends_ms = (now_ms // DAY_MS + 1) * DAY_MS
            self._daily_loss.look(now_ms, self._worth(), self._outside[-1], holds=self._ours >= 1)
        sellable = self._ours >= 1 and self._ours * world.last_price() > Decimal(6)
        if not sellable:
            if self._flattening_since_ms is not None:
                self.figures.emergency_flat_ms.append(now_ms - self._flattening_since_ms)
                self._flattening_since_ms = None
            self._is_covered(now_ms)
            return
        if self._flattening_since_ms is not None and not world.is_open:
            self.figures.emergency_cut += 1
            self._flattening_since_ms = None
        self.figures.held_ms += passed_ms
        self._look_for_vanished()
        if not world.terms.protects:
            return
        guarded = any(
            o.terms.side == "SELL" and self._is_ours(o.terms.client_id) for o in world.venue.open_orders
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
            raise Violation(8, f"{self._ours} ADA held and nothing that sells them for {NAKED_MS // 1000} s")

    def _is_covered(self, now_ms: int) -> None:
        """Nothing is held, or something sells it."""
        if self._uncovered_since_ms is not None:
            self.figures.unprotected_ms.append(now_ms - self._uncovered_since_ms)
        if self._naked_since_ms is not None:
            self.figures.unprotected_calm_ms.append(now_ms - self._naked_since_ms)
        self._uncovered_since_ms = self._naked_since_ms = None

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
        if read_ms is None or not world.is_open or now_ms < read_ms + VANISHED_MS:
            return
        for client_id, since_ms in self._vanished_ms.items():
            if since_ms + VANISHED_MS < read_ms:
                raise Violation(15, f"{client_id} is gone from the venue, which was read, and nobody asks")

    # --- the core ---------------------------------------------------------------------------------------

    def stepped(
        self, process: Process, before: AgentState | None, after: AgentState, commands: Iterable[Command]
    ) -> None:
        self._halts(before, after)
        self._flows_are_real(before, after)
        fault = after.impairments.get(Impairment.AGENT_FAULT)
        if fault is not None:
            raise Violation(20, f"a part broke: {fault}")
        if before is not None and before.reconciled_ms is None and after.reconciled_ms is not None:
            self.figures.restart_ms.append(self.world.agenda.now_ms - self.world.reachable_since_ms)
        if before is None or after.orders is before.orders:
            if before is None:
                return
        else:
            for client_id, order in after.orders.items():
                old = before.orders.get(client_id)
                if old is not order:
                    self._order_moved(old, order, after)
        if after.pending is not before.pending:
            self._signals.update((number, p.decided_ms) for number, p in after.pending.items())
        if after.positions is not before.positions:
            for number, position in after.positions.items():
                was = before.positions.get(number)
                if was is None or was is position or was.state is position.state:
                    continue
                if not self._reachable(was.state, position.state):
                    raise Violation(7, f"position {number} went from {was.state} to {position.state}")

    def _halts(self, before: AgentState | None, after: AgentState) -> None:
        """A halt ends by a deliberate act of this life, never by a restart."""
        halted = after.durable.halt is not None
        if before is None:
            if self.halted_ms is not None and not halted:
                raise Violation(16, "a halt was forgotten over a restart")
            if self.latched and not halted:
                raise Violation(16, "the latch is set, and the agent starts without a halt")
        elif before.durable.halt is not None and not halted:
            self.halted_ms = self._flattening_since_ms = None
        if halted and self.halted_ms is None:
            self.halted_ms = self.world.agenda.now_ms
            if self.world.is_calm and self._ours * self.world.last_price() > Decimal(6):
                self._flattening_since_ms = self.halted_ms

    def note_outside(self) -> None:
        """Somebody paid in or out, or traded with what is not ours."""
        balances, own = self.world.venue.desk.venue.ledger.balances(), ZERO
        for trade in self.world.venue.desk.venue.registry.trades:
            if self._is_ours(trade.client_id):
                own += _cash_of(trade.side, trade.price, trade.qty, trade.fee, trade.fee_asset)
        cash = balances["USDT"].free + balances["USDT"].locked
        self._outside.append(cash - self.world.terms.cash - own)

    def _flows_are_real(self, before: AgentState | None, after: AgentState) -> None:
        """Cash changes by fills, and by flows that came from outside: by nothing else, at no moment."""
        world = self.world
        cash = after.durable.account.cash
        if world.terms.paper or world.wiped_ms is not None or cash is None:
            return
        if before is None or self._flows is None or before.durable.account.cash is None:
            rows = world.disk.read("SELECT side, price, qty, fee, fee_currency FROM fills")
            known = [_cash_of(side, Decimal(p), Decimal(q), Decimal(f), a) for side, p, q, f, a in rows]
            self._flows = cash - world.terms.cash - sum(known, ZERO)
        else:
            was = before.durable.account.cash
            if cash == was:
                return
            self._flows += cash - was - _cash_of_new_fills(before, after)
        if self._flows not in self._outside:
            raise Violation(4, f"{self._flows} USDT were booked as flows, which never came from outside")

    def _reachable(self, start: PositionState, goal: PositionState) -> bool:
        """One step of the engine may move a position more than once."""
        seen, edge = {start}, {start}
        while edge:
            edge = {b for a, b in _NEXT if a in edge} - seen
            seen |= edge
        return goal in seen

    def _order_moved(self, old: Order | None, new: Order, state: AgentState) -> None:
        client_id = new.intent.client_id
        if old is None:
            self.figures.orders += 1
            self.figures.entries += new.intent.purpose is Purpose.ENTRY
            self._approved_ms[client_id] = self.world.agenda.now_ms
            return
        if new.filled < old.filled or len({f.trade_id for f in new.fills}) != len(new.fills):
            raise Violation(7, f"{client_id}: the filled quantity fell or a fill counts twice")
        if new.status is old.status:
            return
        if new.status is OrderStatus.UNKNOWN:
            self.figures.unknown += 1
        if old.status is OrderStatus.UNKNOWN and old.unknown_since_ms is not None:
            now_ms = self.world.agenda.now_ms
            since_ms = max(old.unknown_since_ms, self.world.reachable_since_ms)
            self.figures.unknown_ms.append(max(0, now_ms - since_ms))
        if old.status in TERMINAL:
            may = old.status in (OrderStatus.NOT_PLACED, OrderStatus.REJECTED) or new.filled > old.filled
            if not may:
                raise Violation(7, f"{client_id} was {old.status} and became {new.status} without a fill")
        if new.status is OrderStatus.REJECTED and self._is_at_venue(client_id):
            raise Violation(5, f"{client_id} was called refused, and the venue has it")
        if new.status is OrderStatus.NOT_PLACED:
            self._proven_absent(old, client_id)

    def _is_at_venue(self, client_id: str) -> bool:
        registry = self.world.venue.desk.venue.registry
        wire_id = self.world.rules.wire_id(client_id)
        return registry.find(self.world.venue.symbol, None, wire_id) is not None

    def _is_ours(self, client_id: str) -> bool:
        return self.world.rules.own_id(client_id).startswith(self.world.tag)

    def _proven_absent(self, old: Order, client_id: str) -> None:
        if old.status is not OrderStatus.UNKNOWN or self.world.terms.paper:
            return
        waited_ms = self.world.agenda.now_ms - self._approved_ms.get(client_id, 0)
        if waited_ms < PROVEN_ABSENT_MS:
            raise Violation(5, f"{client_id} was called never placed after {waited_ms} ms")
        asked = [s for s in self.world.network.log[-3_000:] if self.world.rules.found_nothing(s, client_id)]
        if len(asked) < 3:
            raise Violation(5, f"{client_id} was called never placed after {len(asked)} definite not-founds")

    # --- the store --------------------------------------------------------------------------------------

    @property
    def acknowledged(self) -> tuple[set[str], set[tuple[str, str]]]:
        """Orders, and fills by order and trade, that must be on the disk."""
        return self._acked, self._acked_fills

    def committed(self, batches: Iterable[Batch]) -> None:
        """These were acknowledged: they must never be gone again."""
        for batch in batches:
            for order in batch.orders:
                self._acked.add(order.intent.client_id)
                self._acked_fills.update((order.intent.client_id, f.trade_id) for f in order.fills)

    def after_death(self, *, lost_power: bool) -> None:
        """What was acknowledged before is on the disk now."""
        read = self.world.disk.read
        kept = {row[0] for row in read("SELECT client_id FROM orders")}
        fills = {(a, b) for a, b in read("SELECT client_id, trade_id FROM fills")}
        verdict = read("PRAGMA quick_check")[0][0] if lost_power else "ok"
        if verdict != "ok":
            raise Violation(17, f"the database is damaged: {verdict}")
        if lost := self._acked - kept:
            raise Violation(17, f"acknowledged orders are lost: {sorted(lost)[:3]}")
        if lost_fills := self._acked_fills - fills:
            raise Violation(17, f"acknowledged fills are lost: {sorted(lost_fills)[:3]}")
        self._fills_are_theirs(fills)

    def _fills_are_theirs(self, fills: set[tuple[str, str]]) -> None:
        """Nothing in the ledger that the venue did not execute, at any death."""
        world = self.world
        if world.terms.paper or world.wiped_ms is not None:
            return
        rules, trades = world.rules, world.venue.desk.venue.registry.trades
        theirs = {(rules.own_id(t.client_id), rules.trade_id(t.id)) for t in trades}
        if invented := fills - theirs:
            raise Violation(3, f"fills that the venue does not know: {sorted(invented)[:2]}")

    def _row(self, question: str, *given: str) -> Any:
        return next(iter(self.world.disk.read(question, *given)), None)

    # --- at rest ----------------------------------------------------------------------------------------

    def check_rest(self) -> None:
        """At the end, healed and settled: the two ledgers are equal."""
        world = self.world
        if world.terms.paper:
            return
        self.look()
        registry, own_id = world.venue.desk.venue.registry, world.rules.own_id
        read = world.disk.read
        known = {row[0] for row in read("SELECT client_id FROM orders")}
        since_ms = world.wiped_ms or 0
        rows = read(
            f"SELECT client_id, trade_id, price, qty, fee, fee_currency FROM fills WHERE at_ms >= {since_ms}"
        )
        ours = {(c, t, Decimal(p), Decimal(q), Decimal(f), a) for c, t, p, q, f, a in rows}
        dust = sum((Decimal(r[0]) for r in read("SELECT qty FROM dust")), ZERO)
        entries = read("SELECT client_id, position_id FROM intents WHERE purpose = 'entry'")
        tagged = [o for o in registry.all_orders() if self._is_ours(o.terms.client_id)]
        if orphans := {own_id(o.terms.client_id) for o in tagged} - known:
            raise Violation(1, f"orders at the venue that are in no row: {sorted(orphans)[:3]}")
        ids = [own_id(o.terms.client_id) for o in tagged]
        if len(ids) != len(set(ids)):
            raise Violation(2, "one client id, two orders at the venue")
        refused = {row[0] for row in read("SELECT client_id FROM orders WHERE status = 'REJECTED'")}
        if wrong := refused & set(ids):
            raise Violation(5, f"called refused, but at the venue: {sorted(wrong)[:3]}")
        theirs = {
            (own_id(t.client_id), world.rules.trade_id(t.id), t.price, t.qty, t.fee, t.fee_asset)
            for t in registry.trades if self._is_ours(t.client_id)
        }  # fmt: skip
        if ours != theirs or len(rows) != len(theirs):
            missing, extra = theirs - ours, ours - theirs
            raise Violation(3, f"fills differ: missing {sorted(missing)[:2]}, not theirs {sorted(extra)[:2]}")
        positions: dict[int, set[str]] = {}
        for client_id, position_id in entries:
            if any(t[0] == client_id for t in theirs):
                positions.setdefault(position_id, set()).add(client_id)
        if twice := {k: v for k, v in positions.items() if len(v) > 1}:
            raise Violation(2, f"a signal was entered twice: {twice}")
        firsts: dict[str, int] = {}
        for trade in registry.trades:
            if trade.side == "BUY" and self._is_ours(trade.client_id):
                firsts.setdefault(trade.client_id, trade.at_ms // 86_400_000)
        most = world.config.config.risk_management.max_daily_trades
        for day in set(firsts.values()):
            if (count := sum(1 for at in firsts.values() if at == day)) > most:
                raise Violation(10, f"{count} trades on one day, {most} are allowed")
        unjudged = read("SELECT client_id FROM intents EXCEPT SELECT client_id FROM verdicts WHERE approved")
        if unjudged:
            raise Violation(25, f"orders without an accepted verdict: {sorted(unjudged)[:3]}")
        homeless = read(
            "SELECT client_id FROM fills WHERE order_id NOT IN (SELECT o.id FROM orders o JOIN intents i "
            "ON o.intent_id = i.id JOIN trades t ON t.position_id = i.position_id)"
        )
        if homeless:
            raise Violation(25, f"fills that lead to no intent and no trade: {sorted(homeless)[:3]}")
        self._check_balances(dust)

    def _check_balances(self, dust: Decimal) -> None:
        world = self.world
        state = world.process.state if world.process else None
        assert state is not None
        for client_id, order in state.orders.items():
            if order.is_settled and order.next_lookup_ms is not None:
                raise Violation(19, f"{client_id} is settled and is asked about for ever")
        balances = world.venue.desk.venue.ledger.balances()
        cash = balances["USDT"].free + balances["USDT"].locked
        if state.durable.account.cash != cash:
            raise Violation(4, f"cash is {state.durable.account.cash} in the ledger, {cash} at the venue")
        self._check_flows(cash)
        base = balances["ADA"].free + balances["ADA"].locked if "ADA" in balances else ZERO
        held = sum((p.held_qty for p in state.open_positions()), ZERO)
        foreign = state.durable.account.foreign.get("ADA", ZERO)
        if held + foreign != base:
            raise Violation(4, f"{held} ADA held + {foreign} foreign in the ledger, {base} at the venue")
        if not world.touched_base and held + dust != self._ours:
            raise Violation(
                4, f"{held} ADA held + {dust} dust in the ledger, {self._ours} bought at the venue"
            )

    def _check_flows(self, cash: Decimal) -> None:
        """What was booked as coming and going from outside is what did: nothing else hides among it."""
        world, own = self.world, ZERO
        if world.wiped_ms is not None:
            # What the reset changed is booked as a flow too.
            return
        for trade in world.venue.desk.venue.registry.trades:
            if self._is_ours(trade.client_id):
                value = trade.price * trade.qty
                own += value if trade.side == "SELL" else -value
                own -= trade.fee if trade.fee_asset == "USDT" else ZERO
        outside = cash - world.terms.cash - own
        booked = ZERO
        for (text,) in world.disk.read("SELECT text FROM events WHERE kind = 'account'"):
            found = _FLOW.match(text)
            if found:
                booked += Decimal(found[2]) * (1 if found[1] == "deposit" else -1)
        if booked != outside:
            raise Violation(4, f"{booked} USDT were booked as flows, {outside} came from outside")

    def check_decisions(self) -> None:
        """Each bar was decided once, in order, and as the whole history says."""
        world = self.world
        rows = world.disk.read("SELECT bar_open_ms, exhaustion, close, ema_s FROM decisions ORDER BY id")
        opens = sorted(row[0] for row in rows)
        if len(opens) != len(set(opens)):
            raise Violation(11, "a bar was decided twice")
        for before, after in pairwise(opens):
            if after - before != world.bar_ms:
                raise Violation(11, f"bars between {before} and {after} were never decided")
        if not rows:
            return
        expected = world.batch_features(opens[0], opens[-1])
        for at, exhaustion, close, ema_s in rows:
            row = expected[at]
            if bool(exhaustion) != row[0] or abs(close - row[1]) > 1e-9 or abs(ema_s - row[2]) > 1e-7:
                raise Violation(11, f"bar {at}: decided {(exhaustion, close, ema_s)}, whole history {row}")


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
