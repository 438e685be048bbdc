"""The live form beside the bar form on every recorded case: the same trades, or a difference with a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from golden_cases import CASES, POLICIES, SHARED, SYNTHETIC, GoldenCase, golden

from agent.config.check import check_config
from agent.config.strategy import assumed_fee_rate, setup
from agent.core.exits import Policy
from agent.core.market import MINUTE_MS
from agent.core.records import Outcome
from agent.core.series import CandleSeries
from agent.core.state import Setup
from agent.replay.bar_form import ReplayTrade
from agent.replay.candle_file import read_candles
from agent.replay.command import LiveReplayed
from agent.replay.difference import Comparison, Kind
from agent.replay.live_form import LiveReplay

REAL_15M = "ada15m_2023_loose"
SLIPPAGE_BP = Decimal(5)

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover


class Run:
    """One live replay of a case and what came of it."""

    def __init__(
        self,
        case: GoldenCase,
        policy: Policy,
        path: CandleSeries | None = None,
        agent: Mapping[str, Any] | None = None,
        risk: Mapping[str, Any] | None = None,
    ) -> None:
        self.case = case
        self.setup = setup_of(case, policy, agent or {}, risk or {})
        replay = LiveReplay(self.setup, Decimal(10_000), SLIPPAGE_BP, case.candles, path)
        self.lived: LiveReplayed = replay.run(lambda done, total: None)
        self.compared: Comparison = replay.compared()
        self.theirs = {t.entry_ms: t for t in case.trades(policy)}
        self.ours = {t.entry_ms: t for t in self.lived.trades}

    @property
    def outcomes(self) -> set[Outcome]:
        return {row.outcome for row in self.compared.decided.values()}

    def pairs(self, kind: Kind) -> list[tuple[ReplayTrade, ReplayTrade]]:
        """Trades of both forms with this difference: theirs, ours."""
        return [(self.theirs[ms], self.ours[ms]) for ms in self.compared.common.get(kind, ())]

    def counts(self) -> dict[str, int]:
        groups = (self.compared.common, self.compared.missing, self.compared.extra)
        return {kind.name: len(bars) for group in groups for kind, bars in group.items()}


def setup_of(case: GoldenCase, policy: Policy, agent: Mapping[str, Any], risk: Mapping[str, Any]) -> Setup:
    params = json.loads((case.folder / "params.json").read_text())
    export = {key: params[key] for key in ("timeframe", "seller_params", "backtest_params")}
    export |= {"agent": {"fib_exit": policy, **agent}, "risk_management": dict(risk)}
    report = check_config(json.dumps(export))
    assert report.config is not None, report.errors
    return setup(report.config, venue="replay", tag="test", fee_rate=assumed_fee_rate(report.config))


@cache
def run(name: str, policy: Policy) -> Run:
    return Run(golden(name), policy)


@cache
def minutes() -> CandleSeries:
    path = SHARED / "data" / "ada_usdt_1m_2023-03-16_2023-05-01.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path}: the path inside real bars comes from recorded minutes")
    return read_candles(path, MINUTE_MS).candles


RUNS: list[tuple[str, Policy]] = [
    (name, policy)
    for name in CASES
    for policy in POLICIES
    if (name, policy) != ("ada1m_2023_loose", "target")
]


@pytest.mark.parametrize(("name", "policy"), RUNS)
def test_every_difference_has_a_name(name: str, policy: Policy) -> None:
    found = run(name, policy)
    assert found.compared.unexplained == ()
    assert not [remark for remark in found.lived.remarks if "WARNING" in remark]
    # Nothing is left out: every trade of either form is in exactly one place.
    theirs = [
        ms for group in (found.compared.common, found.compared.missing) for b in group.values() for ms in b
    ]
    assert sorted(theirs) == sorted(found.theirs)
    ours = [ms for group in (found.compared.common, found.compared.extra) for b in group.values() for ms in b]
    assert sorted(ours) == sorted(found.ours)


@pytest.mark.parametrize(("name", "policy"), RUNS)
def test_every_signal_is_decided_once_on_the_backtesters_bars(name: str, policy: Policy) -> None:
    assert list(run(name, policy).compared.decided) == run(name, policy).case.signal_ms()


@pytest.mark.parametrize(("name", "policy"), RUNS)
def test_trades_of_both_forms_are_the_same_money(name: str, policy: Policy) -> None:
    """Checked without the comparison's help: bar, reason, prices with slippage inside, and profit."""
    found = run(name, policy)
    opens = dict(zip(found.case.candles.open_ms.tolist(), found.case.candles.open.tolist(), strict=True))
    for theirs, ours in found.pairs(Kind.SAME):
        assert (ours.exit_ms, ours.reason, ours.bars_held) == (
            theirs.exit_ms,
            theirs.reason,
            theirs.bars_held,
        )
        assert ours.entry == pytest.approx(theirs.entry * 1.0005, rel=2e-6)
        if ours.reason.upper() == "TIME":
            continue  # sold at the next bar's open instead of the close
        level, opened = level_of(theirs, ours, found), opens[ours.exit_ms]
        # Opened beyond the level, the market pays the open; the bar form fills at the level.
        reached = min(level, opened) if ours.reason.upper() == "STOP" else max(level, opened)
        assert ours.exit == pytest.approx(reached * 0.9995, rel=2e-6)
        if reached == level == theirs.exit:
            assert ours.pnl == pytest.approx(theirs.pnl, abs=4e-6 * theirs.entry)


def level_of(theirs: ReplayTrade, ours: ReplayTrade, found: Run) -> float:
    """The price that was waited for; a take-profit follows the price really paid."""
    if not ours.reason.upper().startswith("TP"):
        return theirs.exit
    return ours.entry + found.setup.exits.reward_r * ours.pnl / ours.R


@pytest.mark.parametrize(("name", "policy"), RUNS)
def test_names_are_deserved(name: str, policy: Policy) -> None:
    """Each kind of difference is checked against the candles it is said to come from."""
    found = run(name, policy)
    candles = {c.open_ms: c for c in found.case.candles}
    bar_ms, exits = found.setup.bar_ms, found.setup.exits
    for theirs, ours in found.pairs(Kind.ENTRY_BAR):
        assert (ours.bars_held, ours.reason.upper()) == (0, "STOP")
        assert candles[theirs.entry_ms + bar_ms].low <= ours.exit * 1.0006
    for theirs, ours in found.pairs(Kind.TAKE_PROFIT):
        level = theirs.entry + exits.reward_r * theirs.pnl / theirs.R
        assert level <= candles[theirs.exit_ms].high < level * 1.0005 * (1 + exits.reward_r)
        assert ours.exit_ms > theirs.exit_ms
    for theirs, ours in found.pairs(Kind.FIRST_REACHED):
        bar = candles[theirs.exit_ms]
        assert bar.low <= min(ours.exit, theirs.exit) * 1.0006
        assert bar.high * 1.0006 >= max(ours.exit, theirs.exit)
    for open_ms in found.compared.missing.get(Outcome.BLOCKED, ()):
        assert "too little history" in found.compared.decided[open_ms].reason
    for open_ms in found.compared.missing.get(Outcome.NO_LADDER, ()):
        row = found.case.features[found.case.candles.open_ms == open_ms].iloc[0]
        assert not row["fib_swing_high"] > candles[open_ms].low
    for open_ms in found.compared.missing.get(Outcome.NO_ROOM, ()):
        theirs = found.theirs[open_ms]
        level = ladder_price(found, open_ms)
        assert level <= theirs.entry * 1.002 + 1e-7, "what is left out was lost before it began"
    for open_ms in found.compared.missing.get(Outcome.IN_POSITION, ()):
        assert any(t.entry_ms < open_ms < t.exit_ms for t in found.lived.trades) or "open at the end" in str(
            found.lived.remarks
        )


def ladder_price(found: Run, open_ms: int) -> float:
    exits = found.setup.exits
    ratio = exits.fib_target_level if exits.policy == "target" else 0.382
    row = found.case.features[found.case.candles.open_ms == open_ms].iloc[0]
    low = float(found.case.candles.low[found.case.candles.open_ms == open_ms][0])
    return low + (float(row["fib_swing_high"]) - low) * ratio


SAME, ENTRY_BAR, TP, FIRST, HELD = "SAME", "ENTRY_BAR", "TAKE_PROFIT", "FIRST_REACHED", "BAR_FORM_HELD"
NO_ROOM, NO_LADDER, BLOCKED, IN_POSITION = "NO_ROOM", "NO_LADDER", "BLOCKED", "IN_POSITION"
EXPECTED: dict[tuple[str, Policy], dict[str, int]] = {
    ("default", "target"): {SAME: 5, NO_ROOM: 3, BLOCKED: 1},
    ("default", "first_level"): {SAME: 4, NO_ROOM: 5, BLOCKED: 1},
    ("loose_all_level_0786", "target"): {
        SAME: 59, ENTRY_BAR: 4, FIRST: 1, NO_ROOM: 21, BLOCKED: 7, NO_LADDER: 4, HELD: 1,
    },
    ("loose_all_level_0786", "first_level"): {
        SAME: 59, ENTRY_BAR: 4, NO_ROOM: 43, BLOCKED: 9, NO_LADDER: 4, HELD: 4,
    },
    ("loose_stop_time", "target"): {SAME: 65, ENTRY_BAR: 4, NO_ROOM: 14, BLOCKED: 9, NO_LADDER: 1, HELD: 1},
    ("loose_stop_time", "first_level"): {
        SAME: 69, ENTRY_BAR: 4, NO_ROOM: 29, BLOCKED: 10, NO_LADDER: 1, HELD: 2,
    },
    ("loose_tp", "target"): {SAME: 58, TP: 6, ENTRY_BAR: 1, BLOCKED: 4, IN_POSITION: 2, HELD: 2},
    ("loose_tp", "first_level"): {SAME: 58, TP: 6, ENTRY_BAR: 1, BLOCKED: 4, IN_POSITION: 2, HELD: 2},
    ("minutes_1h", "target"): {SAME: 43, NO_ROOM: 12, BLOCKED: 7, NO_LADDER: 1, HELD: 1},
    ("minutes_1h", "first_level"): {SAME: 43, NO_ROOM: 22, BLOCKED: 8, NO_LADDER: 1, HELD: 1},
    ("minutes_30m", "target"): {SAME: 21, ENTRY_BAR: 3, NO_ROOM: 6, BLOCKED: 1},
    ("minutes_30m", "first_level"): {SAME: 18, ENTRY_BAR: 3, NO_ROOM: 12, BLOCKED: 1},
}  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_how_many_differ_and_why(name: str, policy: Policy) -> None:
    assert run(name, policy).counts() == EXPECTED[name, policy]


# --- along real minutes ----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_along_recorded_minutes_the_same_trades_are_made(policy: Policy) -> None:
    whole, along = run(REAL_15M, policy), Run(golden(REAL_15M), policy, minutes())
    assert along.compared.unexplained == ()
    assert along.compared.missing == whole.compared.missing
    assert set(along.ours) == set(whole.ours)
    for theirs, ours in along.pairs(Kind.SAME):
        assert (ours.exit_ms, ours.reason) == (theirs.exit_ms, theirs.reason)
    assert len(along.pairs(Kind.SAME)) >= len(whole.pairs(Kind.SAME)) - 2


# --- other ways to be told ---------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_entering_without_room_makes_the_backtesters_losers_too(policy: Policy) -> None:
    found = Run(golden(REAL_15M), policy, agent={"enter_without_room": True})
    assert Outcome.NO_ROOM not in found.outcomes
    assert found.compared.unexplained == ()
    assert set(found.compared.missing) <= {Outcome.BLOCKED, Outcome.NO_LADDER, Outcome.IN_POSITION}
    for open_ms in run(REAL_15M, policy).compared.missing[Outcome.NO_ROOM]:
        assert open_ms in found.ours or found.compared.decided[open_ms].outcome is Outcome.IN_POSITION


def test_taking_targets_on_the_entry_bar_is_a_difference_of_its_own() -> None:
    found = Run(golden("loose_stop_time"), "first_level", agent={"entry_bar_exits": "all"})
    assert found.compared.unexplained == ()
    on_entry_bar = found.pairs(Kind.ENTRY_BAR)
    assert {ours.reason for _, ours in on_entry_bar} == {"stop", "fib_38.2"}
    assert all(ours.bars_held == 0 for _, ours in on_entry_bar)


def test_without_a_resting_stop_the_agent_watches_it_itself() -> None:
    watched = Run(golden("loose_stop_time"), "target", agent={"protective_stop": False})
    assert watched.lived.trades == run("loose_stop_time", "target").lived.trades


def test_several_positions_overlap_where_the_bar_form_holds_one() -> None:
    found = Run(golden("loose_stop_time"), "target", risk={"max_open_positions": 4})
    assert found.compared.unexplained == ()
    assert Outcome.IN_POSITION not in found.compared.missing
    assert len(found.compared.extra[Kind.BAR_FORM_HELD]) > 10


def test_a_disaster_stop_sells_what_the_bar_form_holds_on_to() -> None:
    case = golden("default")
    assert not run("default", "target").setup.exits.use_stop_loss
    found = Run(case, "target", agent={"disaster_stop_percent": 0.5})
    assert found.compared.unexplained == ()
    sold = found.pairs(Kind.DISASTER_STOP) + found.pairs(Kind.ENTRY_BAR)
    assert sold
    assert all(ours.reason == "STOP" for _, ours in sold)
    assert found.compared.extra[Kind.BAR_FORM_OPEN] == (found.case.signal_ms()[-1],)


def test_a_daily_loss_ends_the_day_and_not_the_replay() -> None:
    risk = {"max_daily_loss_percent": 1, "max_position_size_percent": 90, "risk_per_trade_percent": 10}
    found = Run(golden("loose_stop_time"), "target", risk=risk)
    assert found.compared.unexplained == ()
    reasons = [t.reason for t in found.lived.trades]
    assert "DAILY_LOSS" in reasons
    assert reasons[-1] != "DAILY_LOSS", "trading went on"
    assert any(remark.startswith("daily loss limit reached") for remark in found.lived.remarks)
    blocked = [r.reason for r in found.compared.decided.values() if r.outcome is Outcome.BLOCKED]
    assert any("halted (daily loss)" in reason for reason in blocked)


def test_prices_inside_an_idle_bar_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveReplay, "_is_idle", False)
    told_everything = Run(golden(REAL_15M), "target")
    assert told_everything.lived == run(REAL_15M, "target").lived
