"""The window in front of a real engine on the local exchange: every button does what it says."""

from __future__ import annotations

import asyncio
import signal

from agent_process import Agent, House, Market, rows_of
from configurations import WISH, quick, written
from PySide6.QtCore import Qt
from testnet_ground import TESTNET, credentials
from window_ground import PATIENCE_S, Eyes, attached, house, place_of, play, window_on

from agent.store.latch import Latch
from ui.link import LinkKind
from ui.present.banners import Act

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


async def _started(built: House, tmp_path, *words: str, **sections) -> tuple[Market, Agent]:
    market = await built.market()
    written(tmp_path, quick(**sections))
    agent = await built.agent(tmp_path, *market.address, *words)
    async with agent.watched():
        return market, agent


async def _enter(eyes: Eyes, market: Market) -> None:
    """Signals until one is entered."""
    for _ in range(5):
        await eyes.until("free to enter", lambda: not eyes.picture.status.entries_blocked_by)
        closes = (await market.signal(**WISH))["close_ms"]

        def decided(closes: int = closes) -> bool:
            last = eyes.picture.status.feed.last_closed_bar
            return bool(eyes.picture.holdings) or (last is not None and last.timestamp() * 1000 > closes)

        await eyes.until("entered, or past the signal", decided)
        if eyes.picture.holdings:
            await eyes.until("a card", lambda: eyes.window.positions.cards)
            return
    raise AssertionError("no signal was entered")


def test_start_pause_close_and_stop_by_hand(qapp, patient, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market, agent = await _started(built, tmp_path, "--no-start")
            async with window_on(place_of(tmp_path), tmp_path) as eyes:
                window = eyes.window
                await attached(eyes, agent)
                await eyes.until("a picture", lambda: eyes.controller.picture)
                await eyes.state("STOPPED")
                assert window.windowTitle().startswith("DEMO · PAPER · ADA/USDT 1m")
                assert window.control.demo.isVisible()

                eyes.click(window.control.start_button)
                await eyes.state("RUNNING")
                assert not window.control.start_button.isEnabled()
                eyes.press(Qt.Key.Key_P, CTRL)
                await eyes.state("PAUSED")
                assert window.control.start_button.text() == "Resume"
                eyes.press(Qt.Key.Key_S, CTRL)
                await eyes.state("RUNNING")
                await eyes.until("candles", lambda: len(eyes.controller.chart.view._scene.candles) > 500)
                # From here on nobody looks at the file: what the log shows, the engine told.
                eyes.controller.readings._log_timer.stop()

                await _enter(eyes, market)
                (card,) = window.positions.cards
                eyes.click(card.close_button)
                question = window.question.question
                assert question is not None
                assert question.lines[0].startswith("Sell ")
                assert "PnL about" in question.lines[0]
                eyes.press(Qt.Key.Key_Escape)
                assert window.question.isHidden()
                assert eyes.picture.holdings, "the safe answer keeps the position"
                eyes.click(card.close_button)
                eyes.click_answer("close")
                await eyes.until("flat", lambda: not eyes.picture.holdings)
                assert rows_of(tmp_path, "trades")[-1]["reason"] == "MANUAL"
                await eyes.until("no card", lambda: not window.positions.cards)

                await eyes.until("told", lambda: any("MANUAL" in line.text for line in window.log.lines))
                await eyes.until("decisions", lambda: len(window.decisions.table.rows) > 1)
                bar = window.decisions.table.rows[1].key
                scene = eyes.controller.chart.view._scene
                window.decisions.table.chosen.emit(bar)
                assert scene.selected_ms == bar, "a row shows its bar"
                window.decisions.table.clearSelection()
                eyes.controller.chart.view.bar_activated.emit(bar)
                assert window.decisions.table.selected_key() == bar, "and a bar finds its row"

                eyes.press(Qt.Key.Key_T, CTRL)
                eyes.click_answer("flat")
                await eyes.state("STOPPED")

    play(scenario)


def test_an_emergency_latches_sells_and_shows_its_steps(qapp, patient, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market, agent = await _started(built, tmp_path)
            async with window_on(place_of(tmp_path), tmp_path) as eyes:
                window = eyes.window
                await attached(eyes, agent)
                await eyes.state("RUNNING")
                await _enter(eyes, market)
                eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
                question = window.question.question
                assert question is not None
                assert question.safe == "Keep trading"
                assert any(line.startswith("Sell ") for line in question.lines)
                eyes.press(Qt.Key.Key_Escape)
                assert eyes.picture.status.halt is None

                eyes.click(window.control.emergency_button)
                eyes.click_answer("emergency")
                await eyes.state("HALTED")
                await eyes.until("flat", lambda: eyes.picture.status.halt and eyes.picture.status.halt.flat)
                await eyes.until(
                    "steps", lambda: "Everything is closed: halted and flat" in window.emergency_card.lines
                )
                assert window.emergency_card.lines[0] == "Asked the engine to stop everything"
                assert rows_of(tmp_path, "trades")[-1]["reason"] == "EMERGENCY"
                assert any("HALTED (EMERGENCY STOP" in text for text in window.banners.texts)
                assert window.control.start_button.text() == "Clear halt"
                await eyes.until("compared again", window.control.start_button.isEnabled)
                eyes.click(window.control.start_button)
                eyes.click_answer("clear")
                await eyes.state("STOPPED")

    play(scenario)


def test_a_frozen_engine_is_called_silent_and_the_emergency_goes_around_it(qapp, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            _market, agent = await _started(built, tmp_path)
            async with window_on(place_of(tmp_path), tmp_path) as eyes:
                await attached(eyes, agent)
                await eyes.state("RUNNING")
                agent.send(signal.SIGSTOP)
                try:
                    await eyes.until("silent", lambda: eyes.controller.link.kind is LinkKind.SILENT)
                    await eyes.until(
                        "a banner", lambda: any("DOES NOT ANSWER" in t for t in eyes.window.banners.texts)
                    )
                    eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
                    eyes.click_answer("emergency")
                    card = eyes.window.emergency_card
                    await eyes.until("its own process", lambda: any("as process" in t for t in card.lines))
                    await eyes.until("over", lambda: card.title.text().endswith("over"))
                    assert Latch(tmp_path / "halt.latch").read() is not None
                finally:
                    agent.send(signal.SIGCONT)

    play(scenario)


def test_closed_and_opened_again_killed_and_found_again_and_left_without_a_market(qapp, patient, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market, agent = await _started(built, tmp_path, backtest_metrics=None)
            async with window_on(place_of(tmp_path), tmp_path) as eyes:
                await attached(eyes, agent)
                await eyes.state("RUNNING")
                await _closed_and_kept(eyes)
            async with window_on(place_of(tmp_path), tmp_path) as eyes:
                window = eyes.window
                await attached(eyes, agent)
                await eyes.state("RUNNING")
                window.stats.setCurrentIndex(1)
                sections = window.stats.backtest
                await eyes.until("figures", lambda: len(sections._shown[0].rows) > 5)
                assert "carries no backtest_metrics" in sections._shown[0].remark

                await agent.kill()
                dead = eyes.picture
                await eyes.until("a banner", lambda: any("ENGINE GONE" in t for t in window.banners.texts))
                assert not window.control.pause_button.isEnabled()
                assert window.control.emergency_button.isEnabled()
                assert "last known" in window.control.words._whole
                again = await built.agent(tmp_path, *market.address)
                await attached(eyes, again)
                await eyes.until("no banner", lambda: not any("ENGINE" in t for t in window.banners.texts))
                await eyes.until("free to enter", lambda: eyes.picture is not dead and _may_enter(eyes))

                await market.stop()
                await eyes.until("stale", lambda: not eyes.picture.status.feed.fresh)
                await eyes.until("said", lambda: any("DATA IS STALE" in t for t in window.banners.texts))
                scene = eyes.controller.chart.view._scene
                await eyes.until("on the chart", lambda: not scene.live and scene.age.endswith(" old"))

    play(scenario)


def _may_enter(eyes: Eyes) -> bool:
    status = eyes.picture.status
    return status.state == "RUNNING" and status.feed.fresh and not status.entries_blocked_by


async def _closed_and_kept(eyes: Eyes) -> None:
    """The window goes, the engine stays: both ask and answer."""
    gone = asyncio.Event()
    eyes.controller.ended.connect(gone.set)
    eyes.window.close()
    assert eyes.window.isVisible(), "it asks first"
    eyes.click_answer("")
    assert eyes.window.isVisible()
    eyes.window.close()
    eyes.click_answer("keep")
    await asyncio.wait_for(gone.wait(), PATIENCE_S)
    assert not eyes.window.isVisible()


def test_an_engine_that_cannot_start_says_why(qapp, patient, tmp_path):
    async def scenario() -> None:
        written(tmp_path, {**quick(), "timeframe": "7m"})
        async with window_on(place_of(tmp_path), tmp_path) as eyes:
            await eyes.until("failed", lambda: eyes.controller.link.kind is LinkKind.FAILED)
            await eyes.until("a banner", lambda: any("did not start" in t for t in eyes.window.banners.texts))
            assert "timeframe" in eyes.window.banners.texts[0]

    play(scenario)


def test_missing_keys_are_asked_for_and_given_to_the_engine_that_the_window_starts_and_ends(
    qapp, patient, tmp_path, monkeypatch
):
    for name, value in credentials.environment(tmp_path).items():
        (monkeypatch.setenv if name == "XDG_STATE_HOME" else monkeypatch.delenv)(
            name, *([value] if name == "XDG_STATE_HOME" else [False])
        )

    async def scenario() -> None:
        async with house() as built:
            market = await built.market(*credentials.options)
            written(tmp_path, quick(**TESTNET))
            async with window_on(place_of(tmp_path, market), tmp_path) as eyes:
                window = eyes.window
                await eyes.until("failed", lambda: any("EXCHANGE_API_KEY" in t for t in window.banners.texts))
                window.banners.acted.emit(Act.ENTER_KEYS)
                card = window.keys_card
                assert card.isVisible()
                assert not card.use.isEnabled()
                card.fields["EXCHANGE_API_KEY"].setText(credentials.key)
                card.fields["EXCHANGE_API_SECRET"].setText(credentials.secret)
                eyes.click(card.use)
                assert card.fields["EXCHANGE_API_SECRET"].text() == ""
                await eyes.state("STOPPED")
                assert window.control.badge.text() == "Testnet"
                engine = eyes.controller.bridge.engine
                assert engine is not None
                assert eyes.controller.link.pid == engine.pid, "the window started it, stopped the first time"
                gone = asyncio.Event()
                eyes.controller.ended.connect(gone.set)
                window.close()
                eyes.click_answer("end")
                await asyncio.wait_for(gone.wait(), PATIENCE_S)
            assert await asyncio.to_thread(engine._process.wait, PATIENCE_S) == 0
            kept = [p for p in tmp_path.rglob("*") if p.is_file() and "state" not in p.parts]
            assert not [p for p in kept if credentials.secret.encode() in p.read_bytes()]

    play(scenario)


def test_without_an_engine_the_last_state_is_shown_as_such(qapp, patient, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market, agent = await _started(built, tmp_path)
            async with agent.watched() as watch:
                await watch.enters(market, **WISH)
            assert await agent.stopped() == 0
            async with window_on(place_of(tmp_path), tmp_path, follow=False) as eyes:
                eyes.controller.bridge.may_start = False
                eyes.controller.follow()
                await eyes.until("the last state", lambda: eyes.controller.picture)
                await eyes.until("its position", lambda: eyes.window.positions.cards)
                (card,) = eyes.window.positions.cards
                assert not card.close_button.isEnabled()
                assert eyes.window.control.words._whole == "last known state"
                assert any("No engine is running" in text for text in eyes.window.banners.texts)

    play(scenario)
