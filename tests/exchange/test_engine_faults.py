"""What is lost, late or taken away between the whole agent and a strict exchange, and what became of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from engine_ground import Agent, trading_agent

from agent.core import events as e
from agent.core.gate import entries_blocked_by
from agent.core.order import Order, OrderStatus, Purpose
from tests.playbook import D, signal_candle

#: Coins of somebody else on the same account: what is sold once too often would be executed.
BESIDE = {"USDT": D(10_000), "ADA": D(50_000)}
PAIR = {"method": "POST", "path": "/api/v3/orderList/oco"}
PLACE = {"method": "POST", "path": "/api/v3/order"}
REPLACE = {"method": "POST", "path": "/api/v3/order/cancelReplace"}
CANCEL = {"method": "DELETE", "path": "/api/v3/order"}


async def close_by_hand(agent: Agent) -> None:
    await agent.runtime.ask(e.CloseRequested("test", None))
    await agent.closed()


async def nothing_twice(agent: Agent, beside: int = 0) -> None:
    """One intent, one order; nothing is left behind but what others own; both ledgers are the same."""
    await agent.agree()
    orders = (await agent.a.ledger())["orders"]
    assert max(Counter(o["client_id"] for o in orders).values()) == 1
    assert await agent.held_there() == beside + agent.positions()[-1].dust_qty


async def answers(agent: Agent, path: str) -> list[int]:
    """HTTP statuses of the requests to a path, in order."""
    return [r["status"] for r in (await agent.a.ledger())["requests"] if r["path"].endswith(path)]


def asked_as_list(agent: Agent) -> list[Order]:
    """Orders of lists that are not only on their way any more."""
    orders = agent.state.orders.values()
    return [o for o in orders if o.intent.list_id and o.status is not OrderStatus.PENDING_NEW]


# --- the exchange of the stop for the list -----------------------------------------------------------


@pytest.mark.parametrize("fault", ["F1", "F2", "F9"])
async def test_a_list_whose_answer_is_lost_is_found_or_proven_absent(fault: str) -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.a.fault(fault, match=PAIR)
        await agent.quiet_bar()
        await agent.price(float(agent.positions()[-1].entry_price or 0) + 0.001)
        await agent.passing(lambda: len(asked_as_list(agent)) >= 1, "exchanged for a list")
        await agent.passing(
            lambda: not agent.state.unknown_orders() and bool(agent.resting(Purpose.PROTECT)), "guarded"
        )
        assert await agent.a.fired(fault) == 1
        assert len(agent.resting(Purpose.PROTECT)) == 1
        assert len(agent.resting(Purpose.TARGET)) <= 1
        await close_by_hand(agent)
        await nothing_twice(agent)


async def test_a_cancel_whose_answer_is_lost_sends_no_list_and_protects_again() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.a.fault("F2", match=CANCEL)
        await agent.quiet_bar()
        await agent.price(float(agent.positions()[-1].entry_price or 0) + 0.001)
        await agent.passing(
            lambda: len(agent.resting(Purpose.PROTECT)) == 1 and not agent.state.unknown_orders(), "guarded"
        )
        lists = [r for r in (await agent.a.ledger())["requests"] if r["path"].endswith("oco")]
        assert len(lists) <= 1, "only after the stop was known to be gone"
        await close_by_hand(agent)
        await nothing_twice(agent)


# --- leaving under a list -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["F1", "F3", "F4"])
async def test_an_exit_under_a_list_whose_answer_is_lost_sells_once(fault: str) -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.listed()
        await agent.a.fault(fault, match=REPLACE)
        await close_by_hand(agent)
        assert await agent.a.fired(fault) == 1
        await nothing_twice(agent)


async def test_a_cancel_that_loses_the_race_against_the_stop_is_no_second_sale() -> None:
    """-2022: the list was not canceled, the sale not attempted. Coins of somebody else lie beside."""
    async with trading_agent(funds=BESIDE) as agent:
        await agent.enter()
        await agent.listed()
        await agent.a.fault("F14", match=REPLACE)
        await close_by_hand(agent)
        assert await answers(agent, "cancelReplace") == [400]
        assert agent.positions()[-1].exit_reason in ("STOP", "FIB_61.8")
        await nothing_twice(agent, beside=50_000)


async def test_a_sale_refused_when_the_list_is_gone_already_is_made_at_once() -> None:
    """-2021: the list was canceled, the new order failed. Nothing rests any more, so the market gets it."""
    async with trading_agent(funds=BESIDE) as agent:
        await agent.enter()
        stop, target = await agent.listed()
        await agent.a.fault("F19", match=REPLACE, params={"variant": "replacing"})
        await close_by_hand(agent)
        assert await answers(agent, "cancelReplace") == [409]
        ended = [agent.state.orders[leg.intent.client_id].status for leg in (stop, target)]
        assert ended == [OrderStatus.CANCELED, OrderStatus.CANCELED]
        exits = [o for o in agent.state.orders.values() if o.intent.purpose is Purpose.EXIT]
        assert [o.status for o in exits] == [OrderStatus.REJECTED, OrderStatus.FILLED]
        await nothing_twice(agent, beside=50_000)


async def test_a_half_refused_exchange_whose_answer_is_lost_is_found_out_leg_by_leg() -> None:
    async with trading_agent(funds=BESIDE) as agent:
        await agent.enter()
        await agent.listed()
        await agent.a.fault("F19", match=REPLACE, params={"variant": "replacing"})
        await agent.a.fault("F2", match=REPLACE)
        await close_by_hand(agent)
        assert await agent.a.fired("F19") == await agent.a.fired("F2") == 1
        await nothing_twice(agent, beside=50_000)


@pytest.mark.parametrize("told", [True, False])
async def test_a_target_that_is_selling_is_never_sold_twice(told: bool) -> None:
    """What it sells between the decision and the cancel would come out of coins that are not ours."""
    async with trading_agent(funds=BESIDE) as agent:
        await agent.enter()
        _, target = await agent.listed()
        if not told:
            await agent.a.fault("F12", match={"stream": "executionReport*"}, count=3)
        agent.touch(target, "0.3")
        if told:
            await agent.until(lambda: bool(agent.state.orders[target.intent.client_id].filled))
        await agent.a.fault("F14", params={"share": "0.5"})
        await close_by_hand(agent)
        assert await agent.a.fired("F14") == 1
        assert not [line for line in agent.alerts if "oversold" in line]
        await nothing_twice(agent, beside=50_000)


async def test_a_stop_that_is_a_limit_and_sells_while_it_is_replaced_is_not_sold_twice() -> None:
    kinds = frozenset({"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"})
    async with trading_agent(funds=BESIDE, order_types=kinds) as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        await agent.a.fault("F14", match=REPLACE, params={"share": "0.5"})
        await agent.a.price(f"{float(stop.intent.price or 0) - 0.003:.4f}")
        await agent.quote()
        await agent.closed()
        assert await agent.a.fired("F14") == 1
        assert not [line for line in agent.alerts if "oversold" in line]
        await nothing_twice(agent, beside=50_000)


# --- entries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["F2", "F4", "F5"])
async def test_an_entry_whose_answer_is_lost_is_found_and_protected(fault: str) -> None:
    async with trading_agent() as agent:
        await agent.ready()
        await agent.a.fault(fault, match=PLACE)
        await agent.signal()
        await agent.passing(lambda: bool(agent.resting(Purpose.PROTECT)), "found and protected")
        await close_by_hand(agent)
        await nothing_twice(agent)


# --- a ledger that forgot ----------------------------------------------------------------------------------


async def test_a_sale_sent_beside_a_broken_disk_is_found_by_the_next_life_and_not_made_again() -> None:
    """Coins of somebody else lie on the account, so a second sale would be executed."""
    async with trading_agent(funds={"USDT": D(10_000), "ADA": D(50_000)}) as agent:
        await agent.enter()
        await agent.listed()
        agent.disk.failing = "the disk is full"
        await close_by_hand(agent)
        await agent.stop()
        agent.disk.failing = None
        # A ledger that believes in a position which is gone.
        await agent.restart()
        assert [p.state.value for p in agent.positions()] == ["IN_POSITION"]
        await agent.closed()
        assert "adopted_sale" in agent.positions()[-1].notes
        await agent.agree()
        assert await agent.held_there() == 50_000 + agent.positions()[-1].dust_qty


# --- the hand of others ----------------------------------------------------------------------------------


async def grant(agent: Agent, wish: dict[str, Any]) -> None:
    answer = await agent.a.control("account", wish)
    assert answer.status == 200, answer.text


async def test_coins_withdrawn_by_somebody_are_external_in_the_end() -> None:
    async with trading_agent(protective_stop=False) as agent:
        await agent.ready()
        await agent.signal()
        await agent.until(lambda: bool(agent.state.open_positions()), "bought")
        await agent.a.advance(60_000)
        await grant(agent, {"withdraw": {"ADA": str(await agent.held_there())}})
        await agent.closed()
        position = agent.positions()[-1]
        assert position.exit_reason == "EXTERNAL"
        assert position.sold_qty == 0
        await agent.agree()


async def test_a_wiped_testnet_is_recognised() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.listed()
        await agent.a.advance(60_000)
        await grant(agent, {"wipe": True})
        await agent.closed()
        assert agent.positions()[-1].exit_reason == "TESTNET_RESET"
        await agent.passing(lambda: not agent.state.impairments, "at ease again")
        balance = (await agent.a.ledger())["balances"]["USDT"]
        assert agent.state.durable.account.cash == D(balance["free"]) + D(balance["locked"])


async def test_a_testnet_wiped_between_two_trades_is_recognised_and_traded_on() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await close_by_hand(agent)
        await agent.a.advance(60_000)
        candle = signal_candle(agent.history[-1])
        await agent.to_close_of(candle)
        await agent.price(candle.close)
        await agent.passing(lambda: not entries_blocked_by(agent.state), "free to enter")
        await grant(agent, {"wipe": True})
        await agent.bar(candle)
        await agent.passing(lambda: bool(agent.resting(Purpose.PROTECT)), "bought and protected")
        await agent.passing(lambda: any("testnet reset" in line for line in agent.alerts), "recognised")
        await agent.passing(lambda: not agent.state.impairments, "at ease again")
        assert [p.state.value for p in agent.positions()] == ["CLOSED", "IN_POSITION"]
        await agent.runtime.ask(e.CloseRequested("test", None))
        await agent.passing(lambda: not agent.state.open_positions(), "closed")
        balances = (await agent.a.ledger())["balances"]
        assert agent.state.durable.account.cash == D(balances["USDT"]["free"])
        assert await agent.held_there() == agent.positions()[-1].dust_qty


async def test_deposits_and_withdrawals_of_cash_are_flows() -> None:
    async with trading_agent() as agent:
        await agent.ready()
        await grant(agent, {"deposit": {"USDT": "500"}})
        await agent.passing(lambda: agent.state.durable.account.cash == D(10_500), "seen")
        day = agent.state.durable.day
        assert day is not None
        assert day.flows == 500
        assert day.pnl(agent.state.durable.account.cash) == 0


async def test_orders_of_others_stay_where_they_are() -> None:
    async with trading_agent(funds={"USDT": D(10_000), "ADA": D(700)}) as agent:
        await agent.ready()
        wish = {"side": "SELL", "type": "LIMIT", "quantity": "100", "price": str(agent.a.near("1.3"))}
        await grant(agent, {"order": wish})
        await agent.passing(lambda: len(agent.state.strangers) == 1, "seen")
        assert agent.state.durable.account.foreign["ADA"] == 700
        await agent.enter()
        await close_by_hand(agent)
        rows = (await agent.a.ledger())["orders"]
        theirs = [o for o in rows if not o["client_id"].startswith(agent.setup.tag)]
        assert [o["status"] for o in theirs] == ["NEW"]
        assert await agent.held_there() == 700 + agent.positions()[-1].dust_qty


# --- at a normal start -------------------------------------------------------------------------------------


async def test_a_normal_start_alarms_nobody() -> None:
    async with trading_agent() as agent:
        await agent.ready()
        assert not [line for line in agent.alerts if line.startswith(("WARNING", "ERROR", "CRITICAL"))]


# --- a pair that is not traded -----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["HALT", "CANCEL_ONLY", "DELISTED"])
async def test_a_position_waits_for_a_pair_that_is_not_traded_and_leaves_once(status: str) -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.listed()
        await agent.a.fault("F39", params={"variant": status})
        await agent.runtime.ask(e.CloseRequested("test", None))
        await agent.passing(
            lambda: any(o.status is OrderStatus.REJECTED for o in agent.state.orders.values()), "refused"
        )
        await agent.a.advance(60_000)
        assert [p.state.value for p in agent.positions()] == ["EXITING"], agent.told()
        await agent.a.control("faults", {"clear": "all"})
        await agent.closed()
        assert agent.positions()[-1].exit_reason == "MANUAL"
        await nothing_twice(agent)
