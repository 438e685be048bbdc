"""Which configuration is in force: the one given, unless something is still open under another.

No gate may stop the management of an open position. A position keeps the exchange, pair and timeframe of its
entry, and with them the configuration that was accepted then; a start with another one manages what is open
to its exit and makes no entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.compose.market import markets_of
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
        for scope in reader.exposed_scopes():
            accepted = reader.config(scope)
            then = check_config(accepted.text, directory.path / "stored config").config if accepted else None
            why = _why_not(asked, then, scope, options)
            if why is not None:
                return _kept(then, why, scope, options, directory)
        if asked is not None:
            return Decided(asked, None)
        return "The configuration is refused and no accepted one with something open is stored."
    finally:
        reader.close()


def _why_not(asked: Config | None, then: Config | None, scope: Scope, options: RunOptions) -> str | None:
    """Why what is open in `scope` cannot be managed under `asked`; None when it can, or is gone.

    `then` is what was accepted there. A simulated exchange of the past is gone with everything it held.
    """
    if asked is not None:
        venue = markets_of(asked, options.exchange).orders.venue
        if (scope.venue, scope.pair, scope.mode) == (venue, asked.exchange.trading_pair, asked.mode):
            if then is None or then.timeframe == asked.timeframe:
                return None
            # Its exits are judged on bars of the length it was entered on.
            return f"the timeframe was {then.timeframe} and is now {asked.timeframe}"
    if _is_simulated(scope) and not _is_at(scope, options):
        return None
    return "the configuration is refused" if asked is None else "the configuration names another market"


def _kept(
    then: Config | None, why: str, scope: Scope, options: RunOptions, directory: DataDir
) -> Decided | str:
    where = f"{scope.pair} at {scope.venue} ({scope.mode})"
    if options.exchange is not None and not _is_at(scope, options):
        return (
            f"A position or order is open for {where} in {directory.path}, and --exchange-url names"
            " another exchange. Use another --data-dir for a rehearsal."
        )
    if then is None:
        return f"A position or order is open for {where}, but its configuration cannot be read any more."
    return Decided(then, f"{why} and something is still open for {where}; start again once that is closed")


def _is_at(scope: Scope, options: RunOptions) -> bool:
    """Whether the addresses given on the command line are this scope's exchange."""
    return (
        options.exchange is not None
        and scope.venue.partition("@")[2] == options.exchange.rest.partition("//")[2]
    )


def _is_simulated(scope: Scope) -> bool:
    host = scope.venue.partition("@")[2]
    return host.startswith(("127.", "localhost", "[::1]"))
