"""The chart under a real mouse and real keys: who moves the view, and where it comes to rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from tests.ui.chart_scene import BAR_MS, Market, full_view, instrument, market
from ui.chart import ChartView, Instrument

MIDDLE = QPoint(400, 250)


@pytest.fixture
def shown(qtbot: QtBot) -> tuple[ChartView, Market]:
    view, seen = full_view()
    qtbot.addWidget(view)
    view.show()
    qtbot.waitExposed(view)
    view.reset_view()
    return view, seen


def where(view: ChartView) -> tuple[tuple[int, int], tuple[float, float]]:
    return view.visible_ms(), view.visible_prices()


def mouse(view: ChartView, kind: QEvent.Type, at: QPoint, held: bool) -> None:
    button = Qt.MouseButton.LeftButton if held else Qt.MouseButton.NoButton
    cause = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
    event = QMouseEvent(
        kind, QPointF(at), QPointF(view.mapToGlobal(at)), cause, button, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(view, event)


def drag(view: ChartView, start: QPoint, end: QPoint) -> None:
    mouse(view, QEvent.Type.MouseButtonPress, start, True)
    for step in range(1, 6):
        mouse(view, QEvent.Type.MouseMove, start + (end - start) * step / 5, True)
    mouse(view, QEvent.Type.MouseButtonRelease, end, False)


def wheel(
    view: ChartView, at: QPoint, notches: int, held: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    event = QWheelEvent(
        QPointF(at),
        QPointF(view.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        held,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def back_button(view: ChartView) -> QPushButton:
    button = view.findChild(QPushButton, "jumpToLatest")
    assert isinstance(button, QPushButton)
    return button


def tick(view: ChartView, seen: Market, share: float) -> None:
    last = seen.candle(-1)
    view.update_last(replace(last, close=last.low + (last.high - last.low) * share))
    view.grab()


def new_bar(view: ChartView, number: int = 1) -> None:
    seen = market(2_000)
    last = seen.candle(-1)
    view.append(replace(last, open_ms=last.open_ms + number * BAR_MS, open=last.close))
    view.grab()


def test_neither_ticks_nor_new_bars_move_a_panned_view(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    with qtbot.waitSignal(view.following_changed) as told:
        drag(view, MIDDLE, MIDDLE + QPoint(250, 0))
    assert told.args == [False]
    before = where(view)
    for step in range(40):
        tick(view, seen, step % 5 / 4)
    last = seen.candle(-1)
    view.update_last(replace(last, high=last.high * 1.5, close=last.high * 1.5))
    new_bar(view, 1)
    new_bar(view, 2)
    view.set_now(last.open_ms + BAR_MS)
    assert where(view) == before
    assert not view.following


def test_a_following_view_takes_new_bars_and_keeps_still_in_between(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    before = where(view)
    for step in range(20):
        tick(view, seen, step % 5 / 4)
    assert where(view) == before
    new_bar(view)
    assert view.visible_ms() == (before[0][0] + BAR_MS, before[0][1] + BAR_MS)
    assert view.following


def test_the_price_scale_makes_room_when_the_price_runs_away(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    low, high = view.visible_prices()
    last = seen.candle(-1)
    view.update_last(replace(last, high=high * 1.2, close=high * 1.2))
    assert view.visible_prices()[1] > high * 1.2
    assert view.visible_ms() == pytest.approx(view.visible_ms())
    assert view.visible_prices()[0] <= low


def test_the_wheel_zooms_around_the_cursor(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown

    def under() -> float:
        left, right = view.visible_ms()
        return left + (right - left) * MIDDLE.x() / view.point_of(right, 0).x()

    left, right = view.visible_ms()
    moment = under()
    wheel(view, MIDDLE, 3)
    closer = view.visible_ms()
    assert closer[1] - closer[0] < 0.6 * (right - left)
    assert under() == pytest.approx(moment, abs=BAR_MS / 100)
    wheel(view, MIDDLE, -3)
    assert view.visible_ms() == pytest.approx((left, right), abs=2)


def test_shift_and_wheel_pan(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    left, right = view.visible_ms()
    wheel(view, MIDDLE, 2, Qt.KeyboardModifier.ShiftModifier)
    assert view.visible_ms()[0] < left
    assert view.visible_ms()[1] - view.visible_ms()[0] == pytest.approx(right - left, abs=2)


def test_a_drag_moves_time_exactly_as_far_as_the_hand(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    bar = int(seen.open_ms[-60])
    price = float(seen.close[-60])
    before = view.point_of(bar, price).x()
    drag(view, MIDDLE, MIDDLE + QPoint(180, 90))
    assert view.point_of(bar, price).x() == pytest.approx(before + 180)
    assert view.automatic_price_scale


def test_a_release_that_went_elsewhere_ends_the_drag(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    mouse(view, QEvent.Type.MouseButtonPress, MIDDLE, True)
    mouse(view, QEvent.Type.MouseMove, MIDDLE + QPoint(40, 0), True)
    before = where(view)
    mouse(view, QEvent.Type.MouseMove, MIDDLE + QPoint(200, 0), False)
    assert where(view) == before


def test_candles_given_before_the_first_show_have_the_usual_zoom(qtbot: QtBot) -> None:
    early, _ = full_view()
    qtbot.addWidget(early)
    early.resize(640, 400)
    early.resize(1_100, 500)
    early.show()
    qtbot.waitExposed(early)
    first = early.visible_ms()
    early.reset_view()
    assert early.visible_ms() == first


def test_dragging_an_axis_scales_it_and_a_double_click_resets(
    qtbot: QtBot, shown: tuple[ChartView, Market]
) -> None:
    view, _ = shown
    first = where(view)
    axis = QPoint(view.width() - 30, 250)
    drag(view, axis, axis + QPoint(0, 60))
    low, high = view.visible_prices()
    assert high - low > 1.2 * (first[1][1] - first[1][0])
    assert not view.automatic_price_scale
    drag(view, MIDDLE, MIDDLE + QPoint(0, 50))
    assert view.visible_prices()[0] > low
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=axis)
    assert view.automatic_price_scale
    assert view.visible_prices() == pytest.approx(first[1])
    below = QPoint(400, view.height() - 8)
    drag(view, below, below + QPoint(-80, 0))
    left, right = view.visible_ms()
    assert right - left > 1.3 * (first[0][1] - first[0][0])
    drag(view, MIDDLE, MIDDLE + QPoint(300, 0))
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=MIDDLE)
    assert where(view) == (first[0], pytest.approx(first[1]))
    assert view.following


def test_the_way_back_is_shown_only_when_needed(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    button = back_button(view)
    assert not button.isVisible()
    left, right = view.visible_ms()
    drag(view, MIDDLE, MIDDLE + QPoint(300, 0))
    assert button.isVisible()
    assert button.text()
    new_bar(view)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert view.following
    assert not button.isVisible()
    assert view.visible_ms() == pytest.approx((left + BAR_MS, right + BAR_MS), abs=2)


def test_the_way_back_from_a_scaled_price_axis(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    button = view.findChild(QPushButton, "automaticPrices")
    assert isinstance(button, QPushButton)
    assert not button.isVisible()
    first = view.visible_prices()
    wheel(view, QPoint(view.width() - 30, 250), 4)
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not button.isVisible()
    assert view.visible_prices() == pytest.approx(first)
    qtbot.keyClick(view, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    assert not view.automatic_price_scale
    qtbot.keyClick(view, Qt.Key.Key_A)
    assert view.automatic_price_scale


def test_the_latest_bar_is_in_view_after_jumping_to_it(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    for _ in range(30):
        qtbot.keyClick(view, Qt.Key.Key_Up)
    low, high = view.visible_prices()
    assert not low < seen.close[-1] < high
    qtbot.keyClick(view, Qt.Key.Key_End)
    low, high = view.visible_prices()
    assert low < seen.close[-1] < high


def test_panning_back_to_the_end_follows_again(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    drag(view, MIDDLE, MIDDLE + QPoint(200, 0))
    assert not view.following
    drag(view, MIDDLE, MIDDLE - QPoint(230, 0))
    assert view.following


@pytest.mark.parametrize(
    ("key", "moves"),
    [
        (Qt.Key.Key_Left, -1),
        (Qt.Key.Key_PageUp, -1),
        (Qt.Key.Key_Home, -1),
        (Qt.Key.Key_Minus, 0),
        (Qt.Key.Key_Plus, 0),
    ],
)
def test_keys_move_and_end_comes_back(
    qtbot: QtBot, shown: tuple[ChartView, Market], key: Qt.Key, moves: int
) -> None:
    view, _ = shown
    first = view.visible_ms()
    qtbot.keyClick(view, key)
    now = view.visible_ms()
    assert now != first
    assert view.following is (moves == 0)
    if moves:
        assert now[1] < first[1]
        assert now[1] - now[0] == pytest.approx(first[1] - first[0], abs=2)
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.following
    qtbot.keyClick(view, Qt.Key.Key_0)
    assert view.visible_ms() == first


def test_home_shows_the_oldest_bar(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    qtbot.keyClick(view, Qt.Key.Key_Home)
    left, right = view.visible_ms()
    assert left <= seen.open_ms[0] < right
    qtbot.keyClick(view, Qt.Key.Key_PageDown)
    assert view.visible_ms()[0] > left


def test_older_candles_are_asked_for_once_and_do_not_move_the_view(
    qtbot: QtBot, shown: tuple[ChartView, Market]
) -> None:
    view, seen = shown
    view.set_candles(*seen.part(slice(1_500, None)))  # type: ignore[arg-type]
    asked: list[int] = []
    view.older_wanted.connect(asked.append)
    for _ in range(6):
        qtbot.keyClick(view, Qt.Key.Key_PageUp)
    assert asked == [int(seen.open_ms[1_500])]
    before = where(view)
    bar = view.point_of(int(seen.open_ms[1_510]), 0.5)
    assert view.prepend(*seen.part(slice(700, 1_500))) == 800  # type: ignore[arg-type]
    assert view.visible_ms() == before[0]
    assert view.point_of(int(seen.open_ms[1_510]), 0.5).x() == bar.x()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert asked == [int(seen.open_ms[1_500]), int(seen.open_ms[700])]
    view.set_more_history(False)
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert len(asked) == 2


def test_a_click_on_a_bar_tells_which_and_a_drag_does_not(
    qtbot: QtBot, shown: tuple[ChartView, Market]
) -> None:
    view, seen = shown
    told: list[int] = []
    view.bar_activated.connect(told.append)
    at = view.point_of(int(seen.open_ms[-20]), float(seen.close[-20])).toPoint()
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)
    assert told == [int(seen.open_ms[-20])]
    drag(view, MIDDLE, MIDDLE + QPoint(30, 0))
    assert len(told) == 1


def test_keys_step_from_bar_to_bar_and_enter_tells_it(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    told: list[int] = []
    view.bar_activated.connect(told.append)
    for _ in range(3):
        qtbot.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert told == [int(seen.open_ms[-3])]
    assert f"C {seen.close[-3]:.4f}" in view.accessibleDescription()
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert len(told) == 1


def test_show_bar_brings_a_bar_into_view_and_refuses_one_not_loaded(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    assert view.show_bar(int(seen.open_ms[300]))
    left, right = view.visible_ms()
    assert left < seen.open_ms[300] < right
    assert not view.following
    assert not view.show_bar(int(seen.open_ms[0]) - BAR_MS)
    assert view.visible_ms() == (left, right)


def test_levels_of_an_open_position_are_kept_in_view(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    low, high = view.visible_prices()
    held, ladder = view._scene.positions[0], view._scene.ladders[0]
    wanted = [held.entry_price, held.stop, held.target, *(level.price for level in ladder.levels)]
    assert all(low < price < high for price in wanted if price is not None)
    view.set_positions([replace(held, stop=held.entry_price / 3)])
    assert view.visible_prices()[0] > held.entry_price / 2, "a far stop must not flatten the candles"


def test_new_candles_after_a_reconnect_keep_a_panned_view(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    drag(view, MIDDLE, MIDDLE + QPoint(300, 0))
    before = view.visible_ms()
    view.set_candles(*seen.columns)  # type: ignore[arg-type]
    assert view.visible_ms() == before
    view.set_instrument(replace(instrument(), timeframe="1h", bar_ms=3_600_000))
    view.set_candles(*[c[::4] if c is not None else c for c in seen.columns])  # type: ignore[arg-type]
    assert view.following


def test_decimals_that_come_later_keep_everything(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    drag(view, MIDDLE, MIDDLE + QPoint(300, 0))
    before = where(view)
    view.set_decimals(6)
    assert view.visible_ms() == before[0]
    assert f"C {seen.close[-1]:.6f}" in view.summary()


def test_it_lives_without_data_and_with_one_candle(qtbot: QtBot) -> None:
    view = ChartView()
    qtbot.addWidget(view)
    view.set_message("Waiting for candles")
    view.resize(500, 300)
    view.show()
    for key in (Qt.Key.Key_Left, Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_Plus):
        qtbot.keyClick(view, key)
    wheel(view, MIDDLE, 1)
    drag(view, MIDDLE, QPoint(100, 100))
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    view.grab()
    assert view.read_out() == "Waiting for candles"
    view.set_instrument(Instrument("SHIB/USDT", "1m", 60_000, 8))
    view.append(replace(market(3).candle(0), open=1e-5, high=1e-5, low=1e-5, close=1e-5, volume=0.0))
    view.grab()
    wheel(view, MIDDLE, -9)
    wheel(view, MIDDLE, 20)
    view.grab()
    assert "0.00001000" in view.read_out()
