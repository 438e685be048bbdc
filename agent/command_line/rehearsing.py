"""Replay and the demo market: the arguments of the command line turned into calls of those parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

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
    if form == "live":
        raise Ended(
            ExitCode.REFUSED, "replay --form live is not available yet; nothing was done.", "use --form bar"
        )
    from agent.config.findings import ConfigRefused
    from agent.config.load import load_config
    from agent.config.strategy import exit_params, seller_params
    from agent.replay.command import replay_command
    from agent.replay.setup import ReplaySetup

    try:
        accepted = load_config(config).config
    except ConfigRefused as refused:
        raise Ended(
            ExitCode(refused.exit_code), str(refused), f"check it with `validate-config {config}`"
        ) from None
    metrics = accepted.backtest_metrics
    setup = ReplaySetup(
        seller=seller_params(accepted),
        exits=exit_params(accepted),
        timeframe=accepted.timeframe,
        backtest_metrics=None if metrics is None else metrics.model_dump(exclude_none=True),
    )
    return replay_command(
        candles,
        setup,
        out,
        live_runner=_never,
        policy="first_level" if policy == "first_level" else "target" if policy == "target" else None,
        form="bar",
        finer_path=finer,
        as_json=as_json,
    )


def _never(*_: object) -> NoReturn:
    raise AssertionError("the bar form asks for no live run")


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
