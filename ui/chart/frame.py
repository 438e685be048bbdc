"""One picture's geometry: where plot, volume, axes and read-out lie, and how values become pixels.

Law: built anew whenever size, range or style changes, never altered. Coordinates are logical pixels; what
must be crisp is snapped to device pixels here, so 150 % looks as sharp as 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QFont, QFontMetricsF

from ui.chart.viewport import PriceRange, TimeRange

TIMES_PX = 24.0
VOLUME_SHARE = 0.16
_VOLUME_LEAST_PX = 36.0
_PLOT_LEAST_PX = 140.0
_FAR = 30_000.0

Floats = NDArray[np.float64]


class Face:
    """A font and the widths of what was written in it: measuring costs as much as drawing."""

    def __init__(self, font: QFont, pixels: int, *, bold: bool = False) -> None:
        self.font = QFont(font)
        self.font.setPixelSize(pixels)
        self.font.setBold(bold)
        self.font.setFeature(QFont.Tag("tnum"), 1)
        self.metrics = QFontMetricsF(self.font)
        self._widths: dict[str, float] = {}

    def width(self, text: str) -> float:
        known = self._widths.get(text)
        if known is None:
            if len(self._widths) > 4_000:
                self._widths.clear()
            known = self._widths[text] = self.metrics.horizontalAdvance(text)
        return known


class Fonts:
    """The chart's sizes, all with digits of one width."""

    def __init__(self, font: QFont) -> None:
        self.small = Face(font, 11)
        self.normal = Face(font, 12)
        self.bold = Face(font, 12, bold=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """Rectangles in logical pixels and the scales of both axes."""

    header: QRectF
    plot: QRectF
    volume: QRectF | None
    prices: QRectF
    times: QRectF
    corner: QRectF
    left: float
    right: float
    low: float
    high: float
    volume_top: float
    pixel_ratio: float
    #: Width of one bar.
    bar_px: float
    #: Pixels of one unit of price, and where the lowest one is.
    price_px: float
    bottom_px: float

    @classmethod
    def arrange(
        cls,
        size: tuple[float, float],
        header_px: float,
        axis_px: float,
        time: TimeRange,
        price: PriceRange,
        volume_top: float | None,
        pixel_ratio: float,
    ) -> Frame:
        """Divide `size` (width, height). `volume_top` is the highest volume, None to leave volume out."""

        def snap(value: float) -> float:
            return round(value * pixel_ratio) / pixel_ratio

        width, height = size
        across = snap(max(10.0, width - axis_px))
        down = snap(max(10.0, height - TIMES_PX))
        volume_px = max(_VOLUME_LEAST_PX, VOLUME_SHARE * (down - header_px))
        with_volume = volume_top is not None and down - header_px - volume_px >= _PLOT_LEAST_PX
        bottom = snap(down - volume_px) if with_volume else down
        plot = QRectF(0, header_px, across, max(10.0, bottom - header_px))
        return cls(
            header=QRectF(0, 0, width, header_px),
            plot=plot,
            volume=QRectF(0, bottom, across, down - bottom) if with_volume else None,
            prices=QRectF(across, 0, width - across, down),
            times=QRectF(0, down, across, height - down),
            corner=QRectF(across, down, width - across, height - down),
            left=time.left,
            right=time.right,
            low=price.low,
            high=price.high,
            volume_top=volume_top or 1.0,
            pixel_ratio=pixel_ratio,
            bar_px=plot.width() / (time.right - time.left),
            price_px=plot.height() / (price.high - price.low),
            bottom_px=plot.bottom(),
        )

    @property
    def bars_per_column(self) -> int:
        """How many bars share a column: 1 as long as a bar has 1.5 device pixels."""
        bar = self.bar_px * self.pixel_ratio
        return 1 if bar >= 1.5 else int(np.ceil(1.5 / bar))

    @property
    def hairline(self) -> float:
        """The thinnest crisp line."""
        return max(1, round(self.pixel_ratio)) / self.pixel_ratio

    @overload
    def x_of(self, x: float) -> float: ...
    @overload
    def x_of(self, x: Floats) -> Floats: ...
    def x_of(self, x: float | Floats) -> float | Floats:
        """Pixels of a bar's centre, `x` in bars since 1970."""
        return self.plot.left() + (x - self.left) * self.bar_px

    @overload
    def y_of(self, price: float) -> float: ...
    @overload
    def y_of(self, price: Floats) -> Floats: ...
    def y_of(self, price: float | Floats) -> float | Floats:
        """Pixels of a price; far outside the plot it stops growing, as pixels are 16 bit somewhere."""
        y = self.bottom_px - (price - self.low) * self.price_px
        if isinstance(y, np.ndarray):
            return np.clip(y, -_FAR, _FAR)
        return min(max(y, -_FAR), _FAR)

    def bar_at(self, px: float) -> float:
        return self.left + (px - self.plot.left()) / self.bar_px

    def price_at(self, py: float) -> float:
        return self.low + (self.plot.bottom() - py) / self.plot.height() * (self.high - self.low)

    def snap(self, value: float) -> float:
        """The nearest device pixel, in logical ones."""
        return round(value * self.pixel_ratio) / self.pixel_ratio
