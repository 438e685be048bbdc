"""The live form on markets small enough to know every price: where it enters and leaves, what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from agent.core.exits import levels_for
from agent.core.market import MINUTE_MS, Candle
from agent.core.records import Outcome
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow
from agent.replay.command import LiveReplayed
from agent.replay.difference import Comparison, Kind
from agent.replay.live_form import LiveReplay, live_form
from agent.replay.setup import ReplaySetup
from tests.playbook import BAR, EXITS, SELLER, falling_history, make_setup, signal_candle

HISTORY = falling_history()
SIGNAL = signal_candle(HISTORY[-1])
ENTRY = SIGNAL.close
_, SEEN = SignalWindow.warm(SELLER, EXITS, HISTORY).push(SIGNAL)
LEVELS = levels_for(SEEN, ENTRY, EXITS)
STOP, TARGET = LEVELS.stop, LEVELS.target or 0.0
SLIPPED_UP, SLIPPED_DOWN = 1.0005, 0.9995


def bar(number: int, open_: float, high: float, low: float, close: float) -> Candle:
    """The bar `number` places after the signal; 1 is the entry bar."""
    return Candle(SIGNAL.open_ms + number * BAR, open_, high, low, close, 1000.0)


def flat(number: int, price: float = ENTRY) -> Candle:
    return bar(number, price, price + 0.0001, price - 0.0001, price)


class Walk:
    """A replay of the history, the signal and some bars."""

    def __init__(
        self, *bars: Candle, path: Sequence[Candle] = (), exits: Any = EXITS, **changes: Any
    ) -> None:
        self.steps: list[tuple[int, int]] = []
        setup = make_setup(exits=exits, **changes)
        candles = CandleSeries.of([*HISTORY, SIGNAL, *bars])
        finer = CandleSeries.of(path) if path else None
        replay = LiveReplay(setup, Decimal(10_000), Decimal(5), candles, finer)
        self.lived: LiveReplayed = replay.run(lambda done, total: self.steps.append((done, total)))
        self.compared: Comparison = replay.compared()

    @property
    def trade(self) -> Any:
        (trade,) = self.lived.trades
        return trade

    def kinds(self) -> dict[Kind, int]:
        return {kind: len(bars) for kind, bars in self.compared.common.items()}

    def says(self, words: str) -> bool:
        return any(words in remark for remark in self.lived.remarks)


def test_an_entry_is_made_at_the_open_after_the_signal_and_a_gap_up_is_taken() -> None:
    assert 0.45 < STOP < ENTRY < TARGET < 0.51
    walk = Walk(flat(1), flat(2, 0.51))
    assert walk.trade.exit == pytest.approx(0.51 * SLIPPED_DOWN, rel=1e-6)
    (signal,) = walk.compared.decided
    assert signal == SIGNAL.open_ms
    assert (walk.trade.entry_ms, walk.trade.entry) == (signal, pytest.approx(ENTRY * SLIPPED_UP, rel=1e-6))


def test_a_target_is_sold_where_the_price_passes_it() -> None:
    walk = Walk(flat(1), bar(2, ENTRY, 0.52, ENTRY, 0.51))
    assert (walk.trade.reason, walk.trade.bars_held) == ("FIB_61.8", 1)
    assert walk.trade.exit == pytest.approx(TARGET * SLIPPED_DOWN, rel=1e-6)
    assert walk.trade.exit_ms == SIGNAL.open_ms + 2 * BAR
    assert walk.kinds() == {Kind.SAME: 1}
    fees = (walk.trade.entry + walk.trade.exit) * 0.0005
    assert walk.trade.pnl == pytest.approx(walk.trade.exit - walk.trade.entry - fees, abs=1e-6)


def test_a_stop_is_sold_where_the_price_passes_it() -> None:
    walk = Walk(flat(1), bar(2, ENTRY, ENTRY, 0.45, 0.455))
    assert (walk.trade.reason, walk.trade.bars_held) == ("STOP", 1)
    assert walk.trade.exit == pytest.approx(STOP * SLIPPED_DOWN, rel=1e-6)
    assert pytest.approx(-1, abs=0.1) == walk.trade.R


def test_a_gap_through_the_stop_is_sold_at_the_open() -> None:
    walk = Walk(flat(1), bar(2, 0.42, 0.43, 0.41, 0.42), flat(3, 0.42))
    assert (walk.trade.reason, walk.trade.bars_held) == ("STOP", 1)
    assert walk.trade.exit == pytest.approx(0.42 * SLIPPED_DOWN, rel=1e-6)
    assert walk.kinds() == {Kind.GAP: 1}


def test_a_stop_on_the_entry_bar_is_obeyed() -> None:
    walk = Walk(bar(1, ENTRY, ENTRY, 0.45, ENTRY), bar(2, ENTRY, 0.52, ENTRY, 0.52))
    assert (walk.trade.reason, walk.trade.bars_held) == ("STOP", 0)
    assert walk.trade.exit_ms == SIGNAL.open_ms + BAR
    assert walk.kinds() == {Kind.ENTRY_BAR: 1}


@pytest.mark.parametrize(("entry_bar_exits", "held"), [("stop_only", 1), ("all", 0)])
def test_a_target_on_the_entry_bar_waits_unless_told_otherwise(entry_bar_exits: str, held: int) -> None:
    up = bar(1, ENTRY, 0.51, ENTRY, ENTRY)
    walk = Walk(up, bar(2, ENTRY, 0.51, ENTRY, 0.5), entry_bar_exits=entry_bar_exits)
    assert (walk.trade.reason, walk.trade.bars_held) == ("FIB_61.8", held)


def test_the_time_limit_sells_at_the_open_after_its_bar() -> None:
    held = [flat(number) for number in range(1, EXITS.max_hold + 2)]
    walk = Walk(*held, flat(EXITS.max_hold + 2, ENTRY + 0.001))
    assert (walk.trade.reason, walk.trade.bars_held) == ("TIME", EXITS.max_hold)
    assert walk.trade.exit == pytest.approx((ENTRY + 0.001) * SLIPPED_DOWN, rel=1e-6)
    assert walk.trade.exit_ms == SIGNAL.open_ms + (1 + EXITS.max_hold) * BAR
    assert walk.kinds() == {Kind.SAME: 1}


# --- along finer candles ---------------------------------------------------------------------------


def minutes(number: int, *prices: float) -> list[Candle]:
    """Minutes inside bar `number`, each from one price to the next."""
    return [
        Candle(SIGNAL.open_ms + number * BAR + i * MINUTE_MS, a, max(a, b), min(a, b), b, 10.0)
        for i, (a, b) in enumerate(pairwise(prices))
    ]


WIDE = bar(2, ENTRY, 0.51, 0.45, ENTRY)
"""A bar that reaches both the stop and the target."""


def test_without_finer_candles_the_low_of_a_bar_comes_first() -> None:
    walk = Walk(flat(1), WIDE)
    assert walk.trade.reason == "STOP"
    assert walk.kinds() == {Kind.SAME: 1}


@pytest.mark.parametrize(
    ("path", "reason", "level"),
    [((ENTRY, 0.51, 0.45, ENTRY), "FIB_61.8", TARGET), ((ENTRY, 0.45, 0.51, ENTRY), "STOP", STOP)],
)
def test_along_finer_candles_what_is_reached_first_counts(
    path: tuple[float, ...], reason: str, level: float
) -> None:
    walk = Walk(flat(1), WIDE, path=minutes(2, *path))
    assert walk.trade.reason == reason
    assert walk.trade.exit == pytest.approx(level * SLIPPED_DOWN, rel=1e-6)
    assert walk.kinds() == ({Kind.SAME: 1} if reason == "STOP" else {Kind.FIRST_REACHED: 1})


def test_a_level_that_only_the_bar_knows_is_seen_at_its_close() -> None:
    """The finer candles miss the minute of the high."""
    walk = Walk(flat(1), bar(2, ENTRY, 0.51, ENTRY, ENTRY), flat(3), path=minutes(2, ENTRY, 0.499, ENTRY))
    assert (walk.trade.reason, walk.trade.bars_held) == ("FIB_61.8", 1)
    assert walk.trade.exit == pytest.approx(ENTRY * SLIPPED_DOWN, rel=1e-6), (
        "sold at what the market pays then"
    )
    assert walk.kinds() == {Kind.SEEN_AT_CLOSE: 1}


def test_prices_inside_a_finer_candle_are_passed_too() -> None:
    walk = Walk(flat(1), bar(2, ENTRY, 0.51, ENTRY, 0.51), path=minutes(2, ENTRY, 0.51))
    assert walk.trade.exit == pytest.approx(TARGET * SLIPPED_DOWN, rel=1e-6)


def test_between_two_finer_candles_the_price_may_gap() -> None:
    falls = minutes(2, ENTRY, ENTRY - 0.001)
    falls += [Candle(falls[0].open_ms + MINUTE_MS, 0.46, 0.46, 0.46, 0.46, 10.0)]
    walk = Walk(flat(1), bar(2, ENTRY, ENTRY, 0.46, 0.46), path=falls)
    assert walk.trade.reason == "STOP"
    assert walk.trade.exit == pytest.approx(0.46 * SLIPPED_DOWN, rel=1e-6), "nobody traded at the stop"


def test_a_stop_that_only_rests_on_the_venue_sells_too() -> None:
    """Nobody but the venue watches a disaster stop."""
    unstopped = replace(EXITS, use_stop_loss=False)
    fallen = bar(2, ENTRY, ENTRY, 0.45, 0.455)
    walk = Walk(flat(1), fallen, exits=unstopped, disaster_stop_percent=Decimal(5))
    assert walk.trade.reason == "STOP"
    assert walk.trade.exit == pytest.approx(walk.trade.entry * 0.95 * SLIPPED_DOWN, rel=1e-6)


# --- files with faults -------------------------------------------------------------------------------


def test_a_hole_after_the_signal_is_not_jumped_over() -> None:
    """The entry is made at the close of the signal bar, not at the price of an hour later."""
    later = [replace(flat(number, 0.6), open_ms=flat(number).open_ms + 4 * BAR) for number in (1, 2)]
    walk = Walk(*later)
    assert walk.trade.entry == pytest.approx(ENTRY * SLIPPED_UP, rel=1e-6)
    assert walk.compared.unexplained == ()


def test_a_time_limit_counts_time_where_bars_are_missing() -> None:
    bars = [flat(number) for number in (1, 2, 3)]
    bars += [replace(flat(number), open_ms=flat(number).open_ms + 2 * BAR) for number in range(4, 10)]
    walk = Walk(*bars)
    assert walk.trade.reason == "TIME"
    assert walk.trade.exit_ms == SIGNAL.open_ms + (1 + EXITS.max_hold) * BAR
    assert walk.kinds() == {Kind.MISSING_BARS: 1}


def test_prices_that_jump_are_believed_after_a_second_look() -> None:
    walk = Walk(flat(1), flat(2, 0.40), flat(3, 0.40))
    assert walk.trade.reason == "STOP"
    assert walk.trade.exit == pytest.approx(0.40 * SLIPPED_DOWN, rel=1e-6)
    assert walk.trade.bars_held == 1


# --- the ends --------------------------------------------------------------------------------------


def test_a_market_without_a_signal_has_no_trade_and_says_so() -> None:
    candles = CandleSeries.of(HISTORY)
    replay = LiveReplay(make_setup(), Decimal(10_000), Decimal(5), candles, None)
    lived = replay.run(lambda done, total: None)
    assert lived.trades == ()
    assert lived.remarks[0] == "live form: 0 signals (none), 0 trades closed"


def test_what_is_open_at_the_end_is_no_trade() -> None:
    walk = Walk(flat(1), flat(2))
    assert walk.lived.trades == ()
    assert walk.says("a position was open at the end and is not a trade")
    assert walk.compared.decided[SIGNAL.open_ms].outcome is Outcome.ENTERED


def test_progress_ends_where_the_candles_end() -> None:
    walk = Walk(flat(1))
    assert walk.steps[-1] == (len(HISTORY) + 2, len(HISTORY) + 2)


def test_the_runner_takes_the_replays_parameters_over_the_setups() -> None:
    seller = replace(SELLER, vol_z=50.0)
    asked = ReplaySetup(seller, EXITS, "15m", None)
    run = live_form(make_setup(timeframe="1m", bar_ms=MINUTE_MS), Decimal(10_000), Decimal(5))
    candles = CandleSeries.of([*HISTORY, SIGNAL, flat(1)])
    lived = run(asked, candles, None, lambda done, total: None)
    assert lived.remarks[0].startswith("live form: 0 signals")
    lived = run(replace(asked, seller=SELLER), candles, None, lambda done, total: None)
    assert lived.remarks[0].startswith("live form: 1 signals (1 entered)")
