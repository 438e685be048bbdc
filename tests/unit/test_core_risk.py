"""Every limit refuses alone, with its numbers, and everything else passes beside it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.events import Impairment
from agent.core.instrument import Instrument, PriceBand
from agent.core.market import Book, BookLevel, DataSource
from agent.core.order import (
    Fact,
    Intent,
    Order,
    OrderReport,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    TimeInForce,
)
from agent.core.phase import Phase
from agent.core.position import Position
from agent.core.records import Check
from agent.core.risk import Approved, Refused, Wish, approve_sale, assess_entry, position_size
from agent.core.state import AgentState
from tests.playbook import LIMITS, D, Playbook, PositionState, make_instrument, make_setup

ALL = (
    "agent running",
    "data fresh",
    "order outcomes known",
    "entries allowed",
    "stop below entry",
    "size",
    "risk per trade",
    "position size",
    "open positions",
    "daily trades",
    "daily loss",
    "free capital",
    "open orders",
    "exchange filters",
    "exitability",
    "slippage",
)


def ready(instrument: Instrument | None = None, **changes: object) -> AgentState:
    return Playbook(make_setup(**changes), instrument).ready().state


def book(*asks: tuple[str, str], bid: str = "0.4999") -> Book:
    levels = tuple(BookLevel(D(p), D(q)) for p, q in asks or (("0.5000", "100000"),))
    return Book((BookLevel(D(bid), D(100_000)),), levels, 0)


def wish(stop: float = 0.48, at: Book | None = None) -> Wish:
    return Wish(7, "tst0wish", stop, at or book(), 1_000, "test")


def ask(
    state: AgentState, *, stop: float = 0.48, at: Book | None = None, blocks: tuple[str, ...] = ()
) -> Approved | Refused:
    return assess_entry(state, wish(stop, at), blocks)


def failed(verdict: Approved | Refused) -> dict[str, str]:
    assert isinstance(verdict, Refused), verdict
    for check in verdict.checks:
        assert check.numbers, check
        if not check.passed:
            assert f"{check.name}: {check.numbers}" in verdict.reason
    return {c.name: c.numbers for c in verdict.checks if not c.passed}


def limits(**changes: object) -> object:
    return replace(LIMITS, **changes)


# --- passed --------------------------------------------------------------------------------------------


def test_what_passes_carries_every_check_with_its_numbers() -> None:
    verdict = ask(ready())
    assert isinstance(verdict, Approved)
    assert tuple(c.name for c in verdict.checks) == ALL
    assert all(c.passed for c in verdict.checks)
    numbers = {c.name: c.numbers for c in verdict.checks}
    assert numbers["risk per trade"] == "40 of 100 USDT (1 %)"
    assert numbers["position size"] == "1000 of 1000 USDT (10 %)"
    assert numbers["open positions"] == "0 open or in flight, 1 allowed"
    assert numbers["daily trades"].startswith("0 of 10 on 20")
    assert numbers["daily loss"] == "0 USDT today, limit -500 USDT"
    assert numbers["free capital"] == "1005.3024 of 10000 USDT with fees"
    assert numbers["exchange filters"] == "2000 ADA at 0.5024"
    assert numbers["exitability"] == "after fees 1999 ADA at the stop 0.48 can be sold"
    assert numbers["slippage"] == "expected 0.0100 % over mid 0.49995, tolerance 0.5 %"


@pytest.mark.parametrize(
    ("stop", "size", "why"),
    [(0.48, "2000", "the cap is smaller"), (0.40, "1000", "the risk is smaller"), (0.10, "250", "far away")],
)
def test_the_smaller_of_risk_and_cap_rounded_down(stop: float, size: str, why: str) -> None:
    verdict = ask(ready(), stop=stop)
    assert isinstance(verdict, Approved), why
    assert verdict.intent.qty <= D(size)
    assert verdict.intent.qty > D(size) - D("0.2")


def test_a_thin_book_sizes_by_what_it_really_costs() -> None:
    at = book(("0.5000", "100"), ("0.5015", "100000"))
    verdict = ask(ready(), at=at)
    assert isinstance(verdict, Approved)
    cost = D(100) * D("0.5000") + (verdict.intent.qty - 100) * D("0.5015")
    assert cost <= 1000, "ten percent is ten percent"
    assert cost > 999


# --- each limit alone -----------------------------------------------------------------------------------


def test_not_running() -> None:
    state = ready()
    state = replace(state, durable=replace(state.durable, phase=Phase.PAUSED))
    assert failed(ask(state)) == {"agent running": "PAUSED"}


def test_data_not_fresh() -> None:
    state = replace(ready(), fresh=False)
    assert set(failed(ask(state))) == {"data fresh"}
    quotes = replace(state.prices, connection_ok=False)
    told = failed(ask(replace(state, fresh=True, prices=quotes)))["data fresh"]
    assert "data from websocket" in told
    assert "price seen 0.0 s ago" in told


def with_order(state: AgentState, status: OrderStatus, *, qty: str = "10", leaves: str = "0") -> AgentState:
    """An entry of another position, `leaves` of it still open."""
    play = Playbook(state.setup).ready()
    play.signal()
    play.book()
    position: Position = replace(play.position(), id=3)
    intent = Intent(
        "tst0other", 3, Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D(qty), D("0.5"), None,  # type: ignore[arg-type]
        TimeInForce.IOC, 0, "test",
    )  # fmt: skip
    order = Order(intent, status, reported_qty=D(qty) - D(leaves))
    return replace(state, positions={3: position}, orders={"tst0other": order})


def test_an_order_of_unknown_outcome() -> None:
    state = with_order(ready(limits=limits(max_open_positions=2)), OrderStatus.UNKNOWN, leaves="10")
    assert failed(ask(state)) == {"order outcomes known": "1 order(s) of unknown outcome"}


def test_anything_else_that_blocks() -> None:
    assert failed(ask(ready(), blocks=("clock offset: 800 ms",))) == {
        "entries allowed": "clock offset: 800 ms"
    }


@pytest.mark.parametrize("stop", [0.5, 0.51, 7.0])
def test_a_stop_at_or_above_the_entry(stop: float) -> None:
    told = failed(ask(ready(), stop=stop))
    assert set(told) == {"stop below entry"}
    assert f"stop {stop:g}" in told["stop below entry"]


def test_too_many_positions() -> None:
    state = with_order(ready(), OrderStatus.NEW, leaves="10")
    assert failed(ask(state)) == {"open positions": "1 open or in flight, 1 allowed"}


def test_too_many_trades_today_counting_those_on_their_way() -> None:
    state = ready(limits=limits(max_daily_trades=2, max_open_positions=5))
    day = state.durable.day
    assert day is not None
    state = replace(state, durable=replace(state.durable, day=replace(day, trades=1)))
    assert isinstance(ask(state), Approved)
    on_its_way = with_order(state, OrderStatus.NEW, leaves="10")
    assert set(failed(ask(on_its_way))) == {"daily trades"}
    full = replace(state, durable=replace(state.durable, day=replace(day, trades=2)))
    assert failed(ask(full))["daily trades"].startswith("2 of 2 on ")


def test_a_daily_loss_at_its_limit() -> None:
    state = ready()
    account = replace(state.durable.account, cash=D(9500))
    state = replace(state, durable=replace(state.durable, account=account))
    assert failed(ask(state)) == {"daily loss": "-500 USDT today, limit -500 USDT"}
    account = replace(account, cash=D("9500.01"))
    assert isinstance(ask(replace(state, durable=replace(state.durable, account=account))), Approved)


def test_a_daily_loss_that_was_reached_before() -> None:
    state = ready()
    day = state.durable.day
    assert day is not None
    state = replace(state, durable=replace(state.durable, day=replace(day, loss_limit_hit=True)))
    assert set(failed(ask(state))) == {"daily loss"}


def test_a_day_without_a_start() -> None:
    state = ready()
    day = state.durable.day
    assert day is not None
    state = replace(state, durable=replace(state.durable, day=replace(day, start_equity=None)))
    assert failed(ask(state)) == {"day": "the day's starting equity is not known yet"}


def test_free_capital_with_fees_and_what_is_promised() -> None:
    wide = limits(max_open_positions=2, max_position_size_percent=D(90), risk_per_trade_percent=D(10))
    state = with_order(ready(limits=wide), OrderStatus.NEW, qty="2000", leaves="2000")
    told = failed(ask(state))
    assert set(told) == {"free capital"}
    assert told["free capital"].endswith("of 8999.5 USDT with fees"), "1000 and its fee are promised"


def test_capital_bounds_what_counts_as_ours() -> None:
    verdict = ask(ready(capital=D(1000)))
    assert isinstance(verdict, Approved)
    assert verdict.intent.qty == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"min_qty": D(5000)}, "below the minimum 5000"),
        ({"max_qty": D(1000)}, "above the maximum 1000"),
        ({"min_notional": D(2000)}, "below the minimum 2000"),
        ({"max_notional": D(500)}, "above the maximum 500"),
        ({"min_price": D("0.6")}, "below the minimum 0.6"),
        ({"max_price": D("0.4")}, "above the maximum 0.4"),
        ({"price_band": PriceBand(D("0.9"), D("1.001"), D("0.9"), D("1.1"))}, "outside the allowed band"),
    ],
)
def test_every_filter_of_the_exchange(change: dict[str, object], words: str) -> None:
    told = failed(ask(ready(make_instrument(**change))))
    assert words in told["exchange filters"]
    assert set(told) <= {"exchange filters", "exitability"}


def test_a_position_that_could_not_be_left_at_its_stop() -> None:
    """Just above the minimum value at the entry, below it at the stop after the fee."""
    state = ready(make_instrument(min_notional=D(990)))
    told = failed(ask(state))
    assert set(told) == {"exitability"}
    assert "order value 959.52 USDT is below the minimum 990" in told["exitability"]


def test_an_order_larger_than_one_sale_can_be_is_no_obstacle() -> None:
    assert isinstance(ask(ready(make_instrument(market_max_qty=D(100)))), Approved)


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        ((("0.5000", "100"), ("0.5040", "100000")), "tolerance 0.5 %"),
        ((("0.5000", "100"),), "the book offers 100 of"),
        ((("0.5100", "100000"),), "expected 1.0001 % over mid 0.50495, tolerance 0.5 %"),
    ],
)
def test_slippage_of_the_walk_through_the_book(asks: tuple[tuple[str, str], ...], words: str) -> None:
    told = failed(ask(ready(), at=book(*asks)))
    assert set(told) == {"slippage"}
    assert words in told["slippage"]


def test_without_an_account_or_a_book_nothing_is_judged() -> None:
    assert set(failed(ask(Playbook().state))) == {"data"}
    empty = Book((), (), 0)
    assert set(failed(ask(ready(), at=empty))) == {"data"}


def test_a_size_below_one_step_is_refused_not_asserted() -> None:
    state = ready(make_instrument(step=D(10_000), min_qty=D(10_000)))
    assert "exchange filters" in failed(ask(state))


# --- the order it makes ---------------------------------------------------------------------------------


def test_limit_and_market_orders() -> None:
    limit = ask(ready())
    assert isinstance(limit, Approved)
    assert (limit.intent.type, limit.intent.price) == (OrderType.LIMIT, D("0.5024"))
    assert limit.intent.time_in_force is TimeInForce.IOC
    market = ask(ready(entry_order="market"))
    assert isinstance(market, Approved)
    assert (market.intent.type, market.intent.price) == (OrderType.MARKET, None)


def test_size_by_risk_and_cap() -> None:
    state = ready()
    assert position_size(D(10_000), D("0.5"), D("0.4"), state).smaller == 1000
    assert position_size(D(10_000), D("0.5"), D("0.49"), state).smaller == 2000
    with pytest.raises(AssertionError):
        position_size(D(10_000), D("0.5"), D("0.5"), state)


# --- sales ----------------------------------------------------------------------------------------------


def sale(qty: str) -> Intent:
    return Intent(
        "tst0sale", 1, Purpose.EXIT, Side.SELL, OrderType.MARKET, D(qty), None, None, None, 0, "STOP"  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("qty", "owned", "selling", "allowed"),
    [
        ("10", "10", "0", True),
        ("10.1", "10", "0", False),
        ("10", "20", "10", True),
        ("10", "20", "10.1", False),
    ],
)
def test_a_sale_is_refused_only_when_it_is_more_than_ours(
    qty: str, owned: str, selling: str, allowed: bool
) -> None:
    verdict = approve_sale(sale(qty), Decimal(owned), Decimal(selling))
    assert isinstance(verdict, Approved) is allowed
    assert isinstance(verdict.checks[0], Check)


def test_exits_are_not_blocked_by_anything_that_blocks_entries() -> None:
    play = Playbook().ready()
    play.enter("0.4981")
    play.quiet_bar()
    for by in Impairment:
        play.learn(e.Impaired(by, "why", permanent=by is Impairment.CREDENTIALS_REFUSED))
    play.learn(e.FeedReported(DataSource.NONE, fresh=False))
    play.walk(0.5040)
    assert play.position().state is PositionState.EXITING
    assert play.sale().qty > 0
    play.report(play.sale(), Fact.WORKING)


# --- all of the capital, and room for orders ---------------------------------------------------


def test_all_of_the_capital_is_sized_so_that_fees_and_tolerance_fit() -> None:
    whole = limits(max_position_size_percent=D(100), risk_per_trade_percent=D(10))
    verdict = ask(ready(limits=whole))
    assert isinstance(verdict, Approved)
    numbers = {c.name: c.numbers for c in verdict.checks}
    worst = verdict.intent.price
    assert worst is not None
    assert verdict.intent.qty * worst * D("1.0005") <= 10_000
    assert (verdict.intent.qty + D("0.1")) * worst * D("1.0005") > 10_000, "and not a step less"
    assert f"{verdict.intent.qty} ADA with fees and tolerance: {verdict.intent.qty}" in numbers["size"]
    assert "by cap 20000" in numbers["size"]


def test_capital_that_is_short_of_the_size_itself_refuses() -> None:
    wide = limits(max_open_positions=2, max_position_size_percent=D(90), risk_per_trade_percent=D(10))
    state = with_order(ready(limits=wide), OrderStatus.NEW, qty="4000", leaves="4000")
    assert set(failed(ask(state))) == {"free capital"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_orders": 2}, "1 orders open, 2 allowed"),
        ({"max_conditional_orders": 1}, "1 stops open, 1 allowed"),
    ],
)
def test_an_entry_whose_stop_would_find_no_room_is_refused(change: dict[str, int], words: str) -> None:
    state = ready(make_instrument(**change))
    theirs = OrderReport("web_1", "9", Side.SELL, "STOP_LOSS", Fact.WORKING, D(5), D(0), D(0), 0)
    state = state.but(strangers=(theirs,))
    assert words in failed(ask(state))["open orders"]
