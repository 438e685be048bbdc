"""No alert holds up an order: servers that never answer, while the engine trades through the same loop."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from decimal import Decimal

from agent.core.commands import Alert, AlertLevel
from agent.core.events import BarClosed, ClosedBy, EmergencyRequested
from agent.core.market import Book, BookLevel
from agent.core.order import Purpose
from agent.core.phase import Phase
from tests.alerts.alert_ground import config, ground, telegram_environment
from tests.alerts.smtp_stub import SmtpStub
from tests.alerts.telegram_stub import TelegramStub
from tests.playbook import BAR, Playbook, signal_candle

EVERYTHING = config(
    telegram={"level": "INFO"}, email={"enabled": True, "level": "INFO"}, heartbeat_url="http://127.0.0.1:9/x"
)


def hanging(server, mail):
    return telegram_environment(
        server.url,
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(mail.port),
        SMTP_FROM="agent@example.org",
        SMTP_TO="me@example.org",
    )


async def test_an_order_leaves_while_every_alert_hangs_for_ever(tmp_path):
    play = Playbook().ready()
    candle = signal_candle(play.last_bar)
    play.at(candle.open_ms + BAR)
    play.walk(candle.close)
    async with TelegramStub() as server, SmtpStub(hangs=True) as mail:
        server.hangs.add("*")
        async with ground(tmp_path, hanging(server, mail), chosen=EVERYTHING, play=play) as world:
            for _ in range(50):
                world.run.observe(world.runtime.state, (Alert(AlertLevel.CRITICAL, "test", "hangs"),))
            await server.until(lambda: {"getMe", "sendMessage"} <= set(server.asked))
            await mail.until(lambda: mail.connections == 1)
            bid, plenty = world.runtime.state.bid(), Decimal(1_000_000)
            asks = (BookLevel(bid + Decimal("0.0001"), plenty),)
            world.market.book_now = Book((BookLevel(bid, plenty),), asks, world.clock.now_ms())
            world.learn(BarClosed(candle, ClosedBy.FLAG))
            await world.until(lambda: bool(world.exchange.placed))
            assert world.exchange.placed[0].purpose is Purpose.ENTRY
            world.learn(EmergencyRequested("test"))
            await world.until(lambda: world.latch.reason == "emergency")
            assert world.runtime.state.phase is Phase.HALTED
            assert server.sent == []


async def test_what_hangs_does_not_grow(tmp_path):
    async with TelegramStub() as server, SmtpStub(hangs=True) as mail:
        server.hangs.add("*")
        async with ground(tmp_path, hanging(server, mail), chosen=EVERYTHING) as world:
            await world.until(lambda: len(world.run.couriers) == 2)

            def flood(first, last):
                for number in range(first, last):
                    level = AlertLevel.CRITICAL if number % 2 else AlertLevel.ERROR
                    alert = Alert(level, f"kind {number % 7}", f"something went wrong, number {number}")
                    world.run.observe(world.runtime.state, (alert,))

            flood(0, 2_000)
            await asyncio.sleep(0)
            threads, tasks = threading.active_count(), len(asyncio.all_tasks())
            tracemalloc.start()
            flood(2_000, 4_000)
            before, _ = tracemalloc.get_traced_memory()
            flood(4_000, 14_000)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert [courier.waiting <= 200 for courier in world.run.couriers] == [True, True]
            assert after - before < 100_000
            await asyncio.sleep(0)
            assert threading.active_count() <= threads + 1
            assert len(asyncio.all_tasks()) <= tasks + 4
