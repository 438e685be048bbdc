"""The commands that only look: status, trades, decisions."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from agent.command_line.engine_link import EngineLink, readable
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import engine_link
from agent.command_line.stored_scope import reading
from agent.command_line.terminal import Terminal

if TYPE_CHECKING:
    from agent.command_line.tables import Thresholds
    from agent.store.batch import Scope
    from agent.store.reading import Reader


def status_command(data_dir: Path | None, as_json: bool) -> int:
    """From the running engine, else (exit code 3) the last stored state."""
    link, terminal = engine_link(data_dir), Terminal(as_json=as_json)
    try:
        status = asyncio.run(link.status())
    except Ended as why:
        if why.code is not ExitCode.NO_ENGINE:
            raise
        return _last_status(link, terminal, why)
    if as_json:
        terminal.document(status.document(running=True))
    else:
        from agent.command_line.status_view import status_view

        terminal.show(status_view(status, running=True))
        for line in _way_to_live(link):
            terminal.show(line)
    return ExitCode.DONE


def _way_to_live(link: EngineLink) -> list[str]:
    """How far the phases are, from the ledger; nothing where it cannot be read. Not shown once live."""
    from agent.command_line.stored import database_in, last_scope
    from agent.store.reading import Reader
    from agent.store.statistics import accepted_config
    from agent.store.trouble import StoreTrouble
    from agent.store.way_to_live import gates_of, runs_of

    database = database_in(link.data_dir)
    try:
        reader = Reader.open(database)
        try:
            scope = last_scope(reader)
            config = None if scope is None else accepted_config(reader, scope)
        finally:
            reader.close()
        if config is None or config.mode == "live":
            return []
        gates = gates_of(config, runs_of(database))
    except StoreTrouble:
        return []
    return [f"{g.name}: {'done' if g.passed else g.numbers}" for g in gates]


def _last_status(link: EngineLink, terminal: Terminal, why: Ended) -> int:
    from agent.command_line.stored import stored_status
    from agent.store.trouble import StoreTrouble

    try:
        document = stored_status(link.data_dir)
    except StoreTrouble as trouble:
        raise Ended(why.code, f"{why.text}\nThe last state cannot be shown: {trouble}.", why.fix) from None
    if document is None:
        if terminal.as_json:
            terminal.document({"running": False})
        raise Ended(why.code, f"{why.text}\nNothing is stored there either.", why.fix)
    status = readable(document)
    if terminal.as_json:
        terminal.document(status.document(running=False))
    else:
        from agent.command_line.status_view import status_view

        terminal.show(status_view(status, running=False))
    raise why


def trades_command(data_dir: Path | None, limit: int, as_json: bool) -> int:
    with reading(data_dir) as (reader, scope):
        if as_json:
            return _newest_rows(reader, scope, "trades", limit)
        trades = reader.trades(scope.selection, limit=limit)
    terminal = Terminal()
    if not trades:
        terminal.show(f"No trades yet ({scope.pair}, {scope.mode}, {scope.venue}).")
        return ExitCode.DONE
    from agent.command_line.tables import trades_table

    terminal.show(trades_table(trades))
    return ExitCode.DONE


def decisions_command(data_dir: Path | None, limit: int, as_json: bool) -> int:
    with reading(data_dir) as (reader, scope):
        if as_json:
            return _newest_rows(reader, scope, "decisions", limit)
        decisions = reader.decisions(scope.selection, limit=limit)
        thresholds = _thresholds(reader, scope)
    terminal = Terminal()
    if not decisions:
        terminal.show(f"No bar was decided yet ({scope.pair}, {scope.mode}, {scope.venue}).")
        return ExitCode.DONE
    from agent.command_line.tables import decisions_table

    terminal.show(decisions_table(decisions, thresholds))
    return ExitCode.DONE


def _newest_rows(reader: Reader, scope: Scope, kind: str, limit: int) -> int:
    """The newest rows of an export as one JSON array, newest first."""
    from agent.store.exports import EXPORTS, export_rows, write_rows

    newest = deque(export_rows(reader, kind, scope.selection), maxlen=limit)
    write_rows(reversed(newest), EXPORTS[kind].columns, "json", sys.stdout)
    return ExitCode.DONE


def _thresholds(reader: Reader, scope: Scope) -> Thresholds | None:
    """From the configuration accepted last; None when it cannot be read any more."""
    from agent.command_line.tables import Thresholds
    from agent.config.check import check_config

    accepted = reader.config(scope)
    config = None if accepted is None else check_config(accepted.text).config
    if config is None:
        return None
    seller = config.seller_params
    return Thresholds(vol_z=seller.vol_z, tr_z=seller.tr_z, cloc=seller.cloc_min)
