"""Figures for Prometheus, when the configuration names a port for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from agent.compose.door import Door

LOG: Final = logging.getLogger("agent")


def metrics_at(door: Door, port: int) -> Callable[[], Coroutine[Any, Any, None]]:
    """The work of serving them. Its library is an extra, loaded only when asked for."""

    async def serve() -> None:
        try:
            from agent.metrics.server import MetricsServer
        except ImportError:
            LOG.warning("no metrics: install the extra `metrics` (prometheus-client)")
            return
        await MetricsServer(door.snapshot, port).run()

    return serve
