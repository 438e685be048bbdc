"""Numbers under every grid: rounding never makes more of anything, and what was bought can be sold."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, walk
from agent.core.money import ceil_to, floor_to, money, percent_of, plain
from agent.core.order import Fact, Purpose
from agent.core.risk import Approved, Wish, assess_entry
from agent.core.state import AgentState
from tests.playbook import LIMITS, D, Playbook, PositionState, make_instrument, make_setup

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover

GRIDS = st.sampled_from(["1000", "1", "0.5", "0.1", "0.025", "0.001", "0.00000001"]).map(Decimal)
TICKS = st.sampled_from(["1", "0.05", "0.01", "0.0001", "0.00000001"]).map(Decimal)
AMOUNTS = st.decimals("0", "1000000", places=8)
STATES: dict[str, AgentState] = {}


def ready() -> AgentState:
    if "ready" not in STATES:
        STATES["ready"] = Playbook().ready().state
    return STATES["ready"]


def grid(step: Decimal, tick: Decimal) -> Instrument:
    return make_instrument(step=step, min_qty=step, tick=tick, min_price=tick, max_price=D(0), max_qty=D(0),
                           market_max_qty=D(0), max_notional=D(0))  # fmt: skip


@given(AMOUNTS, GRIDS)
def test_rounding_stays_on_its_side_of_the_amount(amount: Decimal, step: Decimal) -> None:
    low, high = floor_to(amount, step), ceil_to(amount, step)
    assert low <= amount <= high
    assert amount - low < step
    assert high - amount < step
    assert low % step == 0
    assert high % step == 0


@given(AMOUNTS, GRIDS, TICKS)
def test_a_price_is_on_its_grid_in_the_stated_direction(
    amount: Decimal, step: Decimal, tick: Decimal
) -> None:
    assume(amount > 0)
    instrument = grid(step, tick)
    down, up, near = (instrument.price(amount, way) for way in ("down", "up", "nearest"))
    assert max(down, tick) == down
    assert down <= max(amount, tick)
    assert up >= amount
    assert down <= near <= up
    for price in (down, up, near):
        assert price % tick == 0


@given(st.floats(1e-8, 1e6, allow_nan=False), TICKS)
def test_a_level_in_float_becomes_money_in_one_place(level: float, tick: Decimal) -> None:
    price = grid(D(1), tick).price(level, "down")
    assert isinstance(price, Decimal)
    assert price == tick or price <= Decimal(repr(level))


@given(AMOUNTS)
def test_text_of_an_amount_is_the_amount(amount: Decimal) -> None:
    text = plain(amount)
    assert money(text) == amount
    assert "E" not in text
    assert text == "0" or not text.endswith(".")


@settings(deadline=None, max_examples=150)
@given(
    cash=st.decimals("100", "1000000", places=2),
    price=st.decimals("0.01", "50000", places=4),
    stop_percent=st.decimals("0.05", "40", places=2),
    risk=st.decimals("0.1", "10", places=1),
    cap=st.decimals("1", "100", places=0),
    fee_bp=st.integers(0, 50),
    step=GRIDS,
    depth=st.decimals("0.1", "100000", places=1),
)
def test_an_approved_entry_keeps_every_limit_and_can_be_left(
    cash: Decimal, price: Decimal, stop_percent: Decimal, risk: Decimal, cap: Decimal, fee_bp: int,
    step: Decimal, depth: Decimal,
) -> None:  # fmt: skip
    state = ready()
    instrument = grid(step, D("0.0001"))
    ask = instrument.price(price, "nearest")
    limits = replace(LIMITS, risk_per_trade_percent=risk, max_position_size_percent=cap)
    fee_rate = Decimal(fee_bp) / 10_000
    day = state.durable.day
    assert day is not None
    durable = replace(
        state.durable,
        account=replace(state.durable.account, cash=cash),
        day=replace(day, start_equity=cash),
    )
    state = state.but(
        setup=replace(state.setup, limits=limits, fee_rate=fee_rate), instrument=instrument, durable=durable
    )
    levels = (BookLevel(ask, depth), BookLevel(ask + 20 * instrument.tick, D(10_000_000)))
    book = Book((BookLevel(max(ask - instrument.tick, instrument.tick), D(10_000_000)),), levels, 0)
    stop = float(price * (1 - stop_percent / 100))
    verdict = assess_entry(state, Wish(1, "tst0x", stop, book, 0, "test"), ())
    assume(isinstance(verdict, Approved))
    assert isinstance(verdict, Approved)
    qty = verdict.intent.qty
    paid = walk(book.asks, qty)
    assert paid.average_price is not None
    assert qty % step == 0
    assert paid.cost <= percent_of(cash, cap), "the position is no larger than its cap"
    assert paid.cost * (1 + fee_rate) <= cash, "fees are paid from what is there"
    assert (paid.average_price - instrument.price(stop, "down")) * qty <= percent_of(cash, risk)
    assert verdict.intent.price is not None
    worst = book.mid
    assert worst is not None
    assert verdict.intent.price <= worst * (1 + limits.slippage_tolerance_percent / 100)
    left = instrument.qty(qty * (1 - fee_rate))
    assert not instrument.breaches(left, instrument.price(stop, "down"), market=True), "it can be left"


@settings(deadline=None, max_examples=60)
@given(
    step=st.sampled_from(["1", "0.1", "0.01"]).map(Decimal),
    parts=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    sales=st.lists(st.integers(0, 500), max_size=4),
    currencies=st.lists(st.sampled_from(["ADA", "USDT", "BNB"]), min_size=9, max_size=9),
    protective=st.booleans(),
)
def test_sales_never_exceed_what_fees_left_of_the_fills(
    step: Decimal, parts: list[int], sales: list[int], currencies: list[str], protective: bool
) -> None:
    """However entry and sales are cut into pieces and fees taken, every sale is covered by what is owned."""
    setup = make_setup(protective_stop=protective)
    play = Playbook(setup, make_instrument(step=step, min_qty=step)).ready()
    play.signal()
    play.book()
    entry, owned = play.entry(), D(0)
    fee_in = iter(currencies)
    for part in parts:
        qty = min(play.instrument.qty(Decimal(part)), entry.qty - play.order(entry).filled)
        if qty > 0:
            currency = next(fee_in)
            play.partly(entry, "0.4981", str(qty), fee_currency=currency)
            owned += qty - (qty * D("0.0005") if currency == "ADA" else 0)
    play.expires(entry)
    if play.instrument.qty(owned) == 0:
        assert play.position().state is PositionState.CLOSED
        assert (play.position().dust_qty, play.position().exit_reason) == (owned, "DUST")
        return
    assert play.position().held_qty == owned
    for stop in [i for i in play.sent(play.commands) if i.purpose is Purpose.PROTECT]:
        assert stop.qty <= owned
        play.works(stop)
    play.quiet_bar()
    play.walk(0.5040)
    for stop in play.resting_stops():
        play.canceled(stop)
    for want in [*sales, 10_000, 10_000]:
        if play.position().state is not PositionState.EXITING:
            break
        play.later(2_000)
        sale = play.sale()
        assert sale.qty <= owned
        sold = min(sale.qty, play.instrument.qty(Decimal(want)))
        fills = (("0.5040", str(sold)),) if sold else ()
        play.report(sale, Fact.FULLY_FILLED if sold == sale.qty else Fact.HAS_EXPIRED, *fills)
        owned -= sold
    position = play.position()
    assert position.state is PositionState.CLOSED
    assert 0 <= position.dust_qty == owned
    assert position.held_qty == 0
