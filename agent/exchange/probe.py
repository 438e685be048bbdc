"""One look at the exchange: does it answer, how fast, and what time does it think it is."""

from __future__ import annotations

from agent.core.value import Value


class Probe(Value, frozen=True):
    """`latency_ms` is machine time of the round trip. `server_time_ms` is None where it is not told."""

    server_time_ms: int | None
    latency_ms: float
