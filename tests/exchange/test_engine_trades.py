"""Signal to flat on a strict exchange over real sockets: every way out, and both ledgers equal after it."""

from __future__ import annotations

from dataclasses import replace

from engine_ground import trading_agent

from agent.core import events as e
from agent.core.order import OrderType, Purpose
from agent.core.position import PositionState
from tests.playbook import EXITS, LIMITS, D


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


# --- stops that are limits -------------------------------------------------------------------------

LIMIT_STOPS = frozenset({"LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"})


async def test_where_stops_are_limits_a_list_holds_one_and_it_sells() -> None:
    async with trading_agent(order_types=LIMIT_STOPS) as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        assert stop.intent.type is OrderType.STOP_LOSS_LIMIT
        await agent.a.price(f"{float(stop.intent.stop_price or 0) - 0.0005:.4f}")
        position = await agent.closed()
        assert position.exit_reason == "STOP"
        await agent.agree()


async def test_a_limit_that_the_price_jumped_over_goes_to_the_market() -> None:
    async with trading_agent(order_types=LIMIT_STOPS) as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        await agent.stop()
        await agent.a.price(f"{float(stop.intent.price or 0) * 0.98:.4f}")
        await agent.a.advance(30_000)
        await agent.restart()
        position = await agent.closed()
        assert position.exit_reason == "STOP"
        sold = [o for o in agent.state.orders.values() if o.intent.purpose is Purpose.EXIT and o.fills]
        assert sold, "the limit lay above the market"
        await agent.agree()


async def test_a_limit_that_was_jumped_over_under_a_running_agent_is_replaced_once() -> None:
    async with trading_agent(order_types=LIMIT_STOPS) as agent:
        await agent.enter()
        stop, _ = await agent.listed()
        # Only the user stream tells: the stop is triggered, and its limit lies above the market.
        await agent.a.price(f"{float(stop.intent.price or 0) * 0.98:.4f}")
        position = await agent.closed()
        assert position.exit_reason == "STOP"
        sales = [o for o in agent.state.orders.values() if o.intent.purpose is Purpose.EXIT]
        assert [bool(o.fills) for o in sales].count(True) == 1, agent.told()
        await agent.agree()
        assert await agent.held_there() == position.dust_qty


# --- several positions, and parts -------------------------------------------------------------------


async def test_two_positions_have_a_list_each_and_leave_alone() -> None:
    limits = replace(LIMITS, max_open_positions=2)
    exits = replace(EXITS, use_stop_loss=False, max_hold=40)
    async with trading_agent(limits=limits, exits=exits, disaster_stop_percent=D(20)) as agent:
        first = await agent.enter()
        await agent.listed()
        await agent.signal()
        await agent.until(lambda: len(agent.state.open_positions()) == 2, "both bought")
        await agent.until(lambda: len(agent.resting(Purpose.PROTECT)) == 2, "both protected")
        held = sum((p.held_qty for p in agent.state.open_positions()), D(0))
        selling = sum((o.leaves_qty for o in agent.resting(Purpose.PROTECT)), D(0))
        assert selling <= held == await agent.held_there()
        await agent.runtime.ask(e.CloseRequested("test", first.id))
        await agent.passing(
            lambda: agent.state.positions[first.id].state is PositionState.CLOSED, "the first closed"
        )
        [left] = agent.state.open_positions()
        assert left.id != first.id
        assert [o.intent.position_id for o in agent.resting(Purpose.PROTECT)] == [left.id]
        await agent.agree()
        await agent.runtime.ask(e.CloseRequested("test", None))
        await agent.closed()
        await agent.agree()
        dust = sum((p.dust_qty for p in agent.positions()), D(0))
        assert await agent.held_there() == dust


async def test_the_part_of_an_entry_that_was_filled_is_the_position() -> None:
    async with trading_agent() as agent:
        await agent.ready()
        await agent.a.fault("F15", match={"method": "POST", "path": "/api/v3/order"})
        position = await agent.enter()
        entry = next(o for o in agent.state.orders.values() if o.intent.purpose is Purpose.ENTRY)
        assert 0 < position.bought_qty < entry.intent.qty
        assert len(entry.fills) > 1
        [stop] = agent.resting(Purpose.PROTECT)
        assert stop.intent.qty == agent.state.instrument.qty(position.held_qty)  # type: ignore[union-attr]
        await agent.agree()


async def test_a_market_order_that_runs_out_of_book_is_followed_until_flat() -> None:
    async with trading_agent() as agent:
        position = await agent.enter()
        await agent.listed()
        await agent.a.fault("F17", match={"method": "POST", "path": "/api/v3/order/cancelReplace"})
        await agent.runtime.ask(e.CloseRequested("test", position.id))
        position = await agent.closed()
        exits = [o for o in agent.state.orders.values() if o.intent.purpose is Purpose.EXIT and o.fills]
        assert len(exits) == 2
        assert position.exit_reason == "MANUAL"
        await agent.agree()
        assert await agent.held_there() == position.dust_qty
