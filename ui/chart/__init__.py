"""The chart: candles with everything a trader wants to see over them, drawn fast enough to forget.

`ChartView` is the widget. The other names are what it is given: an `Instrument`, `Candle`s, overlays as
finished values and settings.
"""

from ui.chart.candles import Candle
from ui.chart.overlays import ClosedTrade, Instrument, Ladder, Level, OpenPosition, Shown, Signal
from ui.chart.palette import BLUE_ORANGE, GREEN_RED, LADDER_COLOURS, Palette
from ui.chart.ticks import local_zone
from ui.chart.view import ChartView

__all__ = [
    "BLUE_ORANGE",
    "GREEN_RED",
    "LADDER_COLOURS",
    "Candle",
    "ChartView",
    "ClosedTrade",
    "Instrument",
    "Ladder",
    "Level",
    "OpenPosition",
    "Palette",
    "Shown",
    "Signal",
    "local_zone",
]
