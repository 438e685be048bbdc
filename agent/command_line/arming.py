"""`arm` and `disarm`: the way to real money, gate by gate, and back.

Stays true: nothing here trades. `arm` shows every gate with its numbers and asks for the pair to be typed;
what it writes down is good for this configuration and this version of the program only.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.arming.decision import Confirmed, Evidence, NotArmed, decide
from agent.arming.phases import Gate
from agent.arming.record import Override, forget_record
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.terminal import Terminal
from agent.compose.account_worth import account_worth
from agent.compose.live import gather, keep, launch_list
from agent.config.findings import ConfigRefused
from agent.config.load import load_config
from agent.config.model import Config
from agent.core.instant import iso_utc
from agent.options import ExchangeAddress
from agent.store.data_dir import DataDir
from agent.store.trouble import StoreTrouble

_SHORTEST_REASON: Final = 10


def arm_command(
    config_path: Path,
    env_file: Path | None,
    data_dir: Path,
    override_reason: str | None,
    replaced: ExchangeAddress | None,
    as_json: bool,
) -> int:
    """Show the gates; at a terminal, arm once the pair was typed. Exit 0 only when armed."""
    config = _config(config_path)
    override = _override(override_reason)
    directory, env_path = DataDir(data_dir), env_file or config_path.parent / ".env"
    worth = account_worth(config, env_path, replaced) if config.mode == "live" else "this is not live mode"
    try:
        listed = launch_list(config, directory.trades_db, worth)
        evidence = gather(
            config,
            env_path,
            data_dir,
            directory.trades_db,
            Confirmed.TYPED,
            is_open=False,
            items=listed,
            override=override,
        )
    except StoreTrouble as trouble:
        raise Ended(ExitCode.UNREADABLE, f"{trouble}.") from None
    terminal = Terminal(as_json=as_json)
    decision = decide(evidence)
    shown = tuple(gate for gate in decision.gates if gate.name != "confirmation")
    if as_json:
        terminal.document({"gates": _rows(shown), "checklist": _rows(listed), "armed": False})
    else:
        terminal.show("Gates to live trading:")
        _show(terminal, shown, "passed", "CLOSED")
        terminal.show("Launch list:")
        _show(terminal, listed, "done  ", "to do ")
    if isinstance(decision, NotArmed):
        raise Ended(ExitCode.REFUSED, "Not armed: a gate is closed.", "each line above says what opens it")
    if as_json or not terminal.can_ask:
        raise Ended(
            ExitCode.REFUSED, "Not armed: nobody confirmed.", "run `arm` at a terminal, without --json"
        )
    _ask(terminal, evidence, config)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep(data_dir, config, decision, Confirmed.TYPED)
    except OSError as error:
        raise Ended(
            ExitCode.REFUSED, f"Not armed: {data_dir} cannot be written ({error.strerror})."
        ) from None
    terminal.show(
        f"Armed for live trading of {evidence.pair} with configuration {evidence.config_hash[:12]}."
    )
    return ExitCode.DONE


def disarm_command(data_dir: Path) -> int:
    """Forget the arming. A running engine is not touched: `stop` stops it."""
    try:
        known = forget_record(data_dir)
    except OSError as error:
        raise Ended(
            ExitCode.REFUSED, f"{data_dir}: the arming cannot be removed: {error.strerror}."
        ) from None
    Terminal().show("Disarmed: the next start needs to be armed again." if known else "Nothing was armed.")
    return ExitCode.DONE


def _ask(terminal: Terminal, evidence: Evidence, config: Config) -> None:
    risk, capital = config.risk_management, config.agent.capital
    of_what = "the account" if capital is None else f"{capital} {config.exchange.quote_currency}"
    terminal.say(
        f"REAL MONEY: {evidence.pair} on {config.exchange.exchange_name}, at most "
        f"{risk.max_position_size_percent} % of {of_what} in a position, "
        f"trading ends for the day at a loss of {risk.max_daily_loss_percent} %."
    )
    typed = terminal.ask(f"Type {evidence.pair} to arm, anything else to leave it: ")
    if typed != evidence.pair:
        raise Ended(ExitCode.REFUSED, "Not armed: the pair was not typed.")


def _override(reason: str | None) -> Override | None:
    if reason is None:
        return None
    if len(reason.strip()) < _SHORTEST_REASON:
        raise Ended(
            ExitCode.REFUSED, "--override-phases needs a reason.", "say why, in a few words: it is kept"
        )
    return Override(reason.strip()[:500], iso_utc(int(datetime.now(UTC).timestamp() * 1_000)))


def _config(path: Path) -> Config:
    try:
        return load_config(path).config
    except ConfigRefused as refused:
        from agent.config.report import text

        sys.stderr.write(text(refused.report))
        raise Ended(ExitCode(refused.report.exit_code), "Not armed: the configuration is refused.") from None


def _show(terminal: Terminal, gates: tuple[Gate, ...], done: str, not_done: str) -> None:
    for gate in gates:
        fix = f" ({gate.fix})" if gate.fix and not gate.passed else ""
        terminal.show(f"  {done if gate.passed else not_done}  {gate.name}: {gate.numbers}{fix}")


def _rows(gates: tuple[Gate, ...]) -> list[dict[str, object]]:
    return [{"name": g.name, "passed": g.passed, "numbers": g.numbers, "fix": g.fix} for g in gates]
