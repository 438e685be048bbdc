"""Asking an exchange until it answers."""

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
) -> T:
    """Ask until there is an answer. Raises MarketDataError when asking again will not help."""
    back_off = BackOff()
    while True:
        try:
            return await ask()
        except MarketDataError as error:
            if error.permanent:
                raise
            LOG.warning("%s does not answer: %s; trying again", what, error)
            await pause(back_off.next_ms())
