"""How far the phases before real money are, read from the ledger: the facts for `agent.arming`."""

from __future__ import annotations

from pathlib import Path

from agent.arming.phases import Gate, phase_gates, rehearsals_of
from agent.config.model import Config
from agent.config.venues import VENUES
from agent.insight.facts import ScopeRun
from agent.insight.phases import PhaseProgress, phase_progress
from agent.store.batch import Selection
from agent.store.reading import Reader
from agent.store.reading_statistics import scope_runs


def runs_of(database: Path) -> tuple[ScopeRun, ...]:
    """What every scope has behind it; nothing when there is no ledger. Raises StoreTrouble."""
    if not database.exists():
        return ()
    reader = Reader.open(database)
    try:
        return scope_runs(reader, Selection())
    finally:
        reader.close()


def progress_of(config: Config, runs: tuple[ScopeRun, ...]) -> tuple[PhaseProgress, ...]:
    """Days and trades of each mode, on the configuration's exchange with its pair."""
    wanted = config.agent
    needed = {
        "paper": (float(wanted.min_paper_days), wanted.min_phase_trades),
        "testnet": (float(wanted.min_testnet_days), wanted.min_phase_trades),
    }
    exchange = config.exchange
    return phase_progress(runs, exchange=exchange.exchange_name, pair=exchange.trading_pair, needed=needed)


def gates_of(config: Config, runs: tuple[ScopeRun, ...]) -> tuple[Gate, ...]:
    """The two phases as gates."""
    exchange = config.exchange
    venue = VENUES.get(exchange.exchange_name)
    rehearsals = rehearsals_of(runs, exchange.exchange_name, exchange.trading_pair)
    has_sandbox = venue is not None and venue.has_sandbox
    return phase_gates(progress_of(config, runs), rehearsals, config.agent, has_sandbox=has_sandbox)
