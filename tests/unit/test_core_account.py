"""What the exchange says about the account: agreement, flows, strangers, holes, silence."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.commands import LookUpOrder, ReadAccount
from agent.core.events import Impairment
from agent.core.gate import entries_blocked_by
from agent.core.market import DAY_MS
from agent.core.order import Fact, Side
from agent.core.worth import balance, day_pnl, equity
from tests.playbook import MINUTE, D, Playbook, make_setup


def see_twice(play: Playbook, **totals: str) -> None:
    """The same balances in two readings far enough apart to be believed."""
    for _ in range(10):
        play.account(**totals)
        play.later(5_000)


# --- deposits and withdrawals ----------------------------------------------------------------------


@pytest.mark.parametrize("cash", ["12500", "9000", "10000.00000001"])
def test_money_that_comes_or_goes_is_a_flow_and_never_profit(cash: str) -> None:
    play = Playbook().ready("10000")
    see_twice(play, USDT=cash)
    assert play.cash == D(cash)
    assert day_pnl(play.state) == 0
    assert play.state.durable.day is not None
    assert play.state.durable.day.start_equity == 10_000
    assert play.state.durable.day.flows == D(cash) - 10_000
    assert not play.state.durable.halt


def test_a_withdrawal_beyond_the_daily_loss_limit_halts_nothing() -> None:
    play = Playbook().ready("10000")
    see_twice(play, USDT="4000")
    play.quote(play.last_bar.close)
    assert play.state.phase == "RUNNING"


@pytest.mark.parametrize("cash", ["9000", "4000", "600", "100000"])
def test_flows_beside_a_configured_capital_are_no_profit_either(cash: str) -> None:
    """Only what changes our own share of the account may shift the day's start."""
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    assert balance(play.state) == 1000
    see_twice(play, USDT=cash)
    play.quote(play.last_bar.close)
    assert balance(play.state) == min(D(1000), D(cash))
    assert day_pnl(play.state) == 0
    assert play.state.durable.halt is None


def test_a_deposit_while_holding_under_capital_is_no_loss() -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    play.enter()
    before = day_pnl(play.state)
    see_twice(play, USDT=str(play.cash + 700), ADA=str(play.position().held_qty))
    assert day_pnl(play.state) == before
    assert play.state.durable.halt is None


def test_the_first_look_at_a_difference_only_doubts_and_blocks_entries() -> None:
    play = Playbook().ready("10000")
    play.account(USDT="12500")
    assert play.cash == 10_000
    assert any("cash differs by +2500" in reason for reason in entries_blocked_by(play.state))
    asked = play.later(6_000)
    assert play.asked(ReadAccount, asked), "looks again soon"
    play.account(USDT="10000")
    assert entries_blocked_by(play.state) == ()
    assert play.cash == 10_000


def test_cash_is_first_learned_from_the_exchange_with_what_is_locked() -> None:
    play = Playbook()
    play.learn(e.InstrumentSeen(play.instrument))
    holdings = {"USDT": e.Holding(D("700"), D("300")), "BNB": e.Holding(D("0.5"), D(0))}
    play.learn(e.AccountSeen(holdings, (), (), 0))
    assert play.cash == 1000
    assert equity(play.state) == 1000
    assert play.state.durable.account.foreign == {"BNB": D("0.5")}


# --- what is not ours ------------------------------------------------------------------------------


def test_coins_held_before_the_start_are_foreign_and_worth_nothing_to_us() -> None:
    play = Playbook().ready()
    play.foreign = D(5000)
    play.account_agrees()
    assert play.state.durable.account.foreign == {"ADA": D(5000)}
    assert equity(play.state) == 10_000
    position = play.enter()
    held = position.held_qty
    play.account_agrees()
    assert play.state.durable.account.foreign == {"ADA": D(5000)}
    play.quiet_bar()
    play.walk(0.5040)
    sale = play.sale()
    assert sale.qty <= held, "foreign coins are never sold"
    play.leave()
    play.account_agrees()
    assert play.state.durable.account.foreign["ADA"] >= 5000
    assert entries_blocked_by(play.state) == ()


def test_missing_coins_block_entries_until_they_are_back() -> None:
    play = Playbook().ready()
    held = play.enter().held_qty
    for _ in range(10):
        play.account(USDT=str(play.cash), ADA=str(held - 10))
        play.later(5_000)
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments
    assert play.position().held_qty == held, "never a synthetic fill"
    play.account_agrees()
    assert Impairment.LEDGER_DIFFERENCE not in play.state.impairments


# --- silence -----------------------------------------------------------------------------------------


def test_the_account_is_read_every_minute_and_again_soon_when_it_did_not_answer() -> None:
    play = Playbook().ready()
    asked = play.asked(ReadAccount, play.later(MINUTE + 1))
    assert len(asked) == 1
    play.learn(e.AccountUnreadable("timed out"))
    assert Impairment.BALANCE_UNREADABLE in play.state.impairments
    assert play.asked(ReadAccount, play.later(5_001))
    play.account_agrees()
    assert Impairment.BALANCE_UNREADABLE not in play.state.impairments
    assert entries_blocked_by(play.state) == ()


def test_an_account_that_can_never_be_read_is_an_error_and_keeps_the_position() -> None:
    play = Playbook().ready()
    play.enter()
    play.learn(e.AccountUnreadable("API key revoked", permanent=True))
    assert play.state.phase == "ERROR"
    assert any(line.startswith("CRITICAL balance unreadable") for line in play.alerts())
    play.quiet_bar()
    play.walk(0.5040)
    play.leave()
    assert play.is_flat


# --- stale and racing readings ----------------------------------------------------------------------


def test_a_balance_older_than_our_own_trade_is_not_a_withdrawal() -> None:
    """Readings may lag behind our trades for half a minute; the same stale answer twice proves nothing."""
    play = Playbook().ready("10000")
    play.enter("0.4981")
    cash = play.cash
    for _ in range(5):
        play.account(USDT="10000")
        assert entries_blocked_by(play.state)
        play.later(5_000)
    assert play.cash == cash
    assert Impairment.LEDGER_DIFFERENCE not in play.state.impairments, "no false alarm either"
    play.account_agrees()
    assert entries_blocked_by(play.state) == ()
    assert play.state.durable.day is not None
    assert play.state.durable.day.flows == 0


def test_what_an_accepted_order_took_is_no_withdrawal_before_its_trades_are_told() -> None:
    """Accepted, gone from the open orders, paid for in the balances, and its trades are not shown yet."""
    play = Playbook().ready("10000")
    play.signal()
    play.deep_book([("0.4981", "100000")])
    play.works(play.entry())
    cash = play.cash
    for _ in range(3):
        play.learn(e.AccountSeen({"USDT": e.Holding(D("9500"), D(0))}, (), (), 0))
        play.later(5_000)
    assert play.cash == cash
    assert play.state.durable.day is not None
    assert play.state.durable.day.flows == 0


def test_what_a_resting_order_sold_is_no_deposit_before_its_trades_are_told() -> None:
    """Coins that lie beside hide that ours are gone, and stale answers still show the order as resting."""
    play = Playbook().ready("10000")
    play.enter("0.4981")
    stop, cash = play.stop(), play.cash
    sold = stop.qty * D("0.4790")
    holdings = {"USDT": e.Holding(cash + sold, D(0)), "ADA": e.Holding(D(50_000), D(0))}
    rests = play.make_report(stop, Fact.WORKING, D(0))
    seen = e.AccountSeen(holdings, (rests,), play.order(play.entry()).fills, 0)
    for _ in range(7):
        play.learn(seen)
        play.later(5_000)
        assert play.cash == cash
    play.learn(seen)
    assert play.cash == cash + sold, "what is said for longer than stale answers last is so"


def test_trades_in_a_reading_are_taken_before_anything_is_compared() -> None:
    play = Playbook().ready()
    play.enter("0.4981")
    stop = play.stop()
    fill = play.fill(stop, "0.4790", str(stop.qty))
    cash = play.cash + fill.qty * fill.price - fill.fee
    holdings = {"USDT": e.Holding(cash, D(0)), "ADA": e.Holding(D("0.0962"), D(0))}
    play.learn(e.AccountSeen(holdings, (), (fill,), 0))
    assert play.is_flat
    assert play.cash == cash
    assert play.state.doubted_cash is None


def test_a_resting_order_that_is_not_open_any_more_is_looked_up() -> None:
    play = Playbook().ready()
    play.enter()
    play.later(MINUTE)
    play.learn(e.AccountSeen({"USDT": e.Holding(play.cash, D(0))}, (), (), 0))
    assert [c.client_id for c in play.asked(LookUpOrder)] == [play.stop().client_id]


def test_an_order_placed_after_the_reading_began_is_not_missed_in_it() -> None:
    play = Playbook().ready()
    play.enter()
    assert play.asked(ReadAccount, play.later(MINUTE))
    play.canceled(play.stop())
    play.later(2_000)
    play.works(play.stop())
    play.learn(e.AccountSeen({"USDT": e.Holding(play.cash, D(0))}, (), (), 0))
    assert not play.asked(LookUpOrder)
    play.later(MINUTE)
    play.learn(e.AccountSeen({"USDT": e.Holding(play.cash, D(0))}, (), (), 0))
    assert [c.client_id for c in play.asked(LookUpOrder)] == [play.stop().client_id]


def test_an_open_purchase_with_our_tag_that_no_row_knows_blocks_entries() -> None:
    """A ledger restored from yesterday: somebody else would not carry our tag."""
    play = Playbook().ready()
    play.enter()
    known = play.stop()
    orphan = replace(play.make_report(known, Fact.WORKING, D(0)), client_id="tst0orphan")
    orphan = replace(orphan, side=Side.BUY)
    stranger = replace(orphan, client_id="web_123")
    holdings = {"USDT": e.Holding(play.cash, D(0)), "ADA": e.Holding(play.position().held_qty, D(0))}
    mine = play.make_report(known, Fact.WORKING, D(0))
    play.at(play.now_ms + MINUTE)
    fills = tuple(f for o in play.state.orders.values() for f in o.fills)
    play.learn(e.AccountSeen(holdings, (mine, stranger), fills, 0))
    assert entries_blocked_by(play.state) == ()
    play.learn(e.AccountSeen(holdings, (mine, stranger, orphan), fills, 0))
    assert any("tst0orphan" in reason for reason in entries_blocked_by(play.state))
    play.learn(e.AccountSeen(holdings, (mine,), fills, 0))
    assert entries_blocked_by(play.state) == ()


def test_the_first_reading_after_a_restart_goes_back_to_the_oldest_order_that_is_known() -> None:
    play = Playbook().ready()
    play.enter()
    entered_ms = play.entry().created_ms
    play.at(play.now_ms + 3 * DAY_MS)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    [asked] = play.asked(ReadAccount)
    assert asked.fills_since_ms <= entered_ms
    play.account_agrees()
    play.fills(play.stop(), "0.4790")
    [asked] = play.asked(ReadAccount, play.later(MINUTE))
    assert asked.fills_since_ms > play.now_ms - 10 * MINUTE, "and then only as far as needed"


def test_without_auto_resume_a_hole_in_the_account_pauses() -> None:
    play = Playbook(make_setup(auto_resume=False)).ready()
    play.learn(e.AccountUnreadable("timed out"))
    assert play.state.phase == "PAUSED"
    play.account_agrees()
    assert play.state.phase == "PAUSED"


# --- capital ---------------------------------------------------------------------------------------


def trade(play: Playbook, exit_price: str) -> Decimal:
    """One trade from signal to flat; returns its profit."""
    position = play.enter()
    play.quiet_bar()
    play.learn(e.CloseRequested("test", position.id))
    for stop in play.resting_stops():
        play.canceled(stop)
    play.fills(play.sale(), exit_price)
    assert play.is_flat
    play.quiet_bar()
    return play.position().pnl_quote


def test_profits_are_not_counted_on_top_of_the_capital_and_are_profits_of_the_day() -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    won = trade(play, "0.5200")
    assert won > 0
    assert balance(play.state) == 1000
    assert day_pnl(play.state) == won


def test_losses_after_profits_are_losses() -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    won = trade(play, "0.5200")
    play.walk(play.last_bar.close)
    lost = trade(play, "0.4700")
    assert lost < 0
    assert balance(play.state) == 1000 + lost
    assert day_pnl(play.state) == won + lost


def test_a_loss_is_made_good_before_anything_is_left_to_the_owner() -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    lost = trade(play, "0.4700")
    assert balance(play.state) == 1000 + lost
    play.walk(play.last_bar.close)
    trade(play, "0.4990")
    assert balance(play.state) <= 1000


@pytest.mark.parametrize("capital", [D(700), D(2000), None])
def test_another_capital_counts_from_the_restart_on_and_is_no_result(capital: Decimal | None) -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    lost = trade(play, "0.4700")
    play.restart(make_setup(capital=capital)).come_back()
    assert balance(play.state) == (play.cash if capital is None else capital)
    assert day_pnl(play.state) == lost


def test_the_same_capital_after_a_restart_remembers_what_was_lost_of_it() -> None:
    play = Playbook(make_setup(capital=D(1000))).ready("5000")
    lost = trade(play, "0.4700")
    play.restart().come_back()
    assert balance(play.state) == 1000 + lost
    assert day_pnl(play.state) == lost
