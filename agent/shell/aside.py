"""Blocking work beside the loop, on a thread that nobody waits for when the program ends.

`asyncio.to_thread` would hold up the end of the process for as long as a hanging server or keyring likes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def aside(name: str, work: Callable[[], T], unwanted: Callable[[T], None] | None = None) -> asyncio.Future[T]:
    """The result of `work()`, run on a daemon thread called `name`, or its exception.

    `unwanted` takes a result that came after the future was canceled or the loop was closed: what has to be
    given back, like a file descriptor, is given back there.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def give_back(result: T) -> None:
        if unwanted is not None:
            unwanted(result)

    def tell(result: T) -> None:
        if future.done():
            give_back(result)
        else:
            future.set_result(result)

    def tell_error(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - not swallowed: it is raised where the future is awaited
            try:
                loop.call_soon_threadsafe(tell_error, error)
            except RuntimeError:
                pass  # the loop is closed: nobody wants to know any more
            return
        try:
            loop.call_soon_threadsafe(tell, result)
        except RuntimeError:
            give_back(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
