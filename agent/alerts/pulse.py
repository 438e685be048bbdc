"""Whether the agent gets anywhere: its loop steps, its data is fresh, the exchange answers. PURE.

The law: a process that is alive but trades on nothing must look dead from outside. What is fed by this (an
outside monitor, systemd) therefore sees progress, never mere life. While history loads, loading is progress.
Times are machine time in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.core.state import AgentState

#: The exchange is asked every 30 seconds, so the loop has something to step at least that often.
STEP_WITHIN_MS: Final = 90_000.0
ANSWER_WITHIN_MS: Final = 120_000.0
#: A restart may mend an outage that is ours, and mends none that is the exchange's: not sooner than this.
OUTAGE_PATIENCE_MS: Final = 900_000.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Why there is none; empty when everything moves."""

    lacking: tuple[str, ...]

    @property
    def is_made(self) -> bool:
        return not self.lacking


class Pulse:
    """Fed after every step; asked by heartbeat and watchdog."""

    def __init__(self, now_ms: float) -> None:
        self.steps = 0
        self._stepped_ms = now_ms
        self._answered_ms = now_ms
        self._fresh_ms = now_ms
        self._exchange: object = None
        self._warmup: tuple[int, int] = (0, 0)
        self._is_fresh = False
        self._loads = False

    def beat(self, state: AgentState, now_ms: float) -> None:
        """After a step."""
        self.steps += 1
        self._stepped_ms = now_ms
        if state.exchange is not self._exchange:
            self._exchange = state.exchange
            if state.exchange is not None and state.exchange.reachable:
                self._answered_ms = now_ms
        self._is_fresh = state.fresh
        self._loads = state.window is None
        if state.fresh:
            self._fresh_ms = now_ms
        elif self._loads and state.warmup != self._warmup:
            self._warmup = state.warmup
            self._fresh_ms = self._answered_ms = now_ms

    def progress(self, now_ms: float) -> Progress:
        """For the outside monitor: everything must move now."""
        lacking = []
        if now_ms - self._stepped_ms > STEP_WITHIN_MS:
            lacking.append(f"no step for {(now_ms - self._stepped_ms) / 1_000:.0f} s")
        if now_ms - self._answered_ms > ANSWER_WITHIN_MS:
            lacking.append(f"no answer of the exchange for {(now_ms - self._answered_ms) / 1_000:.0f} s")
        loading = self._loads and now_ms - self._fresh_ms <= ANSWER_WITHIN_MS
        if not self._is_fresh and not loading:
            lacking.append("market data is not fresh")
        return Progress(tuple(lacking))

    def stuck(self, now_ms: float, steps_before: int) -> str | None:
        """For systemd, which kills: why a restart is due. `steps_before`: at the last look."""
        if self.steps == steps_before:
            return "the loop does not step"
        for since_ms, what in (
            (self._answered_ms, "the exchange does not answer"),
            (self._fresh_ms, "no data"),
        ):
            if now_ms - since_ms > OUTAGE_PATIENCE_MS:
                return f"{what} for {(now_ms - since_ms) / 60_000:.0f} min"
        return None
