"""What the window shows in states that are rare, and what it never does."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from window_ground import (
    PATIENCE_S,
    Eyes,
    document,
    on_offscreen,
    place_of,
    play,
    position,
    show,
    window_on,
)

from ui.launching import Place
from ui.link import LinkKind
from ui.main_window import MainWindow
from ui.present import decisions, stats
from ui.present.log_lines import LogLine
from ui.settings import Settings

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SIZES = [(1280, 800), (1024, 768)]


def _labels(root: QWidget) -> list[QLabel]:
    return [label for label in root.findChildren(QLabel) if label.isVisible() and label.text()]


def _cut_off(root: QWidget) -> list[str]:
    """Texts that do not fit where they stand; what dots shorten on purpose is no such text."""
    found = []
    for label in _labels(root):
        needed = label.sizeHint()
        seen = label.visibleRegion().boundingRect()
        if 0 < seen.width() < label.width():
            found.append(f"{label.text()} (clipped)")
        if label.wordWrap():
            continue
        if label.width() < needed.width() and not label.text().endswith("…"):
            found.append(label.text())
    buttons = [button for button in root.findChildren(QAbstractButton) if button.isVisible()]
    found += [b.text() for b in buttons if b.width() < b.sizeHint().width()]
    # A button may be scrolled out of sight from below, never from the side.
    return found + [f"{b.text()} (beside the edge)" for b in buttons if _seen_px(b) < b.width()]


def _seen_px(widget: QWidget) -> int:
    """How wide it is to be seen, over every frame it stands in."""
    left, right, frame = 0, widget.width(), widget.parentWidget()
    while frame is not None:
        begin = widget.mapTo(frame, QPoint(0, 0)).x()
        left, right = max(left, -begin), min(right, frame.width() - begin)
        frame = None if frame.isWindow() else frame.parentWidget()
    return max(0, right - left)


BTC = {
    "pair": "BTC/USDT",
    "balance": "1234567.89",
    "equity": "1244567.11",
    "instrument": {"tick": "0.01", "step": "0.00001"},
    "price": {"bid": "107342.17", "ask": "107342.18", "last": 107342.17, "at": None, "trusted": True},
    "positions": [position(entry_price="105722.93", size="0.09316", stop="103294.07", target="108264.24")],
}
SHIB = {
    "pair": "SHIB/USDT",
    "instrument": {"tick": "0.00000001", "step": "1"},
    "price": {"bid": "0.00001234", "ask": "0.00001235", "last": 0.00001234, "at": None, "trusted": True},
    "positions": [
        position(
            entry_price="0.00001215", size="812345678", stop="0.00001187", target="0.00001245",
            unrealized_pnl="-0.00412",
        )
    ],
}  # fmt: skip
LONG = "the exchange answered 502 Bad Gateway while the protective stop was being placed; " * 4
STATES = {
    "flat": {},
    "exits only": {"state": "EXITS_ONLY", "mode": "live", "positions": [position()]},
    "rehearsal": {
        "state": "EXITS_ONLY",
        "mode": "live",
        "venue": "binance@127.0.0.1:8000",
        "balance": "1234567.89",
        "day": {"date": "2025-01-15", "pnl": "-12345.67", "trades": 3, "start_equity": "1000000"},
    },
    "starting": {
        "state": "STARTING",
        "mode": "testnet",
        "warmup": {"bars": 3, "needed": 7700, "error_bound": None},
    },
    "position": {"positions": [position()]},
    "five": {"positions": [position(id=i) for i in range(1, 6)]},
    "five in trouble": {
        "balance": "1234567.89",
        "positions": [
            position(
                id=i,
                unrealized_pnl="-12345.67",
                protected_by=None,
                unprotected_since="2025-01-15T15:43:01.000Z",
            )
            for i in range(11, 16)
        ],
    },
    "btc": BTC,
    "shib": SHIB,
    "error": {"state": "ERROR", "entries_blocked_by": ["the agent is ERROR", LONG]},
    "halted": {
        "state": "HALTED",
        "halt": {"reason": "daily_loss", "at": "2025-01-15T15:43:00.000Z", "flat": True, "remaining": []},
    },
    "unknown money": {
        "balance": None,
        "equity": None,
        "day": {"date": None, "pnl": None, "trades": 0, "start_equity": None},
    },
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
def test_no_text_is_cut_off(qapp, tmp_path, state, size):
    async def scenario(eyes: Eyes) -> None:
        eyes.window.resize(*size)
        show(eyes, document(**STATES[state]))
        await asyncio.sleep(0)
        assert (eyes.window.width(), eyes.window.height()) == size, "it fits on this screen"
        for page in range(eyes.window.stats.count()):
            eyes.window.stats.setCurrentIndex(page)
            QApplication.processEvents()
            assert _cut_off(eyes.window) == []

    on_offscreen(scenario, tmp_path, size=size)


def test_of_five_positions_in_trouble_each_tells_its_loss_and_that_it_is_exposed(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(**STATES["five in trouble"]))
        QApplication.processEvents()
        for card in eyes.window.positions.cards:
            assert card.result.text() == "−12,345.67  −123.46 %"
            assert card.brief_protection.text() == "EXPOSED"
            card.unfold.click()
            assert card.result.text() == "−12,345.67 USDT  −123.46 %"
            assert card.protection.text().startswith("NOT PROTECTED for")

    on_offscreen(scenario, tmp_path, size=(1024, 768))


def test_prices_huge_and_tiny_keep_the_exchanges_digits(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(**BTC))
        text = _texts(eyes)
        assert "1,234,567.89 USDT" in text
        assert "107,342.17" in text
        show(eyes, document(**SHIB))
        text = _texts(eyes)
        assert "0.00001234" in text
        assert "812,345,678" in text
        assert "−0.0041 USDT" in text

    on_offscreen(scenario, tmp_path)


def _texts(eyes: Eyes) -> str:
    return "\n".join(label.text() for label in _labels(eyes.window))


def test_five_positions_have_five_cards_and_each_is_closed_by_its_own_button(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position(id=i, size=f"{i}00") for i in range(1, 6)]))
        cards = eyes.window.positions.cards
        assert [card._id for card in cards] == [1, 2, 3, 4, 5]
        cards[3].close_button.click()
        question = eyes.window.question.question
        assert question is not None
        assert question.title.startswith("Close position 4?")
        assert question.lines[0].startswith("Sell 400 ADA at market")
        show(eyes, document(positions=[position(id=i, size=f"{i}00") for i in range(1, 4)]))
        assert eyes.window.question.isHidden(), "the question goes with its position"
        assert len(eyes.window.positions.cards) == 3

    on_offscreen(scenario, tmp_path)


def test_a_question_shows_the_numbers_of_now(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        eyes.controller.acts.close_wanted(7)
        assert "PnL about +2.10 USDT" in eyes.window.question.lines.text()
        show(eyes, document(positions=[position(unrealized_pnl="-3.5")]))
        assert "PnL about −3.50 USDT" in eyes.window.question.lines.text()

    on_offscreen(scenario, tmp_path)


def test_the_safe_answer_has_the_focus_and_nothing_is_modal(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
        card = eyes.window.question
        assert card.isVisible()
        assert QApplication.activeModalWidget() is None
        assert card.buttons[""].hasFocus()
        eyes.window.lower_tabs.setCurrentWidget(eyes.window.log)
        assert eyes.window.log.isVisible(), "everything else goes on"
        card.buttons[""].setFocus()
        eyes.press(Qt.Key.Key_Return)
        assert card.isHidden(), "Enter on the safe answer is safe"
        given = []
        card.answered.connect(lambda key, choice: given.append((key, choice)))
        eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
        eyes.press(Qt.Key.Key_Escape)
        assert given == [("emergency", "")], "and so is Escape"
        assert card.isHidden()
        assert not eyes.window.emergency_card.isVisible()

    on_offscreen(scenario, tmp_path)


def test_the_emergency_stop_is_reached_from_every_window_of_ours(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        eyes.window.assistant.choose()
        dialog = eyes.window.assistant._dialog
        assert dialog is not None
        assert not dialog.isModal()
        dialog.activateWindow()
        dialog.setFocus()
        for _ in range(20):
            if dialog.isActiveWindow():
                break
            await asyncio.sleep(0.01)
        eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
        question = eyes.window.question.question
        assert question is not None
        assert question.key == "emergency"
        dialog.close()

    on_offscreen(scenario, tmp_path)


def test_live_starts_only_after_the_pair_was_typed(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(state="STOPPED", mode="live"))
        assert eyes.window.control.badge.text() == "LIVE TRADING"
        assert " LIVE " in f" {eyes.window.windowTitle()} "
        eyes.click(eyes.window.control.start_button)
        card = eyes.window.question
        assert not card.buttons["start"].isEnabled()
        card.typed.setText("ADA/USDT")
        assert card.buttons["start"].isEnabled()

    on_offscreen(scenario, tmp_path)


def test_a_wide_window_can_be_made_narrow_and_wide_again(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        for width, height in ((1024, 768), (1280, 800), (1024, 768)):
            eyes.window.resize(width, height)
            QApplication.processEvents()
            assert eyes.window.width() == width
            assert eyes.window.control.equity.isVisible() == (width == 1280)
            assert _cut_off(eyes.window) == []

    on_offscreen(scenario, tmp_path, size=(1280, 800))


def test_without_backtest_metrics_it_says_so(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        eyes.window.stats.setCurrentIndex(1)
        assert "appears once there are trades" in _texts(eyes)

    on_offscreen(scenario, tmp_path)


def test_a_lost_engine_is_said_with_what_was_open(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]), LinkKind.LOST, "the connection to it ended.")
        (text,) = (text for text in eyes.window.banners.texts if "ENGINE GONE" in text)
        assert "1 position open when last seen" in text
        for button in (eyes.window.control.start_button, eyes.window.control.pause_button):
            assert not button.isEnabled()
        assert eyes.window.control.emergency_button.isEnabled()

    on_offscreen(scenario, tmp_path)


def test_every_control_has_an_accessible_name(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        eyes.controller.acts.pressed("settings")
        nameless = [
            widget
            for widget in eyes.window.findChildren(QWidget)
            if widget.isVisible()
            and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and not widget.accessibleName()
            and not (isinstance(widget, QAbstractButton) and widget.text())
            and not widget.objectName().startswith("qt_")
        ]
        assert [f"{type(w).__name__} in {type(w.parent()).__name__}" for w in nameless] == []

    on_offscreen(scenario, tmp_path)


def test_tab_reaches_every_button_of_the_control_panel(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        eyes.window.activateWindow()
        eyes.window.control.pause_button.setFocus()
        reached = set()
        for _ in range(40):
            focused = QApplication.focusWidget()
            reached.add(focused)
            eyes.press(Qt.Key.Key_Tab)
        control = eyes.window.control
        wanted = {control.pause_button, control.stop_button, control.menu_button, control.emergency_button}
        assert wanted <= reached

    on_offscreen(scenario, tmp_path)


def test_updates_do_not_leak_references_to_none(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        title = eyes.window.positions.cards[0].title

        def update(times: int) -> int:
            for number in range(times):
                title.setText(f"{number:04}")
                title.repaint()
                eyes.controller.render()
            gc.collect()
            return sys.getrefcount(None)

        before = update(20)
        assert abs(update(200) - before) < 20

    on_offscreen(scenario, tmp_path)


def test_a_hidden_window_renders_nothing(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        seen = []
        eyes.controller.rendered.connect(lambda: seen.append(1))
        eyes.window.hide()
        eyes.controller._soon.stop()
        eyes.controller.render_soon()
        eyes.controller._due()
        assert not eyes.controller._soon.isActive()
        assert not seen
        eyes.window.show()
        assert eyes.controller._soon.isActive(), "and catches up when it is seen again"

    on_offscreen(scenario, tmp_path)


def test_the_shape_is_remembered_and_stays_on_the_screen(qapp, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = MainWindow(settings)
    window.show()
    area = QGuiApplication.primaryScreen().availableGeometry()
    window.setGeometry(QRect(QPoint(area.right() + 400, area.bottom() + 300), window.size()))
    window.remember()
    window.hide()
    again = MainWindow(Settings(tmp_path / "window.ini"))
    again.show()
    # The offscreen screen may be smaller than the least size of the window; its corner is what counts.
    assert area.contains(again.geometry().topLeft())
    again.hide()


def test_height_and_parts_are_those_of_the_last_time(qapp, tmp_path):
    def opened() -> MainWindow:
        window = MainWindow(Settings(tmp_path / "window.ini"))
        window.show()
        QApplication.processEvents()
        return window

    first = opened()
    first.resize(first.width(), 741)
    first.whole.setSizes([400, 230])
    QApplication.processEvents()
    parts = first.whole.sizes()
    first.remember()
    first.hide()
    second = opened()
    assert second.height() == 741
    assert second.whole.sizes() == parts
    second.hide()


def test_what_is_switched_is_remembered(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        eyes.press(Qt.Key.Key_U, CTRL)
        eyes.press(Qt.Key.Key_M, CTRL)
        eyes.controller.acts.pressed("settings")
        eyes.window.settings_card.boxes["blue_orange"].click()
        eyes.window.remember()
        later = Settings(tmp_path / "window.ini")
        assert later.is_on("local_time")
        assert not later.is_on("sounds")
        assert later.is_on("blue_orange")
        assert eyes.window.colours.blue_orange

    on_offscreen(scenario, tmp_path)


def test_what_another_market_earned_is_not_shown_beside_this_one(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(venue="binance@127.0.0.1:8000"))
        earned = (stats.Section("All time", rows=(stats.Row("PnL", "+39.96 USDT"),)),)
        curve = ((0.0, 10_000.0), (3_600.0, 10_039.96))
        eyes.controller.recorded = stats.Recorded(all_time=earned, curve=curve)
        eyes.controller.render()
        assert "+39.96 USDT" in _texts(eyes)
        show(eyes, document(venue="binance@127.0.0.1:8000", balance="9000"))
        assert "+39.96 USDT" in _texts(eyes), "the same market"
        show(eyes, document())
        assert "+39.96 USDT" not in _texts(eyes)
        assert not eyes.window.stats.curve.plotted

    on_offscreen(scenario, tmp_path)


def test_enter_presses_what_has_the_keyboard_on_the_assistant_and_on_cards(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        window = eyes.window
        begun = []
        window.assistant.demo.connect(lambda: begun.append("demo"))
        window.pages.setCurrentWidget(window.assistant)
        window.assistant.demo_button.setFocus()
        eyes.press(Qt.Key.Key_Return)
        assert begun == ["demo"]
        window.pages.setCurrentWidget(window.whole)
        eyes.controller.acts.pressed("keys")
        assert window.shortcuts.isVisible()
        eyes.press(Qt.Key.Key_Return)
        assert window.shortcuts.isHidden(), "its Close button has the keyboard"

    on_offscreen(scenario, tmp_path)


def test_the_steps_of_an_emergency_stop_stand_in_their_order(qapp, tmp_path):
    halt = {"reason": "emergency", "at": "2025-01-15T15:43:00.000Z", "flat": False, "remaining": []}

    async def scenario(eyes: Eyes) -> None:
        answered = asyncio.Event()

        async def emergency() -> None:
            eyes.controller.bridge.stepped.emit("Asked the engine to stop everything", False)
            await answered.wait()
            eyes.controller.bridge.stepped.emit("Latched", False)

        eyes.controller.bridge.emergency = emergency  # type: ignore[method-assign]
        show(eyes, document(positions=[position()]))
        eyes.controller.begin_emergency()
        show(eyes, document(positions=[position()], state="HALTED", halt=halt))  # pushed before it answers
        answered.set()
        for _ in range(3):
            await asyncio.sleep(0)
        show(eyes, document(state="HALTED", halt={**halt, "flat": True}))
        show(eyes, document(state="HALTED", halt={**halt, "flat": True}))
        assert eyes.window.emergency_card.lines == (
            "Asked the engine to stop everything",
            "Latched",
            "Selling 19,607.8 ADA (position 7)",
            "Everything is closed: halted and flat",
        )
        steps = [cell.text() for _at, cell in eyes.window.emergency_card._cells]
        assert steps == list(eyes.window.emergency_card.lines)

    on_offscreen(scenario, tmp_path)


def test_alerts_become_toasts_and_sounds_and_can_be_muted(qapp, tmp_path):
    from agent.control.messages import Notice, NoticeKind

    def alert(level: str) -> Notice:
        return Notice(NoticeKind.ALERT, {"level": level, "text": f"{level} happened", "kind": "k", "at": ""})

    async def scenario(eyes: Eyes) -> None:
        for level in ("INFO", "WARNING", "ERROR"):
            eyes.controller._noticed(alert(level))
        assert [text.split("  ")[1] for text in eyes.window.toasts.texts] == [
            "WARNING happened",
            "ERROR happened",
        ]
        assert eyes.controller.sound.rung == 1
        eyes.controller.settings.set_on("sounds", False)
        eyes.controller.settings.set_on("toasts", False)
        eyes.controller._noticed(alert("CRITICAL"))
        assert eyes.controller.sound.rung == 1
        assert len(eyes.window.toasts.texts) == 2

    on_offscreen(scenario, tmp_path)


def test_the_log_filters_searches_follows_and_counts_errors(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        log = eyes.window.log
        log.add(
            LogLine(None, level, f"{level.lower()} line {i}") for i, level in enumerate(("DEBUG", "INFO"))
        )
        log.add([LogLine(None, "ERROR", "order failed")])
        tabs = eyes.window.lower_tabs
        assert tabs.tabText(tabs.indexOf(log)) == "Log  ✖ 1"
        eyes.press(Qt.Key.Key_F, CTRL)
        assert log.search.hasFocus()
        assert tabs.tabText(tabs.indexOf(log)) == "Log"
        assert "debug" not in log.view.toPlainText(), "INFO and up at first"
        log.level.setCurrentIndex(0)
        assert "debug line 0" in log.view.toPlainText()
        log.search.setText("FAILED order")
        assert log.view.toPlainText().strip() == "ERROR    order failed"
        eyes.press(Qt.Key.Key_Escape)
        assert log.search.text() == ""
        log.add(LogLine(None, "INFO", f"line {i}") for i in range(6_000))
        assert log.view.blockCount() == 5_000
        bar = log.view.verticalScrollBar()
        assert bar.value() == bar.maximum()
        bar.setValue(10)
        assert not log.follow.isChecked()
        log.add([LogLine(None, "INFO", "one more")])
        assert bar.value() < bar.maximum() - 100, "reading is not disturbed"
        log.follow.click()
        assert bar.value() == bar.maximum()

    on_offscreen(scenario, tmp_path)


def test_a_decided_bar_stands_above_the_others_as_it_is_told(qapp, tmp_path):
    from agent.control.messages import Notice, NoticeKind

    row = {
        "bar_open_ms": 900_000, "decided_ms": 1_800_100, "close": 0.51, "ema_f": 0.50, "ema_s": 0.52,
        "atr": 0.01, "vol_z": 2.4, "tr_z": 1.4, "cloc": 0.3, "downtrend": True, "exhaustion": False,
        "borderline": False, "outcome": "no_signal", "reason": "", "closed_by": "socket", "position_id": None,
    }  # fmt: skip

    def told(**changes: object) -> Notice:
        return Notice(NoticeKind.DECISION, {**row, **changes})

    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        panel = eyes.window.decisions
        before = decisions.row_of(row)
        assert before is not None
        shown = decisions.decision(before, eyes.picture.strategy, 4)
        panel.show_decisions(decisions.columns(eyes.picture.strategy), [shown], "UTC")
        eyes.controller._noticed(told(bar_open_ms=1_800_000, cloc=0.4))
        assert [line.key for line in panel.table.rows] == [1_800_000, 900_000]
        eyes.controller._noticed(told(bar_open_ms=1_800_000))
        assert len(panel.table.rows) == 2, "once"
        panel.telling.setChecked(True)
        eyes.controller._noticed(told(bar_open_ms=2_700_000))
        assert len(panel.table.rows) == 2, "only signals are wanted"
        eyes.controller.render()
        assert "missing: close in bar" in eyes.window.positions.empty.text()

    on_offscreen(scenario, tmp_path)


def test_a_mistake_in_a_slot_goes_to_the_log(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        async def breaks() -> None:
            raise ValueError("broken on purpose")

        eyes.window.lower_tabs.setCurrentWidget(eyes.window.log)
        eyes.controller.do(breaks())
        for _ in range(3):
            await asyncio.sleep(0)
        assert "broken on purpose" in eyes.window.log.view.toPlainText()

    on_offscreen(scenario, tmp_path)


def test_the_first_run_explains_a_bad_configuration_and_accepts_a_good_one(qapp, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text((Path(__file__).parents[2] / "config.example.json").read_text())
    bad.write_text('{"timeframe": "7m"}')

    async def whole() -> None:
        place = Place(tmp_path / "missing.json", tmp_path)
        async with window_on(place, tmp_path) as eyes:
            window = eyes.window
            moved: list[Place] = []
            eyes.controller.move_to = moved.append  # type: ignore[method-assign,assignment]
            assert window.pages.currentWidget() is window.assistant
            checked = asyncio.Event()
            window.assistant.findings.textChanged.connect(checked.set)
            window.assistant.chosen.emit(bad)
            await asyncio.wait_for(checked.wait(), PATIENCE_S)
            assert "cannot be used" in window.assistant.verdict.text()
            assert "timeframe" in window.assistant.findings.toPlainText()
            assert not window.assistant.run_button.isEnabled()
            checked.clear()
            window.assistant.chosen.emit(good)
            await asyncio.wait_for(checked.wait(), PATIENCE_S)
            assert "is valid" in window.assistant.verdict.text()
            eyes.click(window.assistant.run_button)
            assert moved[0].config == good
            eyes.click(window.assistant.demo_button)
            assert moved[1].demo
            assert moved[1].data_dir == tmp_path / "demo-data"

    play(whole)


def test_the_list_of_shortcuts_opens_and_closes(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        eyes.press(Qt.Key.Key_F1)
        assert eyes.window.shortcuts.isVisible()
        eyes.press(Qt.Key.Key_Escape)
        assert eyes.window.shortcuts.isHidden()

    on_offscreen(scenario, tmp_path)


def test_closing_asks_when_something_runs_and_not_when_nothing_does(qapp, tmp_path):
    async def whole() -> None:
        async with window_on(place_of(tmp_path), tmp_path, follow=False) as eyes:
            show(eyes, document(positions=[position()]))
            eyes.window.close()
            question = eyes.window.question.question
            assert question is not None
            assert [choice.key for choice in question.choices] == ["keep", "exits", "flatten"]
            eyes.click_answer("")
            assert eyes.window.isVisible()
            show(eyes, document(), LinkKind.LOST)
            eyes.window.close()
            assert eyes.window.isHidden(), "without an engine there is nothing to decide"

    play(whole)


def test_a_card_keeps_the_keyboard(qapp, tmp_path):
    async def scenario(eyes: Eyes) -> None:
        show(eyes, document(positions=[position()]))
        eyes.window.close()
        card = eyes.window.question
        seen = []
        for _ in range(5):
            eyes.press(Qt.Key.Key_Tab)
            seen.append(next((key for key, button in card.buttons.items() if button.hasFocus()), None))
        assert seen == ["keep", "exits", "flatten", "", "keep"]
        show(eyes, document(positions=[position(unrealized_pnl="-9")]))
        assert "−9.00 USDT" in card.lines.text()

    on_offscreen(scenario, tmp_path)
