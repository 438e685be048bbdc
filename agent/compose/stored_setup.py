"""Which configuration is in force: the one given, unless something is still open under another.

No gate may stop the management of an open position. A position keeps the exchange and pair of its entry,
and with them the configuration that was accepted then; a start with another one manages what is open to its
exit and makes no entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.compose.market import addresses_of
from agent.config.check import check_config
from agent.config.model import Config
from agent.options import RunOptions
from agent.store.batch import Scope
from agent.store.data_dir import DataDir
from agent.store.reading import Reader


@dataclass(frozen=True, slots=True)
class Decided:
    """`exits_only_because` is None when entries are allowed."""

    config: Config
    exits_only_because: str | None


def decide_setup(options: RunOptions, asked: Config | None, directory: DataDir) -> Decided | str:
    """The configuration to run with, or a sentence saying why none can. `asked` is None when refused."""
    reader = Reader.open(directory.trades_db)
    try:
        elsewhere = _open_elsewhere(options, asked, reader)
        if elsewhere is None:
            if asked is not None:
                return Decided(asked, None)
            return "The configuration is refused and no accepted one with something open is stored."
        where = f"{elsewhere.pair} at {elsewhere.venue} ({elsewhere.mode})"
        if options.exchange is not None and not _is_at(elsewhere, options):
            return (
                f"A position or order is open for {where} in {directory.path}, and --exchange-url names"
                " another exchange. Use another --data-dir for a rehearsal."
            )
        accepted = reader.config(elsewhere)
        stored = check_config(accepted.text, directory.path / "stored config").config if accepted else None
        if stored is None:
            return f"A position or order is open for {where}, but its configuration cannot be read any more."
        why = "the configuration is refused" if asked is None else "the configuration names another market"
        return Decided(stored, f"{why} and something is still open for {where}")
    finally:
        reader.close()


def _open_elsewhere(options: RunOptions, asked: Config | None, reader: Reader) -> Scope | None:
    """The scope with something open that `asked` would not manage. Past simulated exchanges are gone."""
    for scope in reader.exposed_scopes():
        if asked is not None:
            venue = addresses_of(asked, options.exchange).venue
            if (scope.venue, scope.pair, scope.mode) == (venue, asked.exchange.trading_pair, asked.mode):
                continue
        if _is_simulated(scope) and not _is_at(scope, options):
            continue
        return scope
    return None


def _is_at(scope: Scope, options: RunOptions) -> bool:
    """Whether the addresses given on the command line are this scope's exchange."""
    return (
        options.exchange is not None
        and scope.venue.partition("@")[2] == options.exchange.rest.partition("//")[2]
    )


def _is_simulated(scope: Scope) -> bool:
    host = scope.venue.partition("@")[2]
    return host.startswith(("127.", "localhost", "[::1]"))
