"""The window as a process: what ends it, and what does not end with it."""

from __future__ import annotations

import asyncio
import signal

from agent_process import House, _Child
from configurations import quick, written


async def _window(built: House, data_dir, *words: str) -> _Child:
    env = {
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_CONFIG_HOME": str(data_dir / "settings"),
        "AGENT_WINDOW_FIRST_PAINT": "1",
    }
    window = await _Child.spawn(
        "-m", "agent.main", "--config", str(data_dir / "config.json"), "--data-dir", str(data_dir), *words,
        env=env,
    )  # fmt: skip
    built._children.append(window)
    await window.complains("first paint")
    return window


async def _trading(built: House, tmp_path):
    market = await built.market()
    written(tmp_path, quick())
    return await built.agent(tmp_path, *market.address)


async def test_sigterm_closes_the_window_and_nothing_else(tmp_path):
    built = House()
    try:
        agent = await _trading(built, tmp_path)
        async with agent.watched() as watch:
            await watch.running()
            window = await _window(built, tmp_path)
            window.send(signal.SIGTERM)
            assert await window.ended() == 0, window.said
            await watch.until("still running", lambda s: s["state"] == "RUNNING")
    finally:
        await built.clear()


async def test_a_killed_or_frozen_window_is_not_missed(tmp_path):
    built = House()
    try:
        agent = await _trading(built, tmp_path)
        async with agent.watched() as watch:
            await watch.running()
            killed, frozen = await asyncio.gather(_window(built, tmp_path), _window(built, tmp_path))
            await killed.kill()
            frozen.send(signal.SIGSTOP)
            try:
                bar = watch.latest["feed"]["last_closed_bar"]
                for _ in range(3):
                    state = await watch.until(
                        "a bar later", lambda s, bar=bar: s["feed"]["last_closed_bar"] > bar
                    )
                    bar = state["feed"]["last_closed_bar"]
                assert state["state"] == "RUNNING"
            finally:
                frozen.send(signal.SIGCONT)
    finally:
        await built.clear()


async def test_without_a_configuration_the_window_opens_all_the_same(tmp_path):
    built = House()
    try:
        window = await _window(built, tmp_path)
        window.send(signal.SIGTERM)
        assert await window.ended() == 0, window.said
        assert not (tmp_path / "control.json").exists()
    finally:
        await built.clear()
