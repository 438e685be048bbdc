"""E-mail takes over when Telegram cannot deliver, once, and gives back, with nothing told twice."""

from __future__ import annotations

import asyncio
from email import message_from_string
from email.policy import default

from agent.alerts.courier import Courier, NotSent, Sent
from agent.alerts.message import Message
from agent.alerts.outbox import Outbox, Pace
from agent.alerts.standby import TAKEOVER_MS, Standby
from agent.core.commands import Alert, AlertLevel
from tests.alerts.alert_ground import config, ground, telegram_environment
from tests.alerts.smtp_stub import SmtpStub
from tests.alerts.telegram_stub import CONFLICT, TelegramStub, failing
from tests.clocks import ManualClock

BOTH = config(email={"enabled": True})


class Box:
    """A courier whose server answers what the test says."""

    def __init__(self, name, clock):
        self.answer, self.sent, self.tries = Sent(), [], 0
        outbox = Outbox(Pace(20, 1_000), clock.machine_ms())
        self.courier = Courier(name, outbox, self.send, clock)

    async def send(self, post):
        self.tries += 1
        if self.answer == Sent():
            self.sent.append(post.text)
        return self.answer


class Desk:
    def __init__(self):
        self.clock = ManualClock()
        self.telegram, self.mail = Box("Telegram", self.clock), Box("e-mail", self.clock)
        self.standby = Standby(self.telegram.courier, self.mail.courier, self.clock.now_ms)

    async def __aenter__(self):
        self.tasks = [asyncio.ensure_future(box.courier.run()) for box in (self.telegram, self.mail)]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def tell(self, text, level=AlertLevel.ERROR, *, also_by_mail=False):
        message = Message(text, self.clock.now_ms(), level)
        self.standby.put(message)
        if also_by_mail:
            self.standby.put_by_mail(message)
        await self.clock.advance(0)

    async def minutes(self, count):
        for _ in range(count):
            await self.clock.advance(60_000)


def holding(texts, word):
    return sum(text.count(word) for text in texts)


async def test_a_short_outage_is_slept_over():
    async with Desk() as desk:
        desk.telegram.answer = NotSent("no answer in time")
        await desk.tell("alpha")
        await desk.minutes(3)
        desk.telegram.answer = Sent()
        await desk.minutes(1)
        assert (holding(desk.telegram.sent, "alpha"), desk.mail.sent) == (1, [])


async def test_a_long_one_moves_everything_to_mail_once_and_back():
    async with Desk() as desk:
        desk.telegram.answer = NotSent("no answer in time")
        await desk.tell("alpha")
        await desk.tell("beta", AlertLevel.CRITICAL, also_by_mail=True)
        assert holding(desk.mail.sent, "beta") == 1
        await desk.minutes(int(TAKEOVER_MS / 60_000) + 2)
        await desk.tell("gamma")
        await desk.tell("delta", AlertLevel.CRITICAL, also_by_mail=True)
        desk.standby.put(Message("an answer", urgent=True, is_answer=True))
        await desk.minutes(1)
        for word in ("alpha", "beta", "gamma", "delta", "Telegram does not work: no answer in time"):
            assert holding(desk.mail.sent, word) == 1, word
        assert desk.telegram.sent == []
        desk.telegram.answer = Sent()
        await desk.minutes(2)
        await desk.tell("epsilon")
        await desk.minutes(1)
        assert holding(desk.mail.sent, "Telegram works again") == 1
        assert holding(desk.mail.sent, "epsilon") == 0
        assert holding(desk.telegram.sent, "went by e-mail") == 1
        assert holding(desk.telegram.sent, "epsilon") == holding(desk.telegram.sent, "an answer") == 1
        assert [holding(desk.telegram.sent, word) for word in ("alpha", "beta", "gamma", "delta")] == [0] * 4


async def test_a_refused_token_is_told_at_once_and_a_message_nobody_takes_goes_by_mail():
    async with Desk() as desk:
        desk.telegram.answer = NotSent("the text is not accepted", for_good=True)
        await desk.tell("alpha")
        assert holding(desk.mail.sent, "alpha") == 1
        desk.telegram.answer = NotSent("the token is not accepted", rejected=True)
        await desk.tell("beta")
        await desk.minutes(0)
        assert holding(desk.mail.sent, "Telegram does not work: the token") == 1
        assert holding(desk.mail.sent, "beta") == 1
        tries = desk.telegram.tries
        await desk.minutes(8)
        assert desk.telegram.tries == tries, "a server may lock out who insists"
        await desk.minutes(3)
        assert desk.telegram.tries == tries + 1


async def test_where_only_commands_do_not_come_through_mail_is_told_and_does_not_flap():
    async with Desk() as desk:
        for minute in range(20):
            desk.standby.deaf("no connection", minute * 60_000.0, False)
            await desk.minutes(1)
        assert holding(desk.mail.sent, "Telegram does not work: no connection") == 1
        assert holding(desk.mail.sent, "Telegram works again") == 1
        assert desk.standby.since_ms is None
        desk.standby.hears()
        desk.standby.deaf("no connection", TAKEOVER_MS, False)
        await desk.minutes(1)
        assert holding(desk.mail.sent, "Telegram does not work: no connection") == 2


# --- with the real library and real servers ------------------------------------------------------------


def environment(server, mail):
    return telegram_environment(
        server.url,
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(mail.port),
        SMTP_FROM="agent@example.org",
        SMTP_TO="me@example.org",
    )


def text_of(raw):
    return message_from_string(raw, policy=default).get_content()


async def test_a_revoked_token_is_known_before_there_is_anything_to_tell(tmp_path):
    async with TelegramStub() as server, SmtpStub() as mail:
        for method in ("getMe", "getUpdates", "sendMessage"):
            server.trouble[method] = lambda: failing(401, "Unauthorized")
        async with ground(tmp_path, environment(server, mail), chosen=BOTH) as world:
            await mail.until(lambda: len(mail.mails) == 1)
            assert "Telegram does not work: the token is not accepted" in text_of(mail.mails[0])
            world.run.observe(world.runtime.state, (Alert(AlertLevel.ERROR, "order", "refused"),))
            await mail.until(lambda: len(mail.mails) == 2)
            assert "order: refused" in text_of(mail.mails[1])
            server.trouble.clear()
            by_mail, telegram = world.run.couriers
            await world.until(lambda: telegram.is_failing and by_mail.sent == 2)
            await world.clock.advance(600_000)
            assert "went by e-mail" in (await server.texts(1))[0]
            await mail.until(lambda: len(mail.mails) == 3)
            assert "Telegram works again" in text_of(mail.mails[2])


async def test_another_reader_of_the_bot_is_told_by_both_ways_and_alerts_stay(tmp_path):
    async with TelegramStub() as server, SmtpStub() as mail:
        server.trouble["getUpdates"] = lambda: failing(409, CONFLICT)
        async with ground(tmp_path, environment(server, mail), chosen=BOTH) as world:
            await world.until(lambda: world.run.listener is not None)
            for number in (1, 2):
                await world.until(lambda n=number: world.run.listener._conflicts == n)
                await world.clock.advance(5_000)
            assert "another program reads" in (await server.texts(1))[0]
            await mail.until(lambda: len(mail.mails) == 1)
            assert "another program reads" in text_of(mail.mails[0])
            world.run.observe(world.runtime.state, (Alert(AlertLevel.ERROR, "order", "refused"),))
            assert "order: refused" in (await server.texts(2))[1]
            assert len(mail.mails) == 1
