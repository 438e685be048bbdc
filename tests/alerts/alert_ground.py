"""A real engine loop with a real ledger and its alerts, beside stubs of the servers they talk to.

Machine time is the test's (`clock.advance`), the network is real and on loopback.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.compose.alerting import Alerting, AlertRun, Joined
from agent.compose.ledger_journal import LedgerJournal
from agent.config import check_config
from agent.config.model import Config
from agent.core.events import Event
from agent.core.snapshot import snapshot
from agent.core.state import AgentState
from agent.shell.dispatch import Dispatcher
from agent.shell.redaction import Secrets
from agent.shell.runtime import Runtime
from agent.store.batch import Scope
from agent.store.writer import Watch, Writer
from tests.alerts.telegram_stub import CHAT, TOKEN, USER
from tests.clocks import ManualClock
from tests.playbook import Playbook
from tests.shell_ground import HandExchange, HandLatch, HandMarket
from tests.store_ground import Store

SCOPE = Scope("agent", "binance:paper", "paper", "paper-1", "ADA/USDT")


def config(**agent: Any) -> Config:
    import json

    report = check_config(json.dumps({"agent": agent}))
    assert report.config is not None, report.errors
    return report.config


def telegram_environment(url: str, **changes: str) -> dict[str, str]:
    return {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_USER_ID": str(USER),
        "TELEGRAM_API_URL": url,
        **changes,
    }


class Ground:
    """`runtime` steps; what alerts say goes to whatever `environment` names."""

    def __init__(self, directory: Path, state: AgentState, documents: Mapping[str, Any]) -> None:
        self.directory = directory
        self.store = Store(directory)
        self.ledger = self.store.ledger(SCOPE)
        self.writer = Writer(self.ledger, Watch())
        self.clock = ManualClock(state.now_ms)
        self.exchange = HandExchange()
        self.latch = HandLatch()
        journal = LedgerJournal(self.writer, "test")
        self.runtime = Runtime(state, self.clock, journal, self.latch, random.Random(1))
        self.market = HandMarket(Playbook().instrument)
        self.dispatcher = Dispatcher(
            self.exchange, self.market, self.latch, self.runtime.sink, self.runtime.intent_of
        )
        self.runtime.connect(self.dispatcher)
        self.documents = documents
        self.secrets = Secrets()
        self.run: AlertRun | None = None

    def join(self, chosen: Config, environment: Mapping[str, str]) -> Any:
        alerting = Alerting(chosen, self.directory / ".env", self.secrets, environment)
        joined = Joined(
            self.runtime,
            lambda: snapshot(self.runtime.state, "test"),
            self.clock,
            self.writer,
            self.store.path,
            SCOPE,
            self.documents,
        )
        run = AlertRun(
            alerting._config, self.directory / ".env", self.secrets, environment, alerting._now_s, joined
        )
        self.run = run
        self.runtime.observe(run.observe)
        return run.run

    def learn(self, event: Event) -> None:
        self.runtime.sink(event)

    async def until(self, condition: Any, within_s: float = 5.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - nobody tells when a thread or server has done something
                await asyncio.sleep(0.005)

    def kept(self) -> Mapping[str, Any]:
        return self.ledger.load().documents


@asynccontextmanager
async def ground(
    directory: Path,
    environment: Mapping[str, str],
    *,
    chosen: Config | None = None,
    play: Playbook | None = None,
    documents: Mapping[str, Any] | None = None,
) -> AsyncIterator[Ground]:
    """The engine's loop runs, and its alerts do."""
    directory.mkdir(exist_ok=True)  # noqa: ASYNC240 - a temporary folder
    state = (play or Playbook().ready()).state
    one = Ground(directory, state, documents or {})
    work = one.join(chosen or config(), environment)
    tasks = [asyncio.ensure_future(one.runtime.run()), asyncio.ensure_future(work())]
    try:
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await one.dispatcher.close(0)
        await one.runtime.settle_writes()
        one.writer.close()
        one.store.close()
