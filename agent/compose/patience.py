"""Asking an exchange until it answers.

Stays true: while something is open, nothing an exchange says ends the asking. An answer that would end a
start at once ("there is no such pair") may be wrong for a minute, and the position is there all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from agent.core.ports import MarketDataError
from agent.exchange.waiting import BackOff

T = TypeVar("T")
LOG: Final = logging.getLogger("agent")


async def patiently(
    ask: Callable[[], Coroutine[Any, Any, T]],
    pause: Callable[[float], Coroutine[Any, Any, None]],
    what: str,
    holding: Callable[[], bool] = lambda: False,
) -> T:
    """Ask until there is an answer. `holding`: whether something is open that must be managed.

    Raises MarketDataError when asking again will not help and nothing is open.
    """
    back_off = BackOff()
    while True:
        try:
            return await ask()
        except MarketDataError as error:
            if error.permanent and not holding():
                raise
            LOG.warning("%s does not answer: %s; trying again", what, error)
            await pause(back_off.next_ms())
