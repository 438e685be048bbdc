"""Placing, canceling and replacing against a strict exchange: what goes out, and what comes back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.core.events import CancelFailed, OrderRefused, OrderReported, OutcomeUnknown
from agent.core.order import Fact, Intent, OrderType, Purpose, Side, TimeInForce
from tests.exchange.signed_faults import refuse_half
from tests.exchange.signed_ground import Ground, approved, ground

D = Decimal


def market(here: Ground) -> tuple[Intent, dict[str, str]]:
    return here.intent(), {"type": "MARKET", "side": "BUY", "quantity": "10"}


def limit_ioc(here: Ground) -> tuple[Intent, dict[str, str]]:
    intent = here.intent(OrderType.LIMIT, price="0.5000", tif=TimeInForce.IOC, qty="10.50")
    return intent, {"type": "LIMIT", "timeInForce": "IOC", "price": "0.5", "quantity": "10.5", "side": "BUY"}


def limit_gtc(here: Ground) -> tuple[Intent, dict[str, str]]:
    intent = here.intent(OrderType.LIMIT, Side.SELL, Purpose.EXIT, price="0.7", tif=TimeInForce.GTC)
    return intent, {"type": "LIMIT", "timeInForce": "GTC", "price": "0.7", "quantity": "10", "side": "SELL"}


def stop_loss(here: Ground) -> tuple[Intent, dict[str, str]]:
    return here.stop(), {"type": "STOP_LOSS", "stopPrice": "0.4", "quantity": "10", "side": "SELL"}


def stop_loss_limit(here: Ground) -> tuple[Intent, dict[str, str]]:
    intent = here.intent(
        OrderType.STOP_LOSS_LIMIT, Side.SELL, Purpose.PROTECT, price="0.39", stop="0.4", tif=TimeInForce.GTC
    )
    wire = {"type": "STOP_LOSS_LIMIT", "stopPrice": "0.4", "price": "0.39", "timeInForce": "GTC"}
    return intent, {**wire, "quantity": "10", "side": "SELL"}


@pytest.mark.parametrize("kind", [market, limit_ioc, limit_gtc, stop_loss, stop_loss_limit])
async def test_each_order_type_goes_out_with_its_parameters_and_no_other(kind: object) -> None:
    async with ground() as here:
        here.stub.plan = [("0.5", "100")]
        intent, wire = kind(here)  # type: ignore[operator]
        answer = await here.exchange.place(approved(intent))
        assert isinstance(answer, OrderReported)
        assert answer.report.client_id == intent.client_id
        (seen,) = here.stub.seen
        ours = {"symbol": "ADAUSDT", "newClientOrderId": intent.client_id, "newOrderRespType": "FULL"}
        times = {k: seen.params[k] for k in ("timestamp", "recvWindow", "signature")}
        assert seen.params == {**wire, **ours, **times}
        assert times["recvWindow"] == "5000"
        names = list(seen.params)
        assert (names[0], names[-1]) == ("timestamp", "signature")


async def test_a_fill_is_told_with_price_quantity_and_fee_as_exact_numbers() -> None:
    async with ground() as here:
        here.stub.plan = [("0.5001", "4"), ("0.5002", "6")]
        answer = await here.exchange.place(approved(here.intent(qty="10")))
        assert isinstance(answer, OrderReported)
        report = answer.report
        assert (report.fact, report.executed_qty, report.qty) == (Fact.FULLY_FILLED, D(10), D(10))
        assert [(f.price, f.qty, f.fee, f.fee_currency) for f in report.fills] == [
            (D("0.5001"), D(4), D("0.004"), "ADA"),
            (D("0.5002"), D(6), D("0.006"), "ADA"),
        ]
        assert {f.trade_id for f in report.fills} == {"501", "502"}


async def test_what_an_order_at_once_cannot_get_expires_with_its_fills() -> None:
    async with ground() as here:
        here.stub.plan = [("0.5", "4")]
        intent, _ = limit_ioc(here)
        answer = await here.exchange.place(approved(intent))
        assert isinstance(answer, OrderReported)
        assert answer.report.fact is Fact.HAS_EXPIRED
        assert answer.report.executed_qty == sum(f.qty for f in answer.report.fills) == D(4)


async def test_a_resting_stop_is_working_and_can_be_canceled_once() -> None:
    async with ground() as here:
        stop = here.stop()
        placed = await here.exchange.place(approved(stop))
        assert isinstance(placed, OrderReported)
        assert placed.report.fact is Fact.WORKING
        canceled = await here.exchange.cancel(stop)
        assert isinstance(canceled, OrderReported)
        assert (canceled.report.client_id, canceled.report.fact) == (stop.client_id, Fact.WAS_CANCELED)
        again = await here.exchange.cancel(stop)
        assert again == CancelFailed(stop.client_id, -2011, "Unknown order sent.")


async def test_a_duplicate_id_is_unknown_because_the_first_one_worked() -> None:
    async with ground() as here:
        stop = here.stop()
        await here.exchange.place(approved(stop))
        again = await here.exchange.place(approved(stop))
        assert isinstance(again, OutcomeUnknown)
        assert "Duplicate order sent" in again.detail
        found = await here.exchange.look_up(stop)
        assert isinstance(found, OrderReported)
        assert found.report.fact is Fact.WORKING


# --- one request for cancel and new order ------------------------------------------------------------


async def replaced(here: Ground) -> tuple[Intent, Intent, tuple[object, object]]:
    stop = here.stop()
    await here.exchange.place(approved(stop))
    here.stub.plan = [("0.45", "100")]
    sale = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
    return stop, sale, await here.exchange.replace(stop, approved(sale))


async def test_a_replacement_tells_both_halves() -> None:
    async with ground() as here:
        stop, sale, (canceled, placed) = await replaced(here)
        assert isinstance(canceled, OrderReported)
        assert (canceled.report.client_id, canceled.report.fact) == (stop.client_id, Fact.WAS_CANCELED)
        assert isinstance(placed, OrderReported)
        assert (placed.report.client_id, placed.report.fact) == (sale.client_id, Fact.FULLY_FILLED)
        assert here.stub.count("POST /api/v3/order/cancelReplace") == 1
        assert here.stub.count("DELETE /api/v3/order") == 0


async def test_a_cancel_that_fails_stops_the_replacement() -> None:
    async with ground() as here:
        gone, sale = here.stop(), here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        canceled, placed = await here.exchange.replace(gone, approved(sale))
        assert canceled == CancelFailed(gone.client_id, -2011, "Unknown order sent.")
        assert placed is None
        assert here.stub.order(sale.client_id) is None


@pytest.mark.parametrize(
    ("code", "msg", "kind"),
    [
        (-2010, "Account has insufficient balance for requested action.", OrderRefused),
        (-1013, "Filter failure: NOTIONAL", OrderRefused),
        (-2010, "Duplicate order sent.", OutcomeUnknown),
        (-1006, "An unexpected response was received.", OutcomeUnknown),
    ],
)
async def test_a_new_order_that_fails_leaves_the_cancel_done(code: int, msg: str, kind: type) -> None:
    async with ground() as here:
        here.stub.fault("second half", refuse_half(code, msg))
        stop, sale, (canceled, placed) = await replaced(here)
        assert isinstance(canceled, OrderReported)
        assert canceled.report.client_id == stop.client_id
        assert isinstance(placed, kind)
        assert placed.client_id == sale.client_id  # type: ignore[attr-defined]
