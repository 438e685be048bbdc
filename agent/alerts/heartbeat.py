"""Pings a URL of an outside monitor once a minute while the agent makes progress, and is silent otherwise.

The monitor raises the alarm when the pings stop: the one alert that also works when this machine is gone. A
ping that fails is said once in the log and hurts nothing. The URL is a secret: whoever knows it can pretend.
"""

from __future__ import annotations

import logging
from typing import Final

from agent.alerts.pulse import Pulse
from agent.config.secret import Secret
from agent.core.ports import Clock

LOG: Final = logging.getLogger("agent.alerts")
EVERY_MS: Final = 60_000.0
_PATIENCE_S: Final = 15.0


class Heartbeat:
    def __init__(self, url: Secret, pulse: Pulse, clock: Clock) -> None:
        self._url = url
        self._pulse = pulse
        self._clock = clock
        self._said: str | None = None
        self.pings = 0

    async def run(self) -> None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                lacking = self._pulse.progress(self._clock.machine_ms()).lacking
                if lacking:
                    self._say(f"held back: {'; '.join(lacking)}")
                else:
                    self._say(await self._ping(session))
                await self._clock.sleep_machine(EVERY_MS)

    async def _ping(self, session: object) -> str | None:
        import aiohttp

        assert isinstance(session, aiohttp.ClientSession)
        try:
            async with session.get(self._url.reveal(), allow_redirects=False) as answer:
                if answer.status < 400:
                    self.pings += 1
                    return None
                return f"the monitor answers HTTP {answer.status}"
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # The error's text may hold the URL.
            return f"the monitor cannot be reached ({type(error).__name__})"

    def _say(self, trouble: str | None) -> None:
        kind = None if trouble is None else trouble.partition(":")[0]
        if kind == self._said:
            return
        self._said = kind
        if trouble is None:
            LOG.info("heartbeat: works")
        else:
            LOG.warning("heartbeat: %s", trouble)
