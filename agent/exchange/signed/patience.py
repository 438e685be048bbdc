"""How long to wait for what. Machine time in milliseconds, unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """`request_ms`: for an answer. `admit_ms`: for the gate; after that a request is not sent at all.

    `keep_warm_ms`: a connection idle for that long gets a small request, which also measures the clock, which
    happens every `measure_every_ms` at least. `ping_interval_s` belongs to the user stream, `silent_order_ms`
    is how long it may take to tell of an order that REST accepted. All these are looked at every
    `look_every_ms`. `refresh_every_ms`: between readings because balances moved; `poll_every_ms`: between
    readings while there is no stream.
    """

    request_ms: int = 8_000
    admit_ms: int = 2_000
    keep_warm_ms: float = 5_000.0
    measure_every_ms: float = 600_000.0
    ping_interval_s: float = 20.0
    silent_order_ms: float = 5_000.0
    look_every_ms: float = 1_000.0
    refresh_every_ms: float = 10_000.0
    poll_every_ms: float = 4_000.0
