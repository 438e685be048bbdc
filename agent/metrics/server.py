"""`GET /metrics` on 127.0.0.1: read-only, without a token, because it tells nothing secret and takes nothing.

It runs on the engine's loop and makes its text only when somebody asks. A port that is taken is said once and
nothing else happens: figures are never a reason not to trade.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from agent.metrics.exposition import CONTENT_TYPE, exposition

LOG: Final = logging.getLogger(__name__)
HOST: Final = "127.0.0.1"


class MetricsServer:
    """Serves what `snapshot` returns. `port` 0 takes a free one, which `port` then tells."""

    def __init__(self, snapshot: Callable[[], Mapping[str, Any]], port: int) -> None:
        self._snapshot = snapshot
        self.port = port

    async def run(self, listening: asyncio.Event | None = None) -> None:
        """Until canceled; returns at once when the port cannot be had."""
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, self.port)
            try:
                await site.start()
            except OSError as error:
                LOG.warning("no metrics: port %d on %s cannot be used (%s)", self.port, HOST, error.strerror)
                return
            self.port = int(runner.addresses[0][1])
            LOG.info("metrics at http://%s:%d/metrics", HOST, self.port)
            if listening is not None:
                listening.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        # A page in a browser that guesses the port must not read it through a name of its own.
        if request.host.partition(":")[0] not in (HOST, "localhost"):
            return web.Response(status=403, text="only as 127.0.0.1 or localhost\n")
        body = exposition(self._snapshot())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
