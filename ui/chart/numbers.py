"""Numbers as the chart writes them: exchange precision, thousands separators, a true minus."""

from __future__ import annotations

MINUS = "\u2212"
UP = "\u25b2"
DOWN = "\u25bc"
FLAT = "\u25c6"


def price(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def percent(value: float, decimals: int = 2) -> str:
    """A signed percentage; zero has no sign."""
    text = f"{value:+.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", MINUS) + " %"


def arrow(change: float) -> str:
    return UP if change > 0 else DOWN if change < 0 else FLAT


def compact(value: float) -> str:
    """A volume in four digits or fewer: 950, 12.3K, 4.56M, 7.89B; small ones keep three digits."""
    size = abs(value)
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if size >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.{_places(abs(scaled))}f}{unit}".replace("-", MINUS)
    if size >= 100 or size == 0:
        return f"{value:.0f}".replace("-", MINUS)
    return f"{value:.3g}".replace("-", MINUS)


def _places(scaled: float) -> int:
    return 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0


def remaining(ms: int) -> str:
    """A countdown: 0:07, 12:34, 1:02:03; never below zero."""
    seconds = max(0, -(-ms // 1000))
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
