"""What carries our mark and is in no row: sales find their position, purchases block entries."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from agent.core import events as e
from agent.core.commands import CancelOrder, ReadAccount
from agent.core.gate import entries_blocked_by
from agent.core.market import DAY_MS
from agent.core.order import Fact, Fill, OrderReport, OrderStatus, Purpose, Side, client_order_id
from tests.playbook import BAR, MINUTE, D, Playbook, PositionState, make_setup

LOST = "tst0lost"


def holding() -> Playbook:
    play = Playbook().ready()
    play.enter("0.4981")
    play.at(play.now_ms + MINUTE)
    play.quote(0.4985)
    return play


def lost(play: Playbook, qty: Decimal, side: Side = Side.SELL, trade_id: str = "9001") -> Fill:
    return Fill(trade_id, LOST, side, D("0.4985"), qty, D(0), "USDT", play.now_ms)


def reading(
    play: Playbook, *fills: Fill, ada: Decimal, usdt: Decimal, resting: tuple[OrderReport, ...] = ()
) -> None:
    known = tuple(f for o in play.state.orders.values() for f in o.fills)
    working = tuple(
        play.make_report(o.intent, Fact.WORKING, D(0)) for o in play.state.orders.values() if o.is_working
    )
    holdings = {"USDT": e.Holding(usdt, D(0)), "ADA": e.Holding(ada, D(0))}
    play.learn(e.AccountSeen(holdings, (*working, *resting), (*known, *fills), 0))


def told(play: Playbook, qty: Decimal, fact: Fact, executed: Decimal, *fills: Fill) -> None:
    """What the look-up says of the lost order."""
    report = OrderReport(LOST, "88", Side.SELL, "MARKET", fact, qty, D(0), executed, play.now_ms, fills)
    play.learn(e.OrderReported(report))


def test_a_sale_that_the_disk_forgot_is_found_and_nothing_is_sold_twice() -> None:
    """Somebody else's coins lie beside ours, so a second sale would go through."""
    play = holding()
    play.canceled(play.stop())
    sold = lost(play, play.position().held_qty)
    cash = play.cash + sold.qty * sold.price
    reading(play, sold, ada=D(5_000), usdt=cash)
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "MANUAL")
    assert "adopted_sale" in position.notes
    assert play.cash == cash
    reading(play, sold, ada=D(5_000), usdt=cash)
    assert entries_blocked_by(play.state) == ()
    assert play.state.durable.account.foreign["ADA"] == 5_000
    sales = [o for o in play.state.orders.values() if o.intent.purpose is Purpose.EXIT]
    assert [o.intent.client_id for o in sales] == [LOST]


def started_anew(foreign: str) -> tuple[Playbook, Decimal]:
    """Held without a stop, `foreign` beside it: the next run finds the target reached and has read nothing,
    and what was held when the last one died."""
    play = Playbook(make_setup(protective_stop=False)).ready()
    play.enter("0.4981")
    play.foreign = D(foreign)
    play.account_agrees()
    play.quiet_bar()
    held = play.position().held_qty
    play.restart().come_back()
    play.quote(0.4985)
    play.walk(0.5040)
    assert play.position().state is PositionState.EXITING
    return play, held


def sales(play: Playbook) -> list[str]:
    return [o.intent.client_id for o in play.state.orders.values() if o.intent.purpose is Purpose.EXIT]


def test_nothing_is_sold_beside_other_coins_before_a_sale_in_no_row_can_be_found() -> None:
    play, held = started_anew("5000")
    assert not sales(play)
    play.later(5_000)
    assert not sales(play)
    sold = lost(play, play.instrument.qty(held))
    reading(play, sold, ada=held - sold.qty + 5_000, usdt=play.cash + sold.qty * sold.price)
    assert sales(play) == [LOST]
    assert play.position().state is PositionState.CLOSED


def test_an_account_that_agrees_lets_the_sale_go_at_once() -> None:
    play, _ = started_anew("5000")
    play.account_agrees()
    assert sales(play)


def test_an_account_that_cannot_be_read_holds_a_sale_up_for_less_than_a_minute() -> None:
    play, _ = started_anew("5000")
    for _ in range(12):
        play.learn(e.AccountUnreadable("no answer", permanent=False))
        play.later(5_000)
    assert sales(play)


def test_where_nothing_else_could_be_sold_the_sale_does_not_wait() -> None:
    play, _ = started_anew("0")
    assert sales(play)


def test_a_sale_that_was_only_in_part_leaves_the_rest_protected() -> None:
    play = holding()
    held = play.position().held_qty
    play.canceled(play.stop())
    sold = lost(play, D(100))
    reading(play, sold, ada=held - 100, usdt=play.cash + sold.qty * sold.price)
    assert play.position().state is PositionState.IN_POSITION
    assert play.position().held_qty == held - 100
    play.later(MINUTE)
    assert play.stop().qty <= held - 100


def test_one_that_still_rests_is_ended() -> None:
    play = holding()
    stop = play.make_report(play.stop(), Fact.WORKING, D(0))
    stray = OrderReport(LOST, "88", Side.SELL, "STOP_LOSS", Fact.WORKING, stop.qty, D(0), D(0), play.now_ms)
    reading(play, ada=D(9_000), usdt=play.cash, resting=(stray,))
    assert CancelOrder(LOST) in play.last
    told(play, stop.qty, Fact.WAS_CANCELED, D(0))
    assert play.state.orders[LOST].status is OrderStatus.CANCELED
    assert play.position().state is PositionState.IN_POSITION
    assert play.order(play.stop()).is_working
    reading(play, ada=D(9_000), usdt=play.cash)
    assert entries_blocked_by(play.state) == ()


def test_a_second_agent_with_our_ledger_is_noticed_and_left_alone() -> None:
    """Its orders carry our mark and were made after this run began."""
    play = holding()
    theirs = client_order_id(play.setup.tag, play.now_ms, 77, 1)
    sold = replace(lost(play, D(100)), client_id=theirs)
    stop = replace(play.make_report(play.stop(), Fact.WORKING, D(0)), client_id=f"{theirs[:-1]}2")
    for _ in range(9):
        reading(play, sold, ada=D(9_000), usdt=play.cash, resting=(stop,))
        assert not play.asked(CancelOrder)
        play.later(5_000)
    assert not {theirs, stop.client_id} & play.state.orders.keys()
    assert any(theirs in r and "in use twice" in r for r in entries_blocked_by(play.state))


def test_trades_that_ended_long_ago_are_not_taken_for_lost_ones() -> None:
    """The core forgets them after a day; a reading that reaches back so far shows them again."""
    play = holding()
    play.learn(e.CloseRequested("test", None))
    play.leave()
    old = tuple(f for o in play.state.orders.values() for f in o.fills)
    play.at(play.now_ms + 2 * DAY_MS)
    play.later(2 * MINUTE)
    assert not play.state.orders
    reading(play, *old, ada=D(5_000), usdt=play.cash)
    assert not play.state.orders
    assert not [reason for reason in entries_blocked_by(play.state) if "mark" in reason]


def test_a_purchase_that_no_row_knows_blocks_entries_until_somebody_has_looked() -> None:
    play = Playbook().ready()
    play.at(play.now_ms + MINUTE)
    bought = lost(play, D(2_000), Side.BUY)
    cash = play.cash - bought.qty * bought.price
    for _ in range(9):
        reading(play, bought, ada=D(2_000), usdt=cash)
        play.later(5_000)
    assert any("2000 ADA were bought with our mark" in r for r in entries_blocked_by(play.state))
    assert any(line.startswith("CRITICAL ledger difference") for line in play.alerts())
    assert not play.state.open_positions()


def test_a_round_trip_that_no_row_knows_is_a_flow() -> None:
    play = Playbook().ready()
    play.at(play.now_ms + MINUTE)
    both = (lost(play, D(2_000), Side.BUY), lost(play, D(2_000), Side.SELL, "9002"))
    cash = play.cash + 1
    for _ in range(3):
        reading(play, *both, ada=D(0), usdt=cash)
        play.later(5_000)
    assert entries_blocked_by(play.state) == ()


def test_the_first_reading_goes_back_to_where_the_ledger_ends() -> None:
    play = Playbook().ready()
    play.quiet_bar()
    decided_ms = play.state.durable.decided_open_ms
    assert decided_ms is not None
    play.at(play.now_ms + 40 * BAR)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    [asked] = play.asked(ReadAccount)
    assert asked.fills_since_ms <= decided_ms
