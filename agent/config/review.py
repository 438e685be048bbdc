"""What is allowed but deserves a second look before money depends on it.

Each function names one concern and yields a warning where the file gives reason for it. A warning never stops
anything; it says what follows from the setting and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from agent.config import venues
from agent.config.address_parts import has_password, is_readable_on_the_way
from agent.config.availability import refused_there
from agent.config.capabilities import CAPABILITIES, with_proven_orders
from agent.config.draft import Draft
from agent.config.findings import Finding
from agent.config.model import FORMAT_VERSION, bar_counts, bars_for


def review(draft: Draft) -> list[Finding]:
    """Every warning that the file alone gives rise to; missing credentials are a matter of `.env`."""
    strategy = (_bars, _windows, _exits, _policy, _metrics)
    execution = (_live, _orders, _risk, _exchange, _feed, _polygon, _phases, _database)
    concerns = (_format, *strategy, *execution)
    return [finding for concern in concerns for finding in concern(draft)]


def _format(draft: Draft) -> Iterator[Finding]:
    ours = int(FORMAT_VERSION.split(".")[0])
    if draft.is_newer_minor:
        reason = f"newer than this agent's format {FORMAT_VERSION}: keys it does not know are ignored"
        yield draft.finding("version", reason, "update the agent")
    elif draft.sound("version") and draft.version[0] < ours:
        reason = f"older than this agent's format {FORMAT_VERSION}"
        yield draft.finding("version", reason, "export the configuration again with the current backtester")


def _live(draft: Draft) -> Iterator[Finding]:
    paper, testnet = "exchange.paper_trading", "exchange.testnet"
    exchange = draft.file.exchange
    if not draft.sound(paper, testnet) or exchange.paper_trading:
        return
    if not exchange.testnet:
        yield draft.finding(paper, "live mode: orders are real", "set it to true to rehearse on paper first")
        reason = "live on production: EXTREME RISK, real money is traded and can be lost"
        fix = "set it to true to rehearse on the exchange's testnet first"
        if draft.sound("exchange.exchange_name") and refused_there(exchange.exchange_name, "testnet"):
            fix = "rehearse on paper first: no testnet can be traded there"
        yield draft.finding(testnet, reason, fix)
    if (
        draft.sound("agent.signal_market")
        and draft.file.agent.signal_market == "testnet"
        and not exchange.testnet
    ):
        reason = "live orders would follow a testnet's thin market"
        yield draft.finding("agent.signal_market", reason, 'write "production"')


def _orders(draft: Draft) -> Iterator[Finding]:
    """The file is right, and a start refuses it all the same."""
    exchange = draft.file.exchange
    keys = ("exchange.exchange_name", "exchange.paper_trading", "exchange.testnet")
    if not draft.sound(*keys) or exchange.paper_trading:
        return
    row = CAPABILITIES.get(exchange.exchange_name)
    if exchange.testnet and row is not None and not row.sandbox:
        # An error of its own.
        return
    why = refused_there(exchange.exchange_name, "testnet" if exchange.testnet else "live")
    if why is not None:
        fix = f"set it to true, or trade on {' or '.join(with_proven_orders())}"
        yield draft.finding("exchange.paper_trading", f"a start will be refused: {why}", fix)


def _risk(draft: Draft) -> Iterator[Finding]:
    risk = draft.file.risk_management
    per_trade, daily = "risk_management.risk_per_trade_percent", "risk_management.max_daily_loss_percent"
    if draft.sound(per_trade) and risk.risk_per_trade_percent > Decimal(2):
        reason = "risk per trade above 2 %: ten losses in a row cost a fifth of the account and more"
        yield draft.finding(per_trade, reason, "write 2 or less")
    if draft.sound(daily) and risk.max_daily_loss_percent > Decimal(10):
        yield draft.finding(
            daily, "daily loss limit above 10 %: a bad day costs a tenth and more", "write 10 or less"
        )


def _bars(draft: Draft) -> Iterator[Finding]:
    if not draft.sound("timeframe"):
        return
    timeframe = draft.file.timeframe
    if timeframe == "1m":
        reason = "1m bars: many signals, each of which has to earn back fees and slippage"
        yield draft.finding("timeframe", reason, "prefer 5m or longer")
    exchange_name = draft.file.exchange.exchange_name
    if not draft.sound("exchange.exchange_name"):
        return
    source = venues.source_timeframe(exchange_name, timeframe)
    if source != timeframe:
        reason = f"{exchange_name} offers no {timeframe} candles: they are built from {source} candles"
        fix = f"accept it, or use a timeframe the exchange has, like {source}"
        yield draft.finding("timeframe", reason, fix)


def _windows(draft: Draft) -> Iterator[Finding]:
    if not draft.sound("seller_params"):
        return
    seller, timeframe = draft.file.seller_params, draft.file.timeframe
    for name in ("ema_fast", "ema_slow", "z_window", "atr_window"):
        key = f"seller_params.{name}_minutes"
        minutes: int | None = getattr(seller, f"{name}_minutes")
        if minutes is None or not draft.sound(key, "timeframe"):
            continue
        bars = bars_for(minutes, timeframe)
        if timeframe == "30m":
            reason = (
                f"30m: the backtester counts 15 minutes a bar, so this is {bars} bars ({bars * 30} minutes)"
            )
            yield draft.finding(
                key, reason, f"set it to null and {name} to the bars you want, if this is not meant"
            )
        if minutes <= 0:
            reason = "zero or less minutes: the window is a single bar"
            yield draft.finding(key, reason, f"set it to null to use {name} in bars")
    keys = [
        f"seller_params.{name}" for name in ("ema_fast", "ema_slow", "ema_fast_minutes", "ema_slow_minutes")
    ]
    if not draft.sound("timeframe", *keys):
        return
    counts = bar_counts(seller, timeframe)
    if counts.ema_fast >= counts.ema_slow:
        reason = (
            f"{counts.ema_fast} bars, not below ema_slow ({counts.ema_slow}): the downtrend would be misread"
        )
        yield draft.finding("seller_params.ema_fast", reason, "make ema_fast the shorter of the two")


def _exits(draft: Draft) -> Iterator[Finding]:
    params = draft.file.backtest_params
    stop = "backtest_params.use_stop_loss"
    others = ("use_fib_exits", "use_time_exit", "use_traditional_tp")
    if not draft.sound(stop):
        return
    if draft.sound(*(f"backtest_params.{name}" for name in others)) and not (
        params.use_stop_loss or any(getattr(params, name) for name in others)
    ):
        reason = "no exit is enabled at all: a position is held until you close it by hand"
        yield draft.finding("backtest_params.use_fib_exits", reason, "enable at least one exit")
    disaster = "agent.disaster_stop_percent"
    if not params.use_stop_loss and draft.sound(disaster) and draft.file.agent.disaster_stop_percent is None:
        reason = "no stop-loss: a falling position is held, and nothing protects it while the agent is down"
        fix = "set it to true, or set disaster_stop_percent in section agent (10, for example)"
        yield draft.finding(stop, reason, fix)


def _policy(draft: Draft) -> Iterator[Finding]:
    key = "agent.fib_exit"
    if draft.file.backtest_metrics is not None and draft.sound("agent") and not draft.states(key):
        reason = (
            "backtest_metrics are present, but not which exit they were measured with: release 2.1 of the "
            "backtester left at the first level, later ones at the target"
        )
        yield draft.finding(key, reason, 'set agent.fib_exit to "target" or "first_level" explicitly')


def _metrics(draft: Draft) -> Iterator[Finding]:
    metrics = draft.file.backtest_metrics
    if metrics and draft.sound("backtest_metrics.win_rate") and not 0 <= (metrics.win_rate or 0) <= 1:
        reason = "a win rate is a share from 0 to 1; the comparison with live trading would be wrong"
        yield draft.finding("backtest_metrics.win_rate", reason, "write 0.56 for 56 %")


def _exchange(draft: Draft) -> Iterator[Finding]:
    exchange = draft.file.exchange
    name, limit = "exchange.exchange_name", "exchange.enable_rate_limit"
    if draft.sound(name) and exchange.exchange_name not in venues.VENUES:
        reason = "not tested with this agent; only what ccxt offers for every exchange is used"
        yield draft.finding(name, reason, f"prefer one of {', '.join(venues.VENUES)}; rehearse long on paper")
    if draft.sound(limit) and not exchange.enable_rate_limit:
        yield draft.finding(
            limit, "the limits stay on: without them the exchange bans the address", "set it to true"
        )


def _feed(draft: Draft) -> Iterator[Finding]:
    key = "data_feed.validate_ohlcv"
    if draft.sound(key) and not draft.file.data_feed.validate_ohlcv:
        yield draft.finding(key, "the checks stay on: a bad candle must not trade", "set it to true")


def _polygon(draft: Draft) -> Iterator[Finding]:
    key = "data_feed.data_source"
    if not draft.sound(key, "timeframe"):
        return
    if draft.file.data_feed.data_source == "polygon" and draft.file.timeframe == "1m":
        reason = (
            "Polygon is asked five times a minute at most, and a 1m bar takes two of them: when one comes "
            "late or is missing, the next wait for their turn, and signals grow too old to be entered"
        )
        yield draft.finding(key, reason, 'use bars of 3m or longer, or write "both"')


def _phases(draft: Draft) -> Iterator[Finding]:
    for name, usual in (("min_paper_days", 7), ("min_testnet_days", 7), ("min_phase_trades", 10)):
        if draft.sound(f"agent.{name}") and getattr(draft.file.agent, name) < usual:
            reason = f"shorter than the usual {usual} before real money is traded"
            yield draft.finding(f"agent.{name}", reason, f"write {usual} or more")


def _database(draft: Draft) -> Iterator[Finding]:
    url = draft.file.agent.database_url
    if url is None or not draft.sound("agent.database_url"):
        return
    line = draft.lines.get(("agent", "database_url"))
    if has_password(url.reveal()):
        fix = "remove it from the address; PostgreSQL reads it from ~/.pgpass or PGPASSWORD"
        yield Finding("agent.database_url", None, "the address holds a password", fix, line)
    elif not url.reveal().startswith("sqlite") and is_readable_on_the_way(url.reveal()):
        reason = "trades travel readable to another machine"
        fix = "add ?sslmode=verify-full (or require) to the address"
        yield Finding("agent.database_url", None, reason, fix, line)
