"""Everything that can happen between an order and its answer, over real sockets.

Each row is one request on the wire, and an outcome that never claims more than was proven.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.core.events import (
    AccountUnreadable,
    CancelFailed,
    FillsSeen,
    Impaired,
    Impairment,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
)
from agent.core.order import Fact, OrderType, Purpose, Side
from agent.exchange.signed.classify import Refused
from agent.exchange.signed.endpoints import PLACE
from agent.exchange.weight_gate import Urgency
from tests.exchange.signed_faults import (
    after,
    answering,
    broken_answer,
    error,
    instead,
    late,
    lost_answer,
    lost_request,
    redirect,
    truncated_json,
)
from tests.exchange.signed_ground import IMPATIENT, QUICK, Ground, approved, ground, some_keys
from tests.exchange.signed_stub import KEY, Fault, Stub

POST = "POST /api/v3/order"
DELETE = "DELETE /api/v3/order"
GET = "GET /api/v3/order"
PAGE = "<html><body>Sorry, you have been blocked</body></html>"

SLOW = late(0.9)

#: (fault, whether the order exists afterwards)
LOST = [
    pytest.param(lost_request, False, id="request lost"),
    pytest.param(lost_answer, True, id="answer lost"),
    pytest.param(broken_answer, True, id="reset in mid-body"),
    pytest.param(truncated_json, True, id="200 with truncated JSON"),
    pytest.param(after(200, PAGE, "text/html"), True, id="200 with a page"),
    pytest.param(after(200, ""), True, id="200 empty"),
    pytest.param(after(200, "{}"), True, id="200 with an empty object"),
    pytest.param(instead(500, PAGE), False, id="500 before"),
    pytest.param(after(500, PAGE, "text/html"), True, id="500 after"),
    pytest.param(instead(502, PAGE), False, id="502 before"),
    pytest.param(after(503, '{"code": -1008, "msg": "overloaded"}'), True, id="503 after"),
    pytest.param(after(504, ""), True, id="504 after"),
    pytest.param(error(504, -1007, "Timeout waiting for response"), False, id="-1007 before"),
    pytest.param(after(400, '{"code": -1007, "msg": "Timeout"}'), True, id="-1007 after"),
    pytest.param(after(400, '{"code": -1006, "msg": "unexpected"}'), True, id="-1006 after"),
    pytest.param(error(400, -1001, "Internal error"), False, id="-1001"),
    pytest.param(instead(403, PAGE), False, id="403 of the firewall"),
    pytest.param(SLOW, True, id="no answer in time, executed later"),
    pytest.param(answering({}, without=("orderId",)), True, id="no order id"),
    pytest.param(answering({}, without=("status",)), True, id="no status"),
    pytest.param(answering({}, without=("clientOrderId",)), True, id="no client id"),
    pytest.param(answering({"clientOrderId": "someoneelse"}), True, id="another client id"),
    pytest.param(answering({"symbol": "BNBUSDT"}), True, id="another pair"),
    pytest.param(answering({"side": "SELL"}), True, id="another side"),
    pytest.param(answering({"executedQty": "1e999"}), True, id="an infinite quantity"),
    pytest.param(answering({"executedQty": 10}), True, id="a quantity as number"),
    pytest.param(answering({"executedQty": "11"}), True, id="more executed than ordered"),
    pytest.param(answering({"origQty": "NaN"}), True, id="a quantity that is none"),
    pytest.param(answering({"fills": [{"price": "0.5", "qty": "10"}]}), True, id="fills without ids"),
    pytest.param(answering({"orderId": "1001"}), True, id="an order id as text"),
    pytest.param(answering({"status": "LIMBO"}), True, id="a status nobody knows"),
]


@pytest.mark.parametrize(("fault", "exists"), LOST)
async def test_an_order_without_a_believable_answer_is_unknown_and_sent_once(
    fault: Fault, exists: bool
) -> None:
    async with ground(stream=False, patience=IMPATIENT if fault is SLOW else QUICK) as here:
        here.stub.plan = [("0.5", "100")]
        here.stub.fault(POST, fault)
        intent = here.intent()
        answer = await here.exchange.place(approved(intent))
        assert isinstance(answer, OutcomeUnknown)
        assert answer.client_id == intent.client_id
        assert answer.detail
        await asyncio.sleep(0.05)
        assert here.stub.count(POST) == 1
        if fault is SLOW:
            await here.until(lambda: bool(here.stub.trades))
        # What became of it is found by its id, not by sending it again.
        found = await here.exchange.look_up(intent)
        if exists:
            assert isinstance(found, OrderReported)
            assert (found.report.client_id, found.report.fact) == (intent.client_id, Fact.FULLY_FILLED)
            fills = await here.exchange.fills_of(intent)
            assert isinstance(fills, FillsSeen)
            assert sum(f.qty for f in fills.fills) == 10
        else:
            assert found == LookupFoundNothing(intent.client_id)


async def test_an_order_to_where_nobody_listens_is_unknown() -> None:
    async with ground(stream=False) as here:
        rest = here.stub.rest
    stub = Stub(here.clock.exchange_ms, rest=rest, ws=here.stub.ws)
    alone = Ground(stub, here.clock, QUICK, False, some_keys())
    answer = await alone.exchange.place(approved(alone.intent()))
    assert isinstance(answer, OutcomeUnknown)
    assert "cannot connect" in answer.detail
    await alone.exchange.close()


REFUSALS = [
    (400, -2010, "Account has insufficient balance for requested action."),
    (400, -1013, "Filter failure: NOTIONAL"),
    (400, -1111, "Parameter 'quantity' has too much precision."),
    (400, -1121, "Invalid symbol."),
    (401, -2014, "API-key format invalid."),
    (400, -1022, "Signature for this request is not valid."),
]


@pytest.mark.parametrize(("status", "code", "msg"), REFUSALS)
async def test_a_known_refusal_is_told_with_its_code(status: int, code: int, msg: str) -> None:
    async with ground(stream=False) as here:
        here.stub.fault(POST, error(status, code, msg))
        intent = here.intent()
        assert await here.exchange.place(approved(intent)) == OrderRefused(intent.client_id, code, msg)
        assert here.stub.count(POST) == 1


async def test_an_unknown_parameter_would_be_refused() -> None:
    async with ground(stream=False) as here:
        params = {"symbol": "ADAUSDT", "takeProfit": "1"}
        outcome = await here.exchange._client.ask(PLACE, Urgency.ENTER, params)
        assert isinstance(outcome, Refused)
        assert outcome.code == -1104


@pytest.mark.parametrize("status", [429, 418])
async def test_after_too_many_requests_nothing_leaves_until_the_stated_time(status: int) -> None:
    async with ground(stream=False) as here:
        body = {"code": -1003, "msg": "Too much request weight used"}
        here.stub.fault(POST, instead(status, body, {"Retry-After": "30"}))
        intent = here.intent()
        refused = await here.exchange.place(approved(intent))
        assert isinstance(refused, OrderRefused)
        assert refused.code == -1003
        assert here.blocked == [pytest.approx(here.clock.now_ms() + 31_000, abs=2_000)]
        sale = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        requests = len(here.stub.seen)
        outcomes = [
            await here.exchange.place(approved(sale)),
            await here.exchange.cancel(intent),
            await here.exchange.look_up(intent),
            await here.exchange.account(here.clock.now_ms() - 1_000),
        ]
        assert [type(o) for o in outcomes] == [PlacingBlocked, CancelFailed, LookupFailed, AccountUnreadable]
        assert "wants no requests" in outcomes[0].detail  # type: ignore[union-attr]
        assert len(here.stub.seen) == requests


async def test_a_redirect_is_followed_nowhere() -> None:
    async with ground(stream=False) as here, ground(stream=False) as other:
        here.stub.fault(POST, redirect(other.stub.rest + "/api/v3/order"))
        answer = await here.exchange.place(approved(here.intent()))
        assert isinstance(answer, OutcomeUnknown)
        assert other.stub.seen == []


async def test_used_weight_reaches_the_gate() -> None:
    async with ground(stream=False) as here:
        here.stub.used_weight = 1_234
        await here.exchange.look_up(here.intent())
        assert here.gate.used_weight == 1_234


# --- cancels and replacements ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lost_answer, id="answer lost"),
        pytest.param(truncated_json, id="truncated"),
        pytest.param(after(502, PAGE, "text/html"), id="502"),
        pytest.param(answering({"origClientOrderId": "someoneelse"}), id="another order"),
        pytest.param(answering({}, without=("status",)), id="no status"),
    ],
)
async def test_a_cancel_without_a_believable_answer_has_no_code(fault: Fault) -> None:
    async with ground(stream=False) as here:
        stop = here.stop()
        await here.exchange.place(approved(stop))
        here.stub.fault(DELETE, fault)
        failed = await here.exchange.cancel(stop)
        assert isinstance(failed, CancelFailed)
        # A second DELETE of the transport itself is told that the order is gone, which proves as little.
        assert failed.code in (None, -2011)
        found = await here.exchange.look_up(stop)
        assert isinstance(found, OrderReported)
        assert found.report.fact is Fact.WAS_CANCELED


async def test_a_replacement_without_an_answer_leaves_both_unknown() -> None:
    async with ground(stream=False) as here:
        stop, sale = here.stop(), here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        await here.exchange.place(approved(stop))
        here.stub.plan = [("0.45", "100")]
        here.stub.fault("POST /api/v3/order/cancelReplace", lost_answer)
        canceled, placed = await here.exchange.replace(stop, approved(sale))
        assert isinstance(canceled, CancelFailed)
        assert canceled.code is None
        assert isinstance(placed, OutcomeUnknown)
        assert here.stub.count("POST /api/v3/order/cancelReplace") == 1
        found = await here.exchange.look_up(sale)
        assert isinstance(found, OrderReported)
        assert found.report.fact is Fact.FULLY_FILLED


async def test_a_replacement_refused_as_a_whole_touched_nothing() -> None:
    async with ground(stream=False) as here:
        stop, sale = here.stop(), here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        await here.exchange.place(approved(stop))
        here.stub.fault("POST /api/v3/order/cancelReplace", error(400, -1013, "Filter failure: LOT_SIZE"))
        canceled, placed = await here.exchange.replace(stop, approved(sale))
        assert canceled == CancelFailed(stop.client_id, -1013, "Filter failure: LOT_SIZE")
        assert placed == OrderRefused(sale.client_id, -1013, "Filter failure: LOT_SIZE")


# --- questions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(instead(500, PAGE), id="500"),
        pytest.param(instead(200, PAGE), id="a page"),
        pytest.param(error(400, -1121, "Invalid symbol."), id="another refusal"),
        pytest.param(error(401, -2015, "Invalid API-key"), id="the key"),
        pytest.param(instead(404, ""), id="404"),
        pytest.param(error(404, -9999), id="an unknown code"),
        pytest.param(answering({"clientOrderId": "someoneelse"}), id="another order"),
        pytest.param(SLOW, id="no answer in time"),
    ],
)
async def test_only_the_exchange_itself_can_say_that_an_order_does_not_exist(fault: Fault) -> None:
    async with ground(stream=False, patience=IMPATIENT if fault is SLOW else QUICK) as here:
        intent = here.intent()
        here.stub.plan = [("0.5", "100")]
        await here.exchange.place(approved(intent))
        here.stub.fault(GET, fault)
        assert isinstance(await here.exchange.look_up(intent), LookupFailed)


async def test_a_canceled_order_may_go_by_the_id_of_its_cancel_request() -> None:
    async with ground(stream=False) as here:
        stop = here.stop()
        await here.exchange.place(approved(stop))
        await here.exchange.cancel(stop)
        here.stub.fault(GET, answering({"clientOrderId": "cancelrequest1"}))
        found = await here.exchange.look_up(stop)
        assert isinstance(found, OrderReported)
        assert (found.report.client_id, found.report.fact) == (stop.client_id, Fact.WAS_CANCELED)


async def test_an_archived_order_ended_without_a_fill() -> None:
    async with ground(stream=False) as here:
        here.stub.fault(GET, error(400, -2026, "Order was canceled or expired ... archived."))
        found = await here.exchange.look_up(here.stop())
        assert isinstance(found, OrderReported)
        assert (found.report.fact, found.report.executed_qty) == (Fact.HAS_EXPIRED, 0)


async def test_fills_of_an_order_are_found_without_knowing_its_number() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "3"), ("0.6", "7")]
        here.stub.fault(POST, lost_answer)
        intent = here.intent()
        await here.exchange.place(approved(intent))
        seen = await here.exchange.fills_of(intent)
        assert isinstance(seen, FillsSeen)
        assert [(f.client_id, f.qty) for f in seen.fills] == [(intent.client_id, 3), (intent.client_id, 7)]
        # Known by now: one request.
        asked = here.stub.count(GET)
        await here.exchange.fills_of(intent)
        assert here.stub.count(GET) == asked
        assert isinstance(await here.exchange.fills_of(here.intent()), LookupFailed)


# --- what must not leave -----------------------------------------------------------------------------------


async def test_an_entry_does_not_leave_once_the_latch_has_fallen_and_an_exit_does() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "100")]
        here.latched = True
        blocked = await here.exchange.place(approved(here.intent()))
        assert isinstance(blocked, PlacingBlocked)
        assert "latch" in blocked.detail
        assert here.stub.count(POST) == 0
        sale = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        assert isinstance(await here.exchange.place(approved(sale)), OrderReported)
        # The connection that was not used for the entry is as good as any.
        assert isinstance(await here.exchange.look_up(sale), OrderReported)


async def test_what_became_known_after_the_approval_keeps_an_entry_back_and_no_exit() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "100")]
        here.overtaken_by = "1 order(s) of unknown outcome"
        blocked = await here.exchange.place(approved(here.intent()))
        assert isinstance(blocked, PlacingBlocked)
        assert "unknown outcome" in blocked.detail
        assert here.stub.count(POST) == 0
        sale = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        assert isinstance(await here.exchange.place(approved(sale)), OrderReported)


async def test_the_latch_is_asked_when_the_connection_stands_and_nothing_is_written() -> None:
    async with ground(stream=False) as here:
        asked = []

        def fall() -> bool:
            asked.append(len(here.stub.seen))
            return True

        here.exchange._guard = replace(here.exchange._guard, halted=fall)
        await here.exchange.place(approved(here.intent()))
        assert asked == [0]
        assert here.exchange._client._ccxt.session is not None
        assert here.stub.seen == []


async def test_an_order_that_waited_too_long_does_not_leave() -> None:
    async with ground(stream=False) as here:
        old = replace(here.intent(), created_ms=here.clock.now_ms() - 19_000)
        blocked = await here.exchange.place(approved(old))
        assert isinstance(blocked, PlacingBlocked)
        assert "waited" in blocked.detail
        assert here.stub.seen == []


async def test_an_exit_goes_before_an_entry_and_both_before_reading() -> None:
    patient = replace(QUICK, admit_ms=5_000)
    async with ground(stream=False, patience=patient) as here:
        here.stub.plan = [("0.5", "100")] * 2
        # The whole ordinary share of this minute is used: only what leaves may go.
        here.gate.answered(200, {"X-MBX-USED-WEIGHT-1M": "2400"})
        sale = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        stop = here.stop()
        entry = asyncio.create_task(here.exchange.place(approved(here.intent())))
        reading = asyncio.create_task(here.exchange.account(here.clock.now_ms() - 1_000))
        await asyncio.sleep(0.02)
        assert isinstance(await here.exchange.place(approved(sale)), OrderReported)
        assert isinstance(await here.exchange.place(approved(stop)), OrderReported)
        assert isinstance(await here.exchange.cancel(stop), OrderReported)
        assert not entry.done()
        assert not reading.done()
        for task in (entry, reading):
            task.cancel()
        await asyncio.gather(entry, reading, return_exceptions=True)


# --- words ---------------------------------------------------------------------------------------------


async def test_a_status_nobody_knows_blocks_entries_until_the_order_is_understood() -> None:
    async with ground(stream=False) as here, here.running():
        here.stub.plan = [("0.5", "100")]
        here.stub.fault(POST, answering({"status": "LIMBO"}))
        intent = here.intent()
        assert isinstance(await here.exchange.place(approved(intent)), OutcomeUnknown)
        assert here.impaired(Impairment.NOT_UNDERSTOOD)
        (told,) = [e for e in here.told(Impaired) if e.by is Impairment.NOT_UNDERSTOOD]
        assert "LIMBO" in told.detail
        assert intent.client_id in told.detail
        await here.exchange.look_up(intent)
        assert not here.impaired(Impairment.NOT_UNDERSTOOD)


async def test_a_refused_key_is_permanent_until_the_same_kind_of_request_passes() -> None:
    async with ground(stream=False) as here, here.running():
        here.stub.fault(POST, error(401, -2015, "Invalid API-key, IP, or permissions for action."))
        await here.exchange.place(approved(here.intent()))
        (told,) = [e for e in here.told(Impaired) if e.by is Impairment.CREDENTIALS_REFUSED]
        assert told.permanent
        # Reading still works, which says nothing about trading.
        await here.exchange.account(here.clock.now_ms() - 1_000)
        assert here.impaired(Impairment.CREDENTIALS_REFUSED)
        here.stub.plan = [("0.5", "100")]
        await here.exchange.place(approved(here.intent(OrderType.MARKET)))
        assert not here.impaired(Impairment.CREDENTIALS_REFUSED)


async def test_a_key_refused_for_reading_and_trading_is_good_again_when_both_pass() -> None:
    async with ground() as here, here.running():
        here.stub.key = "another"
        await here.exchange.place(approved(here.intent()))
        await here.exchange.account(here.clock.now_ms())
        here.stub.key = KEY
        assert here.impaired(Impairment.CREDENTIALS_REFUSED)
        await here.exchange.account(here.clock.now_ms())
        assert here.impaired(Impairment.CREDENTIALS_REFUSED)
        await here.exchange.cancel(here.stop())
        assert not here.impaired(Impairment.CREDENTIALS_REFUSED)
