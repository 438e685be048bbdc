"""The figures from plain facts: account, intervals, live against backtest, uptime, KPIs, phases."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from agent.core.market import DAY_MS
from agent.core.records import EventRow
from agent.insight.account import all_time, daily_sharpe, drawdown, flows_in, today
from agent.insight.against_backtest import Band, Promise, band_of, compare
from agent.insight.facts import (
    ClosedTrade,
    Down,
    EquityPoint,
    Execution,
    Flow,
    Outage,
    ScopeRun,
    SignalCounts,
)
from agent.insight.intervals import (
    mean_interval,
    sharpe_interval,
    t_quantile,
    trades_for_mean,
    trades_for_share,
    wilson,
)
from agent.insight.kpis import Standing, kpis
from agent.insight.phases import phase_progress
from agent.insight.uptime import Uptime, outages, uptime

D = Decimal
DAY0 = 20_000 * DAY_MS
MINUTE = 60_000


def trade(number=1, r=1.0, pnl_quote="10", **changes):
    made = ClosedTrade(
        id=number,
        signal_ms=DAY0,
        opened_ms=DAY0 + 1_000,
        exit_ms=DAY0 + 3_601_000,
        entry=D("0.34"),
        exit=D("0.36"),
        size=D(1000),
        pnl_quote=D(pnl_quote),
        fees_quote=D("0.4"),
        pnl=0.01 * r,
        r=r,
        reason="FIB_61.8",
        bars_held=4,
    )
    return replace(made, **changes)


def point(at_ms, equity, low=None, high=None):
    return EquityPoint(at_ms, D(equity), D(low or equity), D(high or equity))


# --- the account -----------------------------------------------------------------------------------


def test_a_trade_counts_on_the_day_of_its_first_fill_and_its_profit_on_the_day_of_its_last():
    over_midnight = trade(1, opened_ms=DAY0 - MINUTE, exit_ms=DAY0 + MINUTE, pnl_quote="5")
    still_open = DAY0 + 2 * MINUTE
    day = today([over_midnight.opened_ms, still_open], [over_midnight], DAY0 + 3 * MINUTE, D("7"))
    assert (day.trades, day.wins, day.losses, day.win_rate) == (1, 1, 0, 1.0)
    assert (day.realized, day.pnl) == (D(5), D(7))
    before = today([over_midnight.opened_ms], [over_midnight], DAY0 - 1, None)
    assert (before.trades, before.wins, before.win_rate, before.realized) == (1, 0, None, 0)


def test_all_time_leaves_out_what_nobody_traded():
    figures = all_time([trade(1), trade(2, r=-1.0, pnl_quote="-4"), trade(3, reason="EXTERNAL")], ())
    assert (figures.trades, figures.wins, figures.losses, figures.win_rate) == (2, 1, 1, 0.5)
    assert (figures.pnl, figures.fees, figures.average_duration_ms) == (D(6), D("0.8"), 3_600_000)
    assert figures.max_drawdown is None
    assert all_time([], ()).win_rate is None


def test_drawdown_looks_at_lows_but_never_at_a_high_that_came_after():
    curve = [point(0, "100"), point(1, "105", low="95", high="110"), point(2, "99", low="88", high="105")]
    fall, percent = drawdown(curve)
    assert fall == D(-22)  # 110 to 88
    assert percent == pytest.approx(-20.0)
    assert drawdown([point(0, "100"), point(1, "110", low="100", high="120")])[0] == 0


def test_a_withdrawal_is_no_drawdown_and_a_deposit_hides_none():
    curve = [point(0, "100"), point(10, "60"), point(20, "150")]
    assert drawdown(curve, [Flow(5, D(-40))])[0] == 0
    fall, _ = drawdown([point(0, "100"), point(10, "190")], [Flow(5, D(100))])
    assert fall == D(-10)


def test_the_sharpe_ratio_of_the_account_needs_ten_daily_returns():
    worth, curve = D(1000), []
    for day in range(12):
        worth *= D("1.01") if day % 2 else D("0.995")
        curve += [point(DAY0 + day * DAY_MS + 100, "1"), point(DAY0 + (day + 1) * DAY_MS - 1, str(worth))]
    assert daily_sharpe(curve[:20]) is None
    returns = [0.01 if day % 2 else -0.005 for day in range(1, 12)]
    mean = sum(returns) / 11
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 10)
    assert daily_sharpe(curve) == pytest.approx(mean / deviation * math.sqrt(365))


# --- how sure ----------------------------------------------------------------------------------------


def test_intervals_against_published_values():
    # Wilson, 8 of 10: 0.4902 to 0.9433 (e.g. Brown, Cai, DasGupta 2001).
    found = wilson(8, 10)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.49016, abs=1e-4), pytest.approx(0.94332, abs=1e-4))
    assert wilson(0, 0) is None
    assert wilson(0, 5).low == 0.0
    # Student's t, two-sided 95 %, from any table.
    for freedom, expected in ((1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (10, 2.228), (100, 1.984)):
        assert t_quantile(freedom) == pytest.approx(expected, rel=1.2e-3)


def test_an_interval_of_a_mean_shrinks_with_the_root_of_the_trades():
    few, many = mean_interval([1.0, -1.0] * 8), mean_interval([1.0, -1.0] * 128)
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.15)
    assert mean_interval([1.0]) is None
    assert sharpe_interval(0.89, 45).holds(0.89)
    assert sharpe_interval(0.5, 1) is None


def test_needed_trades():
    assert trades_for_share(0.56, 0.2) == 76
    assert trades_for_mean(0.42, 0.42 / 0.89, 0.2) == 122
    assert trades_for_share(1.0, 0.2) is None
    assert trades_for_mean(0.0, 1.0, 0.2) is None


# --- against the backtest ----------------------------------------------------------------------------

PROMISE = Promise(trades=45, win_rate=0.56, avg_r=0.42, total_pnl=0.1234, max_dd=-0.0456, sharpe=0.89)


@pytest.mark.parametrize(
    ("worse_by", "band"),
    [
        (0.0, Band.AS_EXPECTED),
        (0.2, Band.AS_EXPECTED),
        (0.25, Band.WORST_ACCEPTED),
        (0.4, Band.TOO_LOW),
        (0.51, Band.FLAGGED),
        (-0.5, Band.BETTER),
    ],
)
def test_bands(worse_by, band):
    assert band_of(worse_by) is band


def rows(trades, promise=PROMISE):
    return {row.name: row for row in compare(trades, promise).rows}


def test_few_trades_are_not_judged_however_good_bad_or_alike():
    for few in (
        [trade(1, r=-1.0), trade(2, r=1.2)],
        [trade(1, r=-1.0), trade(2, r=-1.001)],
        [trade(1, r=9.0)],
    ):
        found = rows(few)
        assert {found[name].band for name in ("win_rate", "avg_R", "pnl_per_trade")} == {Band.TOO_FEW}
        assert not any(row.alarms for row in found.values())
    assert rows([trade(1), trade(2, r=1.2)])["avg_R"].more_trades == 120


def test_a_bad_figure_is_flagged_and_proven_only_by_its_interval():
    ten = rows([trade(n, r=3.0 if n == 1 else -0.2) for n in range(10)])
    assert ten["avg_R"].band is Band.FLAGGED
    assert not ten["avg_R"].alarms
    many = rows([trade(n, r=-1.0 if n % 4 else 1.2) for n in range(200)])
    assert many["avg_R"].alarms
    assert many["win_rate"].alarms
    assert many["win_rate"].more_trades == 0


def test_profit_is_compared_per_trade_and_a_drawdown_only_for_depth():
    found = rows([trade(n, pnl=0.1234 / 45) for n in range(10)])
    assert found["pnl_per_trade"].worse_by == pytest.approx(0)
    assert found["total_pnl"].band is Band.SHOWN
    assert found["max_dd"].band is Band.AS_EXPECTED
    assert rows([trade(1, pnl=0.1), trade(2, pnl=-0.1)])["max_dd"].alarms


def test_nothing_is_promised_nothing_is_judged():
    assert rows([], PROMISE)["avg_R"].band is Band.NO_TRADES
    assert rows([trade()], None)["avg_R"].band is Band.NOT_PROMISED
    assert rows([trade()])["sharpe"].band is Band.UNDEFINED


def test_trades_at_other_prices_are_left_out_and_acts_are_named():
    found = compare(
        [
            trade(1),
            trade(2, notes="late; basis 0.98"),
            trade(3, reason="MANUAL"),
            trade(4, reason="EXTERNAL"),
        ],
        PROMISE,
    )
    assert (found.metrics.n, found.left_out, found.by_hand) == (2, 1, 1)


# --- uptime ----------------------------------------------------------------------------------------


def told(at_ms, kind, text, level="INFO"):
    return EventRow(at_ms, level, kind, text)


def test_a_stale_feed_is_down_and_overlaps_count_once():
    events = [
        told(0, "engine", "started: version 1"),
        told(1_000, "feed", "fresh, from websocket"),
        told(50_000, "feed", "stale, from none"),
        told(55_000, "exchange unreachable", "exchange unreachable: no answer", "ERROR"),
        told(65_000, "exchange unreachable", "exchange unreachable: over"),
        told(60_000, "feed", "fresh, from rest"),
    ]
    events.sort(key=lambda event: event.at_ms)
    down = outages(events, [], 0, 100_000)
    assert down == (
        Outage(0, 1_000, Down.FEED_STALE),
        Outage(50_000, 60_000, Down.FEED_STALE),
        Outage(55_000, 65_000, Down.EXCHANGE_UNREACHABLE),
    )
    up = uptime(down, 0, 100_000)
    assert up.down_ms == 16_000
    assert up.share == pytest.approx(0.84)
    assert dict(up.by_cause) == {Down.FEED_STALE: 11_000, Down.EXCHANGE_UNREACHABLE: 5_000}


def test_an_engine_that_stopped_or_was_killed_is_down_until_its_feed_is_fresh_again():
    events = [
        told(10_000, "engine", "stopped"),
        told(30_000, "engine", "started: version 1"),
        told(40_000, "feed", "fresh, from websocket"),
    ]
    assert uptime(outages(events, [], 0, 100_000), 0, 100_000).down_ms == 30_000
    killed = outages(events[1:], [(5_000, 30_000)], 0, 100_000)
    assert uptime(killed, 0, 100_000).down_ms == 35_000
    assert outages([told(10_000, "engine", "stopped")], [], 20_000, 30_000) == (
        Outage(20_000, 30_000, Down.ENGINE_OFF),
    )


# --- KPIs ------------------------------------------------------------------------------------------


def measured(**changes):
    facts = {
        "signals": SignalCounts({}, 0),
        "executions": (),
        "fill_times_ms": (),
        "up": Uptime(0, 0, ()),
        "latencies_ms": (),
        **changes,
    }
    return {kpi.name: kpi for kpi in kpis(**facts)}


def test_the_strategys_own_no_is_no_missed_signal():
    kpi = measured(signals=SignalCounts({"entered": 7, "no_room": 5, "late": 2, "refused": 1}, 6))
    executed = kpi["signals executed"]
    assert executed.value == pytest.approx(60.0)
    assert executed.standing is Standing.WATCH
    assert executed.detail == "2 late, 1 refused, 1 not filled; 5 passed over by the strategy's own rules"


def test_slippage_is_a_loss_in_either_direction():
    bought = Execution(1, True, D("100"), D("100.6"))
    sold = Execution(1, False, D("100"), D("99.2"))
    by_hand = Execution(2, False, None, D("50"))
    slippage = measured(executions=(bought, sold, by_hand))["slippage"]
    assert (slippage.value, slippage.of) == (pytest.approx(0.7), 2)
    assert slippage.standing is Standing.ALERT
    better = measured(executions=(Execution(1, True, D("100"), D("99.9")),))["slippage"]
    assert better.value == pytest.approx(-0.1)
    assert better.standing is Standing.GOOD


def test_delays_are_those_of_the_slowest_twentieth():
    times = [100] * 96 + [9_000] * 4
    assert measured(latencies_ms=times)["signal latency"].standing is Standing.GOOD
    assert measured(latencies_ms=times[2:])["signal latency"].standing is Standing.GOOD
    assert measured(latencies_ms=times[60:])["signal latency"].standing is Standing.ALERT
    assert measured()["fill time"].standing is Standing.UNKNOWN


def test_uptime_stands_between_target_and_alert():
    assert measured(up=Uptime(100_000, 2_000, ()))["uptime"].standing is Standing.WATCH
    assert measured(up=Uptime(100_000, 6_000, ()))["uptime"].standing is Standing.ALERT
    assert measured()["uptime"].standing is Standing.UNKNOWN


# --- the way to live -------------------------------------------------------------------------------


def run(venue="binance@api.binance.com", mode="paper", pair="ADA/USDT", **changes):
    empty = ScopeRun(venue, mode, pair, DAY0, 0, 0, 0, 0, 0, 0, 0, 1)
    return replace(empty, **changes)


def test_only_the_exchanges_own_hosts_count_over_all_accounts():
    found = phase_progress(
        [
            run(minutes=1_440 * 4, trades=6, wins=3, starts=3),
            run(minutes=1_440 * 3, trades=4, wins=4, emergencies=1),
            run("binance@127.0.0.1:8090", minutes=99_999, trades=99),
            run("kraken@production", minutes=99_999, trades=99),
            run(pair="BTC/USDT", minutes=99_999),
            run("binance@testnet.binance.vision", "testnet", minutes=720, trades=1),
        ],
        exchange="binance",
        pair="ADA/USDT",
        needed={"paper": (7.0, 10), "testnet": (7.0, 10)},
    )
    paper, testnet, live = found
    assert (paper.days, paper.trades, paper.win_rate, paper.restarts, paper.emergencies) == (
        7.0,
        10,
        0.7,
        2,
        1,
    )
    assert paper.is_done
    assert (testnet.days, testnet.is_done) == (0.5, False)
    assert not live.is_done


def test_flows_are_read_as_reconciliation_writes_them():
    assert flows_in([told(5, "account", "withdrawal of 12.5 USDT: counted as a flow, not as profit")]) == (
        Flow(5, D("-12.5")),
    )
    assert flows_in([told(5, "risk", "deposit of 12.5 USDT")]) == ()
