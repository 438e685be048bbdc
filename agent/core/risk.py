"""Permission is a type: an order may be sent only as `Approved`, and only this module makes one.

`assess_entry` answers every wish to enter with all its numbers, passed or not, so that a refusal can
be read and checked by hand. `approve_sale` answers a wish to leave, which is refused for one reason
only: selling more than is ours. Exits are never blocked by slippage, limits or stale data.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.instrument import Instrument
from agent.core.market import Book, walk
from agent.core.money import HUNDRED, ONE, ZERO, Price, Qty, percent_of, plain
from agent.core.order import CONDITIONAL, TERMINAL, Intent, OrderType, Purpose, Side, TimeInForce
from agent.core.phase import Phase
from agent.core.records import Check
from agent.core.state import AgentState
from agent.core.value import Value
from agent.core.verdict import Approved, ApprovedPair, Refused
from agent.core.worth import balance, day_pnl, equity

__all__ = [
    "Approved",
    "ApprovedPair",
    "Refused",
    "Wish",
    "approve_pair",
    "approve_sale",
    "assess_entry",
    "position_size",
]

#: Binance's words for orders that wait for a price.
_CONDITIONAL_WORDS: Final = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class Wish(Value, frozen=True):
    """A signal that wants to become an order. `stop` sizes the position whether it is enforced or not."""

    position_id: int
    client_id: str
    stop: float
    book: Book
    at_ms: int
    reason: str


class Sizes(Value, frozen=True):
    """Base currency before rounding, by each thing that bounds it."""

    by_risk: Decimal
    by_cap: Decimal

    @property
    def smaller(self) -> Decimal:
        return min(self.by_risk, self.by_cap)


def position_size(equity_now: Decimal, entry: Decimal, stop: Decimal, state: AgentState) -> Sizes:
    """Size by risk and size by cap (SPEC 6); the smaller counts.

    by risk = equity * risk% / (entry - stop); by cap = equity * max position% / entry.
    """
    assert entry > stop, "a stop at or above the entry has no size"
    limits = state.setup.limits
    by_risk = percent_of(equity_now, limits.risk_per_trade_percent) / (entry - stop)
    by_cap = percent_of(equity_now, limits.max_position_size_percent) / entry
    return Sizes(by_risk, by_cap)


def assess_entry(state: AgentState, wish: Wish, blocks: tuple[str, ...]) -> Approved | Refused:
    """Every limit with its numbers. `blocks` is what blocks entries besides the numbers of this one."""
    instrument, worth = state.instrument, equity(state)
    mid = wish.book.mid
    if instrument is None or worth is None or mid is None or not wish.book.asks:
        missing = Check("data", False, "the book, the balance or the pair's rules are not known")
        return Refused("data: " + missing.numbers, (missing,))
    stop = instrument.price(wish.stop, "down")
    entry = wish.book.asks[0].price
    checks = list(_readiness_checks(state, blocks))
    checks.append(Check("stop below entry", stop < entry, f"stop {plain(stop)}, entry about {plain(entry)}"))
    if stop >= entry:
        return _refuse(checks)
    qty = instrument.qty(position_size(worth, entry, stop, state).smaller)
    # A thin book fills deeper than its best price: then the size follows the price it really costs.
    entry = walk(wish.book.asks, qty).average_price or entry
    sizes = position_size(worth, entry, stop, state)
    limit = instrument.price(mid * (ONE + state.setup.limits.slippage_tolerance_percent / HUNDRED), "down")
    qty, size_check = _fitted(state, instrument, sizes, entry, max(limit, wish.book.asks[0].price))
    checks.append(size_check)
    checks += _size_checks(state, worth, qty, entry, stop)
    checks += _day_checks(state)
    checks += _exchange_checks(state, instrument, qty, max(limit, wish.book.asks[0].price), stop, mid)
    checks.append(_slippage_check(state, wish.book, qty, mid))
    if not all(check.passed for check in checks):
        return _refuse(checks)
    return Approved(_entry_intent(state, wish, qty, limit), tuple(checks))


def _fitted(
    state: AgentState, instrument: Instrument, sizes: Sizes, entry: Decimal, worst: Decimal
) -> tuple[Qty, Check]:
    """The size, made smaller by what fees and tolerance may cost where all free capital goes into it.

    Capital that is short of the size itself is no reason to buy less, but to refuse: see `free capital`.
    """
    wanted = instrument.qty(sizes.smaller)
    free = max(ZERO, (balance(state) or ZERO) - _committed(state))
    affordable = instrument.qty(free / (worst * (ONE + state.setup.fee_rate)))
    fits = affordable if affordable < wanted and wanted * entry <= free else wanted
    numbers = (
        f"by risk {plain(instrument.qty(sizes.by_risk))}, by cap {plain(instrument.qty(sizes.by_cap))},"
        f" by free capital {plain(affordable)} {instrument.base} with fees and tolerance: {plain(fits)}"
    )
    return fits, Check("size", True, numbers)


def _refuse(checks: list[Check]) -> Refused:
    failed = [f"{c.name}: {c.numbers}" for c in checks if not c.passed]
    return Refused("; ".join(failed), tuple(checks))


def _readiness_checks(state: AgentState, blocks: tuple[str, ...]) -> tuple[Check, ...]:
    """What must hold whatever the numbers of the wish are; `blocks` says all of it, and more."""
    unknown, quote, bar = len(state.unknown_orders()), state.prices.trusted, state.last_bar
    ages = [f"data from {state.source.value}"]
    if bar is not None:
        ages.append(f"newest bar closed {(state.now_ms - bar.open_ms - state.setup.bar_ms) / 1000:.1f} s ago")
    if quote is not None:
        ages.append(f"price seen {(state.now_ms - quote.at_ms) / 1000:.1f} s ago")
    return (
        Check("agent running", state.phase is Phase.RUNNING, state.phase.value),
        Check("data fresh", state.fresh and state.prices.connection_ok, ", ".join(ages)),
        Check("order outcomes known", unknown == 0, f"{unknown} order(s) of unknown outcome"),
        Check("entries allowed", not blocks, "; ".join(blocks) or "nothing blocks entries"),
    )


def _size_checks(
    state: AgentState, worth: Decimal, qty: Qty, entry: Decimal, stop: Decimal
) -> tuple[Check, ...]:
    limits, quote = state.setup.limits, state.setup.quote
    at_risk, allowed = qty * (entry - stop), percent_of(worth, limits.risk_per_trade_percent)
    cost, cap = qty * entry, percent_of(worth, limits.max_position_size_percent)
    taken = len(state.open_positions()) + sum(1 for p in state.in_flight() if p.id not in state.pending)
    return (
        Check(
            "risk per trade",
            at_risk <= allowed,
            f"{plain(at_risk)} of {plain(allowed)} {quote} ({plain(limits.risk_per_trade_percent)} %)",
        ),
        Check(
            "position size",
            cost <= cap,
            f"{plain(cost)} of {plain(cap)} {quote} ({plain(limits.max_position_size_percent)} %)",
        ),
        Check(
            "open positions",
            taken < limits.max_open_positions,
            f"{taken} open or in flight, {limits.max_open_positions} allowed",
        ),
    )


def _day_checks(state: AgentState) -> tuple[Check, ...]:
    limits, day = state.setup.limits, state.durable.day
    pnl = day_pnl(state)
    if day is None or day.start_equity is None or pnl is None:
        return (Check("day", False, "the day's starting equity is not known yet"),)
    entering = sum(1 for p in state.in_flight() if p.id not in state.pending and p.opened_ms is None)
    most = percent_of(day.start_equity, limits.max_daily_loss_percent)
    quote = state.setup.quote
    return (
        Check(
            "daily trades",
            day.trades + entering < limits.max_daily_trades,
            f"{day.trades} of {limits.max_daily_trades} on {day.date}",
        ),
        Check(
            "daily loss",
            pnl > -most and not day.loss_limit_hit,
            f"{plain(pnl)} {quote} today, limit -{plain(most)} {quote}",
        ),
    )


def _exchange_checks(
    state: AgentState, instrument: Instrument, qty: Qty, worst: Decimal, stop: Decimal, mid: Decimal
) -> tuple[Check, ...]:
    setup = state.setup
    needed = qty * worst * (ONE + setup.fee_rate)
    free = (balance(state) or ZERO) - _committed(state)
    market = setup.entry_order == "market"
    broken = instrument.breaches(qty, worst, market=market)
    if not market:
        broken += instrument.band_breaches(worst, mid, buying=True)
    sellable = instrument.qty(qty * (ONE - setup.fee_rate))
    # More than one order may carry is sold in several.
    stuck = instrument.breaches(instrument.most(sellable, market=True), stop, market=True)
    return (
        Check(
            "free capital", needed <= free, f"{plain(needed)} of {plain(free)} {instrument.quote} with fees"
        ),
        _open_orders_check(state, instrument),
        Check(
            "exchange filters",
            not broken,
            "; ".join(broken) or f"{plain(qty)} {instrument.base} at {plain(worst)}",
        ),
        Check(
            "exitability",
            not stuck,
            f"after fees {plain(sellable)} {instrument.base} at the stop {plain(stop)}"
            + (f": {'; '.join(stuck)}" if stuck else " can be sold"),
        ),
    )


def _open_orders_check(state: AgentState, instrument: Instrument) -> Check:
    """Whether the entry, and then a stop and a target as a list, find room among the orders open now."""
    ours = [o for o in state.orders.values() if o.status not in TERMINAL]
    others = len(state.strangers)
    stops = sum(1 for o in ours if o.intent.type in CONDITIONAL)
    stops += sum(1 for r in state.strangers if r.type in _CONDITIONAL_WORDS)
    lists = len({o.intent.list_id for o in ours if o.intent.list_id})
    counts = (
        ("orders", len(ours) + others, 2, instrument.max_orders),
        ("stops", stops, 1, instrument.max_conditional_orders),
        ("lists", lists, 1, instrument.max_lists),
    )
    full = [f"{n} {name} open, {most} allowed" for name, n, more, most in counts if most and n + more > most]
    told = "; ".join(full) or f"{len(ours)} of ours and {others} of others are open"
    return Check("open orders", not full, told)


def _committed(state: AgentState) -> Decimal:
    """Quote currency promised to entry orders that are on their way, with fees.

    A market order has no limit: it may cost the tolerance more than expected.
    """
    slipped = ONE + state.setup.limits.slippage_tolerance_percent / HUNDRED
    promised = ZERO
    for order in state.orders.values():
        if order.intent.purpose is Purpose.ENTRY and order.leaves_qty:
            expected = state.positions[order.intent.position_id].plan.expected_entry
            promised += order.leaves_qty * (order.intent.price or expected * slipped)
    return promised * (ONE + state.setup.fee_rate)


def _slippage_check(state: AgentState, book: Book, qty: Qty, mid: Decimal) -> Check:
    tolerance = state.setup.limits.slippage_tolerance_percent
    taken = walk(book.asks, qty)
    average = taken.average_price
    if average is None or taken.qty < qty:
        return Check("slippage", False, f"the book offers {plain(taken.qty)} of {plain(qty)}")
    percent = (average - mid) / mid * HUNDRED
    return Check(
        "slippage",
        percent <= tolerance,
        f"expected {percent:.4f} % over mid {plain(mid)}, tolerance {plain(tolerance)} %",
    )


def _entry_intent(state: AgentState, wish: Wish, qty: Qty, limit: Price) -> Intent:
    market = state.setup.entry_order == "market"
    return Intent(
        client_id=wish.client_id,
        position_id=wish.position_id,
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        type=OrderType.MARKET if market else OrderType.LIMIT,
        qty=qty,
        price=None if market else limit,
        stop_price=None,
        time_in_force=None if market else TimeInForce.IOC,
        created_ms=wish.at_ms,
        reason=wish.reason,
    )


def approve_sale(intent: Intent, owned: Decimal, already_selling: Decimal) -> Approved | Refused:
    """A sale of what is ours: `owned` base currency of the position, less what other sales may still take."""
    assert intent.side is Side.SELL
    free = owned - already_selling
    check = Check("ours to sell", intent.qty <= free, f"{plain(intent.qty)} of {plain(free)}")
    return Approved(intent, (check,)) if check.passed else _refuse([check])


def approve_pair(
    stop: Intent, target: Intent, owned: Decimal, already_selling: Decimal
) -> ApprovedPair | Refused:
    """Both legs of a list, of which only one ever trades: each must be ours to sell alone."""
    verdicts = [approve_sale(leg, owned, already_selling) for leg in (stop, target)]
    first, second = verdicts
    if isinstance(first, Refused):
        return first
    return second if isinstance(second, Refused) else ApprovedPair(first, second)
