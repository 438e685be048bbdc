"""The market of a simulated world: a path of trades by the second, bars summed from it, a book around it.

Belongs here: prices, and nothing of orders. Stays true: the path is a function of its chance alone, whoever
looks and however often; nothing later than the asked moment is told; every bar is summed from the same
trades; a bar has a trade in its first second. What happens is what the strategy lives on: slow falls,
capitulations on heavy volume that close off their low, then a recovery, more of the same, or a crash through
every stop.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Final, NamedTuple

from agent.localexchange import intervals
from agent.localexchange.bars import Bar, Trade
from agent.localexchange.book import Levels, Top
from agent.localexchange.pairs import Pair
from agent.localexchange.venue.listing import listing_of
from agent.simulation.chance import below

_LEVELS: Final = 24
_USUAL_STEPS: Final = 900_000
_LOWEST, _HIGHEST = 3_000, 9_000


class Plot(NamedTuple):
    """One bar to come: where it goes, in ticks, and how much is traded."""

    low: int
    high: int
    close: int
    volume: int
    jump: bool = False


class MarketPath:
    """Trades from `start_ms` on. A bar is made when somebody first looks at its time."""

    def __init__(
        self, pair: Pair, chance: random.Random, start_ms: int, bar_ms: int, *, busy: float = 1.0
    ) -> None:
        assert start_ms % bar_ms == 0
        self.pair = pair
        self.start_ms = start_ms
        self.bar_ms = bar_ms
        self.end_ms: int | None = None
        self.listed_ms = start_ms
        self._chance = chance
        self._busy = busy
        self._level = 5_200
        self._plots: list[Plot] = []
        self._made_ms = start_ms
        self._seconds: list[int] = []
        self._prices: list[int] = []
        self._amounts: list[int] = []
        self._buys: list[bool] = []
        self._closed: dict[int, Bar] = {}
        self._first: list[int] = []
        """Of every bar, the place of its first trade."""
        self._capitulations: list[int] = []
        """Where the bars that are likely to be a signal end."""

    # --- reading --------------------------------------------------------------------------------------

    def make_until(self, ms: int) -> None:
        while self._made_ms <= ms:
            self._make_bar()

    def next_capitulation_ms(self, after_ms: int) -> int:
        """When the next bar ends that is likely to be a signal. Looking ahead changes nothing."""
        while not self._capitulations or self._capitulations[-1] <= after_ms:
            self._make_bar()
        return next(at for at in self._capitulations if at > after_ms)

    def place_at(self, ms: int) -> int:
        """The place of the newest trade at or before `ms`, -1 when there is none."""
        if self._made_ms <= ms:
            self.make_until(ms)
        return bisect_right(self._seconds, ms // 1_000) - 1

    def trade(self, place: int) -> Trade:
        second = self._seconds[place]
        return Trade(place + 1, second * 1_000, self._prices[place], self._amounts[place], self._buys[place])

    def last_trade(self, now_ms: int) -> Trade | None:
        place = self.place_at(now_ms)
        return None if place < 0 else self.trade(place)

    def trades(self, from_s: int, to_s: int) -> list[Trade]:
        """Every trade of the seconds [from_s, to_s), oldest first."""
        self.make_until(to_s * 1_000)
        first = bisect_right(self._seconds, from_s - 1)
        return [self.trade(place) for place in range(first, bisect_right(self._seconds, to_s - 1))]

    def next_trade_ms(self, after_ms: int) -> int:
        place = self.place_at(after_ms) + 1
        while place >= len(self._seconds):
            self._make_bar()
        return self._seconds[place] * 1_000

    def bar(self, open_ms: int, now_ms: int) -> Bar | None:
        """The bar that opened then, as far as it got by now."""
        self.make_until(now_ms)
        number = (open_ms - self.start_ms) // self.bar_ms
        if number < 0 or open_ms > now_ms:
            return None
        known = self._closed.get(open_ms)
        close_ms = open_ms + self.bar_ms - 1
        if known is not None and close_ms < now_ms:
            return known
        first = self._first[number]
        stop = bisect_right(self._seconds, min(now_ms, close_ms) // 1_000)
        bar = self._sum(open_ms, close_ms, first, stop, close_ms < now_ms)
        if bar.closed:
            self._closed[open_ms] = bar
        return bar

    def span(self, from_ms: int, now_ms: int) -> Bar | None:
        stop = self.place_at(now_ms) + 1
        first = bisect_right(self._seconds, from_ms // 1_000 - 1)
        return None if first >= stop else self._sum(from_ms, now_ms, first, stop, False)

    def klines(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Bar]:
        length = intervals.FIXED_MS[interval]
        assert length == self.bar_ms, "this market knows one bar length"
        last_ms = min(now_ms, now_ms if end_ms is None else end_ms) // length * length
        if start_ms is None:
            first_ms = last_ms - (limit - 1) * length
        else:
            first_ms = -(-start_ms // length) * length
            last_ms = min(last_ms, first_ms + (limit - 1) * length)
        first_ms = max(first_ms, self.start_ms)
        bars = (self.bar(at, now_ms) for at in range(first_ms, last_ms + 1, length))
        return [bar for bar in bars if bar is not None]

    def _sum(self, open_ms: int, close_ms: int, first: int, stop: int, closed: bool) -> Bar:
        prices, amounts, buys = self._prices[first:stop], self._amounts[first:stop], self._buys[first:stop]
        quote = bought = bought_quote = 0
        for price, amount, takers_buy in zip(prices, amounts, buys, strict=True):
            paid = price * amount
            quote += paid
            if takers_buy:
                bought += amount
                bought_quote += paid
        return Bar(
            open_ms, close_ms, prices[0], max(prices), min(prices), prices[-1], sum(amounts), quote,
            stop - first, bought, bought_quote, first + 1, stop, closed,
        )  # fmt: skip

    # --- making ---------------------------------------------------------------------------------------

    def _make_bar(self) -> None:
        chance = self._chance
        drawn = chance.random
        if not self._plots:
            self._plots = self._episode()
        plot = self._plots.pop(0)
        opened = self._level
        low, high = min(plot.low, opened, plot.close), max(plot.high, opened, plot.close)
        extremes = [high, low] if plot.close > opened else [low, high]
        if drawn() < 0.3:
            extremes.reverse()
        between = (0, 0, 1, 1, 2)[below(chance, 5)]
        prices = [opened]
        for goal in (*extremes, plot.close):
            start = prices[-1]
            if not plot.jump:
                for step in range(1, between + 1):
                    level = start + (goal - start) * step // (between + 1)
                    prices.append(min(high, max(low, level + below(chance, 5) - 2)))
            prices.append(goal)
        length_s = self.bar_ms // 1_000
        seconds = set[int]()
        while len(seconds) < len(prices) - 1:
            seconds.add(1 + below(chance, length_s - 2))
        at_s = self._made_ms // 1_000
        self._first.append(len(self._seconds))
        self._seconds += [at_s, *(at_s + second for second in sorted(seconds))]
        self._prices += prices
        usual = max(1, plot.volume // len(prices))
        before = opened
        for price in prices:
            self._amounts.append(max(1, int(usual * chance.uniform(0.6, 1.4))))
            self._buys.append(price > before or (price == before and drawn() < 0.5))
            before = price
        self._level = plot.close
        self._made_ms += self.bar_ms
        if plot.volume >= 5 * _USUAL_STEPS:
            self._capitulations.append(self._made_ms)

    def _episode(self) -> list[Plot]:
        """Some bars of a fall, a capitulation, and what comes of it."""
        chance = self._chance
        level, plots = float(self._level), list[Plot]()

        def bar(to: float, wick: float, volume: float, *, jump: bool = False) -> None:
            nonlocal level
            top, bottom = max(level, to), min(level, to)
            plots.append(
                Plot(
                    max(100, round(bottom - wick * level * chance.random())),
                    round(top + wick * level * chance.random()),
                    max(100, round(to)),
                    int(volume * _USUAL_STEPS * chance.uniform(0.8, 1.25)),
                    jump,
                )
            )
            level = max(100.0, to)

        if level < _LOWEST or (level < 4_500 and chance.random() < 0.3):
            for _ in range(chance.randint(4, 7)):
                bar(level * chance.uniform(1.03, 1.07), 0.003, 1.0)
        if level > _HIGHEST:
            for _ in range(chance.randint(4, 7)):
                bar(level * chance.uniform(0.95, 0.98), 0.003, 1.0)
        for _ in range(max(1, round(chance.randint(1, 4) / self._busy))):
            bar(level * chance.uniform(0.994, 0.9995), 0.002, 1.0)
        begun = level
        low = level * chance.uniform(0.968, 0.985)
        close = low + (level - low) * chance.uniform(0.5, 0.75)
        plots.append(Plot(round(low), round(level), round(close), int(chance.uniform(5, 9) * _USUAL_STEPS)))
        level = close
        kind = chance.random()
        if kind < 0.45:
            for _ in range(chance.randint(1, 3)):
                bar(level + (begun * 1.004 - level) * chance.uniform(0.35, 0.8), 0.002, 1.4)
        elif kind < 0.75:
            for _ in range(chance.randint(1, 3)):
                bar(level * chance.uniform(0.985, 0.996), 0.003, 1.6)
        elif kind < 0.85:
            bar(level * chance.uniform(0.93, 0.975), 0.004, 3.0, jump=True)
        else:
            for _ in range(chance.randint(1, 4)):
                bar(level * chance.uniform(0.998, 1.002), 0.001, 0.8)
        return plots


class PathBook:
    """The book around the last trade. `depth` scales every level; 0.001 is nearly nothing."""

    def __init__(self, path: MarketPath) -> None:
        self._path = path
        self.depth = 1.0
        self.spread = 1
        self.update_id = 0
        self._now_ms = 0

    def advance(self, now_ms: int) -> None:
        self.update_id = now_ms // 100
        self._now_ms = now_ms

    @property
    def bids(self) -> Levels:
        return self.offered(self._now_ms, to_buyers=False)

    @property
    def asks(self) -> Levels:
        return self.offered(self._now_ms, to_buyers=True)

    def inside(self, at_ms: int) -> tuple[int, int]:
        """Best bid and ask in ticks."""
        trade = self._path.last_trade(at_ms)
        assert trade is not None, "a market has a first trade"
        if trade.taker_buys:
            return max(1, trade.price - self.spread), trade.price
        return trade.price, trade.price + self.spread

    def offered(self, at_ms: int, *, to_buyers: bool) -> Levels:
        bid, ask = self.inside(at_ms)
        best, direction = (ask, 1) if to_buyers else (bid, -1)
        levels: Levels = {}
        for place in range(_LEVELS):
            price = best + direction * place
            if price > 0:
                levels[price] = self._size(at_ms, price, place)
        return levels

    def _size(self, at_ms: int, price: int, place: int) -> int:
        share = ((price * 2_654_435_761 + at_ms // 60_000 * 40_503) & 0xFFFF) / 65_536
        return max(1, int(_USUAL_STEPS * 0.02 * (0.2 + share + place * 0.3) * self.depth))

    def top(self) -> Top | None:
        now_ms = self._now_ms
        bid, ask = self.inside(now_ms)
        return Top(self.update_id, bid, self._size(now_ms, bid, 0), ask, self._size(now_ms, ask, 0))


class StillTape:
    """A pair whose price stands: what fees in a third currency are valued at."""

    end_ms: int | None = None

    def __init__(self, pair: Pair, ticks: int) -> None:
        self.pair = pair
        self._ticks = ticks

    def last_trade(self, now_ms: int) -> Trade | None:
        return Trade(1, now_ms // 1_000 * 1_000, self._ticks, 1, True)

    def trades(self, from_s: int, to_s: int) -> list[Trade]:
        return []

    def span(self, from_ms: int, now_ms: int) -> Bar | None:
        return None


class StillBook(PathBook):
    def __init__(self, tape: StillTape) -> None:
        super().__init__(tape)  # type: ignore[arg-type]


class PathInstrument:
    """One pair of the world, as the local exchange's parts see an instrument."""

    def __init__(self, pair: Pair, tape: MarketPath | StillTape, book: PathBook) -> None:
        self.pair = pair
        self.tape = tape
        self.book = book
        self.listing = listing_of(pair)
        self.delisted = False
