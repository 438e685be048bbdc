"""Asking the machine not to fall asleep while a position is open, where the platform offers it.

On Linux systemd's logind is asked for an inhibitor lock, which holds for as long as a file descriptor stays
open: a crash of the agent gives it back. Elsewhere, or where it is refused, nothing is held and that is said
once. Sleep is survived in any case: the jump of the clock counts as a reconnect, and resting stops protect.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from agent.shell.aside import aside

LOG: Final = logging.getLogger(__name__)
#: logind answers at once; a bus that does not is no reason to wait.
_TIMEOUT_S: Final = 5.0
#: A refusal may be over later, for instance when somebody logs in.
_ASK_AGAIN_S: Final = 600.0

Acquire = Callable[[], int]
"""Return the file descriptor that holds the lock. Raises OSError with a sentence when there is none."""


def logind_lock() -> int:
    """A lock of logind against sleep. Blocks for up to five seconds; raises OSError."""
    if sys.platform != "linux":
        raise OSError("only Linux with systemd offers it to this program")
    from jeepney import DBusAddress, DBusErrorResponse, new_method_call
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import unwrap_msg

    manager = DBusAddress(
        "/org/freedesktop/login1",
        bus_name="org.freedesktop.login1",
        interface="org.freedesktop.login1.Manager",
    )
    words = ("sleep", "Seller Exhaustion Agent", "a position is open", "block")
    try:
        with open_dbus_connection(bus="SYSTEM", enable_fds=True) as bus:
            asking = new_method_call(manager, "Inhibit", "ssss", words)
            (lock,) = unwrap_msg(bus.send_and_get_reply(asking, timeout=_TIMEOUT_S))
            return int(lock.to_raw_fd())
    except DBusErrorResponse as refused:
        raise OSError(f"logind refuses it ({refused.name})") from None
    except (OSError, EOFError, TimeoutError) as error:
        raise OSError(f"the system bus does not answer ({error})") from None


class StayingAwake:
    """Holds the lock while it is wanted. `want` never blocks; `run` does the asking, on a thread."""

    def __init__(self, acquire: Acquire = logind_lock) -> None:
        self._acquire = acquire
        self._wanted = False
        self._changed = asyncio.Event()
        self._lock: int | None = None
        self._refusal_told = False

    @property
    def held(self) -> bool:
        return self._lock is not None

    def want(self, awake: bool) -> None:
        if awake is not self._wanted:
            self._wanted = awake
            self._changed.set()

    async def run(self) -> None:
        """Until canceled; then the lock is given back."""
        try:
            while True:
                self._changed.clear()
                if self._wanted and self._lock is None:
                    await self._take()
                elif not self._wanted:
                    self._give_back()
                await self._until_something_changes()
        finally:
            self._give_back()

    async def _until_something_changes(self) -> None:
        refused = self._wanted and self._lock is None
        try:
            async with asyncio.timeout(_ASK_AGAIN_S if refused else None):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _take(self) -> None:
        # On a thread of its own: a bus that hangs must not keep the process from ending.
        asking = aside("staying awake", self._acquire, unwanted=os.close)
        try:
            self._lock = await asking
        except asyncio.CancelledError:
            if asking.done() and not asking.cancelled() and asking.exception() is None:
                os.close(asking.result())  # it came in the moment of the end
            raise
        except OSError as error:
            if not self._refusal_told:
                self._refusal_told = True
                LOG.info(
                    "this machine is not kept awake while a position is open: %s; "
                    "if it sleeps, only stops resting at the exchange protect it",
                    error,
                )
            return
        self._refusal_told = False
        LOG.info("this machine is kept awake while a position is open")

    def _give_back(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)
