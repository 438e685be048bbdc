"""Tells systemd that the service is ready, alive because it gets somewhere, and going: `sd_notify` by hand.

A start that waits for its exchange is a start that worked: after `READY_ANYWAY_MS` systemd is told so, with
what is waited for, and is fed for as long as an outage is borne at any other time (`OUTAGE_PATIENCE_MS`).

The protocol is one datagram on $NOTIFY_SOCKET (systemd, sd_notify(3)). Stays true: nothing here waits, and
without that variable nothing happens.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from agent.alerts.pulse import OUTAGE_PATIENCE_MS, Pulse
from agent.core.ports import Clock

LOG: Final = logging.getLogger("agent.alerts")
#: Machine time; well below the unit's TimeoutStartSec.
READY_ANYWAY_MS: Final = 20_000.0
_FED_WHILE_WAITING_MS: Final = 5_000.0


class Notifier:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        pid = environment.get("WATCHDOG_PID", "")
        usec = environment.get("WATCHDOG_USEC", "")
        ours = not pid or pid == str(os.getpid())
        #: How often systemd wants to hear (machine time); None when it does not watch.
        self.watchdog_ms = int(usec) / 1_000 if ours and usec.isdecimal() and int(usec) else None

    def tell(self, *lines: str) -> bool:
        """One notification, as `READY=1`; false when nobody listens."""
        if not self._address.startswith(("/", "@")):
            return False
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
                one.setblocking(False)
                one.sendto("\n".join(lines).encode(), name)
        except OSError as error:
            LOG.warning("systemd cannot be told (%s)", error)
            return False
        return True


async def wait_visibly(notifier: Notifier, clock: Clock, what: str) -> None:
    """While the engine cannot begin because `what` does not answer: until canceled, or out of patience."""
    waited_ms = READY_ANYWAY_MS
    await clock.sleep_machine(READY_ANYWAY_MS)
    notifier.tell("READY=1", f"STATUS=STARTING, waiting for {what} to answer")
    while waited_ms <= OUTAGE_PATIENCE_MS:
        notifier.tell("WATCHDOG=1")
        await clock.sleep_machine(_FED_WHILE_WAITING_MS)
        waited_ms += _FED_WHILE_WAITING_MS
    if notifier.watchdog_ms is not None:
        LOG.critical("systemd is not told to wait any longer: %s does not answer", what)


class Watchdog:
    """`poke` gives the engine's loop something to step, so that a quiet market is not taken for a stall."""

    def __init__(self, notifier: Notifier, pulse: Pulse, clock: Clock, poke: Callable[[], None]) -> None:
        self._notifier = notifier
        self._pulse = pulse
        self._clock = clock
        self._poke = poke

    async def run(self) -> None:
        """Until canceled; at once over when systemd does not watch."""
        every_ms = self._notifier.watchdog_ms
        if every_ms is None:
            return
        steps, said = self._pulse.steps - 1, False
        while True:
            stuck = self._pulse.stuck(self._clock.machine_ms(), steps)
            steps = self._pulse.steps
            if stuck is None:
                said = False
                self._notifier.tell("WATCHDOG=1")
            elif not said:
                said = True
                LOG.critical("systemd is not told to wait any longer: %s", stuck)
            self._poke()
            await self._clock.sleep_machine(every_ms / 3)
