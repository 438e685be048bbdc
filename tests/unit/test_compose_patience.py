"""Asking an exchange until it answers: what ends the asking, and what does not."""

from __future__ import annotations

import pytest

from agent.compose.patience import patiently
from agent.core.ports import MarketDataError


class Exchange:
    """Answers what it is told to, in order."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.pauses = []

    async def ask(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pause(self, ms):
        self.pauses.append(ms)


async def test_it_is_asked_again_until_it_answers():
    exchange = Exchange(MarketDataError("down"), MarketDataError("down"), "here")
    assert await patiently(exchange.ask, exchange.pause, "it") == "here"
    assert exchange.pauses == [1_000, 2_000]


async def test_what_asking_again_cannot_cure_ends_a_start():
    exchange = Exchange(MarketDataError("no such pair", permanent=True))
    with pytest.raises(MarketDataError, match="no such pair"):
        await patiently(exchange.ask, exchange.pause, "it")


async def test_nothing_ends_the_asking_while_something_is_open():
    exchange = Exchange(MarketDataError("no such pair", permanent=True), "here")
    assert await patiently(exchange.ask, exchange.pause, "it", holding=lambda: True) == "here"


async def test_a_fault_of_ours_is_not_asked_away():
    exchange = Exchange(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await patiently(exchange.ask, exchange.pause, "it")
