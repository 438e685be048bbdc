"""Live trading through the window, every gate of it, against the local exchange with an account."""

from __future__ import annotations

from pathlib import Path

from agent_process import rows_of
from configurations import quick, written
from PySide6.QtCore import Qt
from test_live_gates import LIVE, armed, env
from test_window_trading import _enter
from window_ground import Eyes, house, place_of, play, window_on

from ui import theme
from ui.link import LinkKind

CTRL = Qt.KeyboardModifier.ControlModifier
PAIR = "ADA/USDT"


def test_real_money_needs_every_gate_and_the_pair_typed_twice(qapp, patient, tmp_path, monkeypatch):
    for name, value in env(tmp_path).items():
        monkeypatch.setenv(name, value)

    async def scenario() -> None:
        from testnet_ground import credentials

        async with house() as built:
            market = await built.market(*credentials.options)
            written(tmp_path, quick(**LIVE))
            async with window_on(place_of(tmp_path, market), tmp_path) as eyes:
                await _refused(eyes, tmp_path)
                await _armed(eyes)
                await _started(eyes)
                await _enter(eyes, market)
                await eyes.until(
                    "protected or said", lambda: eyes.window.positions.cards[0].protection.text()
                )
                (card,) = eyes.window.positions.cards
                eyes.click(card.close_button)
                assert "DEMO, LIVE" in eyes.window.question.title.text()
                eyes.click_answer("close")
                await eyes.until("flat", lambda: not eyes.picture.holdings)
                assert rows_of(tmp_path, "trades")[-1]["reason"] == "MANUAL"
                assert rows_of(tmp_path, "trades")[-1]["mode"] == "live"

    play(scenario)


async def _refused(eyes: Eyes, data_dir: Path) -> None:
    """Without its record the engine does not start, and the window says which gate is closed."""
    window, card = eyes.window, eyes.window.question
    await eyes.until("refused", lambda: eyes.controller.link.kind is LinkKind.FAILED)
    await eyes.until("said", lambda: any("live trading is refused" in t for t in window.banners.texts))
    (banner,) = [line for line in window.banners._lines if line.button.text() == "Arm live trading…"]
    eyes.click(banner.button)
    await eyes.until("the gates", lambda: card.question is not None)
    assert "✗ paper phase: 0.0 of 7 days" in card.lines.text()
    assert "Launch list:" in card.lines.text()
    assert list(card.buttons) == [""], "nothing but the safe answer"
    eyes.press(Qt.Key.Key_Escape)
    armed(data_dir, quick(**LIVE))
    eyes.click(banner.button)
    await eyes.until("open gates", lambda: card.question is not None and "arm" in card.buttons)


async def _armed(eyes: Eyes) -> None:
    window, card = eyes.window, eyes.window.question
    assert not card.buttons["arm"].isEnabled()
    card.typed.setText("ada/usdt")
    assert not card.buttons["arm"].isEnabled()
    card.typed.setText(PAIR)
    eyes.click_answer("arm")
    await eyes.state("STOPPED")
    assert window.control.badge.text() == "LIVE TRADING"
    assert window.control.property("money") == "real"
    assert theme.STOP_RED in window.control.badge.styleSheet()
    assert "LIVE" in window.windowTitle()


async def _started(eyes: Eyes) -> None:
    card = eyes.window.question
    eyes.press(Qt.Key.Key_S, CTRL)
    assert not card.buttons["start"].isEnabled()
    card.typed.setText(PAIR)
    eyes.click_answer("start")
    await eyes.state("RUNNING")
    await eyes.until("free to enter", lambda: not eyes.picture.status.entries_blocked_by)
