"""Alerts and commands through python-telegram-bot and a Bot API server, with a real loop and ledger."""

from __future__ import annotations

import asyncio
import logging
import time

from agent.core.events import EmergencyRequested, Healed, Impaired, Impairment
from agent.core.phase import Phase
from agent.shell.logs import LogSettings, set_up_logging
from agent.shell.redaction import Secrets
from tests.alerts.alert_ground import config, ground, telegram_environment
from tests.alerts.telegram_stub import BOT, CHAT, CONFLICT, TOKEN, USER, TelegramStub, failing
from tests.playbook import Playbook

ALL = ("status", "positions", "balance", "trades", "why", "pause", "resume", "stop", "emergency", "help")


async def test_every_command_is_answered(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        answers = {}
        for word in ("help", "status", "positions", "balance", "trades", "why"):
            await server.say(f"/{word}")
            texts = await server.texts(len(answers) + 1)
            answers[word] = texts[-1]
            await world.clock.advance(3_000)
    assert all(f"/{word}" in answers["help"] for word in ALL if word != "help")
    assert answers["status"].startswith("RUNNING, Paper, ADA/USDT 15m (since ")
    assert "Balance 10,000.00 USDT, equity 10,000.00 USDT" in answers["status"]
    assert answers["positions"] == "No open position"
    assert answers["balance"].startswith("Balance 10,000.00 USDT")
    assert answers["trades"] == "No trades yet"
    assert "Entries allowed" in answers["why"]
    assert all(int(message["chat_id"]) == CHAT for message in server.sent)


async def test_pause_acts_at_once_and_resume_asks(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        await server.say("/pause", age_s=590)
        assert (await server.texts(1))[0] == "Paused: no entries; open positions keep their exits"
        assert world.runtime.state.phase is Phase.PAUSED
        await server.say("/resume")
        question = (await server.texts(2))[1]
        assert question.startswith("Allow entries again? Now PAUSED, Paper, ADA/USDT 15m.")
        assert world.runtime.state.phase is Phase.PAUSED
        (button,) = server.buttons()
        await server.press(button["callback_data"])
        assert (await server.texts(3))[2].startswith("Starting")
        assert world.runtime.state.phase is Phase.RUNNING
        await server.until(lambda: bool(server.acknowledged))
        await server.press(button["callback_data"])
        assert "used already" in (await server.texts(4))[3]


async def test_a_button_is_too_late_after_a_minute(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        await server.say("/pause")
        await server.say("/resume")
        await server.texts(2)
        await world.clock.advance(60_001)
        await server.press(server.buttons()[0]["callback_data"])
        assert "Too late" in (await server.texts(3))[2]
        assert world.runtime.state.phase is Phase.PAUSED


async def test_emergency_latches_and_stop_offers_to_sell(tmp_path):
    play = Playbook().ready()
    play.enter()
    environment = {}
    async with TelegramStub() as server:
        environment = telegram_environment(server.url)
        async with ground(tmp_path, environment, play=play) as world:
            await server.say("/positions")
            assert "target" in (await server.texts(1))[0]
            await server.say("/stop")
            text = (await server.texts(2))[1]
            assert text.startswith("No entries any more; open positions are managed to their exits")
            assert world.runtime.state.phase is Phase.EXITS_ONLY
            assert "Sell 1 position" in server.buttons()[0]["text"]
            await server.press(server.buttons()[0]["callback_data"])
            await server.texts(3)
            assert world.runtime.state.durable.flattening
            await server.say("/emergency")
            await server.until(lambda: any("emergency stop by Telegram" in m["text"] for m in server.sent))
            assert world.latch.reason == "emergency"
            assert world.runtime.state.phase is Phase.HALTED
    assert any(m["text"].startswith("CRITICAL ") for m in server.sent)


async def test_an_emergency_overtakes_what_came_with_it(tmp_path):
    async with TelegramStub() as server:
        for word in ("status", "balance", "why"):
            await server.say(f"/{word}")
        await server.say("/emergency")
        async with ground(tmp_path, telegram_environment(server.url)):
            first = (await server.texts(1))[0]
    assert "mergency stop by Telegram" in first


async def test_what_others_say_is_not_answered_and_told_once(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        stranger = {"message": {"from": {"id": 666, "is_bot": False, "first_name": "X"}}}
        group = {"message": {"chat": {"id": -5, "type": "group", "title": "G"}}}
        for change in (stranger, stranger, group):
            await server.say("/emergency", **change)
        await server.press("x:resume:y", user=666)
        await server.say("/pause", message={"forward_origin": _origin()})
        await server.update({"edited_message": _message("/pause", edit_date=int(time.time()))})
        await server.update({"channel_post": _message("/pause")})
        await server.say("/pause", message={"sender_chat": {"id": CHAT, "type": "channel", "title": "C"}})
        await server.say("/resume", age_s=61)
        await server.say("/pause", age_s=601)
        await server.say("/help")
        texts = await server.texts(2)
    assert world.runtime.state.phase is Phase.RUNNING
    assert len(texts) == 2
    assert "by somebody else were ignored (last: chat 4711, user 666)" in "".join(texts)


def _message(text, **changes):
    return {
        "message_id": 9,
        "date": int(time.time()),
        "chat": {"id": CHAT, "type": "private", "first_name": "O"},
        "from": {"id": USER, "is_bot": False, "first_name": "O"},
        "text": text,
        **changes,
    }


def _origin():
    return {
        "type": "user",
        "date": int(time.time()),
        "sender_user": {"id": USER, "is_bot": False, "first_name": "O"},
    }


async def test_nothing_is_obeyed_twice_across_a_restart(tmp_path):
    async with TelegramStub() as server:
        environment = telegram_environment(server.url)
        async with ground(tmp_path / "one", environment) as world:
            number = await server.say("/pause")
            await server.texts(1)
            await world.until(lambda: world.run.couriers[0].sent == 1)
            await world.until(lambda: world.kept().get("telegram", {}).get("update_id") == number)
            kept = world.kept()
        # The server forgot that it was asked beyond it: the same update comes again.
        async with ground(tmp_path / "two", environment, documents=kept) as world:
            await server.update({"message": _message("/pause")}, update_id=number)
            await server.say("/status")
            await server.texts(2)
            assert world.runtime.state.phase is Phase.RUNNING
        assert number + 1 in server.offsets


async def test_alerts_by_level_and_the_end_of_a_trouble(tmp_path):
    play = Playbook().ready()
    async with (
        TelegramStub() as server,
        ground(tmp_path, telegram_environment(server.url), play=play) as world,
    ):
        world.learn(Impaired(Impairment.FEED_STALE, "nothing for 40 s"))
        await server.texts(1)
        world.learn(Healed(Impairment.FEED_STALE))
        texts = await server.texts(2)
    assert texts[0].startswith("ERROR ")
    assert texts[0].endswith("feed stale: nothing for 40 s; entries are blocked")
    assert texts[1].endswith("feed stale: over")


async def test_off_means_off_and_without_a_user_it_only_sends(tmp_path):
    async with TelegramStub() as server:
        off = config(telegram={"enabled": False})
        async with ground(tmp_path / "one", telegram_environment(server.url), chosen=off) as world:
            world.learn(EmergencyRequested("test"))
            await world.until(lambda: world.runtime.state.phase is Phase.HALTED)
            assert server.asked == []
        only_sends = telegram_environment(server.url, TELEGRAM_USER_ID="")
        async with ground(tmp_path / "two", only_sends) as world:
            await server.say("/pause")
            world.learn(EmergencyRequested("test"))
            await server.texts(1)
            assert set(server.asked) == {"sendMessage"}


async def test_two_programs_on_one_token_become_send_only_and_recover(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        server.trouble["getUpdates"] = lambda: failing(409, CONFLICT)
        for number in (1, 2, 3):
            await server.until(lambda n=number: server.asked.count("getUpdates") >= n)
            await world.until(lambda: world.clock._sleepers != [])
            await asyncio.sleep(0.05)
            await world.clock.advance(5_000)
        text = (await server.texts(1))[0]
        assert "alerts only: another program reads this bot's commands" in text
        assert "/emergency, do not reach this agent" in text
        assert world.run.listener.hearing.value.startswith("alerts only")
        world.learn(EmergencyRequested("test"))
        await server.texts(2)
        await world.runtime.settle_writes()
        server.trouble.clear()
        await world.clock.advance(600_000)
        await server.until(lambda: any("commands are heard again" in m["text"] for m in server.sent))


async def test_flood_control_is_obeyed(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        server.trouble["sendMessage"] = lambda: failing(
            429, "Too Many Requests: retry after 40", retry_after=40
        )
        await server.say("/status")
        await server.until(lambda: server.asked.count("sendMessage") == 1)
        await asyncio.sleep(0.05)
        server.trouble.clear()
        for _ in range(39):
            await world.clock.advance(1_000)
        await asyncio.sleep(0.05)
        assert server.sent == []
        await world.clock.advance(1_000)
        assert (await server.texts(1))[0].startswith("RUNNING")


async def test_the_token_is_seen_nowhere(tmp_path, caplog):
    """Every way in which a server can fail, with the log at DEBUG and nothing for it to redact."""
    log = set_up_logging(LogSettings(tmp_path / "agent.log", "DEBUG"), Secrets())
    caplog.set_level(logging.DEBUG)
    secret = TOKEN.partition(":")[2]
    answers = [
        lambda: failing(401, "Unauthorized"),
        lambda: failing(404, "Not Found"),
        lambda: failing(403, "Forbidden: bot was blocked by the user"),
        lambda: failing(400, "Bad Request: chat not found"),
        lambda: failing(500, "Internal"),
        lambda: failing(502, "Bad Gateway"),
    ]
    try:
        for number, answer in enumerate(answers):
            async with TelegramStub() as server:
                server.trouble = dict.fromkeys(("getMe", "getUpdates", "sendMessage"), answer)
                world_dir = tmp_path / str(number)
                async with ground(world_dir, telegram_environment(server.url)) as world:
                    world.learn(EmergencyRequested("test"))
                    await server.until(lambda s=server: {"getMe", "sendMessage"} <= set(s.asked))
                    await asyncio.sleep(0.02)
        async with ground(tmp_path / "nobody", telegram_environment("http://127.0.0.1:9")) as world:
            world.learn(EmergencyRequested("test"))
            await world.until(lambda: world.run.couriers and world.run.couriers[0].is_failing)
    finally:
        log.undo()
    written = (tmp_path / "agent.log").read_text() + caplog.text
    for path in tmp_path.rglob("*.db*"):
        assert secret.encode() not in path.read_bytes(), path
    assert "Telegram" in written
    assert secret not in written


async def test_commands_to_another_bot_are_not_ours(tmp_path):
    async with TelegramStub() as server, ground(tmp_path, telegram_environment(server.url)) as world:
        await server.say("/pause@other_bot")
        await server.say(f"/status@{BOT}")
        await server.texts(1)
        assert world.runtime.state.phase is Phase.RUNNING
