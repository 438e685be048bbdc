"""Heartbeat and watchdog: fed by progress, silent without it; the day's summary."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from decimal import Decimal

import pytest
from aiohttp import web

from agent.alerts.heartbeat import Heartbeat
from agent.alerts.pulse import OUTAGE_PATIENCE_MS, STEP_WITHIN_MS, Pulse
from agent.alerts.summary import ClosedTrade, DayRecord, summary
from agent.alerts.watchdog import READY_ANYWAY_MS, Notifier, Watchdog, wait_visibly
from agent.config.secret import Secret
from agent.core.events import ExchangeReported
from agent.core.market import DAY_MS
from agent.core.records import BalanceRow
from agent.store.batch import Batch
from tests.alerts.alert_ground import ground, telegram_environment
from tests.alerts.telegram_stub import TelegramStub
from tests.clocks import ManualClock
from tests.playbook import Playbook

D = Decimal


def well(state, number=0):
    return state.but(fresh=True, exchange=ExchangeReported(True, 20.0 + number, 0, 1))


def test_progress_needs_a_step_fresh_data_and_an_answer():
    pulse, state = Pulse(0), Playbook().ready().state
    pulse.beat(well(state), 0)
    assert pulse.progress(0).is_made
    assert pulse.progress(STEP_WITHIN_MS).is_made
    assert pulse.progress(STEP_WITHIN_MS + 1).lacking == ("no step for 90 s",)
    same = well(state)
    for at in range(0, 240_000, 30_000):
        pulse.beat(same, at)  # it steps, but the last answer is the same old one
    assert pulse.progress(210_000).lacking == ("no answer of the exchange for 210 s",)
    pulse.beat(well(state, 1).but(fresh=False), 210_000)
    assert pulse.progress(210_000).lacking == ("market data is not fresh",)
    pulse.beat(well(state, 2), 210_001)
    assert pulse.progress(210_001).is_made


def test_loading_history_is_progress_as_long_as_it_goes_on():
    pulse, state = Pulse(0), Playbook().state
    for at in range(0, 3_600_000, 30_000):
        pulse.beat(state.but(warmup=(at, 9_999_999)), at)
        assert pulse.progress(at).is_made
        assert pulse.stuck(at, pulse.steps - 1) is None
    pulse.beat(state.but(warmup=(at, 9_999_999)), at + 130_000)
    assert not pulse.progress(at + 130_000).is_made


def test_systemd_restarts_what_does_not_step_and_is_patient_with_an_outage():
    pulse, state = Pulse(0), Playbook().ready().state
    pulse.beat(well(state), 0)
    assert pulse.stuck(10_000, pulse.steps) == "the loop does not step"
    for at in range(0, int(OUTAGE_PATIENCE_MS), 10_000):
        steps = pulse.steps
        pulse.beat(state.but(fresh=False, exchange=ExchangeReported(False, None, None, None)), at)
        assert pulse.stuck(at, steps) is None
    assert pulse.stuck(OUTAGE_PATIENCE_MS + 1, steps) == "the exchange does not answer for 15 min"


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_hears_ready_the_state_and_progress(tmp_path, abstract):
    path = f"@agent-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + path[1:] if abstract else path)
        systemd.setblocking(False)
        environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}

        def heard():
            found = []
            while True:
                try:
                    found.append(systemd.recv(500).decode())
                except BlockingIOError:
                    return found

        async with ground(tmp_path / "run", environment) as world:
            await world.clock.advance(0)
            assert heard() == ["READY=1", "WATCHDOG=1", "STATUS=RUNNING Paper ADA/USDT"]
            await world.clock.advance(10_000)  # it was poked and stepped
            assert heard()[-1] == "WATCHDOG=1"
            world.runtime.inbox.put = lambda event: None  # the loop steps no more
            await world.clock.advance(10_000)
            heard()
            await world.clock.advance(60_000)
            assert heard() == []
        assert heard() == ["STOPPING=1"]


async def test_a_start_that_waits_for_its_exchange_is_ready_and_fed_for_a_quarter_of_an_hour(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.setblocking(False)
        clock = ManualClock()
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"})
        waiting = asyncio.ensure_future(wait_visibly(notifier, clock, "the exchange"))

        def heard():
            try:
                return systemd.recv(500).decode()
            except BlockingIOError:
                return None

        await clock.advance(READY_ANYWAY_MS - 1)
        assert heard() is None, "a start that is not held up is ready when it answers"
        await clock.advance(1)
        assert heard() == "READY=1\nSTATUS=STARTING, waiting for the exchange to answer"
        fed = 0
        while heard():
            fed += 1
            await clock.advance(5_000)
        assert READY_ANYWAY_MS + fed * 5_000 == pytest.approx(OUTAGE_PATIENCE_MS, abs=10_000)
        assert waiting.done()


async def test_without_systemd_nothing_happens():
    assert not Notifier({}).tell("READY=1")
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_ms is None
    clock = ManualClock()
    await Watchdog(Notifier({}), Pulse(0), clock, lambda: None).run()


async def test_the_monitor_is_pinged_by_progress_only(caplog):
    pings, status = [], 200

    async def ping(request):
        pings.append(request.path)
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/{secret}", ping)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/CANARY-ping"
    clock = ManualClock()
    pulse, state = Pulse(clock.machine_ms()), Playbook().ready().state
    pulse.beat(well(state), clock.machine_ms())
    heart = Heartbeat(Secret(url), pulse, clock)
    running = asyncio.ensure_future(heart.run())

    async def after(ms, number):
        async with asyncio.timeout(5):
            await clock.advance(ms)
            while heart.pings < number or not clock._sleepers:  # noqa: ASYNC110 - the server is real
                await asyncio.sleep(0.005)

    await after(0, 1)
    pulse.beat(well(state, 1), clock.machine_ms() + 60_000)
    await after(60_000, 2)
    for minute in range(5):  # the loop steps, the exchange is gone
        pulse.beat(state.but(fresh=False), clock.machine_ms() + 60_000)
        await after(60_000, 2)
        assert heart.pings == 2, minute
    await runner.cleanup()
    pulse.beat(well(state, 2), clock.machine_ms() + 60_000)
    await clock.advance(60_000)
    await after(0, 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert pings == ["/CANARY-ping"] * 2
    assert "held back" in caplog.text
    assert "CANARY" not in caplog.text


# --- the day ----------------------------------------------------------------------------------------


def test_a_day_in_short():
    closed = (ClosedTrade(D("12.5"), D("1.25")), ClosedTrade(D("-4"), D("-0.5")))
    day = DayRecord("2026-11-28", closed, 3, D("10000"), D("10100"), 2)
    assert summary(day, "RUNNING, LIVE, ADA/USDT 15m", "USDT", ["Open: position 7, 100 ADA"]) == (
        "2026-11-28 (UTC) in short. Now RUNNING, LIVE, ADA/USDT 15m\n"
        "Equity 10,100.00 USDT, +100.00 USDT (+1.00 %)\n"
        "Trades: 3 opened, 2 closed (1 won, 1 lost), +8.50 USDT, +0.75 R\n"
        "Open: position 7, 100 ADA\n"
        "Warnings and errors: 2 (see the log)"
    )


async def test_the_summary_comes_after_midnight_once_also_over_a_restart(tmp_path):
    play = Playbook().ready()
    midnight = (play.now_ms // DAY_MS + 1) * DAY_MS
    async with TelegramStub() as server:
        environment = telegram_environment(server.url)
        async with ground(tmp_path / "one", environment, play=play) as world:
            rows = (
                BalanceRow(play.now_ms, D(10_000), D(10_000)),
                BalanceRow(midnight - 1, D(9_000), D(9_900)),
                BalanceRow(midnight + 1, D(9_000), D(9_000)),
            )
            world.writer.submit(Batch(play.now_ms, rows=rows)).result()
            await world.until(lambda: bool(world.run.couriers))
            await world.clock.advance(midnight - play.now_ms + 59_000)
            assert server.sent == []
            await world.clock.advance(1_000)
            (text,) = await server.texts(1)
            assert "Equity 9,900.00 USDT, -100.00 USDT (-1.00 %)" in text
            await world.until(lambda: "daily_summary" in world.kept())
            kept = world.kept()
        later = replace(play.state.durable)
        play.state = play.state.but(now_ms=midnight + 3_600_000, durable=later)
        async with ground(tmp_path / "two", environment, play=play, documents=kept) as world:
            await world.until(lambda: bool(world.run.couriers))
            await server.say("/status")
            assert len(await server.texts(2)) == 2
