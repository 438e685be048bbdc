"""Signal to flat on a strict exchange over real sockets: every way out, and both ledgers equal after it."""

from __future__ import annotations

from dataclasses import replace

from engine_ground import trading_agent

from agent.core import events as e
from agent.core.order import OrderType, Purpose
from agent.core.position import PositionState
from tests.playbook import EXITS, D


async def test_a_resting_target_is_filled_at_its_price() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        stop, target = await agent.listed()
        assert (stop.intent.type, target.intent.type) == (OrderType.STOP_LOSS, OrderType.LIMIT_MAKER)
        await agent.price(float(target.intent.price or 0) + 0.002)
        position = await agent.closed()
        assert position.exit_reason == "FIB_61.8"
        assert position.exit_price is not None
        assert target.intent.price is not None
        assert position.exit_price >= target.intent.price
        await agent.agree()
        assert await agent.held_there() == position.dust_qty
        assert not agent.serious()


async def test_a_resting_stop_sells_while_the_agent_is_dead() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        await agent.stop()
        await agent.a.price(f"{float(stop.intent.stop_price or 0) - 0.004:.4f}")
        await agent.a.advance(60_000)
        await agent.restart()
        position = await agent.closed()
        assert position.exit_reason == "STOP"
        await agent.agree()
        assert await agent.held_there() == position.dust_qty


async def test_a_target_is_sold_while_the_agent_is_dead() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        _, target = await agent.listed()
        await agent.stop()
        await agent.a.price(f"{float(target.intent.price or 0) + 0.004:.4f}")
        await agent.a.advance(120_000)
        await agent.restart()
        position = await agent.closed()
        assert position.exit_reason == "FIB_61.8"
        await agent.agree()
        assert await agent.held_there() == position.dust_qty


async def test_a_close_by_hand_is_one_cancel_replace_under_the_list() -> None:
    async with trading_agent() as agent:
        position = await agent.enter()
        await agent.listed()
        await agent.runtime.ask(e.CloseRequested("test", position.id))
        position = await agent.closed()
        assert position.exit_reason == "MANUAL"
        await agent.agree()
        requests = (await agent.a.ledger())["requests"]
        replaced = [r for r in requests if r["path"].endswith("cancelReplace")]
        assert len(replaced) == 1
        assert not agent.serious()


async def test_a_killed_agent_finds_its_list_again_and_exits_once() -> None:
    async with trading_agent() as agent:
        position = await agent.enter()
        stop, target = await agent.listed()
        await agent.restart()
        await agent.ready()
        lie = [*agent.resting(Purpose.PROTECT), *agent.resting(Purpose.TARGET)]
        assert [o.intent for o in lie] == [stop.intent, target.intent]
        await agent.runtime.ask(e.CloseRequested("test", position.id))
        await agent.closed()
        await agent.agree()


async def test_the_stop_of_a_list_that_triggers_ends_the_target() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        stop, target = await agent.listed()
        await agent.price(float(stop.intent.stop_price or 0) - 0.003)
        position = await agent.closed()
        assert position.exit_reason == "STOP"
        await agent.agree()
        assert not agent.state.orders[target.intent.client_id].fills


async def test_an_emergency_sells_what_a_list_guards() -> None:
    async with trading_agent() as agent:
        await agent.enter()
        await agent.listed()
        await agent.runtime.emergency("test")
        position = await agent.closed()
        assert position.exit_reason == "EMERGENCY"
        await agent.agree()
        assert await agent.held_there() == position.dust_qty


async def test_a_disaster_stop_rests_without_a_stop_loss() -> None:
    exits = replace(EXITS, use_stop_loss=False, max_hold=40)
    async with trading_agent(exits=exits, disaster_stop_percent=D(10)) as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        entry = agent.positions()[-1].entry_price
        assert entry is not None
        assert stop.intent.stop_price == agent.state.instrument.price(entry * D("0.9"), "down")  # type: ignore[union-attr]


# --- fees ------------------------------------------------------------------------------------------


async def test_fees_in_bnb_are_valued_at_its_own_price() -> None:
    async with trading_agent(funds={"USDT": D(10_000), "BNB": D(1)}) as agent:
        answer = await agent.a.control("account", {"commission": {"bnb": True}})
        assert answer.status == 200
        position = await agent.enter()
        await agent.runtime.ask(e.CloseRequested("test", position.id))
        await agent.closed()
        await agent.until(lambda: not agent.positions()[-1].unvalued_fees, "valued")
        position = agent.positions()[-1]
        price = agent.state.fee_prices["BNB"].price
        charged = sum(f.fee for o in agent.state.orders.values() for f in o.fills)
        assert {f.fee_currency for o in agent.state.orders.values() for f in o.fills} == {"BNB"}
        assert position.fees_quote == charged * price > 0
        assert position.base_fees == 0
        assert await agent.held_there("BNB") == D(1) - charged
        assert "fee_in_BNB" in position.notes
        await agent.agree()


async def test_bnb_that_runs_out_in_the_middle_leaves_mixed_fees() -> None:
    async with trading_agent(funds={"USDT": D(10_000), "BNB": D("0.0005")}) as agent:
        await agent.a.control("account", {"commission": {"bnb": True}})
        position = await agent.enter()
        await agent.runtime.ask(e.CloseRequested("test", position.id))
        position = await agent.closed()
        assert position.state is PositionState.CLOSED
        await agent.agree()
        assert await agent.held_there() == position.dust_qty
