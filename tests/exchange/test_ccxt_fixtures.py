"""Requests and answers of each exchange: our own shapes, and ccxt's public recordings where they are at hand.

Those are no part of this project (`ts/src/test/static` of ccxt's repository: `request/NAME.json`,
`response/NAME.json`, `ws/NAME.json`): name the folder in CCXT_STATIC, or put it beside the project as
`shared/ccxt-static`. The shapes of `shapes.py` are held against our client in every run.
"""

from __future__ import annotations

import pytest

from agent.exchange.unified.dialect import DIALECTS
from tests.exchange.recorded import answers_held, at_hand, requests_held
from tests.exchange.shapes import ANSWERS, REQUESTS

EXCHANGES = sorted(DIALECTS)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_our_orders_and_questions_have_the_exchange_s_shape(exchange: str) -> None:
    held = await requests_held(REQUESTS[exchange], exchange)
    assert held.left_out == []
    assert set(held.counted) == set(REQUESTS[exchange]["methods"])


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_answers_of_the_exchange_s_shape_become_ours(exchange: str) -> None:
    held = await answers_held(ANSWERS[exchange], exchange)
    assert held.left_out == []
    assert set(held.counted) == set(ANSWERS[exchange]["methods"])


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_orders_and_questions_that_ccxt_recorded_are_what_we_send(exchange: str) -> None:
    held = await requests_held(at_hand("request", exchange), exchange)
    assert held.counted.get("createOrder"), held
    assert held.counted.get("cancelOrder"), held


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_answers_that_ccxt_recorded_become_ours(exchange: str) -> None:
    held = await answers_held(at_hand("response", exchange), exchange)
    assert held.counted, held


async def test_a_difference_is_found() -> None:
    wrong = {"methods": {"createOrder": [dict(REQUESTS["kraken"]["methods"]["createOrder"][0])]}}
    case = wrong["methods"]["createOrder"][0]
    case["output"] = case["output"].replace("volume=40", "volume=41")
    with pytest.raises(AssertionError, match="createOrder"):
        await requests_held(wrong, "kraken")
    answer = dict(ANSWERS["kraken"]["methods"]["fetchMyTrades"][0])
    answer["parsedResponse"] = [{**answer["parsedResponse"][0], "price": 0.51}]
    with pytest.raises(AssertionError):
        await answers_held({"methods": {"fetchMyTrades": [answer]}}, "kraken")
