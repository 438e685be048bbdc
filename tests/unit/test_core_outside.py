"""What others do to the account: coins that go, orders and trades of others, a testnet that begins anew."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.commands import CancelOrder, ReadAccount, ReplaceOrder
from agent.core.events import Impairment
from agent.core.gate import entries_blocked_by
from agent.core.order import Fact, Fill, OrderReport, OrderStatus, Purpose, Side
from agent.core.position import Position
from agent.core.snapshot import snapshot
from agent.core.worth import balance, day_pnl, equity
from agent.store.trade_report import trade_columns
from tests.playbook import EXITS, LIMITS, MINUTE, D, Playbook, PositionState, make_setup


def holding(mode: str = "paper", **setup: object) -> Playbook:
    play = Playbook(make_setup(mode=mode, **setup)).ready()
    play.enter("0.4981")
    play.at(play.now_ms + MINUTE)
    play.quote(0.4985)
    return play


def held(play: Playbook) -> Decimal:
    return sum((p.held_qty for p in play.state.open_positions()), Decimal(0))


def read_until_proven(play: Playbook, readings: int = 9, **totals: str) -> None:
    for _ in range(readings):
        play.later(5_000)
        nothing_to_sell(play)
        play.account(**{"USDT": str(play.cash), **totals})


def nothing_to_sell(play: Playbook) -> None:
    """What the agent still tries to place is refused: the coins are not there."""
    for order in tuple(play.state.orders.values()):
        if order.status is OrderStatus.PENDING_NEW:
            play.refuses(order.intent)


def without_stop(play: Playbook) -> None:
    """The stop that held the coins was canceled by whoever took them."""
    play.canceled(play.stop())


# --- coins of ours that are gone -----------------------------------------------------------------


def test_coins_that_are_gone_close_the_position_as_external_and_cost_the_day_nothing() -> None:
    play = holding()
    pnl, worth = day_pnl(play.state), equity(play.state)
    without_stop(play)
    read_until_proven(play, ADA="0")
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "EXTERNAL")
    assert position.sold_qty == 0
    assert day_pnl(play.state) == pnl
    assert equity(play.state) is not None
    assert worth is not None
    assert (equity(play.state) or 0) < worth, "what is gone is not ours any more"
    day = play.state.durable.day
    assert day is not None
    assert (day.wins, day.losses) == (0, 0)
    assert play.state.durable.halt is None
    assert any("EXTERNAL" in line for line in play.alerts())
    read_until_proven(play, 1, ADA="0")
    assert entries_blocked_by(play.state) == ()


def test_an_external_trade_has_no_exit_price_and_so_no_metrics() -> None:
    play = holding()
    without_stop(play)
    read_until_proven(play, ADA="0")
    row = trade_columns(play.position())
    assert row["reason"] == "EXTERNAL"
    assert (row["exit"], row["pnl"], row["r"], row["pnl_quote"]) == (None, None, None, None)


def test_nothing_is_given_up_before_it_is_proven() -> None:
    play = holding()
    without_stop(play)
    read_until_proven(play, 6, ADA="0")
    assert play.position().state is PositionState.IN_POSITION
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments
    read_until_proven(play, 1, ADA=str(held(play)))
    assert Impairment.LEDGER_DIFFERENCE not in play.state.impairments
    read_until_proven(play, 6, ADA="0")
    assert play.position().state is PositionState.IN_POSITION, "the proof begins anew"


def test_a_doubt_reads_everything_since_the_position_began() -> None:
    play = holding()
    opened = play.position().opened_ms
    assert opened is not None
    play.at(play.now_ms + 60 * MINUTE)
    play.account_agrees()
    play.at(play.now_ms + MINUTE)
    read_until_proven(play, 1, ADA="0")
    [asked] = play.asked(ReadAccount, play.later(6_000))
    assert asked.fills_since_ms <= opened


def test_a_reading_that_does_not_reach_back_proves_nothing() -> None:
    play = holding()
    without_stop(play)
    for _ in range(12):
        play.at(play.now_ms + 5_000)
        holdings = {"USDT": e.Holding(play.cash, D(0))}
        play.learn(e.AccountSeen(holdings, (), (), play.now_ms - 1_000))
    assert play.position().state is PositionState.IN_POSITION


def test_a_part_that_is_gone_leaves_the_rest_a_position_with_a_smaller_stop() -> None:
    play = holding()
    stop, before = play.stop(), held(play)
    left = before - 800
    read_until_proven(play, ADA=str(left))
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert position.held_qty == left
    assert "external" in position.notes
    replaced = [c for c in play.commands if isinstance(c, ReplaceOrder)]
    assert replaced[-1].cancel_client_id == stop.client_id
    assert replaced[-1].approved.intent.purpose is Purpose.PROTECT
    assert replaced[-1].approved.intent.qty <= left


def test_a_sale_by_hand_brings_cash_that_is_a_flow() -> None:
    play = holding()
    pnl = day_pnl(play.state)
    cash = play.cash + held(play) * D("0.4985")
    without_stop(play)
    read_until_proven(play, USDT=str(cash), ADA="0")
    read_until_proven(play, 3, USDT=str(cash), ADA="0")
    assert play.cash == cash
    assert play.position().exit_reason == "EXTERNAL"
    assert day_pnl(play.state) == pnl
    assert entries_blocked_by(play.state) == ()


def test_of_several_positions_the_one_without_a_resting_order_loses_first() -> None:
    limits = make_setup().limits

    setup = make_setup(
        limits=replace(limits, max_open_positions=2),
        exits=replace(EXITS, use_stop_loss=False),
        disaster_stop_percent=D(50),
    )
    play = Playbook(setup).ready()
    first = play.enter()
    play.quiet_bar()
    second = play.enter()
    assert first.id != second.id
    play.at(play.now_ms + MINUTE)
    bid = play.state.bid()
    assert bid is not None
    play.quote(float(bid))
    [stop] = [i for i in play.resting_stops() if i.position_id == first.id]
    play.canceled(stop)
    mine: Position = play.state.positions[second.id]
    read_until_proven(play, ADA=str(mine.held_qty))
    assert play.state.positions[first.id].exit_reason == "EXTERNAL"
    assert play.state.positions[second.id].state is PositionState.IN_POSITION


def test_under_capital_a_flow_of_coins_is_no_result_either() -> None:
    play = holding(capital=D(2000))
    pnl = day_pnl(play.state)
    without_stop(play)
    read_until_proven(play, ADA="0")
    assert day_pnl(play.state) == pnl
    assert balance(play.state) == 2000


# --- orders and trades of others -------------------------------------------------------------------


def theirs(client_id: str = "web_1") -> OrderReport:
    return OrderReport(client_id, "9", Side.SELL, "LIMIT", Fact.WORKING, D(5), D("0.7"), D(0), 0)


def test_orders_of_others_are_told_once_shown_and_left_alone() -> None:
    play = holding()
    holdings = {"USDT": e.Holding(play.cash, D(0)), "ADA": e.Holding(held(play), D(0))}
    fills = tuple(f for o in play.state.orders.values() for f in o.fills)
    mine = play.make_report(play.stop(), Fact.WORKING, D(0))
    for _ in range(3):
        play.at(play.now_ms + MINUTE)
        play.learn(e.AccountSeen(holdings, (mine, theirs()), fills, 0))
    assert sum("order web_1 (SELL LIMIT 5 at 0.7) is not ours" in line for line in play.alerts()) == 1
    [shown] = snapshot(play.state, "1")["strangers"]
    assert shown["client_id"] == "web_1"
    assert "web_1" not in play.state.orders
    assert not play.asked(CancelOrder, play.commands)
    assert entries_blocked_by(play.state) == ()
    play.account_agrees()
    assert snapshot(play.state, "1")["strangers"] == []


def test_trades_of_others_are_told_once_and_change_no_position() -> None:
    play = holding()
    fill = Fill("7001", "web_2", Side.SELL, D("0.5"), D(30), D(0), "USDT", play.now_ms)
    ours = tuple(f for o in play.state.orders.values() for f in o.fills)
    before = play.position()
    for _ in range(2):
        play.at(play.now_ms + MINUTE)
        holdings = {"USDT": e.Holding(play.cash, D(0)), "ADA": e.Holding(held(play), D(0))}
        mine = play.make_report(play.stop(), Fact.WORKING, D(0))
        play.learn(e.AccountSeen(holdings, (mine,), (*ours, fill), 0))
    assert sum("trade 7001 is not ours: sold 30 at 0.5" in line for line in play.alerts()) == 1
    assert play.position() == before


# --- less than the ledger owns -------------------------------------------------------------------------


def test_a_sale_refused_for_lack_of_coins_is_made_of_what_the_account_has_free() -> None:
    """Somebody took or locked a part: what is left of it does not wait until that is proven."""
    play = holding(protective_stop=False)
    play.learn(e.EmergencyRequested("operator"))
    play.refuses(play.sale())
    again = play.sale()
    assert play.asked(ReadAccount, play.commands), "asked at once what there is"
    if play.state.orders[again.client_id].status is OrderStatus.PENDING_NEW:
        play.refuses(again)
    owned = held(play)
    play.at(play.now_ms + 1_000)
    play.account(USDT=str(play.cash), ADA=str(owned - 500))
    sent = [*play.sent(), *play.sent(play.later(2_000))]
    assert [intent.qty for intent in sent] == [play.instrument.qty(owned - 500)]
    play.fills(sent[0])
    assert 499 < held(play) < 501
    assert not play.sent(play.later(20_000)), "there is nothing more to be sold"
    play.account(USDT=str(play.cash), ADA=str(held(play)))
    assert [i.qty for i in (*play.sent(), *play.sent(play.later(30_000)))] == [
        play.instrument.qty(held(play))
    ]


# --- readings that do not reach far back -------------------------------------------------------------


def read_shortly(play: Playbook, usdt: Decimal) -> None:
    """The connection reads by itself after a gap: balances, and the trades of the last minutes."""
    play.at(play.now_ms + 5_000)
    mine = tuple(
        play.make_report(o.intent, Fact.WORKING, D(0)) for o in play.state.orders.values() if o.is_working
    )
    holdings = {"USDT": e.Holding(usdt, D(0)), "ADA": e.Holding(held(play), D(0))}
    play.learn(e.AccountSeen(holdings, mine, (), play.now_ms - 5 * MINUTE))


def test_in_doubt_a_reading_of_the_last_minutes_settles_nothing() -> None:
    play = holding()
    play.at(play.now_ms + 60 * MINUTE)
    play.restart().come_back()
    play.works(play.stop())
    for _ in range(8):
        read_shortly(play, play.cash + 100)
        read_shortly(play, play.cash)
    assert play.state.reconciled_ms is None, "what happened since the last run was not read"
    assert not any("deposit" in line or "withdrawal" in line for line in play.alerts())
    play.at(play.now_ms + 5_000)
    assert play.asked(ReadAccount, play.commands), "the core asks for itself, however often others read"
    play.account_agrees()
    assert play.state.reconciled_ms is not None
    read_shortly(play, play.cash)
    assert play.state.reconciled_ms == play.now_ms, "without a doubt it is as good as any"


def test_a_difference_that_was_proven_is_not_ended_by_a_reading_that_could_not_see_it() -> None:
    play = holding(mode="live")
    play.at(play.now_ms + 10 * MINUTE)
    wiped(play, 3, USDT=str(play.cash), ADA=str(held(play)))
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments
    read_shortly(play, play.cash)
    read_shortly(play, play.cash)
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments


# --- a testnet that begins anew ----------------------------------------------------------------------


def wiped(play: Playbook, readings: int = 9, **totals: str) -> None:
    """The exchange knows nothing of before: no orders, no trades, other balances."""
    for _ in range(readings):
        play.at(play.now_ms + 5_000)
        holdings = {c: e.Holding(D(t), D(0)) for c, t in totals.items()}
        play.learn(e.AccountSeen(holdings, (), (), 0))


def test_a_reset_testnet_is_recognised_and_closes_what_is_gone() -> None:
    play = holding(mode="testnet")
    pnl = day_pnl(play.state)
    wiped(play, USDT="10000", ADA="50000")
    position = play.position()
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "TESTNET_RESET")
    assert play.cash == 10_000
    assert day_pnl(play.state) == pnl
    assert all(o.is_settled for o in play.state.orders.values())
    assert any("CRITICAL testnet reset" in line for line in play.alerts())
    wiped(play, 1, USDT="10000", ADA="50000")
    assert entries_blocked_by(play.state) == ()
    assert not play.sent(play.later(MINUTE)), "the testnet's own coins are not ours to sell"


def test_after_a_restart_the_reset_is_not_discovered_again() -> None:
    play = holding(mode="testnet")
    wiped(play, USDT="10000", ADA="50000")
    told = len([line for line in play.alerts() if "testnet reset" in line])
    play.restart().come_back()
    wiped(play, USDT="10000", ADA="50000")
    assert len([line for line in play.alerts() if "testnet reset" in line]) == told


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_outside_a_testnet_a_past_that_is_gone_is_a_difference_for_ever(mode: str) -> None:
    play = holding(mode=mode)
    wiped(play, 20, USDT=str(play.cash), ADA=str(held(play)))
    assert play.position().state is PositionState.IN_POSITION
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments
    assert any("does not know 1 trade(s) of ours" in reason for reason in entries_blocked_by(play.state))


def read_again(play: Playbook, *gone: Fill, readings: int = 16, **totals: str) -> None:
    """The exchange knows all our trades but those of before its reset."""
    for _ in range(readings):
        play.at(play.now_ms + 5_000)
        holdings = {c: e.Holding(D(t), D(0)) for c, t in totals.items()}
        fills = tuple(f for o in play.state.orders.values() for f in o.fills if f not in gone)
        rests = [o for o in play.state.orders.values() if o.is_working]
        reports = tuple(play.make_report(o.intent, Fact.WORKING, D(0)) for o in rests)
        play.learn(e.AccountSeen(holdings, reports, fills, 0))


def all_fills(play: Playbook) -> tuple[Fill, ...]:
    return tuple(f for o in play.state.orders.values() for f in o.fills)


def test_a_reset_before_the_last_trades_takes_only_what_was_before() -> None:
    exits, limits = replace(EXITS, use_stop_loss=False), replace(LIMITS, max_open_positions=2)
    play = holding(mode="testnet", limits=limits, exits=exits, disaster_stop_percent=D(20))
    before, cash = all_fills(play), play.cash
    play.quiet_bar()
    play.enter()
    read_again(play, *before, USDT=str(cash), ADA="50000")
    first, second = play.state.positions.values()
    assert (first.state, first.exit_reason) == (PositionState.CLOSED, "TESTNET_RESET")
    assert second.state is PositionState.IN_POSITION
    assert play.cash == cash
    canceled = {c.client_id for c in play.asked(CancelOrder, play.commands)}
    [gone] = [o.intent for o in play.state.orders.values() if o.intent.client_id in canceled]
    assert gone.position_id == first.id, "it would sell the testnet's own coins"
    play.canceled(gone)
    [kept] = play.resting_stops()
    assert kept.position_id == second.id
    read_again(play, *before, readings=1, USDT=str(cash), ADA="50000")
    assert entries_blocked_by(play.state) == ()


def test_a_new_trade_that_has_an_old_ones_number_is_another() -> None:
    play = holding(mode="testnet")
    [old] = all_fills(play)
    later = replace(old, client_id="web_1", at_ms=old.at_ms + MINUTE)
    for _ in range(9):
        play.at(play.now_ms + 5_000)
        play.learn(e.AccountSeen({"USDT": e.Holding(D(10_000), D(0))}, (), (later,), 0))
    assert play.position().exit_reason == "TESTNET_RESET"


def test_trades_denied_in_the_middle_are_no_reset() -> None:
    play = holding(mode="testnet")
    play.learn(e.CloseRequested("operator", None))
    middle = play.leave()
    assert middle.state is PositionState.CLOSED
    denied = all_fills(play)[1:]
    play.quiet_bar()
    play.enter()
    read_again(play, *denied, USDT="10000", ADA="50000")
    assert play.position().state is PositionState.IN_POSITION
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments


def test_a_past_that_ends_earlier_while_all_that_is_owned_is_there_is_no_reset() -> None:
    play = holding(mode="testnet")
    before = all_fills(play)
    read_again(play, *before, USDT=str(play.cash), ADA=str(held(play)))
    assert play.position().state is PositionState.IN_POSITION
    assert Impairment.LEDGER_DIFFERENCE in play.state.impairments


def test_one_stale_reading_is_no_reset() -> None:
    play = holding(mode="testnet")
    wiped(play, 4, USDT=str(play.cash), ADA=str(held(play)))
    play.at(play.now_ms + 5_000)
    play.account_agrees()
    assert play.position().state is PositionState.IN_POSITION
    assert entries_blocked_by(play.state) == ()
