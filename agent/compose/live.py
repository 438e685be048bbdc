"""Whether this start may trade real money: the evidence gathered, the decision asked, the record kept.

Everything but reading files and the ledger is `agent.arming`. Paper and testnet never come here, and no start
against addresses of the command line's own counts as the exchange.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import agent
from agent.arming.checklist import LAUNCH_LIST, Worth, checklist, launch_gate
from agent.arming.decision import PAPER, TESTNET, Armed, Confirmed, Evidence, NotArmed, decide
from agent.arming.phases import Gate
from agent.arming.record import ArmingRecord, Override, read_record, write_record
from agent.config.credentials import default_sources, read_credentials
from agent.config.env_file import CredentialsRefused
from agent.config.model import Config
from agent.core.instant import iso_utc
from agent.exchange.signed.arming import LiveArming
from agent.store.trouble import StoreTrouble
from agent.store.way_to_live import gates_of, progress_of, runs_of

LOG: Final = logging.getLogger("agent")
CONFIRM_NAME: Final = "LIVE_TRADING_CONFIRM"


@dataclass(frozen=True, slots=True)
class LiveStart:
    """`arming` None: no order may leave. `exits_only_because`: orders may, entries may not."""

    arming: LiveArming | None
    exits_only_because: str | None
    refusal: str | None


NOT_LIVE: Final = LiveStart(None, None, None)


def live_start(
    config: Config,
    env_path: Path,
    directory: Path,
    database: Path,
    *,
    flag: bool,
    is_open: bool,
    worth: Callable[[], Worth | str],
    environment: Mapping[str, str] = os.environ,
) -> LiveStart:
    """`flag`: `--live` was given. Writes the record when that is what armed it, and says so loudly.

    `worth`, what the account is worth or why that is not known, is asked when nothing else is in the way.
    """
    if config.mode != "live":
        return NOT_LIVE
    confirmed = Confirmed.FLAG if flag else Confirmed.NOT
    items = launch_list(config, database, "not asked while another gate is closed")
    evidence = gather(config, env_path, directory, database, confirmed, is_open, items, environment)
    decision = decide(evidence)
    if isinstance(decision, NotArmed) and decision.closed == (LAUNCH_LIST,):
        evidence = replace(evidence, launch=launch_gate(launch_list(config, database, worth())))
        decision = decide(evidence)
    if isinstance(decision, NotArmed):
        return LiveStart(None, None, f"live trading is refused. {decision.why}")
    if evidence.record is None and decision.entries_refused_because is None:
        try:
            keep(directory, config, decision, Confirmed.FLAG)
        except OSError as error:
            why = f"the arming cannot be written down in {directory}: {error.strerror}"
            return LiveStart(None, None, f"live trading is refused: {why}")
    for gate in decision.gates:
        LOG.warning("LIVE TRADING: %s: %s", gate.name, gate.numbers)
    return LiveStart(LiveArming(decision), decision.entries_refused_because, None)


def emergency_arming(config: Config) -> LiveArming | None:
    """For canceling and selling alone: no gate is asked, nothing is read, and no entry is ever allowed."""
    if config.mode != "live":
        return None
    paper, testnet, launch = (
        Gate(name, False, "not asked: an emergency stop") for name in (PAPER, TESTNET, LAUNCH_LIST)
    )
    evidence = Evidence(
        mode=config.mode,
        pair=config.exchange.trading_pair,
        config_hash=config.config_hash,
        version=agent.__version__,
        env_confirm=None,
        confirmed=Confirmed.NOT,
        record=None,
        phases=(paper, testnet),
        launch=launch,
        is_open=True,
    )
    armed = decide(evidence)
    assert isinstance(armed, Armed), "something open is always managed"
    assert armed.entries_refused_because, "an emergency stop enters nothing"
    return LiveArming(armed)


def gather(
    config: Config,
    env_path: Path,
    directory: Path,
    database: Path,
    confirmed: Confirmed,
    is_open: bool,
    items: Sequence[Gate],
    environment: Mapping[str, str] = os.environ,
    override: Override | None = None,
) -> Evidence:
    return Evidence(
        mode=config.mode,
        pair=config.exchange.trading_pair,
        config_hash=config.config_hash,
        version=agent.__version__,
        env_confirm=_confirm(env_path, environment),
        confirmed=confirmed,
        record=read_record(directory),
        phases=_phases(config, database),
        launch=launch_gate(items),
        override=override,
        is_open=is_open,
    )


def launch_list(config: Config, database: Path, account: Worth | str) -> tuple[Gate, ...]:
    """The launch list of this configuration. `account`: what it is worth, or why that is not known."""
    try:
        phases = progress_of(config, runs_of(database))
    except StoreTrouble:
        phases = ()  # the phases' own gates say it
    metrics = config.backtest_metrics
    promised = metrics.win_rate if metrics is not None else None
    return checklist(phases, promised, config.agent.capital, account, config.agent.min_phase_trades)


def keep(directory: Path, config: Config, armed: Armed, how: Confirmed) -> None:
    """Write the record. Raises OSError."""
    at = iso_utc(int(datetime.now(UTC).timestamp() * 1_000))
    record = ArmingRecord(
        config.config_hash, agent.__version__, config.exchange.trading_pair, at, how.value, armed.override
    )
    write_record(directory, record)
    LOG.critical("armed for live trading of %s, configuration %s", record.pair, config.config_hash[:12])


def _phases(config: Config, database: Path) -> tuple[Gate, ...]:
    try:
        return gates_of(config, runs_of(database))
    except StoreTrouble as trouble:
        return tuple(Gate(name, False, str(trouble), "restore a backup") for name in (PAPER, TESTNET))


def _confirm(env_path: Path, environment: Mapping[str, str]) -> str | None:
    try:
        found = read_credentials([CONFIRM_NAME], default_sources(env_path, environment)).get(CONFIRM_NAME)
    except CredentialsRefused as refused:
        LOG.error("%s", refused)
        return None
    return None if found is None else found.reveal().strip()
