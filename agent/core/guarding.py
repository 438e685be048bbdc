"""What rests on the exchange for a position, and keeping it so: never nothing, never two, never too much.

After the fill a stop rests alone, because the target does not count before the bar after the entry bar (with
`entry_bar_exits: all` it does at once). Then the stop is exchanged for an order list of stop and target. No
exchange does that in one request: the stop is canceled and the list placed as soon as the cancel is answered,
so the position is without a stop for about one round trip, in which the agent watches the price itself. The
exchange of the two therefore waits while the price lies in the lowest quarter between stop and target. A list
that is refused is followed by the stop alone at once, and tried again later.

Where STOP_LOSS is not offered, STOP_LOSS_LIMIT rests instead, its limit `STOP_LIMIT_ROOM` below the stop. A
stop that was triggered and has not sold within `REST_GRACE_MS` is replaced by an order at the market.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.commands import AlertLevel, PlaceOrder, PlacePair, ReplaceByPair, ReplaceOrder
from agent.core.exits import first_exit_level
from agent.core.guard import Guard, guards_in
from agent.core.instrument import Instrument
from agent.core.money import HUNDRED, ONE, ZERO, Price, Qty, plain
from agent.core.order import Intent, Order, OrderType, Purpose, Side, TimeInForce
from agent.core.position import Position
from agent.core.risk import Refused, approve_pair, approve_sale
from agent.core.selling import cancel_guard, give_way, open_sales, put_approved
from agent.core.turn import Turn
from agent.core.value import Value

#: Wait after the n-th resting order that ended without selling anything.
PROTECT_RETRY_MS: Final = (2_000, 4_000, 8_000, 16_000, 30_000)
#: A list that could not be placed is tried again after this.
PAIR_AGAIN_MS: Final = 60_000
#: A stop is looked at again after this when the moment to exchange it for a list was bad.
PAIR_LATER_MS: Final = 5_000
#: The limit of a STOP_LOSS_LIMIT lies this share below its stop price.
STOP_LIMIT_ROOM: Final = Decimal("0.03")
#: What rests and was reached has this long to sell everything. At high speed as much as orders have.
REST_GRACE_MS: Final = 3_000


class Wanted(Value, frozen=True):
    """Where a stop should rest, and the target beside it once that counts."""

    stop: Price
    target: Price | None


def wanted_stop(turn: Turn, position: Position, instrument: Instrument) -> Price | None:
    """Where a stop should rest on the exchange, or None when the config wants none."""
    setup = turn.state.setup
    stop = position.levels.stop if position.plan.exits.use_stop_loss and setup.protective_stop else None
    if stop is not None and stop > 0:
        return instrument.price(stop, "down")
    if setup.disaster_stop_percent is not None and position.entry_price is not None:
        return instrument.price(position.entry_price * (ONE - setup.disaster_stop_percent / HUNDRED), "down")
    return None


def target_counts_from_ms(position: Position) -> int:
    """When target and take-profit come into force."""
    assert position.entry_bar_open_ms is not None, "an open position has an entry bar"
    whole = position.plan.entry_bar_exits != "all"
    return position.entry_bar_open_ms + (position.plan.bar_ms if whole else 0)


def alive_guards(turn: Turn, position_id: int) -> tuple[Guard, ...]:
    guards = guards_in(turn.state.orders_of(position_id))
    return tuple(guard for guard in guards if not guard.is_settled)


def protecting_order(turn: Turn, position_id: int) -> Order | None:
    for order in turn.state.orders_of(position_id):
        if order.intent.purpose is Purpose.PROTECT and order.is_working:
            return order
    return None


def waits_with_target(turn: Turn, position_id: int) -> bool:
    """Whether a target rests on the exchange and is known to."""
    guards = alive_guards(turn, position_id)
    return any(g.target is not None and g.target.is_working and g.is_steady for g in guards)


def protect(turn: Turn, position: Position, instrument: Instrument) -> None:
    """See to it that exactly one stop rests on the exchange, if one is wanted, for all that is held."""
    stop, guards = wanted_stop(turn, position, instrument), alive_guards(turn, position.id)
    for extra in guards[:-1]:
        cancel_guard(turn, extra)
    if stop is None:
        return
    wanted = Wanted(stop, _wanted_target(turn, position, instrument, stop))
    if guards:
        if len(guards) == 1:
            _keep_right(turn, position, instrument, guards[0], wanted)
        return
    if turn.at_ms < turn.state.protect_retry_ms.get(position.id, 0):
        return
    if not _can_rest(turn, wanted) or turn.at_ms < turn.state.pair_retry_ms.get(position.id, 0):
        wanted = Wanted(stop, None)
    _rest(turn, position, instrument, wanted, None)


def _wanted_target(turn: Turn, position: Position, instrument: Instrument, stop: Price) -> Price | None:
    level = first_exit_level(position.levels)
    if level is None or level <= 0 or not _offers_pairs(instrument):
        return None
    target = instrument.price(level, "up")
    return target if target > stop else None


def _offers_pairs(instrument: Instrument) -> bool:
    return instrument.lists_allowed and OrderType.LIMIT_MAKER.value in instrument.order_types


def _can_rest(turn: Turn, wanted: Wanted) -> bool:
    """Whether a target may be placed at this price: believed, below the target, above the stop."""
    bid = turn.state.bid()
    if wanted.target is None or bid is None or not turn.state.prices.connection_ok:
        return False
    return wanted.stop < bid < wanted.target


def _keep_right(turn: Turn, position: Position, instrument: Instrument, guard: Guard, wanted: Wanted) -> None:
    """One thing rests: it must be for what is held, and hold the target once that counts."""
    if not guard.is_steady or guard.is_triggered or guard.filled:
        return
    right = instrument.most(position.held_qty, market=True)
    has_target = guard.target is not None
    if guard.leaves_qty < right or guard.leaves_qty > position.held_qty:
        kept = wanted if has_target and _can_rest(turn, wanted) else Wanted(wanted.stop, None)
        _rest(turn, position, instrument, kept, guard)
        return
    if has_target or wanted.target is None:
        return
    due = max(turn.state.pair_retry_ms.get(position.id, 0), target_counts_from_ms(position))
    if turn.at_ms < due:
        pair_later(turn, position.id, due)
        return
    bid = turn.state.bid()
    if not _can_rest(turn, wanted) or bid is None or bid < wanted.stop + (wanted.target - wanted.stop) / 4:
        pair_later(turn, position.id, turn.at_ms + PAIR_LATER_MS)
        return
    _rest(turn, position, instrument, wanted, guard)


def pair_later(turn: Turn, position_id: int, at_ms: int) -> None:
    if turn.state.pair_retry_ms.get(position_id) != at_ms:
        turn.change(pair_retry_ms={**turn.state.pair_retry_ms, position_id: at_ms})


def _rest(
    turn: Turn, position: Position, instrument: Instrument, wanted: Wanted, instead_of: Guard | None
) -> None:
    """Place what is wanted, alone or in the place of what rests."""
    qty = instrument.most(position.held_qty, market=True)
    target = wanted.target if turn.at_ms >= target_counts_from_ms(position) else None
    if target is not None and _target_breaches(turn, instrument, qty, target):
        target = None
    breaches = instrument.breaches(qty, wanted.stop, market=True)
    if _stop_type(instrument) is None:
        breaches = (f"{instrument.symbol} has no STOP_LOSS orders",)
    if breaches:
        _tell_unprotected(turn, position, "; ".join(breaches))
        return
    selling = open_sales(turn, position.id) - (instead_of.leaves_qty if instead_of else ZERO)
    if target is None:
        if instead_of is not None and instead_of.stop and instead_of.leaves_qty == qty:
            return
        stop = _stop_intent(turn, position, instrument, qty, wanted.stop, None)
        verdict = approve_sale(stop, position.held_qty, selling)
        if isinstance(verdict, Refused):
            return
        put_approved(turn, verdict)
        command = PlaceOrder(verdict)
        turn.ask(command if instead_of is None else ReplaceOrder(give_way(turn, instead_of), verdict))
        return
    list_id = turn.new_client_id()
    stop = _stop_intent(turn, position, instrument, qty, wanted.stop, list_id)
    goal = _target_intent(turn, position, qty, target, list_id)
    pair = approve_pair(stop, goal, position.held_qty, selling)
    if isinstance(pair, Refused):
        return
    put_approved(turn, pair.stop)
    put_approved(turn, pair.target)
    pair_later(turn, position.id, turn.at_ms + PAIR_AGAIN_MS)
    turn.ask(PlacePair(pair) if instead_of is None else ReplaceByPair(give_way(turn, instead_of), pair))


def _stop_type(instrument: Instrument) -> OrderType | None:
    for kind in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT):
        if kind.value in instrument.order_types:
            return kind
    return None


def _target_breaches(turn: Turn, instrument: Instrument, qty: Qty, target: Price) -> tuple[str, ...]:
    broken = instrument.breaches(qty, target, market=False)
    bid = turn.state.bid()
    return broken + (instrument.band_breaches(target, bid, buying=False) if bid is not None else ())


def _stop_intent(
    turn: Turn, position: Position, instrument: Instrument, qty: Qty, stop: Price, list_id: str | None
) -> Intent:
    kind = _stop_type(instrument)
    assert kind is not None, "asked for before"
    limited = kind is OrderType.STOP_LOSS_LIMIT
    return Intent(
        client_id=turn.new_client_id(),
        position_id=position.id,
        purpose=Purpose.PROTECT,
        side=Side.SELL,
        type=kind,
        qty=qty,
        price=instrument.price(stop * (ONE - STOP_LIMIT_ROOM), "down") if limited else None,
        stop_price=stop,
        time_in_force=TimeInForce.GTC if limited else None,
        created_ms=turn.at_ms,
        reason=f"protective stop at {plain(stop)}",
        list_id=list_id,
    )


def _target_intent(turn: Turn, position: Position, qty: Qty, target: Price, list_id: str) -> Intent:
    return Intent(
        client_id=turn.new_client_id(),
        position_id=position.id,
        purpose=Purpose.TARGET,
        side=Side.SELL,
        type=OrderType.LIMIT_MAKER,
        qty=qty,
        price=target,
        stop_price=None,
        time_in_force=None,
        created_ms=turn.at_ms,
        reason=f"target at {plain(target)}",
        list_id=list_id,
    )


def _tell_unprotected(turn: Turn, position: Position, why: str) -> None:
    """Once for each position: its stop cannot rest on the exchange, so only the agent watches it."""
    noted = position.noted("no_resting_stop")
    if noted is not position:
        turn.put_position(noted)
        text = f"position {position.id}: no stop can rest on the exchange ({why}); the agent watches it alone"
        turn.alert(AlertLevel.ERROR, "unprotected", text)


def protect_later(turn: Turn, position_id: int) -> None:
    """What rested ended without selling anything: another follows, later each time."""
    guards = guards_in(turn.state.orders_of(position_id))
    failed = sum(1 for g in guards if g.is_settled and g.filled == 0 and not given_up(g))
    wait = PROTECT_RETRY_MS[min(max(failed, 1), len(PROTECT_RETRY_MS)) - 1]
    turn.change(protect_retry_ms={**turn.state.protect_retry_ms, position_id: turn.at_ms + wait})


def given_up(guard: Guard) -> bool:
    """Whether it ended because we asked for it."""
    return any(leg.cancel_sent_ms is not None for leg in guard.legs)


def rest_grace_ms(turn: Turn) -> int:
    return max(REST_GRACE_MS, turn.state.setup.limits.order_timeout_ms // 20)


def count_protection(turn: Turn, position: Position) -> None:
    """Keep the time without a resting stop: since when, and how much in all."""
    protected = protecting_order(turn, position.id) is not None
    since = position.unprotected_since_ms
    if protected and since is not None:
        spent = position.unprotected_ms + turn.at_ms - since
        turn.put_position(position.with_protection(None, spent))
    elif not protected and since is None:
        turn.put_position(position.with_protection(turn.at_ms, position.unprotected_ms))
