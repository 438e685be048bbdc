"""Lines of the log on their way to whoever is attached."""

from __future__ import annotations

import asyncio
import io
import logging
import threading

from agent.control.log_relay import MOST_CHARS, MOST_LINES, LogRelay
from agent.shell.logs import LogSettings, set_up_logging
from agent.shell.redaction import Secrets


class Channel:
    """A control channel that keeps what it is told."""

    def __init__(self, clients=1):
        self.clients = clients
        self.bodies = []
        self.told = asyncio.Event()

    def notice(self, notice):
        assert notice.kind.value == "log"
        self.bodies.append(notice.body)
        self.told.set()


async def relayed(channel, speak):
    relay = LogRelay(channel)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0)
    speak(relay.hear)
    await channel.told.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    relay.hear("nobody relays any more, and nothing breaks")
    return channel.bodies


async def test_a_flood_is_one_batch_of_its_newest_lines_and_says_what_it_left_out():
    def speak(hear):
        def flood():
            for number in range(MOST_LINES + 50):
                hear(f"line {number}")

        thread = threading.Thread(target=flood)
        thread.start()
        thread.join()

    (body,) = await relayed(Channel(), speak)
    assert body["left_out"] == 50
    assert (body["lines"][0], body["lines"][-1]) == ("line 50", f"line {MOST_LINES + 49}")


async def test_a_huge_line_is_cut():
    (body,) = await relayed(Channel(), lambda hear: hear("x" * 10 * MOST_CHARS))
    assert len(body["lines"][0]) == MOST_CHARS


async def test_nothing_is_kept_while_nobody_is_attached():
    channel = Channel(clients=0)

    def speak(hear):
        hear("unheard")
        channel.clients = 1
        hear("heard")

    (body,) = await relayed(channel, speak)
    assert body == {"lines": ["heard"], "left_out": 0}


async def test_it_hears_what_the_file_gets_with_secrets_redacted(tmp_path):
    secrets = Secrets()
    secrets.add("hunter2hunter2")
    log = set_up_logging(LogSettings(tmp_path / "agent.log"), secrets, stderr=io.StringIO())
    heard = []
    try:
        log.follow(heard.append)
        logging.getLogger("agent").warning("the key is %s", "hunter2hunter2")
    finally:
        log.undo()
    assert heard == (tmp_path / "agent.log").read_text().splitlines()
    assert "hunter2" not in heard[0]
