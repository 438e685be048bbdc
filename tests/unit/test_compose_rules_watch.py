"""A refusal for a rule of the pair, or a closed market, makes the rules be read again; no other does."""

from __future__ import annotations

import asyncio

import pytest

from agent.compose.rules_watch import RulesWatch
from agent.core.events import InstrumentSeen, OrderRefused
from agent.core.ports import MarketDataError
from tests.clocks import ManualClock
from tests.playbook import Playbook

RULES = Playbook().instrument


class Exchange:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = asyncio.Event()

    async def instrument(self):
        self.asked.set()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def watched(exchange, *events):
    passed, learned = [], asyncio.Queue()
    watch = RulesWatch(passed.append)
    task = asyncio.create_task(watch.run(exchange.instrument, learned.put_nowait, ManualClock()))
    for event in events:
        watch.hear(event)
    return passed, learned, task


@pytest.mark.parametrize(
    ("code", "detail"),
    [(-1013, "Filter failure: LOT_SIZE"), (-1111, "Too much precision"), (-2010, "Market is closed.")],
)
async def test_a_broken_rule_is_read_again(code, detail):
    refused = OrderRefused("one", code, detail)
    passed, learned, task = await watched(Exchange(RULES), refused)
    assert await asyncio.wait_for(learned.get(), 5) == InstrumentSeen(RULES)
    assert passed == [refused], "the core hears of the refusal all the same"
    task.cancel()


async def test_other_refusals_and_no_answer_teach_nothing():
    exchange = Exchange(MarketDataError("no answer"))
    passed, learned, task = await watched(exchange, OrderRefused("one", -2010, "insufficient balance"))
    await asyncio.sleep(0)
    assert not exchange.asked.is_set()
    task.cancel()
    passed, learned, task = await watched(exchange, OrderRefused("one", -1013, "Filter failure"))
    await asyncio.wait_for(exchange.asked.wait(), 5)
    assert (len(passed), learned.empty()) == (1, True)
    task.cancel()
