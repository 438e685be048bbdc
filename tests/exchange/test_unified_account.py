"""An account through ccxt on the local exchange's Kraken side: what an answer proves, and a missing one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import ccxt.async_support
import pytest

from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    CancelFailed,
    FillsSeen,
    Holding,
    Impairment,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
)
from agent.core.order import Fact, OrderReport, OrderType, TimeInForce
from agent.exchange.addresses import Addresses
from agent.exchange.signed.account_identity import KeyRefused
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.permissions import KeyRightsUnreadable
from agent.exchange.unified import account as unified_account
from agent.exchange.unified.identity import KeyMark, key_mark
from agent.exchange.unified.refusals import Kind
from agent.exchange.weight_gate import Urgency
from agent.localexchange.kraken import names
from agent.localexchange.venue.words import Status
from tests.exchange.kraken_ground import KEY, SECRET, urls
from tests.exchange.signed_ground import approved
from tests.exchange.unified_ground import IMPATIENT, QUICK, unified

#: (fault, its parameters, whether the order exists afterwards)
LOST = [
    pytest.param("F1", {"variant": "reset"}, False, id="request lost"),
    pytest.param("F2", {"variant": "reset"}, True, id="answer lost"),
    pytest.param("F2", {"variant": "silent", "hold_ms": 30_000}, True, id="no answer in time"),
    pytest.param("F3", {"status": 502, "variant": "html"}, False, id="502 before"),
    pytest.param("F4", {"status": 503, "variant": "text"}, True, id="503 after"),
    pytest.param("F5", {"variant": "-1007", "executed": True}, True, id="an error of another shape"),
]


async def test_an_entry_from_placing_to_its_fills_without_asking_twice() -> None:
    async with unified(stream=True) as ground, ground.running_beside():
        limit = (ground.last() * Decimal("1.01")).quantize(ground.tick)
        entry = ground.intent(OrderType.LIMIT, price=limit, tif=TimeInForce.IOC)
        placed = await ground.exchange.place(approved(entry))
        assert isinstance(placed, OrderReported)
        assert (placed.report.fact, placed.report.executed_qty) == (Fact.WORKING, 0)
        await ground.until(lambda: sum(f.qty for e in ground.told(FillsSeen) for f in e.fills) >= 100)
        await ground.until(
            lambda: any(e.report.fact is Fact.FULLY_FILLED for e in ground.told(OrderReported))
        )
        (order,) = ground.at_exchange(entry)
        assert order.status is Status.FILLED
        fills = {fill.trade_id: fill for event in ground.told(FillsSeen) for fill in event.fills}
        trades = ground.running.exchange.desk.venue.registry.trades
        assert sum(fill.fee for fill in fills.values()) == sum(trade.fee for trade in trades)
        assert {fill.fee_currency for fill in fills.values()} == {"USDT"}
        assert {fill.client_id for fill in fills.values()} == {entry.client_id}
        # A reading waits until the counter of calls has fallen, by the exchange's time.
        ground.running.exchange.clock.advance(60_000)
        seen = await ground.exchange.account(entry.created_ms - 60_000)
        assert isinstance(seen, AccountSeen)
        assert seen.holdings["ADA"] == Holding(Decimal(100), Decimal(0))
        assert {fill.trade_id for fill in seen.fills} == set(fills)
        assert ground.asked("AddOrder") == 1


@pytest.mark.parametrize(("fault", "params", "exists"), LOST)
async def test_a_lost_answer_is_unknown_and_found_by_evidence(
    fault: str, params: dict[str, object], exists: bool
) -> None:
    patience = IMPATIENT if params.get("variant") == "silent" else QUICK
    async with unified(patience=patience) as ground:
        await ground.exchange.loaded()
        ground.fault(fault, "AddOrder", params=params)
        entry = ground.intent()
        placed = await ground.exchange.place(approved(entry))
        assert isinstance(placed, OutcomeUnknown)
        assert len(ground.at_exchange(entry)) == exists
        found = await ground.exchange.look_up(entry)
        if exists:
            assert isinstance(found, OrderReported)
            assert found.report.fact is Fact.FULLY_FILLED
            fills = await ground.exchange.fills_of(entry)
            assert isinstance(fills, FillsSeen)
            assert sum(fill.qty for fill in fills.fills) == 100
        else:
            assert found == LookupFoundNothing(entry.client_id)
        assert ground.asked("AddOrder") <= 1, "no order is sent twice"
        assert len(ground.theirs()) <= 1


async def test_a_look_up_that_fails_in_any_part_proves_nothing() -> None:
    for name in ("OpenOrders", "ClosedOrders"):
        async with unified() as ground:
            await ground.exchange.loaded()
            ground.fault("F3", name, params={"status": 502, "variant": "html"})
            found = await ground.exchange.look_up(ground.intent())
            assert isinstance(found, LookupFailed), name


async def test_a_fill_whose_order_nobody_answered_for_is_adopted_by_reading_the_account() -> None:
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.fault("F2", "AddOrder", params={"variant": "reset"})
        entry = ground.intent()
        await ground.exchange.place(approved(entry))
        seen = await ground.exchange.account(entry.created_ms - 60_000)
        assert isinstance(seen, AccountSeen)
        assert {fill.client_id for fill in seen.fills} == {entry.client_id}


async def test_a_reading_is_as_old_as_its_open_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    async with unified() as ground:
        await ground.exchange.loaded()
        reader, asked_ms = ground.exchange._reader, list[int]()
        was = reader._open_orders

        async def open_orders() -> tuple[OrderReport, ...]:
            asked_ms.append(reader._clock.now_ms())
            await asyncio.sleep(0.03)
            return await was()

        monkeypatch.setattr(reader, "_open_orders", open_orders)
        began_ms = reader._clock.now_ms()
        seen = await ground.exchange.account(0)
        assert isinstance(seen, AccountSeen)
        assert seen.asked_ms is not None
        assert began_ms <= seen.asked_ms <= asked_ms[-1] < reader._clock.now_ms()


async def test_refusals_are_refusals_with_their_kind() -> None:
    async with unified() as ground:
        poor = await ground.exchange.place(approved(ground.intent(qty="90000")))
        assert isinstance(poor, OrderRefused)
        assert (poor.code, "insufficient balance" in poor.detail) == (Kind.FUNDS, True)
        small = await ground.exchange.place(approved(ground.intent(qty="0.1")))
        assert isinstance(small, OrderRefused)
        assert small.code == Kind.RULES
        gone = await ground.exchange.cancel(ground.stop())
        assert isinstance(gone, CancelFailed)
        assert gone.code == Kind.NO_ORDER
        assert not ground.theirs()


async def test_a_key_that_is_refused_is_told_once_and_for_all() -> None:
    async with unified(key="another") as ground:
        seen = await ground.exchange.account(0)
        assert isinstance(seen, AccountUnreadable)
        assert seen.permanent
        refused = await ground.exchange.place(approved(ground.intent()))
        assert isinstance(refused, OrderRefused)
        assert refused.code == Kind.KEY


async def test_a_stop_rests_and_gives_way_to_an_exit() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        stop, leaving = ground.stop(), ground.exit()
        assert isinstance(await ground.exchange.place(approved(stop)), OrderReported)
        seen = await ground.exchange.account(stop.created_ms)
        assert isinstance(seen, AccountSeen)
        (resting,) = seen.open_orders
        assert (resting.client_id, resting.type, resting.fact) == (stop.client_id, "STOP_LOSS", Fact.WORKING)
        assert seen.holdings["ADA"] == Holding(Decimal(0), Decimal(100))
        canceled, placed = await ground.exchange.replace(stop, approved(leaving))
        assert isinstance(canceled, OrderReported)
        assert canceled.report.fact is Fact.WAS_CANCELED
        assert isinstance(placed, OrderReported)
        assert [order.status for order in ground.theirs()] == [Status.CANCELED, Status.FILLED]


async def test_a_stop_of_an_engine_that_is_gone_is_looked_at_once_between_cancel_and_sale() -> None:
    """Its number is not known to this process, and every call may have to be waited for."""
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        stop = ground.stop()
        assert isinstance(await ground.exchange.place(approved(stop)), OrderReported)
        await ground.followed()
        ground.exchange._ids = OrderIds()
        before = ground.asked("ClosedOrders")
        canceled = await ground.exchange.cancel(stop)
        assert isinstance(canceled, OrderReported)
        assert canceled.report.fact is Fact.WAS_CANCELED
        assert (ground.asked("OpenOrders"), ground.asked("ClosedOrders") - before) == (0, 1)


@pytest.mark.parametrize("known", [True, False], ids=["its own order", "of an engine that is gone"])
async def test_a_look_that_a_full_counter_refused_is_asked_again_and_the_sale_follows(known: bool) -> None:
    """Somebody else used up the calls: the stop is canceled, and what it sold is still to be known."""
    async with unified(speed=60, balances={"ADA": Decimal(100)}) as ground:
        stop, leaving = ground.stop(), ground.exit()
        assert isinstance(await ground.exchange.place(approved(stop)), OrderReported)
        await ground.followed()
        if not known:
            ground.exchange._ids = OrderIds()
        asked, refused = ground.looks(), ground.fill_counter()
        canceled, placed = await ground.exchange.replace(stop, approved(leaving))
        assert isinstance(canceled, OrderReported), canceled
        assert isinstance(placed, OrderReported)
        assert (ground.looks() - asked, len(refused)) == (2, 1), "once refused, once answered"
        assert [order.status for order in ground.theirs()] == [Status.CANCELED, Status.FILLED]


async def test_a_reading_that_hangs_keeps_no_sale_waiting_for_the_look_before_it() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        stop, leaving = ground.stop(), ground.exit()
        assert isinstance(await ground.exchange.place(approved(stop)), OrderReported)
        await ground.followed()
        ground.fault("F2", "OpenOrders", params={"variant": "silent", "hold_ms": 60_000})
        reading = asyncio.create_task(ground.exchange.account(0))
        await ground.until(lambda: ground.fired("F2") == 1)
        canceled, placed = await ground.exchange.replace(stop, approved(leaving))
        assert isinstance(placed, OrderReported), canceled
        assert not reading.done(), "sold while the reading still hung"
        reading.cancel()


async def test_what_a_stop_sold_before_its_cancel_is_not_sold_again() -> None:
    async with unified(balances={"ADA": Decimal(150)}) as ground:
        stop, leaving = ground.stop(), ground.exit()
        await ground.exchange.place(approved(stop))
        ground.fault("F14", "CancelOrder", params={"share": "1"})
        canceled, placed = await ground.exchange.replace(stop, approved(leaving))
        assert placed is None
        assert isinstance(canceled, CancelFailed) or canceled.report.executed_qty == 100
        assert len(ground.theirs()) == 1
        looked = await ground.exchange.look_up(stop)
        assert isinstance(looked, OrderReported)
        assert looked.report.fact is Fact.FULLY_FILLED


async def test_an_unanswered_cancel_places_nothing() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        stop = ground.stop()
        await ground.exchange.place(approved(stop))
        ground.fault("F2", "CancelOrder", params={"variant": "reset"})
        canceled, placed = await ground.exchange.replace(stop, approved(ground.exit()))
        assert isinstance(canceled, CancelFailed)
        assert (canceled.code, placed) == (None, None)
        now = await ground.exchange.look_up(stop)
        assert isinstance(now, OrderReported)
        assert now.report.fact is Fact.WAS_CANCELED


async def test_the_latch_holds_an_entry_back_and_never_an_exit() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        ground.latched = True
        held = await ground.exchange.place(approved(ground.intent()))
        assert isinstance(held, PlacingBlocked)
        assert "latch" in held.detail
        assert isinstance(await ground.exchange.place(approved(ground.exit())), OrderReported)
        assert ground.asked("AddOrder") == 1


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
async def test_a_machine_whose_clock_is_wrong_can_still_sell(ahead_ms: int) -> None:
    """Deadlines are of the exchange's time: what its refusal teaches, the next order knows."""
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.clock._ahead_ms = ahead_ms
        first = await ground.exchange.place(approved(ground.intent()))
        assert isinstance(first, OrderRefused)
        assert first.code == Kind.TIME
        assert isinstance(await ground.exchange.place(approved(ground.intent())), OrderReported)


async def test_trades_are_found_of_an_order_that_a_clock_an_hour_ahead_decided() -> None:
    async with unified() as ground:
        order = replace(ground.intent(), created_ms=ground.clock.now_ms() + 3_600_000)
        assert isinstance(await ground.exchange.place(approved(order)), OrderReported)
        seen = await ground.exchange.fills_of(order)
        assert isinstance(seen, FillsSeen), seen
        assert sum(fill.qty for fill in seen.fills) == order.qty


async def test_an_order_that_comes_too_late_is_turned_away_by_its_deadline() -> None:
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.fault("F10", "AddOrder", params={"delay_ms": 2_000, "executed": False})
        placing = asyncio.create_task(ground.exchange.place(approved(ground.intent())))
        await ground.until(lambda: ground.fired("F10") == 1)
        ground.running.exchange.clock.advance(10_000)
        placed = await placing
        assert isinstance(placed, OrderRefused)
        assert placed.code == Kind.TIME
        assert not ground.theirs()


async def test_what_happens_unasked_is_heard_of() -> None:
    """A stop that sells is found because its socket hinted at it, long before the account is read again."""
    async with unified(stream=True, balances={"ADA": Decimal(100)}) as ground, ground.running_beside():
        stop = ground.stop()
        await ground.exchange.place(approved(stop))
        await ground.until(lambda: bool(ground.told(OrderReported)))
        readings = len(ground.told(AccountSeen))
        desk = ground.running.exchange.desk
        (order,) = ground.at_exchange(stop)
        now_ms = desk.catch_up()
        desk.venue.fill_by_fate(order, Decimal(1), desk.prices("ADAUSDT", now_ms))
        desk.publish()
        await ground.until(
            lambda: any(e.report.fact is Fact.FULLY_FILLED for e in ground.told(OrderReported))
        )
        assert sum(fill.qty for event in ground.told(FillsSeen) for fill in event.fills) >= 100
        assert len(ground.told(AccountSeen)) <= readings + 1
        assert not ground.impaired(Impairment.USER_STREAM)


@pytest.mark.parametrize("fails", [None, "QueryOrders", "TradesHistory"])
async def test_an_accepted_order_is_followed_to_its_fills_without_a_hint_or_a_reading(
    fails: str | None,
) -> None:
    """Accepted is not executed: until its fills are known, what was bought has no stop."""
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.exchange._sink = ground.hear
        if fails is not None:
            ground.fault("F3", fails, params={"status": 502, "variant": "html"})
        placed = await ground.exchange.place(approved(ground.intent()))
        assert isinstance(placed, OrderReported)
        assert (placed.report.fact, placed.report.executed_qty) == (Fact.WORKING, 0)
        await ground.followed()
        assert fails is None or ground.fired("F3") == 1
        fills = {fill.trade_id: fill.qty for event in ground.told(FillsSeen) for fill in event.fills}
        assert sum(fills.values()) == 100
        assert ground.told(OrderReported)[-1].report.fact is Fact.FULLY_FILLED
        assert ground.asked("BalanceEx") == 0


async def test_who_waits_in_the_row_behind_one_that_is_told_to_be_silent_asks_nothing() -> None:
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.fault("F7", "GetApiKeyInfo", params={"retry_after": 600})
        asking = ground.exchange.key_rights(), ground.exchange.look_up(ground.intent())
        told, behind = await asyncio.gather(*asking)
        assert isinstance(told, KeyRightsUnreadable)
        assert ground.gate.is_blocked
        assert isinstance(behind, LookupFailed)
        assert "wants no requests" in behind.detail
        assert ground.looks() == 0


async def test_what_is_counted_for_the_account_keeps_no_distance_from_what_is_asked_of_the_market() -> None:
    async with unified() as ground:
        await ground.exchange.loaded()
        ground.gate._spacing_ms = 3_600_000.0
        assert isinstance(await ground.exchange.place(approved(ground.intent())), OrderReported)
        await ground.followed()
        assert (ground.asked("QueryOrders"), ground.asked("TradesHistory")) == (1, 1)
        assert not ground.gate.admits_now(Urgency.RECONCILE, 1), "the market is asked an hour later"


async def test_a_hint_whose_look_failed_is_looked_after_again_and_many_hints_are_one_look_or_two() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        ground.exchange._sink = ground.hear
        stop = ground.stop()
        await ground.exchange.place(approved(stop))
        await ground.followed()
        desk = ground.running.exchange.desk
        (order,) = ground.at_exchange(stop)
        desk.venue.fill_by_fate(order, Decimal(1), desk.prices("ADAUSDT", desk.catch_up()))
        ground.fault("F3", "QueryOrders", params={"status": 502, "variant": "html"})
        asked = ground.asked("QueryOrders")
        for _ in range(20):
            ground.exchange._touched(names.order_id(order.id))
        await ground.followed()
        assert ground.told(OrderReported)[-1].report.fact is Fact.FULLY_FILLED
        assert ground.asked("QueryOrders") - asked == 2, "one that failed, and one more"


async def test_after_an_order_was_not_found_the_account_is_read_when_no_answer_is_stale_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stale answers can hide a purchase for half a minute, and it is given up before."""
    monkeypatch.setattr(unified_account, "_STALE_NO_MORE_MS", 1.0)
    async with unified() as ground:
        assert isinstance(await ground.exchange.look_up(ground.intent()), LookupFoundNothing)
        assert not ground.exchange._catch_up._demanded
        await ground.followed()
        assert ground.exchange._catch_up._demanded


async def test_strangers_orders_are_told_by_their_own_names() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        ours = ground.stop("60")
        await ground.exchange.place(approved(ours))
        by_hand = ccxt.async_support.kraken({"apiKey": KEY, "secret": SECRET, "enableRateLimit": False})
        by_hand.urls = {**by_hand.urls, "api": urls(ground.running)}
        try:
            stop = {"stopLossPrice": 0.2}
            theirs = await by_hand.create_order("ADA/USDT", "market", "sell", 40, None, stop)
        finally:
            await by_hand.close()
        seen = await ground.exchange.account(0)
        assert isinstance(seen, AccountSeen)
        assert {report.client_id for report in seen.open_orders} == {ours.client_id, theirs["id"]}


async def test_a_key_shows_whether_its_account_is_ours() -> None:
    async with unified(balances={"ADA": Decimal(100)}) as ground:
        addresses = Addresses.replaced("kraken", ground.running.rest, None)
        keys = ExchangeKeys(Secret(KEY), Secret(SECRET), None)
        asked = (keys, addresses, ground.gate, ground.clock, None)
        before = await key_mark(*asked, pair="ADA/USDT", tag="stest")
        assert isinstance(before, KeyMark)
        assert not before.sees_ours
        await ground.exchange.place(approved(ground.exit()))
        # It goes on asking about its order; a key's numbers must rise, and two who use it at once may cross.
        await ground.exchange.close()
        after = await key_mark(*asked, pair="ADA/USDT", tag="stest")
        assert after == KeyMark(before.mark, sees_ours=True)
        strangers = await key_mark(*asked, pair="ADA/USDT", tag="sother")
        assert strangers == before
        refused = ExchangeKeys(Secret("another"), Secret(SECRET), None)
        assert isinstance(await key_mark(refused, *asked[1:], pair="ADA/USDT", tag="stest"), KeyRefused)
