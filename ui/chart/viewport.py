"""Which stretch of time and price is seen, and who may move it.

Law: the user moves the view, the market does not. New candles shift it only while it follows; a pan
pauses following until the user comes back to the right end. A tick never moves x, and moves y only in
automatic scale, when the price is about to leave the picture. x is in bars since 1970 (open time divided
by bar length), so older candles loaded on the left do not move anything.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_BARS = 8.0
BAR_PX = 6.5
GAP_SHARE = 0.07
HEADROOM = 0.10
_EDGE = 0.02
_TOO_SMALL = 0.55
_BLANK = 0.6


@dataclass(slots=True)
class TimeRange:
    """The visible bars, from `left` to `right`; `blank` is the share kept free right of the newest."""

    left: float = 0.0
    right: float = 100.0
    following: bool = True
    blank: float = GAP_SHARE

    @property
    def bars(self) -> float:
        return self.right - self.left

    def reset(self, last: float, width_px: float) -> None:
        """The usual zoom, at the newest bar."""
        self._show_end(last, max(MIN_BARS, width_px / BAR_PX))

    def follow(self, last: float) -> None:
        """Back to the newest bar at the present zoom."""
        self._show_end(last, self.bars)

    def advance(self, bars: float) -> None:
        """The newest bar moved on by so many bars."""
        if self.following:
            self.left += bars
            self.right += bars

    def pan(self, bars: float, first: float, last: float) -> None:
        """Move towards newer (positive) or older bars; coming back to the right end follows again."""
        self.left += bars
        self.right += bars
        self._keep_inside(first, last)
        self.following = bars > 0 and self.right >= last + self._gap(self.bars) - 0.5

    def zoom(self, factor: float, anchor: float, first: float, last: float) -> None:
        """Show `factor` times as many bars, with `anchor` staying where it is."""
        most = max(2 * MIN_BARS, (last - first + 1) * (1 + self.blank + GAP_SHARE))
        factor = max(factor, MIN_BARS / self.bars)
        if factor > 1:
            factor = min(factor, max(1.0, most / self.bars))
        self.left = anchor - (anchor - self.left) * factor
        self.right = anchor + (self.right - anchor) * factor
        self._keep_inside(first, last)
        self.following = self.following and self.left <= last <= self.right

    def centre(self, x: float, first: float, last: float) -> None:
        """Bring `x` to the middle unless it is well inside already."""
        margin = 0.08 * self.bars
        if self.left + margin <= x <= self.right - margin:
            return
        shift = x - (self.left + self.right) / 2
        self.left += shift
        self.right += shift
        self._keep_inside(first, last)
        self.following = self.following and self.left <= last <= self.right

    def _show_end(self, last: float, bars: float) -> None:
        self.right = last + self._gap(bars)
        self.left = self.right - bars
        self.following = True

    def _gap(self, bars: float) -> float:
        return max(2.5, self.blank * bars)

    def _keep_inside(self, first: float, last: float) -> None:
        bars = self.bars
        highest_right = last + max(self._gap(bars), _BLANK * bars)
        lowest_left = first - _BLANK * bars
        shift = min(0.0, highest_right - self.right) or max(0.0, lowest_left - self.left)
        self.left += shift
        self.right += shift


@dataclass(slots=True)
class PriceRange:
    """The visible prices, from `low` to `high`; `automatic` until the user scales or moves them."""

    low: float = 0.0
    high: float = 1.0
    automatic: bool = True

    @property
    def height(self) -> float:
        return self.high - self.low

    def fit(self, low: float, high: float) -> None:
        """Exactly these prices with headroom above and below."""
        if not high > low:
            pad = abs(high) * 0.005 or 1.0
            low, high = low - pad, high + pad
        room = (high - low) * HEADROOM
        self.low, self.high = low - room, high + room

    def hold(self, low: float, high: float) -> bool:
        """Fit only if these prices touch an edge or have become small in the range; True if it moved."""
        edge = self.height * _EDGE
        inside = self.low + edge <= low and high <= self.high - edge
        if inside and (high - low) >= self.height * _TOO_SMALL / (1 + 2 * HEADROOM):
            return False
        self.fit(low, high)
        return True

    def scale(self, factor: float, anchor: float | None = None) -> None:
        """Show `factor` times the range, around `anchor` (the middle by default); automatic scale ends."""
        self.automatic = False
        centre = (self.low + self.high) / 2 if anchor is None else anchor
        half_low, half_high = (centre - self.low) * factor, (self.high - centre) * factor
        size = max(abs(centre), 1e-12)
        if size * 1e-9 < half_low + half_high < size * 1e6:
            self.low, self.high = centre - half_low, centre + half_high

    def pan(self, price: float) -> None:
        """Move by so much price; only the user's own scale moves."""
        if not self.automatic:
            self.low += price
            self.high += price
