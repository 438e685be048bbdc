"""Signals, entries and exits, and the line that joins an entry with its exit.

Law: all of them are columns of numpy and become a handful of calls, whatever their number. A triangle's tip
is at its price: entries point up from below, exits down from above; a signal's diamond hangs under its bar.
A gain's line is solid and its exit filled, a loss's is dashed and hollow; a signal that was acted on is
filled, one that was not is hollow: colour is never the only signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPen

from ui.chart.batch import Batch
from ui.chart.candles import LOW, Floats
from ui.chart.frame import Frame
from ui.chart.palette import ink
from ui.chart.scene import Scene
from ui.chart.stamps import HALF_PX, TALL_PX, Look, Shape, Stamps

_OFF_PX = 3.0
_UNDER_PX = 9.0
_REACH_PX = 11.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Drawn marks: their middles in pixels, and what each has to say."""

    x: Floats
    y: Floats
    notes: Sequence[str]

    def at(self, px: float, py: float) -> int | None:
        """The nearest mark with a note, if it is near enough to be meant."""
        distances = np.hypot(self.x - px, self.y - py)
        for index in np.argsort(distances)[:4]:
            if distances[index] > _REACH_PX:
                return None
            if self.notes[index]:
                return int(index)
        return None


NO_MARKS = Marks(np.empty(0), np.empty(0), ())


@dataclass(frozen=True, slots=True)
class _Trades:
    entry_x: Floats
    entry: Floats
    exit_x: Floats
    exit: Floats
    won: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Signals:
    x: Floats
    low: Floats
    acted: NDArray[np.bool_]
    rows: NDArray[np.intp]


class MarkPainter:
    def __init__(self) -> None:
        self._batch = Batch()
        self._stamps = Stamps()
        self._trades: tuple[object, _Trades] | None = None
        self._signals: tuple[object, int, _Signals] | None = None

    def paint(self, painter: QPainter, frame: Frame, scene: Scene) -> Marks:
        """Everything in view; answers where it is."""
        return _joined(self._paint_signals(painter, frame, scene), self._paint_trades(painter, frame, scene))

    def _paint_signals(self, painter: QPainter, frame: Frame, scene: Scene) -> Marks:
        if not scene.signals or not scene.shown.signals:
            return NO_MARKS
        found = self._signal_columns(scene)
        seen = np.flatnonzero((found.x >= frame.left - 1) & (found.x <= frame.right + 1))
        if not len(seen):
            return NO_MARKS
        x, y = frame.x_of(found.x[seen]), frame.y_of(found.low[seen]) + _UNDER_PX
        size, palette = _size(frame, len(seen)), scene.palette
        for acted in (False, True):
            look = Look(Shape.DIAMOND, palette.signal, palette.background, acted, size)
            those = found.acted[seen] == acted
            self._stamps.stamp(painter, look, frame.pixel_ratio, x[those], y[those])
        return Marks(x, y, [scene.signals[row].note for row in found.rows[seen].tolist()])

    def _paint_trades(self, painter: QPainter, frame: Frame, scene: Scene) -> Marks:
        trades = scene.trades if scene.shown.trades else ()
        positions = scene.positions if scene.shown.positions else ()
        palette, bar_ms = scene.palette, scene.instrument.bar_ms
        columns = self._trade_columns(scene)
        margin = HALF_PX / frame.bar_px
        seen = np.flatnonzero(
            (columns.exit_x >= frame.left - margin) & (columns.entry_x <= frame.right + margin)
        )
        if not len(seen) and not positions:
            return NO_MARKS
        won = columns.won[seen]
        entry_x, entry_y = frame.x_of(columns.entry_x[seen]), frame.y_of(columns.entry[seen])
        exit_x, exit_y = frame.x_of(columns.exit_x[seen]), frame.y_of(columns.exit[seen])
        for side, colour, style in (
            (won, palette.up, Qt.PenStyle.SolidLine),
            (~won, palette.down, Qt.PenStyle.DashLine),
        ):
            painter.setPen(QPen(ink(colour), 0, style))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, style == Qt.PenStyle.SolidLine)
            self._batch.lines(painter, entry_x[side], entry_y[side], exit_x[side], exit_y[side])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        held_x = frame.x_of(np.array([p.entry_ms // bar_ms for p in positions], np.float64))
        held_y = frame.y_of(np.array([p.entry_price for p in positions], np.float64))
        size = _size(frame, 2 * len(entry_x) + len(positions))
        middle = _OFF_PX + TALL_PX / 2 * size
        up_x, up_y = np.concatenate([entry_x, held_x]), np.concatenate([entry_y, held_y]) + middle
        exit_y = exit_y - middle
        for shape, colour, filled, x, y in (
            (Shape.UP, palette.up, True, up_x, up_y),
            (Shape.DOWN, palette.up, True, exit_x[won], exit_y[won]),
            (Shape.DOWN, palette.down, False, exit_x[~won], exit_y[~won]),
        ):
            look = Look(shape, colour, palette.background, filled, size)
            self._stamps.stamp(painter, look, frame.pixel_ratio, x, y)
        rows = seen.tolist()
        return Marks(
            np.concatenate([up_x, exit_x]),
            np.concatenate([up_y, exit_y]),
            [trades[row].entry_note for row in rows]
            + [position.note for position in positions]
            + [trades[row].exit_note for row in rows],
        )

    def _trade_columns(self, scene: Scene) -> _Trades:
        trades, bar_ms = (scene.trades if scene.shown.trades else ()), scene.instrument.bar_ms
        if self._trades is None or self._trades[0] is not trades:
            columns = _Trades(
                np.array([trade.entry_ms // bar_ms for trade in trades], np.float64),
                np.array([trade.entry_price for trade in trades], np.float64),
                np.array([trade.exit_ms // bar_ms for trade in trades], np.float64),
                np.array([trade.exit_price for trade in trades], np.float64),
                np.array([trade.won for trade in trades], np.bool_),
            )
            self._trades = (trades, columns)
        return self._trades[1]

    def _signal_columns(self, scene: Scene) -> _Signals:
        """Signals whose bar is loaded."""
        signals, candles = scene.signals, scene.candles
        if self._signals is None or self._signals[:2] != (signals, candles.version):
            opened = np.array([signal.open_ms for signal in signals], np.int64)
            at = np.minimum(np.searchsorted(candles.open_ms, opened), len(candles) - 1)
            rows = np.flatnonzero(candles.open_ms[at] == opened)
            columns = _Signals(
                opened[rows] / candles.bar_ms,
                candles.columns[LOW, at[rows]],
                np.array([signal.acted for signal in signals], np.bool_)[rows],
                rows,
            )
            self._signals = (signals, candles.version, columns)
        return self._signals[2]


def _joined(one: Marks, other: Marks) -> Marks:
    return Marks(
        np.concatenate([one.x, other.x]), np.concatenate([one.y, other.y]), [*one.notes, *other.notes]
    )


def _size(frame: Frame, count: int) -> float:
    """Marks shrink when many stand close, so that they do not hide what they mark."""
    apart = frame.plot.width() / max(1, count)
    return 1.0 if apart >= 16 else 0.75 if apart >= 8 else 0.5
