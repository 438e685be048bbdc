"""The parity check over whole live-form runs: the engine's own decisions beside the whole history.

`python -m tests.parity.test_parity_monitor` prints the score over every recorded market there is.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest

from agent.config.strategy import assumed_fee_rate, assumed_slippage_rate, setup
from agent.core.commands import Command, Keep
from agent.core.market import bar_ms
from agent.core.money import forbid_float_money
from agent.core.position import Position
from agent.core.records import DecisionRow
from agent.insight.costs import cost_row, suggest
from agent.insight.parity import Cause, Score, compare
from agent.insight.parity_history import recompute
from agent.replay.candle_file import read_candles
from agent.replay.live_form import LiveReplay
from tests.parity.golden_cases import REAL_CANDLES, GoldenCase, golden
from tests.unit.config_documents import accepted

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover


class Watched(LiveReplay):
    """Keeps every decision, not only those of signals, and every position."""

    def __init__(self, case: GoldenCase) -> None:
        config = accepted()
        made = setup(config, venue="replay", tag="prty", fee_rate=assumed_fee_rate(config))
        self.exact = replace(
            made,
            mode="paper",
            seller=case.seller,
            exits=case.exits("target"),
            timeframe=case.timeframe,
            bar_ms=bar_ms(case.timeframe),
        )
        super().__init__(
            self.exact, Decimal(10_000), assumed_slippage_rate(config) * 10_000, case.candles, None
        )
        self.decisions: list[DecisionRow] = []
        self.held: dict[int, Position] = {}

    def _note(self, command: Command) -> None:
        super()._note(command)
        if isinstance(command, Keep) and isinstance(command.row, DecisionRow):
            self.decisions.append(command.row)

    def _book_trades(self) -> None:
        super()._book_trades()
        self.held.update(self._state.positions)

    def score(self, case: GoldenCase) -> Score:
        self.run(lambda done, total: None)
        bars = [row.bar_open_ms for row in self.decisions]
        whole = recompute(case.candles, self.exact.seller, self.exact.exits, bars, self.exact.bar_ms)
        plans = {p.plan.signal_open_ms: p.plan for p in self.held.values() if p.opened_ms is not None}
        found = Score()
        for row in self.decisions:
            plan = plans.get(row.bar_open_ms)
            levels = None if plan is None else plan.levels
            found = found.after(compare(row, whole[row.bar_open_ms], self.exact.exits, levels))
        return found


@cache
def watched(name: str) -> tuple[Watched, Score]:
    case = golden(name)
    run = Watched(case)
    return run, run.score(case)


@pytest.mark.parametrize("name", ["loose_all_level_0786", "ada15m_2023_loose"])
def test_the_live_path_decides_what_the_whole_history_says(name: str) -> None:
    run, score = watched(name)
    assert score.bars == len(golden(name).candles)
    assert score.signals > 5
    assert score.remembered == ()
    assert score.mismatches == 0
    assert 0 < score.worst < 1e-9
    assert run.held


def test_every_closed_trade_is_split_without_a_rest() -> None:
    case = golden("ada15m_2023_loose")
    run, _ = watched("ada15m_2023_loose")
    times = case.candles.open_ms.tolist()
    rows = []
    for position in run.held.values():
        after = position.plan.signal_open_ms + run.exact.bar_ms
        if after in times:
            row = cost_row(position, case.candles.part(times.index(after), len(times)))
            rows += [] if row is None else [row]
    assert len(rows) > 5
    for row in rows:
        if row.difference is not None:
            parts = (row.timing or 0) + (row.slippage or 0) + (row.fee or 0) + (row.rule or 0)
            assert abs(parts - row.difference) < Decimal("1e-24")
    told = suggest(rows)
    assert told.fee_bp == pytest.approx(5.0, abs=0.01)
    assert told.slippage_bp is not None


def test_a_wrong_number_is_found_and_its_cause_named() -> None:
    case = golden("loose_all_level_0786")
    run, _ = watched("loose_all_level_0786")
    row = run.decisions[-1]
    last = [row.bar_open_ms]
    whole = recompute(case.candles, run.exact.seller, run.exact.exits, last, run.exact.bar_ms)[
        row.bar_open_ms
    ]
    assert compare(row, whole, run.exact.exits, None).differences == ()
    wrong = compare(replace(row, ema_s=row.ema_s * (1 + 1e-8)), whole, run.exact.exits, None)
    assert [(d.name, d.cause) for d in wrong.differences] == [("ema_s", Cause.CODE)]
    flag = compare(replace(row, downtrend=not row.downtrend), whole, run.exact.exits, None)
    assert [d.name for d in flag.differences] == ["downtrend"]
    other_close = compare(replace(row, close=row.close + 1), whole, run.exact.exits, None)
    assert {d.cause for d in other_close.differences} == {Cause.CANDLE}
    late = compare(replace(row, atr=1.0, closed_by="backfill"), whole, run.exact.exits, None)
    assert {d.cause for d in late.differences} == {Cause.LATE}
    short = replace(whole, seed_weight=0.1, ema_s=whole.ema_s * 1.0001)
    assert {d.cause for d in compare(row, short, run.exact.exits, None).differences} == {Cause.WARM_UP}
    told = Score().after(wrong)
    assert told.first is not None
    assert "cause: the code" in told.first
    assert (told.bars, told.mismatches, dict(told.by_cause)) == (1, 1, {"the code": 1})


def test_levels_scaled_to_another_market_are_no_mismatch_and_no_cost_row() -> None:
    case = golden("ada15m_2023_loose")
    run, _ = watched("ada15m_2023_loose")
    held = next(p for p in run.held.values() if p.plan.levels.ladder is not None)
    at, basis, levels = held.plan.signal_open_ms, 0.9371, held.plan.levels
    assert levels.ladder is not None
    assert levels.target is not None
    row = next(row for row in run.decisions if row.bar_open_ms == at)
    whole = recompute(case.candles, run.exact.seller, run.exact.exits, [at], run.exact.bar_ms)[at]
    scaled = replace(
        levels, stop=levels.stop * basis, target=levels.target * basis, ladder=levels.ladder.scaled(basis)
    )
    assert compare(row, whole, run.exact.exits, scaled, basis=basis).differences == ()
    as_if_one = compare(row, whole, run.exact.exits, scaled)
    assert {"stop", "target", "swing high"} <= {d.name for d in as_if_one.differences}
    wrong = replace(scaled, stop=scaled.stop * (1 + 1e-8))
    assert [d.name for d in compare(row, whole, run.exact.exits, wrong, basis=basis).differences] == ["stop"]
    elsewhere = replace(held, plan=replace(held.plan, basis=basis))
    assert cost_row(elsewhere, case.candles) is None


if __name__ == "__main__":
    forbid_float_money()
    for case_name in REAL_CANDLES:
        named = golden(case_name)
        recorded = read_candles(named.candles_path, bar_ms(named.timeframe)).candles
        whole_file = replace(named, candles=recorded)
        result = Watched(whole_file).score(whole_file)
        print(
            f"{case_name:<22} {result.bars:>6} bars  {result.signals:>4} signals  "
            f"{result.mismatches} mismatches  worst {result.worst:.2e}  {result.first or ''}"
        )
