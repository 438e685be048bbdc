"""Names for differences: each deserved, each exclusive, and nothing without one goes unreported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from agent.core.records import DecisionRow, Outcome
from agent.core.series import CandleSeries
from agent.replay.bar_form import ReplayTrade
from agent.replay.difference import Comparison, Kind, LiveTrade, Market, compare
from tests.playbook import BAR, EXITS, falling_history

AT = 1_700_006_400_000 // BAR * BAR
WHOLE = Market(AT + 100 * BAR, (), stop_enforced=True)


def trade(reason: str = "FIB_61.8", held: int = 3, signal: int = 0, price: float = 1.1) -> ReplayTrade:
    entry_ms = AT + signal * BAR
    exit_ms = entry_ms + (1 + held) * BAR
    return ReplayTrade(entry_ms, exit_ms, 1.0, price, price - 1, (price - 1) / 0.01, reason, held)


def row(signal: int, outcome: Outcome, reason: str = "because") -> DecisionRow:
    return DecisionRow(
        AT + signal * BAR,
        0,
        1.0,
        1.0,
        1.0,
        None,
        None,
        None,
        None,
        True,
        True,
        False,
        outcome,
        reason,
        "flag",
    )


def compared(
    bar_form: Sequence[ReplayTrade],
    live: Sequence[ReplayTrade],
    outcomes: Mapping[int, Outcome] | None = None,
    notes: tuple[str, ...] = (),
    open_at_end: frozenset[int] = frozenset(),
    market: Market = WHOLE,
) -> Comparison:
    rows = {AT + n * BAR: row(n, outcome) for n, outcome in (outcomes or {0: Outcome.ENTERED}).items()}
    lived = [LiveTrade(t, notes) for t in live]
    return compare(bar_form, lived, rows, frozenset(AT + n * BAR for n in open_at_end), market)


def left(theirs: ReplayTrade, ours: ReplayTrade, *notes: str, market: Market = WHOLE) -> Kind:
    (kind,) = compared([theirs], [ours], notes=notes, market=market).common
    return kind


@pytest.mark.parametrize(
    ("theirs", "ours", "notes", "kind"),
    [
        (trade(), trade(), (), Kind.SAME),
        (trade(), trade(), ("dust",), Kind.SAME),
        (trade(), trade(price=1.05), (), Kind.SAME),
        (trade(), trade(), ("seen_at_close",), Kind.SEEN_AT_CLOSE),
        (trade("STOP", 1), trade("STOP", 0), ("entry_bar_exit",), Kind.ENTRY_BAR),
        (trade(), trade(held=2), ("entered_late",), Kind.ENTERED_LATE),
        (trade("STOP_GAP"), trade("STOP"), (), Kind.GAP),
        (trade("stop_gap"), trade("stop"), (), Kind.GAP),
        (trade("STOP"), trade("FIB_61.8"), (), Kind.FIRST_REACHED),
        (trade("FIB_61.8"), trade("TP_2.0R"), (), Kind.FIRST_REACHED),
        (trade("fib_38.2"), trade("tp"), (), Kind.FIRST_REACHED),
        (trade("TP_2.0R", 3), trade("TP_2.0R", 5), (), Kind.TAKE_PROFIT),
        (trade("tp", 3), trade("time", 9), (), Kind.TAKE_PROFIT),
        (trade(), trade("DAILY_LOSS", 1), (), Kind.ACT),
        (trade(), trade("MANUAL"), (), Kind.ACT),
        (trade("TP_2.0R", 5), trade("TP_2.0R", 3), (), Kind.UNEXPLAINED),
        (trade("STOP", 3), trade("STOP", 4), (), Kind.UNEXPLAINED),
        (trade("TIME", 6), trade("TIME", 5), (), Kind.UNEXPLAINED),
        (trade("TIME", 6), trade("STOP", 6), (), Kind.UNEXPLAINED),
        (trade("FIB_61.8"), trade("FIB_78.6", 4), (), Kind.UNEXPLAINED),
    ],
)
def test_a_trade_of_both(theirs: ReplayTrade, ours: ReplayTrade, notes: tuple[str, ...], kind: Kind) -> None:
    assert left(theirs, ours, *notes) is kind


def test_a_stop_where_none_is_enforced_is_the_disaster_stop() -> None:
    market = Market(WHOLE.last_bar_ms, (), stop_enforced=False)
    assert left(trade("TIME", 6), trade("STOP", 2), market=market) is Kind.DISASTER_STOP


def test_missing_bars_explain_only_what_they_lie_in() -> None:
    during = Market(WHOLE.last_bar_ms, (AT + 2 * BAR,), stop_enforced=True)
    before = Market(WHOLE.last_bar_ms, (AT - BAR,), stop_enforced=True)
    after = Market(WHOLE.last_bar_ms, (AT + 50 * BAR,), stop_enforced=True)
    theirs, ours = trade("TIME", 6), trade("TIME", 5)
    assert left(theirs, ours, market=during) is Kind.MISSING_BARS
    assert left(theirs, ours, market=before) is Kind.UNEXPLAINED
    assert left(theirs, ours, market=after) is Kind.UNEXPLAINED


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.ENTERED])
def test_a_trade_that_was_not_entered_has_its_decision_for_a_name(outcome: Outcome) -> None:
    found = compared([trade()], [], {0: outcome})
    assert found.missing == {outcome: (AT,)}
    assert not found.common
    assert not found.extra


def test_a_trade_that_was_entered_and_is_none_was_open_or_never_filled() -> None:
    assert compared([trade()], [], open_at_end=frozenset({0})).missing == {Kind.OPEN_AT_END: (AT,)}
    assert compared([trade()], []).missing == {Kind.NOT_FILLED: (AT,)}


def test_a_trade_nobody_decided_is_unexplained() -> None:
    found = compared([trade()], [], {5: Outcome.NO_ROOM})
    assert found.missing == {Kind.UNEXPLAINED: (AT,)}
    assert found.unexplained == (AT,)


def test_a_trade_of_its_own_began_while_the_bar_form_held_one() -> None:
    outcomes = {0: Outcome.NO_ROOM, 2: Outcome.ENTERED}
    found = compared([trade(held=5)], [trade(signal=2)], outcomes)
    assert found.extra == {Kind.BAR_FORM_HELD: (AT + 2 * BAR,)}
    at_its_exit = compared([trade(held=5)], [trade(signal=6)], {0: Outcome.NO_ROOM, 6: Outcome.ENTERED})
    assert at_its_exit.extra == {Kind.BAR_FORM_OPEN: (AT + 6 * BAR,)}, "the bar form takes that one as well"


def test_what_the_bar_form_never_sells_holds_everything_after_it() -> None:
    outcomes = {0: Outcome.ENTERED, 10: Outcome.NO_LADDER, 20: Outcome.ENTERED}
    found = compared([trade()], [trade(), trade(signal=20)], outcomes)
    assert found.extra == {Kind.BAR_FORM_HELD: (AT + 20 * BAR,)}
    found = compared([trade()], [trade(), trade(signal=10)], outcomes)
    assert found.extra == {Kind.BAR_FORM_OPEN: (AT + 10 * BAR,)}


def test_a_signal_on_the_last_bar_is_not_held_by_the_bar_form() -> None:
    last = Market(AT + 20 * BAR, (), stop_enforced=True)
    found = compared([], [trade(signal=20)], {20: Outcome.ENTERED}, market=last)
    assert found.extra == {Kind.UNEXPLAINED: (AT + 20 * BAR,)}


def test_the_shift_of_the_prices_is_a_mean_over_the_same_trades() -> None:
    theirs = [trade(price=1.0), trade(signal=10, price=2.0), trade("STOP", signal=20, price=0.5)]
    ours = [trade(price=1.001), trade(signal=10, price=2.006), trade("STOP", 9, 20, 0.1)]
    outcomes = dict.fromkeys((0, 10, 20), Outcome.ENTERED)
    found = compared(theirs, ours, outcomes)
    assert found.exit_shift_bp == pytest.approx(20)
    assert found.entry_shift_bp == 0


def test_the_report_counts_names_and_dates() -> None:
    theirs = [trade(signal=10 * n) for n in range(7)]
    outcomes = {0: Outcome.ENTERED, 10: Outcome.ENTERED} | {10 * n: Outcome.NO_ROOM for n in range(2, 7)}
    ours = [trade(), trade("STOP", 0, 10)]
    rows = {AT + n * BAR: row(n, outcome, f"reason {n}") for n, outcome in outcomes.items()}
    lived = [LiveTrade(ours[0], ()), LiveTrade(ours[1], ("entry_bar_exit",))]
    lines = list(compare(theirs, lived, rows, frozenset(), WHOLE).report())
    assert lines[0] == "1 of the bar form's 7 trades left here on the same bar for the same reason"
    assert lines[1].startswith("their fills, slippage included: entries +0.0 bp, exits +0.0 bp")
    assert lines[2].startswith("left otherwise: 1 left on the entry bar")
    assert "(2023-11-15 02:30:00)" in lines[2]
    assert lines[3].startswith("not traded here: 5 no room (")
    assert lines[3].count("2023-11-15") == 3, "the first few"
    assert lines[3].endswith(", ...; the first because reason 20)")
    assert len(lines) == 4


def test_the_report_begins_with_what_has_no_name() -> None:
    lines = list(compared([trade("TIME", 6)], [trade("TIME", 5)]).report())
    assert lines[0] == "WARNING: 1 differences have no explanation (2023-11-15 00:00:00)"


def test_holes_are_found_in_the_candles() -> None:
    candles = falling_history(10)
    whole = Market.of(CandleSeries.of(candles), BAR, EXITS)
    assert whole == Market(candles[-1].open_ms, (), stop_enforced=True)
    holed = Market.of(CandleSeries.of(candles[:4] + candles[6:]), BAR, EXITS)
    assert holed.bars_before_a_hole == (candles[3].open_ms,)
    assert holed.is_incomplete(candles[3].open_ms, candles[6].open_ms)
    assert not holed.is_incomplete(candles[6].open_ms, candles[9].open_ms)
