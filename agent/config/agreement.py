"""Errors that no single value shows: values that contradict each other, or what an exchange offers."""

from __future__ import annotations

from collections.abc import Iterator

from agent.config.capabilities import CAPABILITIES, with_proven_sandbox
from agent.config.draft import Draft
from agent.config.findings import Finding
from agent.config.model import FORMAT_VERSION


def disagreements(draft: Draft) -> list[Finding]:
    """Every contradiction between keys that are sound by themselves."""
    return [*_version(draft), *_swing(draft), *_pair(draft), *_sandbox(draft)]


def _version(draft: Draft) -> Iterator[Finding]:
    newest = int(FORMAT_VERSION.split(".")[0])
    if draft.sound("version") and draft.version[0] > newest:
        reason = f"the file has format {draft.version[0]}, this agent reads up to {newest}"
        yield draft.finding("version", reason, "update the agent, or export in the older format")


def _swing(draft: Draft) -> Iterator[Finding]:
    back, ahead = "backtest_params.fib_swing_lookback", "backtest_params.fib_swing_lookahead"
    params = draft.file.backtest_params
    if draft.sound(back, ahead) and params.fib_swing_lookahead >= params.fib_swing_lookback:
        reason = (
            f"must be below fib_swing_lookback ({params.fib_swing_lookback}): no swing high is ever found"
        )
        yield draft.finding(ahead, reason, "lower it (default 5) or raise fib_swing_lookback (default 96)")


def _pair(draft: Draft) -> Iterator[Finding]:
    exchange = draft.file.exchange
    if not draft.sound("exchange.trading_pair"):
        return
    base, _, quote = exchange.trading_pair.partition("/")
    for key, written, agreed in (
        ("exchange.base_currency", exchange.base_currency, base),
        ("exchange.quote_currency", exchange.quote_currency, quote),
    ):
        if draft.sound(key) and written != agreed:
            reason = f"does not agree with trading_pair {exchange.trading_pair}"
            yield draft.finding(key, reason, f'write "{agreed}", or correct the trading_pair')


def _sandbox(draft: Draft) -> Iterator[Finding]:
    exchange = draft.file.exchange
    row = CAPABILITIES.get(exchange.exchange_name)
    if not draft.sound("exchange.exchange_name") or row is None or row.sandbox:
        return
    testnet, paper, signals = "exchange.testnet", "exchange.paper_trading", "agent.signal_market"
    if draft.sound(testnet, paper) and exchange.testnet and not exchange.paper_trading:
        reason = f"{row.title} has no sandbox for its spot market"
        fix = (
            "rehearse with paper_trading true; testnet cannot be used there, only on "
            f"{' and '.join(with_proven_sandbox())} (agent.cli exchanges {row.name})"
        )
        yield draft.finding(testnet, reason, fix)
    if draft.sound(signals) and draft.file.agent.signal_market == "testnet":
        reason = f"{row.title} has no sandbox to take signals from"
        yield draft.finding(signals, reason, 'write "production"')
