"""What the chart shows: pixels, read-out, tooltips, and that a tick redraws only what lives."""

from __future__ import annotations

import sys
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap, QRegion
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.ui.chart_scene import BAR_MS, RATIOS, Market, full_view, market
from ui.chart import (
    BLUE_ORANGE,
    GREEN_RED,
    LADDER_COLOURS,
    ChartView,
    Ladder,
    Level,
    OpenPosition,
    Palette,
    Shown,
    Signal,
)
from ui.chart.batch import Batch, cells
from ui.chart.palette import mix

ONLY_CANDLES = Shown(False, False, False, False, False, False, False, False)


@pytest.fixture
def shown(qtbot: QtBot) -> tuple[ChartView, Market]:
    view, seen = full_view()
    qtbot.addWidget(view)
    view.show()
    qtbot.waitExposed(view)
    view.reset_view()
    return view, seen


def image(view: ChartView) -> QImage:
    return view.grab().toImage()


def colour_at(picture: QImage, x: float, y: float) -> str:
    return picture.pixelColor(round(x), round(y)).name()


def count(picture: QImage, colour: str) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels(picture) == QColor(colour).rgb()).sum())


def pixels(picture: QImage) -> NDArray[np.uint32]:
    whole = picture.convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(whole.constBits(), np.uint32).reshape(whole.height(), -1)
    return rows[:, : whole.width()].copy()


def close_up(view: ChartView, bars: int) -> None:
    """Zoom in until about so many bars are seen."""
    while (view.visible_ms()[1] - view.visible_ms()[0]) > bars * BAR_MS:
        view._gestures.zoom(0.8, view._scene.candles.last_x)
    view.jump_to_latest()


@pytest.mark.parametrize("palette", [GREEN_RED, BLUE_ORANGE])
def test_bodies_have_their_colour_and_rising_ones_are_hollow(
    shown: tuple[ChartView, Market], palette: Palette
) -> None:
    view, seen = shown
    view.set_palette(palette)
    view.set_shown(ONLY_CANDLES)
    close_up(view, 30)
    picture = image(view)
    checked = {True: 0, False: 0}
    for row in range(-14, 0):
        opened, closed = float(seen.open[row]), float(seen.close[row])
        open_ms = int(seen.open_ms[row])
        top = view.point_of(open_ms, max(opened, closed))
        bottom = view.point_of(open_ms, min(opened, closed))
        if bottom.y() - top.y() < 12:
            continue
        rising = closed >= opened
        middle = colour_at(picture, top.x(), (top.y() + bottom.y()) / 2)
        edge = colour_at(picture, top.x(), top.y() + (0 if rising else 3))
        assert edge == (palette.up if rising else palette.down)
        assert (middle == palette.down) is not rising
        checked[rising] += 1
    assert checked[True]
    assert checked[False]


def test_a_wick_reaches_from_low_to_high(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    view.set_shown(ONLY_CANDLES)
    close_up(view, 30)
    picture = image(view)
    colours = {GREEN_RED.up, GREEN_RED.down}
    for row in range(-12, 0):
        open_ms = int(seen.open_ms[row])
        high, low = (
            view.point_of(open_ms, float(seen.high[row])),
            view.point_of(open_ms, float(seen.low[row])),
        )
        assert colour_at(picture, high.x(), high.y()) in colours
        assert colour_at(picture, low.x(), low.y() - 1) in colours
        assert colour_at(picture, high.x(), high.y() - 3) not in colours


def test_far_out_every_column_shows_the_extremes_of_its_bars(qtbot: QtBot) -> None:
    view, seen = full_view(20_000, trades_count=0)
    qtbot.addWidget(view)
    view.set_positions([])
    view.set_ladders([])
    view.set_shown(ONLY_CANDLES)
    for _ in range(60):
        view._gestures.zoom(1.3, view._scene.candles.last_x)
    view.jump_to_latest()
    k = view._picture.frame.bars_per_column
    assert k > 20
    picture = image(view)
    drawn = np.isin(pixels(picture), [QColor(GREEN_RED.up).rgb(), QColor(GREEN_RED.down).rgb()])
    line = round(view.point_of(0, float(seen.close[-1])).y())  # of the last price, in the same colour
    drawn[line - 1 : line + 2] = False
    keys, plot = seen.open_ms // (BAR_MS * k), view._picture.frame.plot.toRect()
    for key in np.unique(keys)[5:-5:40]:
        rows = keys == key
        middle_ms = int((key * k + (k - 1) / 2) * BAR_MS)
        top = view.point_of(middle_ms, float(seen.high[rows].max()))
        bottom = view.point_of(middle_ms, float(seen.low[rows].min()))
        column = np.flatnonzero(drawn[plot.top() : plot.bottom(), round(top.x())]) + plot.top()
        assert column.min() == pytest.approx(top.y(), abs=1)
        assert column.max() == pytest.approx(bottom.y() - 1, abs=1)


def test_overlays_have_their_colours_and_can_be_switched_off(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    everything = Shown()
    view.set_shown(everything)
    with_all = image(view)
    for name, colour in (("ema_fast", GREEN_RED.ema_fast), ("ema_slow", GREEN_RED.ema_slow)):
        view.set_shown(replace(everything, **{name: False}))
        assert count(with_all, colour) > count(image(view), colour)
    ladder_colour = GREEN_RED.faded("#FFD700", 0.6)
    assert count(with_all, ladder_colour) > 100
    view.set_shown(replace(everything, ladder=False))
    assert count(image(view), ladder_colour) == 0
    shade = GREEN_RED.faded(GREEN_RED.up, 0.11)
    assert count(with_all, shade) > 500
    view.set_shown(replace(everything, positions=False))
    assert count(image(view), shade) < 100  # a few are edges of letters
    view.set_shown(replace(everything, volume=False))
    assert count(image(view), GREEN_RED.faded(GREEN_RED.down, 0.38)) == 0


def test_the_shade_reaches_from_entry_to_now_and_to_the_stop(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    entry_ms, last_ms = int(seen.open_ms[-31]), int(seen.open_ms[-1])
    price = float(seen.close[-31])
    view.set_ladders([])
    view.set_positions([OpenPosition("1", entry_ms, price, stop=price * 0.97, target=price * 1.03)])
    picture = image(view)
    gain, loss = GREEN_RED.faded(GREEN_RED.up, 0.11), GREEN_RED.faded(GREEN_RED.down, 0.11)
    for share, colour in ((0.028, gain), (-0.028, loss)):
        for moment in (entry_ms + BAR_MS, last_ms - BAR_MS):
            at = view.point_of(moment, price * (1 + share))
            seen_colours = {colour_at(picture, at.x() + dx, at.y()) for dx in (-4, -3, 3, 4)}
            assert colour in seen_colours
        before = view.point_of(entry_ms - 2 * BAR_MS, price * (1 + share))
        assert colour_at(picture, before.x(), before.y()) != colour


def test_marks_tell_what_happened_when_pointed_at(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    assert view.hovered_note() == ""
    trade = view._scene.trades[-1]
    view.show_bar(trade.exit_ms)
    view.grab()
    at = view.point_of(trade.exit_ms, trade.exit_price).toPoint()
    bare = image(view)
    qtbot.mouseMove(view, at - QPoint(0, 7))
    assert view.hovered_note() == trade.exit_note
    assert "Reason FIB_61.8" in view.hovered_note()
    assert count(image(view), GREEN_RED.tag) > count(bare, GREEN_RED.tag) + 5_000
    at = view.point_of(trade.entry_ms, trade.entry_price).toPoint()
    qtbot.mouseMove(view, at + QPoint(0, 7))
    assert view.hovered_note() == trade.entry_note
    qtbot.mouseMove(view, at + QPoint(0, 60))
    assert view.hovered_note() == ""
    assert seen.open_ms[-1] > trade.exit_ms


def test_signals_hang_under_their_bars_and_say_what_became_of_them(
    qtbot: QtBot, shown: tuple[ChartView, Market]
) -> None:
    view, seen = shown
    view.set_trades([])
    view.set_positions([])
    bars = [int(seen.open_ms[row]) for row in (-70, -50)]
    unknown = int(seen.open_ms[0]) - BAR_MS
    view.set_signals(
        [Signal(bars[0], True, "entered"), Signal(bars[1], False, "refused"), Signal(unknown, True)]
    )
    picture = image(view)
    under = [view.point_of(bar, float(seen.low[row])) for bar, row in zip(bars, (-70, -50), strict=True)]
    assert colour_at(picture, under[0].x(), under[0].y() + 9) == GREEN_RED.signal
    assert colour_at(picture, under[1].x(), under[1].y() + 9) == GREEN_RED.background
    for at, note in zip(under, ("entered", "refused"), strict=True):
        qtbot.mouseMove(view, at.toPoint() + QPoint(0, 9))
        assert view.hovered_note() == note
    view.set_shown(Shown(signals=False))
    assert count(image(view), GREEN_RED.signal) < 10
    view.prepend(*market(30, last_open_ms=unknown).columns)  # type: ignore[arg-type]
    view.set_shown(Shown())
    view.show_bar(unknown)
    low = view._scene.candles.candle(29).low
    at = view.point_of(unknown, low)
    assert colour_at(image(view), at.x(), at.y() + 9) == GREEN_RED.signal


def test_won_and_lost_exits_differ_by_more_than_colour(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    won = next(trade for trade in view._scene.trades if trade.won)
    lost = next(trade for trade in view._scene.trades if not trade.won)
    inside = []
    for trade in (won, lost):
        view.set_trades([trade])
        view.show_bar(trade.exit_ms)
        at = view.point_of(trade.exit_ms, trade.exit_price)
        inside.append(colour_at(image(view), at.x(), at.y() - 9))
    assert inside[0] == GREEN_RED.up
    assert inside[1] == GREEN_RED.background


def test_the_read_out_follows_the_cursor_and_falls_back_to_the_latest(
    qtbot: QtBot, shown: tuple[ChartView, Market]
) -> None:
    view, seen = shown
    last = f"C {seen.close[-1]:.4f}"
    assert last in view.read_out()
    bar = -25
    qtbot.mouseMove(view, QPoint(round(view.point_of(int(seen.open_ms[bar]), 0.0).x()), 200))
    said = view.read_out()
    for name, column in (("O", seen.open), ("H", seen.high), ("L", seen.low), ("C", seen.close)):
        assert f"{name} {column[bar]:.4f}" in said
    move = (seen.close[bar] / seen.open[bar] - 1) * 100
    assert f"{abs(move):.2f} %" in said
    assert "Wed 15 Jan 2025 08:30 UTC" in said
    view.set_zone(ZoneInfo("America/New_York"))
    assert "Wed 15 Jan 2025 03:30 UTC\u22125" in view.read_out()
    qtbot.mouseMove(view, QPoint(view.width() - 5, 200))
    assert last in view.read_out()


def test_the_last_price_is_text_too(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    view.set_now(int(seen.open_ms[-1]) + 1_000)
    assert view.accessibleName() == "Price chart"
    assert "ADA/USDT 15m" in view.accessibleDescription()
    assert f"{seen.close[-1]:.4f}" in view.accessibleDescription()


def test_the_last_price_tag_is_on_the_axis_in_its_colour(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    at = view.point_of(int(seen.open_ms[-1]), float(seen.close[-1]))
    edge = view.width() - 3
    last = seen.candle(-1)
    rising = last.close >= last.open
    assert colour_at(image(view), edge, at.y()) == (GREEN_RED.up if rising else GREEN_RED.down)
    turned = last.open * (0.998 if rising else 1.002)
    view.update_last(replace(last, close=turned))
    at = view.point_of(last.open_ms, turned)
    assert colour_at(image(view), edge, at.y()) == (GREEN_RED.down if rising else GREEN_RED.up)


def test_an_old_price_does_not_look_alive(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    at, edge = view.point_of(int(seen.open_ms[-1]), float(seen.close[-1])), view.width() - 3
    view.set_live(False)
    assert colour_at(image(view), edge, at.y()) == GREEN_RED.neutral
    assert "not live" in view.summary()
    view.set_live(True)
    assert colour_at(image(view), edge, at.y()) != GREEN_RED.neutral
    assert "not live" not in view.summary()


def test_a_tick_leaves_the_still_layer_alone(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    view.grab()
    drawn = view._picture.still_drawn
    last, held = seen.candle(-1), view._scene.positions[0]
    for step in range(30):
        view.update_last(replace(last, close=last.low + (last.high - last.low) * step / 29))
        view.set_positions([replace(held, text=f"+{step}.00 USDT")])
        view.set_now(last.open_ms + step * 1_000)
        view.grab()
    assert view._picture.still_drawn == drawn
    view.append(replace(last, open_ms=last.open_ms + BAR_MS))
    view.grab()
    assert view._picture.still_drawn == drawn + 1


def test_a_tick_and_a_fresh_drawing_give_the_same_picture(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    last = seen.candle(-1)
    view.grab()
    view.update_last(replace(last, close=(last.high + last.low) / 2, ema_fast=last.ema_fast * 1.0004))
    ticked = image(view)
    view._picture.changed()
    assert image(view) == ticked


@pytest.mark.parametrize("bars", [40, 200, 2_000])
def test_a_tick_changes_no_pixel_outside_of_what_it_repaints(
    shown: tuple[ChartView, Market], bars: int
) -> None:
    view, seen = shown
    view.show_bars(bars)
    last, held = seen.candle(-1), view._scene.positions[0]
    before, region = image(view), view._picture.living()
    for share in (0.0, 0.4, 1.0):
        price = last.low + (last.high - last.low) * share
        view.update_last(
            replace(last, close=price, ema_fast=price, ema_slow=price, volume=last.volume * share)
        )
        view.set_positions([replace(held, text=f"{price:.4f}")])
        view.set_now(last.open_ms + round(900_000 * share))
        region |= view._picture.living()
        after = image(view)
        different = QRegion()
        for x, y in np.argwhere(pixels(before) != pixels(after))[:, ::-1].tolist():
            different |= QRect(x, y, 1, 1)
        assert not different.isEmpty()
        assert different.subtracted(region).isEmpty()
        before, region = after, view._picture.living()


def test_a_hidden_chart_draws_nothing(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    view.grab()
    view.hide()
    drawn = view._picture.still_drawn
    last = seen.candle(-1)
    for step in range(1, 20):
        view.append(replace(last, open_ms=last.open_ms + step * BAR_MS))
        qtbot.wait(0)
    assert view._picture.still_drawn == drawn


def drawn_at(view: ChartView, ratio: float) -> QImage:
    """The picture as a screen of that scale shows it."""
    picture = view._picture
    picture.resize(QSizeF(900, 600), ratio)
    target = QPixmap(round(900 * ratio), round(600 * ratio))
    target.setDevicePixelRatio(ratio)
    painter = QPainter(target)
    picture.paint(painter, QRegion(0, 0, 900, 600), None, None)
    painter.end()
    return target.toImage()


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_any_scale_of_the_screen_is_crisp(shown: tuple[ChartView, Market], ratio: float) -> None:
    view, seen = shown
    view.set_shown(ONLY_CANDLES)
    target = drawn_at(view, ratio)
    frame = view._picture.frame
    volume = frame.plot.bottom() * ratio
    plot = pixels(target)[
        round(frame.plot.top() * ratio) + 2 : round(volume) - 2, 2 : round(frame.plot.right() * ratio) - 2
    ]
    allowed = {GREEN_RED.up, GREEN_RED.down, GREEN_RED.background, GREEN_RED.grid}
    allowed.add(GREEN_RED.faded(GREEN_RED.up, 0.22))
    assert {QColor(int(value)).name() for value in np.unique(plot)} <= allowed
    assert len(seen.open_ms)


@pytest.mark.parametrize("many", [3, 700])
def test_a_batch_fills_what_was_given_to_it_last(qapp: QApplication, many: int) -> None:
    batch = Batch()
    batches, singly = (QImage(900, 60, QImage.Format.Format_RGB32) for _ in range(2))
    x, height = np.arange(many, dtype=np.float64), np.arange(many) % 7.0
    for picture in (batches, singly):
        picture.fill(QColor("black"))
        painter = QPainter(picture)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("white"))
        if picture is batches:
            batch.cells(painter, cells(x[:2], 20 - height[:2], 1, height[:2]))
            batch.cells(painter, cells(x, 20 - height, 1, height))
            batch.rects(painter, x, 40 - height, 1.0, height)
        else:
            for left, tall in zip(x.tolist(), height.tolist(), strict=True):
                painter.fillRect(QRect(int(left), int(20 - tall), 1, int(tall)), QColor("white"))
                painter.fillRect(QRect(int(left), int(40 - tall), 1, int(tall)), QColor("white"))
        painter.end()
    assert batches == singly
    assert (pixels(batches) & 0xFFFFFF).any()


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
def test_the_loudest_bar_stands_on_the_ground_of_the_volume(
    shown: tuple[ChartView, Market], ratio: float
) -> None:
    view, seen = shown
    view.set_shown(replace(ONLY_CANDLES, volume=True))
    view.show_bars(40)
    picture = drawn_at(view, ratio)
    area = view._picture.frame.volume
    assert area is not None
    row = int(np.argmax(seen.volume[-30:])) - 30
    column = round(view.point_of(int(seen.open_ms[row]), 0.0).x() * ratio)
    tint = {QColor(GREEN_RED.faded(c, 0.38)).rgb() for c in (GREEN_RED.up, GREEN_RED.down)}
    rows = np.flatnonzero(np.isin(pixels(picture)[:, column], list(tint)))
    assert rows[-1] == round(area.bottom() * ratio) - 1
    assert len(rows) == rows[-1] - rows[0] + 1


@pytest.mark.parametrize(("price", "decimals"), [(104_512.37, 2), (0.00001234, 8)])
def test_huge_and_tiny_prices(qtbot: QtBot, price: float, decimals: int) -> None:
    view, _ = full_view()
    qtbot.addWidget(view)
    seen = market(400, 3, price, decimals)
    view.set_instrument(replace(view._scene.instrument, symbol="X/USDT", price_decimals=decimals))
    view.set_candles(*seen.columns)  # type: ignore[arg-type]
    view.set_ladders([Ladder(int(seen.open_ms[-20]), tuple(Level(r, price * (1 + r / 50)) for r in RATIOS))])
    view.set_positions([OpenPosition("1", int(seen.open_ms[-19]), price * 0.99, price * 0.97, price * 1.02)])
    view.grab()
    assert f"{seen.close[-1]:,.{decimals}f}" in view.read_out()
    assert np.ptp(view.visible_prices()) < price


def test_two_hundred_updates_do_not_touch_nones_reference_count(shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    last = seen.candle(-1)

    def updates() -> None:
        for step in range(200):
            view.update_last(replace(last, close=last.low + (last.high - last.low) * step / 200))
            view.set_now(last.open_ms + step)
            view.repaint()

    updates()
    before = sys.getrefcount(None)
    updates()
    assert abs(sys.getrefcount(None) - before) < 50


def luminance(colour: str) -> float:
    parts = [value / 255 for value in QColor(colour).getRgb()[:3]]  # type: ignore[index]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it; 4.5 is enough for small text."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("palette", [GREEN_RED, BLUE_ORANGE])
def test_every_text_can_be_read(palette: Palette) -> None:
    for text in ("text", "text_dim", "up", "down", "ema_fast", "ema_slow", "entry"):
        assert contrast(getattr(palette, text), palette.background) >= 4.5, text
    for plate in (palette.up, palette.down, palette.neutral):
        assert contrast(palette.text_on_colour, plate) >= 4.5
    for text in ("text", "text_dim"):
        assert contrast(getattr(palette, text), palette.tag) >= 4.5, text
    for colour in LADDER_COLOURS.values():
        assert contrast(mix(colour, palette.text, 0.8), palette.background) >= 4.5


def test_escape_takes_the_selection_away(qtbot: QtBot, shown: tuple[ChartView, Market]) -> None:
    view, seen = shown
    view.show_bar(int(seen.open_ms[-40]))
    assert count(image(view), GREEN_RED.selection) > 500
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert count(image(view), GREEN_RED.selection) == 0


def test_another_palette_and_back_gives_the_same_picture(shown: tuple[ChartView, Market]) -> None:
    view, _ = shown
    first = image(view)
    view.set_palette(BLUE_ORANGE)
    assert count(image(view), BLUE_ORANGE.up) > 100
    assert count(image(view), GREEN_RED.up) == 0
    view.set_palette(GREEN_RED)
    assert image(view) == first
