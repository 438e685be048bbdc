"""Alerts joined to one run of the engine: an observer that never waits, and parts of their own beside it.

The law: nothing here can delay an order, block entries or grow without bound. The observer only puts things
into bounded boxes; everything that waits (servers, keyrings, disks) does so in tasks that only alerts have,
under a supervisor of their own, so that a fault in them is a line in the log and no fault of the engine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets as chance
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.alerts.confirmations import Confirmations
from agent.alerts.courier import Courier
from agent.alerts.desk import Desk
from agent.alerts.heartbeat import Heartbeat
from agent.alerts.listener import Listener, Seen
from agent.alerts.mail import MailAccount, Mailer
from agent.alerts.message import Message
from agent.alerts.outbox import Outbox, Pace
from agent.alerts.pulse import Pulse
from agent.alerts.router import Channel, Router
from agent.alerts.standby import Standby
from agent.alerts.summary import summary
from agent.alerts.telegram_link import TelegramLink
from agent.alerts.watchdog import Notifier, Watchdog, wait_visibly
from agent.alerts.wording import MODES, headline
from agent.compose.alert_records import LedgerRecords
from agent.compose.alert_settings import TelegramAccount, read_alert_settings
from agent.compose.onlookers import left_open
from agent.config.model import Config
from agent.core.account import day_of
from agent.core.commands import Alert, AlertLevel, Command
from agent.core.events import Woke
from agent.core.market import DAY_MS
from agent.core.ports import Clock
from agent.core.state import AgentState
from agent.shell.aside import aside
from agent.shell.redaction import Secrets
from agent.shell.runtime import Runtime
from agent.shell.supervisor import Supervisor
from agent.store.batch import Batch, Scope
from agent.store.trouble import StoreTrouble
from agent.store.writer import LedgerBroken, Writer

LOG: Final = logging.getLogger("agent.alerts")
SEEN_KEY: Final = "telegram"
SUMMARY_KEY: Final = "daily_summary"
#: Telegram allows a message a second to one chat and twenty a minute to a group.
TELEGRAM_PACE: Final = Pace(burst=5, refill_ms=3_000)
MAIL_PACE: Final = Pace(burst=3, refill_ms=120_000)
_LAST_WORDS_S: Final = 1.0
_SETTINGS_PATIENCE_S: Final = 60.0
_KEEP_PATIENCE_S: Final = 5.0
_MOST_EARLY: Final = 200
#: Rows of the last minute of a day are written by then.
_AFTER_MIDNIGHT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Joined:
    """What alerts need of a run."""

    runtime: Runtime
    snapshot: Callable[[], Mapping[str, Any]]
    clock: Clock
    writer: Writer
    database: Path
    scope: Scope
    documents: Mapping[str, Any]


class Alerting:
    """Made once for a process; `join` once for each run of the engine."""

    def __init__(
        self,
        config: Config,
        env_path: Path,
        secrets: Secrets,
        environment: Mapping[str, str] = os.environ,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._env_path = env_path
        self._secrets = secrets
        self._environment = environment
        self._now_s = now_s

    async def wait_visibly(self, clock: Clock, what: str) -> None:
        """Tell systemd that the start waits for `what`. Until canceled."""
        await wait_visibly(Notifier(self._environment), clock, what)

    def join(self, joined: Joined) -> Callable[[], Coroutine[Any, Any, None]]:
        """Begin to observe the run; the result is the part that the run's supervisor keeps."""
        run = AlertRun(self._config, self._env_path, self._secrets, self._environment, self._now_s, joined)
        joined.runtime.observe(run.observe)
        return run.run


class AlertRun:
    """The alerts of one run."""

    def __init__(
        self,
        config: Config,
        env_path: Path,
        secrets: Secrets,
        environment: Mapping[str, str],
        now_s: Callable[[], float],
        joined: Joined,
    ) -> None:
        self._config = config
        self._env_path = env_path
        self._secrets = secrets
        self._environment = environment
        self._now_s = now_s
        self._joined = joined
        self._clock = joined.clock
        self._router = Router(secrets.redact)
        self._early: deque[tuple[Alert, int, float]] | None = deque(maxlen=_MOST_EARLY)
        self._pulse = Pulse(joined.clock.machine_ms())
        self._records = LedgerRecords(joined.database, joined.scope)
        self._notifier = Notifier(environment)
        self._link: TelegramLink | None = None
        self._phase: object = None
        self.couriers: list[Courier] = []
        self.listener: Listener | None = None

    def observe(self, state: AgentState, commands: tuple[Command, ...]) -> None:
        """After a step, on the loop: microseconds, and nothing that waits."""
        now_ms = self._clock.machine_ms()
        self._pulse.beat(state, now_ms)
        for command in commands:
            if isinstance(command, Alert):
                if self._early is not None:
                    self._early.append((command, state.now_ms, now_ms))
                else:
                    self._router.route(command, state.now_ms, now_ms)
        if state.phase is not self._phase:
            self._phase = state.phase
            self._notifier.tell(f"STATUS={state.phase.value} {self._name()}")

    async def run(self) -> None:
        """Until canceled; never fails."""
        own = Supervisor(_only_logged)
        watchdog = Watchdog(self._notifier, self._pulse, self._clock, self._poke)
        self._notifier.tell("READY=1")
        own.keep("watchdog", watchdog.run)
        try:
            own.keep("alert channels", lambda: self._open(own))
            await asyncio.Event().wait()
        finally:
            self._notifier.tell("STOPPING=1")
            await own.stop()
            await self._last_words()
            if self._link is not None:
                await self._link.close()

    async def _open(self, own: Supervisor) -> None:
        """Find out what is wanted and possible, and begin."""
        reading = aside("alert settings", self._settings)
        done, _ = await asyncio.wait((reading,), timeout=_SETTINGS_PATIENCE_S)
        if not done:
            LOG.error(
                "the credentials of alerts are still being waited for (a locked keyring?): no alerts yet"
            )
        settings = await reading
        for trouble in settings.troubles:
            LOG.warning("%s", trouble)
        mail = None if settings.mail is None else self._mail_courier(own, settings.mail)
        standby = None
        if settings.telegram is not None:
            standby = self._open_telegram(own, settings.telegram, mail)
        if mail is not None:
            level = AlertLevel(self._config.agent.email.level)
            put_mail = mail.put if standby is None else standby.put_by_mail
            self._router.add(Channel("e-mail", level, False, put_mail))
        if settings.heartbeat is not None:
            own.keep("heartbeat", Heartbeat(settings.heartbeat, self._pulse, self._clock).run)
        early, self._early = self._early, None
        for alert, at_ms, now_ms in early or ():
            self._router.route(alert, at_ms, now_ms)

    def _settings(self) -> Any:
        return read_alert_settings(self._config, self._env_path, self._environment, self._secrets)

    # --- Telegram ------------------------------------------------------------------------------------

    def _open_telegram(
        self, own: Supervisor, account: TelegramAccount, mail: Courier | None
    ) -> Standby | None:
        """The one who stands in, where there is a mail server to do it."""
        wanted, joined = self._config.agent.telegram, self._joined
        try:
            link = self._link = TelegramLink.open(account.token, account.owner.chat_id, account.server)
        except ValueError as error:
            LOG.error("Telegram is off: %s", error)
            return None
        courier = self._courier(own, "Telegram", TELEGRAM_PACE, link.send)
        standby = None if mail is None else Standby(courier, mail, joined.clock.now_ms)
        put = courier.put if standby is None else standby.put
        self._router.add(Channel("Telegram", AlertLevel(wanted.level), wanted.positions, put))
        confirmations = Confirmations(chance.token_hex(4), lambda: chance.token_hex(6))
        desk = Desk(
            joined.runtime,
            joined.snapshot,
            self._records,
            confirmations,
            self._clock,
            put,
            link.acknowledge,
        )
        if account.owner.user_id is not None:
            self.listener = Listener(
                link, desk, account.owner, self._last_seen(), self._keep_seen, put, self._clock, self._now_s
            )
            self.listener.watch = standby
            own.keep("Telegram commands", self.listener.run)
        if wanted.daily_summary:
            own.keep("daily summary", lambda: self._summarise(put))
        return standby

    def _last_seen(self) -> Seen:
        kept = self._joined.documents.get(SEEN_KEY)
        if isinstance(kept, Mapping) and all(type(kept.get(key)) is int for key in ("update_id", "at_ms")):
            return Seen(kept["update_id"], kept["at_ms"])
        return Seen(0, 0)

    async def _keep_seen(self, seen: Seen) -> bool:
        return await self._keep(SEEN_KEY, {"update_id": seen.update_id, "at_ms": seen.at_ms})

    async def _keep(self, key: str, body: Mapping[str, Any]) -> bool:
        """Durable, or false when the database does not write within a few seconds."""
        written = self._joined.writer.submit(Batch(self._clock.now_ms(), documents={key: dict(body)}))
        waiting = asyncio.wrap_future(written)
        done, _ = await asyncio.wait((waiting,), timeout=_KEEP_PATIENCE_S)
        if not done:
            waiting.add_done_callback(lambda late: late.cancelled() or late.exception())
            return False
        try:
            waiting.result()
        except (StoreTrouble, LedgerBroken):
            return False
        return True

    # --- e-mail --------------------------------------------------------------------------------------

    def _mail_courier(self, own: Supervisor, account: MailAccount) -> Courier:
        return self._courier(own, "e-mail", MAIL_PACE, Mailer(account, self._name).send)

    # --- the day -------------------------------------------------------------------------------------

    async def _summarise(self, put: Callable[[Message], None]) -> None:
        kept = self._joined.documents.get(SUMMARY_KEY)
        told = kept.get("day") if isinstance(kept, Mapping) else None
        while True:
            today = day_of(self._clock.now_ms())
            if told != today - 1:
                await self._clock.sleep_until(today * DAY_MS + _AFTER_MIDNIGHT_MS)
                await self._summary_of(today - 1, put)
                told = today - 1
                await self._keep(SUMMARY_KEY, {"day": told})
            await self._clock.sleep_until((today + 1) * DAY_MS)

    async def _summary_of(self, day: int, put: Callable[[Message], None]) -> None:
        try:
            record = await self._records.day(day)
        except OSError as trouble:
            put(Message(f"The summary of the day cannot be made: {trouble}", self._clock.now_ms()))
            return
        if record.last_equity is None and not record.closed:
            return  # the agent was not there
        seen = self._joined.snapshot()
        base = self._joined.scope.base
        held = [f"Open: position {p['id']}, {p['size']} {base}" for p in seen["positions"]]
        put(Message(summary(record, headline(seen), seen["currency"], held), urgent=True))

    # --- parts ---------------------------------------------------------------------------------------

    def _courier(self, own: Supervisor, name: str, pace: Pace, send: Any) -> Courier:
        courier = Courier(name, Outbox(pace, self._clock.machine_ms()), send, self._clock)
        self.couriers.append(courier)
        own.keep(f"{name} courier", courier.run)
        return courier

    async def _last_words(self) -> None:
        lines = left_open(self._joined.runtime.state)
        if lines:
            text = "The agent ends.\n" + "\n".join(lines)
            for courier in self.couriers:
                courier.put(Message(text, self._clock.now_ms(), AlertLevel.WARNING, urgent=True))
        draining = [asyncio.ensure_future(courier.drain()) for courier in self.couriers]
        if draining:
            _, hanging = await asyncio.wait(draining, timeout=_LAST_WORDS_S)
            for one in hanging:
                one.cancel()
            await asyncio.gather(*draining, return_exceptions=True)
        for courier in self.couriers:
            courier.give_up()

    def _name(self) -> str:
        return f"{MODES[self._config.mode]} {self._config.exchange.trading_pair}"

    def _poke(self) -> None:
        self._joined.runtime.sink(Woke())


def _only_logged(name: str, error: BaseException) -> None:
    """The supervisor has written the traceback; trading goes on as if nothing had happened."""
