"""Blocking work beside the loop, on a thread that nobody waits for when the program ends.

`asyncio.to_thread` would hold up the end of the process for as long as a hanging server likes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def aside(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """The result of `work()`, run on a daemon thread called `name`, or its exception."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the future is awaited
            failed = error
        try:
            loop.call_soon_threadsafe(tell, result, failed)
        except RuntimeError:
            pass  # the loop is closed: nobody wants to know any more

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
