"""The connection itself: its clock, its warmth, its walls, and how often a request goes out."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from agent.core.events import AccountUnreadable, CancelFailed, OrderRefused, OrderReported, PlacingBlocked
from agent.core.order import Purpose, Side
from agent.exchange.addresses import Addresses
from agent.exchange.ccxt_client import RefusedByUsError
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable
from agent.exchange.weight_gate import WeightGate
from tests.exchange.signed_faults import error, instead, late
from tests.exchange.signed_ground import QUICK, approved, ground, some_keys

POST = "POST /api/v3/order"
TIME = "GET /api/v3/time"


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
async def test_a_wrong_clock_refuses_one_order_and_is_measured_once(ahead_ms: int) -> None:
    async with ground(stream=False) as here:
        here.clock.ahead_ms = ahead_ms
        here.stub.plan = [("0.5", "100")] * 2
        first = await here.exchange.place(approved(here.intent()))
        assert isinstance(first, OrderRefused)
        assert first.code == -1021
        # The refusal is told after the clock was measured, so that the next order is in time.
        assert here.stub.count(TIME) == 1
        assert here.stub.count(POST) == 1
        assert isinstance(await here.exchange.place(approved(here.intent())), OrderReported)
        assert here.exchange._client.time.offset_ms == pytest.approx(ahead_ms, abs=300)


async def test_many_orders_refused_for_their_time_measure_the_clock_once() -> None:
    async with ground(stream=False) as here:
        here.clock.ahead_ms = 60_000
        orders = [here.exchange.place(approved(here.intent())) for _ in range(5)]
        answers = await asyncio.gather(*orders)
        assert {a.code for a in answers if isinstance(a, OrderRefused)} == {-1021}
        assert len(answers) == 5
        assert here.stub.count(TIME) == 1


async def test_a_refusal_for_time_is_told_even_when_the_clock_cannot_be_measured() -> None:
    async with ground(stream=False) as here:
        here.clock.ahead_ms = 60_000
        here.stub.fault(TIME, instead(500, ""))
        answer = await here.exchange.place(approved(here.intent()))
        assert isinstance(answer, OrderRefused)
        assert here.exchange._client.time.offset_ms == 0


@pytest.mark.parametrize("ahead_ms", [60_000, -60_000])
async def test_a_question_refused_for_its_time_is_asked_again_with_the_right_one(ahead_ms: int) -> None:
    """Nothing was executed, so a look-up need not wait until somebody tries once more."""
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "100")]
        bought = here.intent()
        await here.exchange.place(approved(bought))
        here.clock.ahead_ms = ahead_ms
        assert isinstance(await here.exchange.look_up(bought), OrderReported)
        assert here.stub.count("GET /api/v3/order") == 2
        assert here.stub.count(POST) == 1


async def test_an_answer_too_slow_to_tell_the_time_is_asked_again() -> None:
    async with ground(stream=False) as here:
        here.clock.ahead_ms = 10_000

        async def slow(stub: Any, request: Any, work: Any) -> Any:
            answer = await work()
            await asyncio.sleep(0.5)
            from aiohttp import web

            return web.json_response(answer)

        here.stub.fault(TIME, slow)
        assert await here.exchange._client.measure_time()
        assert here.stub.count(TIME) == 2
        assert here.exchange._client.time.offset_ms == pytest.approx(10_000, abs=150)


async def test_an_idle_connection_is_kept_warm_and_the_clock_measured_with_it() -> None:
    patience = replace(QUICK, keep_warm_ms=100.0)
    async with ground(patience=patience) as here, here.running():
        await asyncio.sleep(0.6)
        assert 3 <= here.stub.count(TIME) <= 10
        here.clock.ahead_ms = 2_000
        await here.until(lambda: here.exchange._client.time.offset_ms > 1_500)


async def test_orders_use_one_connection_again_and_again() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "100")] * 10
        for _ in range(10):
            await here.exchange.place(approved(here.intent()))
        connector = here.exchange._client._ccxt.session.connector
        assert sum(len(conns) for conns in connector._conns.values()) == 1


async def test_nothing_but_our_requests_to_our_hosts_can_leave() -> None:
    async with ground(stream=False) as here, ground(stream=False) as other:
        api = here.exchange._client._ccxt
        for call in ("private_get_ratelimit_order", "private_delete_openorders", "private_post_order_test"):
            with pytest.raises(RefusedByUsError, match="none of ours"):
                await getattr(api, call)({"symbol": "ADAUSDT"})
        for call in ("sapi_post_capital_withdraw_apply", "sapi_post_asset_transfer"):
            with pytest.raises(RefusedByUsError, match="none of ours"):
                await getattr(api, call)({"asset": "USDT"})
        with pytest.raises(Exception, match="does not have a testnet/sandbox URL"):
            await api.fapiprivate_get_account({})
        with pytest.raises(RefusedByUsError, match="was stopped"):
            await api.fetch(other.stub.rest + "/api/v3/time")
        assert here.stub.seen == other.stub.seen == []


async def test_after_closing_nothing_is_sent() -> None:
    async with ground(stream=False) as here:
        await here.exchange.close()
        answer = await here.exchange.place(approved(here.intent()))
        assert "closed" in answer.detail  # type: ignore[union-attr]
        assert here.stub.seen == []


async def test_orders_at_once_do_not_mix_up_their_answers() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "100")] * 20
        here.stub.fault(POST, *[late(0.05 * (i % 3)) for i in range(12)])
        intents = [here.intent(qty=str(i + 1)) for i in range(12)]
        answers = await asyncio.gather(*(here.exchange.place(approved(i)) for i in intents))
        for intent, answer in zip(intents, answers, strict=True):
            assert isinstance(answer, OrderReported)
            assert (answer.report.client_id, answer.report.qty) == (intent.client_id, intent.qty)


async def test_the_rights_of_the_key_are_read_where_they_are_told() -> None:
    async with ground(stream=False) as here:
        here.stub.rights = {"enableReading": True, "enableWithdrawals": True}
        rights = await here.exchange.key_rights()
        assert isinstance(rights, KeyRights)
        assert rights.refuse_live
        here.stub.fault("GET /sapi/v1/account/apiRestrictions", error(400, -2015, "no"), instead(500, ""))
        assert isinstance(await here.exchange.key_rights(), KeyRightsUnreadable)
        assert isinstance(await here.exchange.key_rights(), KeyRightsUnreadable)


async def test_a_stranger_to_the_venue_clock_would_be_refused_at_sixty_times_the_speed() -> None:
    """The stamp comes from the injected clock: machine time would be years away."""
    async with ground(speed=60.0, stream=False) as here:
        here.stub.plan = [("0.5", "100")]
        await asyncio.sleep(0.3)
        assert isinstance(await here.exchange.place(approved(here.intent())), OrderReported)
        stamp = int(here.stub.seen[0].params["timestamp"])
        assert abs(here.clock.exchange_ms() - stamp) < 60_000


# --- the exchange's count of orders ------------------------------------------------------------------


async def test_an_entry_waits_when_orders_are_nearly_used_up_and_an_exit_does_not() -> None:
    async with ground() as here:
        here.stub.plan = [("0.5", "100")]
        here.gate.orders.answered({"x-mbx-order-count-10s": "100"}, here.clock.now_ms())
        refused = await here.exchange.place(approved(here.intent()))
        assert isinstance(refused, PlacingBlocked)
        assert "orders of 10S are used up" in refused.detail
        sold = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
        assert isinstance(await here.exchange.place(approved(sold)), OrderReported)
        assert here.stub.count("POST /api/v3/order") == 1


async def test_a_deadline_of_before_the_restart_holds_for_every_signed_request() -> None:
    async with ground() as here:
        here.gate.answered(429, {"Retry-After": "3600"})
        assert here.blocked, "what must survive the restart was told"
        again = WeightGate(here.clock, blocked_until_ms=here.blocked[-1])
        second = SignedBinance(
            Addresses.replaced("binance", here.stub.rest, here.stub.ws),
            some_keys(),
            "ADA/USDT",
            again,
            here.clock,
            chance=random.Random(5),
            halted=lambda: False,
            patience=QUICK,
        )
        try:
            sold = here.intent(side=Side.SELL, purpose=Purpose.EXIT)
            assert isinstance(await second.place(approved(sold)), PlacingBlocked)
            assert isinstance(await second.cancel(sold), CancelFailed)
            assert isinstance(await second.account(0), AccountUnreadable)
            assert not here.stub.seen, "not one request of any kind"
        finally:
            await second.close()
