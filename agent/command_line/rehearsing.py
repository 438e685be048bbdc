"""Replay and the demo market: the arguments of the command line turned into calls of those parts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from agent.command_line.outcome import Ended, ExitCode


def replay_from(
    candles: Path,
    config: Path,
    out: Path,
    policy: str | None,
    form: str,
    finer: Path | None,
    as_json: bool,
) -> int:
    if policy not in (None, "target", "first_level"):
        raise Ended(ExitCode.REFUSED, f"--policy {policy} is unknown.", "write target or first_level")
    if form not in ("bar", "live"):
        raise Ended(ExitCode.REFUSED, f"--form {form} is unknown.", "write bar or live")
    from agent.config.findings import ConfigRefused
    from agent.config.load import load_config
    from agent.config.strategy import assumed_fee_rate
    from agent.config.strategy import setup as engine_setup
    from agent.replay.command import replay_command
    from agent.replay.live_form import live_form
    from agent.replay.setup import setup_of

    try:
        accepted = load_config(config).config
    except ConfigRefused as refused:
        raise Ended(
            ExitCode(refused.exit_code), str(refused), f"check it with `validate-config {config}`"
        ) from None
    engine = engine_setup(accepted, venue="replay", tag="rpl0", fee_rate=assumed_fee_rate(accepted))
    slippage_bp = Decimal(str(accepted.backtest_params.slippage_bp))
    return replay_command(
        candles,
        setup_of(accepted),
        out,
        live_runner=live_form(engine, accepted.exchange.paper_initial_balance, slippage_bp),
        policy="first_level" if policy == "first_level" else "target" if policy == "target" else None,
        form="live" if form == "live" else "bar",
        finer_path=finer,
        as_json=as_json,
    )


def demo_market_from(
    port: int,
    seed: int,
    candles: Path | None,
    start: str | None,
    speed: float,
    pair: str,
    key: str,
    secret: str,
    balances: Sequence[str] | None,
) -> int:
    from agent.localexchange.command import balance_of, demo_market_command

    try:
        account = dict(balance_of(text) for text in balances or ()) or None
    except ValueError as why:
        raise Ended(ExitCode.REFUSED, f"{str(why)[:1].upper()}{str(why)[1:]}.") from None
    return demo_market_command(port, seed, candles, start, speed, pair, key, secret, account)
