"""After closed bars, a worker process looks whether what was decided is what the whole history says.

Stays true: it never disturbs the engine. One worker at a time, at the lowest priority, bounded in memory and
time, started no sooner than a while after the one before. Bars that close meanwhile are compared by the next
one, and counted. A worker that fails is counted, told once in the log, and trading goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from agent.config.env_file import without_credentials
from agent.core.commands import AlertLevel, Command, Keep
from agent.core.events import Event, Scrutinized
from agent.core.ports import Clock
from agent.core.records import DecisionRow
from agent.core.state import AgentState
from agent.store.batch import Batch, Scope
from agent.store.scrutiny_findings import AWAY, SCRUTINY_KEY, Findings

LOG: Final = logging.getLogger("agent")

#: Machine time from a start of the engine to the first worker, and between two of them.
FIRST_AFTER_MS: Final = 60_000.0
EVERY_MS: Final = 30_000.0
#: A worker that is not over by then is ended.
PATIENCE_S: Final = 330.0


class Scrutiny:
    """Observe the runtime with it, and run it beside the engine."""

    def __init__(
        self,
        directory: Path,
        scope: Scope,
        clock: Clock,
        submit: Callable[[Batch], object],
        sink: Callable[[Event], None],
        last: Findings,
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "agent.store.scrutiny_worker"),
        first_after_ms: float = FIRST_AFTER_MS,
        every_ms: float = EVERY_MS,
    ) -> None:
        self._directory = directory
        self._scope = scope
        self._clock = clock
        self._submit = submit
        self._sink = sink
        self._last = last
        self._command = command
        self._first_after_ms = first_after_ms
        self._every_ms = every_ms
        self._closed = asyncio.Event()
        self._bars = 0
        self._failed = False

    def __call__(self, state: AgentState, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if isinstance(command, Keep) and isinstance(command.row, DecisionRow):
                self._bars += 1
                self._closed.set()

    async def run(self) -> None:
        """Look once after the start, for what happened before it, then after closed bars until canceled."""
        self._closed.set()
        await self._clock.sleep_machine(self._first_after_ms)
        while True:
            await self._closed.wait()
            self._closed.clear()
            bars, self._bars = self._bars, 0
            looks = self._last.looks
            waited = looks.waited + max(0, bars - 1)
            self._last = replace(self._last, looks=replace(looks, made=looks.made + 1, waited=waited))
            await self._look()
            await self._clock.sleep_machine(self._every_ms)

    async def _look(self) -> None:
        scope = self._scope.columns().values()
        words = (*self._command, str(self._directory), str(self._clock.now_ms()), *scope)
        quiet = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=quiet,
                stdout=asyncio.subprocess.PIPE,
                stderr=quiet,
                env=without_credentials(os.environ),
            )
        except OSError as error:
            self._tell_failure(str(error))
            return
        try:
            out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
            findings = Findings.of(orjson.loads(out))
        except (TimeoutError, ValueError):
            self._tell_failure(f"exit code {process.returncode}")
        else:
            self._failed = False
            self._keep(findings)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _tell_failure(self, why: str) -> None:
        if not self._failed:
            LOG.warning("the parity worker did not answer (%s); trading is not affected", why)
        self._failed = True
        looks = self._last.looks
        self._last = replace(self._last, looks=replace(looks, failed=looks.failed + 1, last_failure=why))
        self._submit(Batch(self._clock.now_ms(), documents={SCRUTINY_KEY: self._last.document()}))

    def _keep(self, found: Findings) -> None:
        before, self._last = self._last, replace(found, looks=self._last.looks)
        now_ms = self._clock.now_ms()
        self._submit(Batch(now_ms, documents={SCRUTINY_KEY: self._last.document()}))
        if found.score.mismatches and not before.score.mismatches:
            # The first one is an alert; the score counts the others.
            self._sink(Scrutinized(AlertLevel.ERROR.value, "parity", str(found.score.first)))
        for key, text in found.warnings.items():
            if key not in before.warnings:
                kind = AWAY if key.startswith(AWAY) else "as promised"
                self._sink(Scrutinized(AlertLevel.WARNING.value, kind, text))
