"""The configuration as the rest of the program sees it: a frozen tree named like the file's keys.

`ConfigFile` is the file's format, section by section, with every default; `Config` is what one accepted file
amounts to, with its hash. Sections refuse unknown keys. Percentages, balances and limits are Decimal born
from the file's text; thresholds and backtest costs are float, as in the backtester. `agent.config.check`
makes these and turns what pydantic reports into findings; nobody else constructs a `Config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.config import names
from agent.config.rules import (
    address,
    amount,
    flag,
    number_in,
    one_of,
    or_null,
    percentage,
    placeholder,
    real,
    text,
    whole,
)
from agent.config.secret import Secret
from agent.core.market import TIMEFRAME_MINUTES, bar_ms

#: The format this program writes and reads.
FORMAT_VERSION: Final = "2.1.0"

#: 28 years of 15-minute bars; a longer window cannot be warmed up.
MAX_BARS: Final = 1_000_000
_MOST_MONEY: Final = "1000000000000"

Mode = Literal["paper", "testnet", "live"]
Timeframe = Literal["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
Level = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]

Bars = Annotated[int, whole(1, MAX_BARS)]
Minutes = Annotated[int | None, or_null(whole(-MAX_BARS, MAX_BARS))]
Flag = Annotated[bool, flag()]
Metric = Annotated[float | None, or_null(real())]
AlertLevel = Annotated[Level, one_of("INFO", "WARNING", "ERROR", "CRITICAL")]


class Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class SellerSection(Section):
    """The entry signal. Windows in bars; a `*_minutes` value wins over its window (see `bar_counts`)."""

    ema_fast: Bars = 96
    ema_slow: Bars = 672
    z_window: Bars = 672
    atr_window: Bars = 96
    ema_fast_minutes: Minutes = None
    ema_slow_minutes: Minutes = None
    z_window_minutes: Minutes = None
    atr_window_minutes: Minutes = None
    vol_z: Annotated[float, real()] = 2.0
    tr_z: Annotated[float, real()] = 1.2
    cloc_min: Annotated[float, real("0", "1")] = 0.6


class BacktestSection(Section):
    """The exits and the costs the backtest assumed. `max_hold` in bars, costs in basis points per side."""

    use_fib_exits: Flag = True
    use_stop_loss: Flag = False
    use_time_exit: Flag = False
    use_traditional_tp: Flag = False
    fib_swing_lookback: Bars = 96
    fib_swing_lookahead: Annotated[int, whole(0, MAX_BARS)] = 5
    fib_target_level: Annotated[float, number_in("0.382", "0.5", "0.618", "0.786", "1.0")] = 0.618
    atr_stop_mult: Annotated[float, real(above="0")] = 0.7
    reward_r: Annotated[float, real(above="0")] = 2.0
    max_hold: Bars = 96
    fee_bp: Annotated[float, real("0", "10000")] = 5.0
    slippage_bp: Annotated[float, real("0", "10000")] = 5.0


class RiskSection(Section):
    """The limits. Percentages of equity, except slippage, which is a percentage of the price."""

    risk_per_trade_percent: Annotated[Decimal, percentage("0.1", "10")] = Decimal("1.0")
    max_position_size_percent: Annotated[Decimal, percentage("1", "100")] = Decimal("10.0")
    max_daily_loss_percent: Annotated[Decimal, percentage("1", "20")] = Decimal("5.0")
    max_daily_trades: Annotated[int, whole(1, 100)] = 10
    max_open_positions: Annotated[int, whole(1, 10)] = 1
    slippage_tolerance_percent: Annotated[Decimal, percentage("0.1", "5")] = Decimal("0.5")
    order_timeout_seconds: Annotated[int, whole(5, 300)] = 30


class ExchangeSection(Section):
    """Where and what to trade. The key fields hold placeholders only; credentials live outside the file."""

    exchange_name: Annotated[str, names.exchange_id()] = "binance"
    trading_pair: Annotated[str, names.trading_pair()] = "ADA/USDT"
    base_currency: Annotated[str, names.currency()] = "ADA"
    quote_currency: Annotated[str, names.currency()] = "USDT"
    api_key: Annotated[str, placeholder("YOUR_API_KEY_HERE", "EXCHANGE_API_KEY")] = "YOUR_API_KEY_HERE"
    api_secret: Annotated[str, placeholder("YOUR_API_SECRET_HERE", "EXCHANGE_API_SECRET")] = (
        "YOUR_API_SECRET_HERE"
    )
    api_passphrase: Annotated[None, placeholder(None, "EXCHANGE_API_PASSPHRASE")] = None
    testnet: Flag = True
    enable_rate_limit: Flag = True
    paper_trading: Flag = True
    paper_initial_balance: Annotated[Decimal, amount("100", _MOST_MONEY)] = Decimal("10000.0")


class FeedSection(Section):
    """Where candles and prices come from, and how often they are asked for (seconds)."""

    data_source: Annotated[Literal["exchange", "polygon", "both"], one_of("exchange", "polygon", "both")] = (
        "exchange"
    )
    polygon_api_key: Annotated[str, placeholder("YOUR_POLYGON_KEY_HERE", "POLYGON_API_KEY")] = (
        "YOUR_POLYGON_KEY_HERE"
    )
    use_websocket: Flag = True
    websocket_ping_interval: Annotated[int, whole(5, 60)] = 20
    rest_api_interval_seconds: Annotated[int, whole(15, 300)] = 60
    max_missing_bars: Annotated[int, whole(1, 10)] = 3
    validate_ohlcv: Flag = True


class BacktestMetrics(Section):
    """What the backtest measured, for comparison; other keys than these are ignored."""

    model_config = ConfigDict(extra="ignore")

    total_trades: Annotated[int | None, or_null(whole(0))] = None
    n: Annotated[int | None, or_null(whole(0))] = None
    win_rate: Metric = None
    avg_R: Metric = None  # noqa: N815 - the exporter's name
    total_pnl: Metric = None
    max_drawdown: Metric = None
    max_dd: Metric = None
    sharpe: Metric = None

    @property
    def trades(self) -> int | None:
        """The number of trades under either of its two names."""
        return self.n if self.total_trades is None else self.total_trades

    @property
    def drawdown(self) -> float | None:
        """Lowest of cumulative pnl minus its running maximum (<= 0), under either of its two names."""
        return self.max_dd if self.max_drawdown is None else self.max_drawdown


class TelegramSection(Section):
    enabled: Flag = True
    level: AlertLevel = "ERROR"
    positions: Flag = True
    daily_summary: Flag = True


class EmailSection(Section):
    enabled: Flag = False
    level: AlertLevel = "CRITICAL"


class AgentSection(Section):
    """What the exporter does not know: how this agent executes, alerts and stores."""

    fib_exit: Annotated[Literal["target", "first_level"], one_of("target", "first_level")] = "target"
    entry_bar_exits: Annotated[Literal["stop_only", "all"], one_of("stop_only", "all")] = "stop_only"
    enter_without_room: Flag = False
    entry_order: Annotated[Literal["limit", "market"], one_of("limit", "market")] = "limit"
    protective_stop: Flag = True
    disaster_stop_percent: Annotated[Decimal | None, or_null(amount(above="0", below="100"))] = None
    capital: Annotated[Decimal | None, or_null(amount(high=_MOST_MONEY, above="0"))] = None
    signal_market: Annotated[Literal["production", "testnet"], one_of("production", "testnet")] = "production"
    late_signal: Annotated[Literal["skip", "enter"], one_of("skip", "enter")] = "skip"
    late_after_seconds: Annotated[int, whole(1, 86_400)] = 30
    auto_resume: Flag = True
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ] = "INFO"
    database_url: Annotated[Secret | None, or_null(address("postgresql", "postgres", "sqlite"))] = None
    telegram: TelegramSection = TelegramSection()
    email: EmailSection = EmailSection()
    heartbeat_url: Annotated[Secret | None, or_null(address("https", "http"))] = None
    metrics_port: Annotated[int | None, or_null(whole(1, 65_535))] = None
    min_paper_days: Annotated[int, whole(0, 3650)] = 7
    min_testnet_days: Annotated[int, whole(0, 3650)] = 7
    min_phase_trades: Annotated[int, whole(0, 100_000)] = 10


class ConfigFile(Section):
    """The whole file, format 2.1.0. Everything has a default; an export writes everything but `agent`."""

    version: Annotated[str, names.version()] = FORMAT_VERSION
    created_at: Annotated[str, text()] = ""
    description: Annotated[str, text(10_000)] = ""
    strategy_name: Annotated[str, text()] = "Seller Exhaustion"
    timeframe: Annotated[Timeframe, one_of(*TIMEFRAME_MINUTES, hint=names.timeframe_meant_by)] = "15m"
    seller_params: SellerSection = SellerSection()
    backtest_params: BacktestSection = BacktestSection()
    risk_management: RiskSection = RiskSection()
    exchange: ExchangeSection = ExchangeSection()
    data_feed: FeedSection = FeedSection()
    backtest_metrics: BacktestMetrics | None = None
    agent: AgentSection = AgentSection()


class Config(ConfigFile):
    """One accepted configuration.

    `canonical` is the file's content in one form (sorted keys, no blanks, plain numbers), accepted by
    `check_config` again; `config_hash` is its SHA-256. Key order, white space and the way a number is written
    do not change them; any other change does.
    """

    config_hash: str
    canonical: str = Field(repr=False)

    @property
    def mode(self) -> Mode:
        """Where orders go. In paper the `testnet` key has no effect."""
        if self.exchange.paper_trading:
            return "paper"
        return "testnet" if self.exchange.testnet else "live"

    @property
    def bar_ms(self) -> int:
        """Length of a bar in milliseconds."""
        return bar_ms(self.timeframe)

    @property
    def bars(self) -> BarCounts:
        """The signal's windows in bars, minutes converted. Use these, not the raw `seller_params`."""
        return bar_counts(self.seller_params, self.timeframe)


@dataclass(frozen=True, slots=True)
class BarCounts:
    """The four windows of the signal, in bars."""

    ema_fast: int
    ema_slow: int
    z_window: int
    atr_window: int


def bar_counts(seller: SellerSection, timeframe: str) -> BarCounts:
    """Windows in bars: `*_minutes` when set, else the window as given."""

    def count(bars: int, minutes: int | None) -> int:
        return bars if minutes is None else bars_for(minutes, timeframe)

    return BarCounts(
        ema_fast=count(seller.ema_fast, seller.ema_fast_minutes),
        ema_slow=count(seller.ema_slow, seller.ema_slow_minutes),
        z_window=count(seller.z_window, seller.z_window_minutes),
        atr_window=count(seller.atr_window, seller.atr_window_minutes),
    )


def bars_for(minutes: int, timeframe: str) -> int:
    """Bars that `minutes` amount to: max(1, round-half-even(minutes / bar minutes)).

    The backtester converts 30m at 15 minutes a bar; so does this, or the signals would differ.
    """
    per_bar = 15 if timeframe == "30m" else TIMEFRAME_MINUTES[timeframe]
    return max(1, round(Fraction(minutes, per_bar)))
