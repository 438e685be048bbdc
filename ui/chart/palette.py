"""The chart's colours as tokens; no painter names a colour of its own.

Law: whatever green and red say is said again without them: by arrow, sign, filled or hollow bodies and
words. Blue/orange is for eyes that cannot tell green from red. Every colour is opaque: blending is done
here once, because translucent painting costs a software raster many times as much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from PySide6.QtGui import QColor


@lru_cache(maxsize=512)
def ink(colour: str) -> QColor:
    """Qt's form of a colour, read once; nobody may alter it."""
    return QColor(colour)


@lru_cache(maxsize=512)
def mix(over: str, under: str, share: float) -> str:
    """`over` laid on `under` with the opacity `share` (0..1), as an opaque colour."""
    top, bottom = QColor(over), QColor(under)
    parts = [
        round(a * share + b * (1 - share))
        for a, b in (
            (top.red(), bottom.red()),
            (top.green(), bottom.green()),
            (top.blue(), bottom.blue()),
        )
    ]
    return "#{:02x}{:02x}{:02x}".format(*parts)


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as `#rrggbb`. `up` and `down` are a rising and a falling candle, a gain and a loss."""

    up: str
    down: str
    background: str = "#0c150f"
    grid: str = "#17261b"
    frame: str = "#2f5c39"
    text: str = "#e8f5e9"
    text_dim: str = "#8fb398"
    text_on_colour: str = "#06120a"
    ema_fast: str = "#26c6da"
    ema_slow: str = "#ffa726"
    entry: str = "#e8f5e9"
    crosshair: str = "#7d9c84"
    tag: str = "#2a4531"
    selection: str = "#1d3324"
    signal: str = "#ffd54f"
    neutral: str = "#8fb398"

    def faded(self, colour: str, share: float) -> str:
        return mix(colour, self.background, share)


GREEN_RED = Palette(up="#4caf50", down="#ef5350")
# The averages stand off from candles of nearly their own colour by being lighter.
BLUE_ORANGE = replace(GREEN_RED, up="#42a5f5", down="#ff9f40", ema_fast="#84ffff", ema_slow="#ffe9a8")

# The ladder's colours by ratio, the same in both palettes.
LADDER_COLOURS: dict[float, str] = {
    0.382: "#2196F3",
    0.5: "#00BCD4",
    0.618: "#FFD700",
    0.786: "#FF9800",
    1.0: "#F44336",
}
