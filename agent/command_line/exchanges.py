"""`exchanges [NAME]`: what each exchange can do, and what the agent does because of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.terminal import Terminal
from agent.config.capabilities import CAPABILITIES, Capabilities, stated


def exchanges_command(name: str | None, as_json: bool) -> int:
    """Show all of them side by side, or one with what follows. Raises Ended for an unknown name."""
    rows = tuple(CAPABILITIES.values())
    if name is not None:
        if name not in CAPABILITIES:
            raise Ended(
                ExitCode.REFUSED,
                f"{name!r} is none of the exchanges this agent is built for",
                f"write one of {', '.join(CAPABILITIES)}; any other of ccxt trades on paper, by REST",
            )
        rows = (CAPABILITIES[name],)
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document({row.name: document(row) for row in rows})
    else:
        terminal.show(all_table(rows) if name is None else one_table(rows[0]))
    return ExitCode.DONE


def document(row: Capabilities) -> dict[str, Any]:
    """Every fact, as JSON takes it."""
    facts = dataclasses.asdict(row)
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in facts.items()}


def all_table(rows: tuple[Capabilities, ...]) -> Table:
    """A column for each exchange."""
    table = Table(title="Exchanges", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True, style="dim")
    for row in rows:
        table.add_column(row.title, max_width=16)
    for facts in zip(*(stated(row) for row in rows), strict=True):
        table.add_row(facts[0].name, *(fact.fact for fact in facts))
    return table


def one_table(row: Capabilities) -> Table:
    """One exchange: fact and consequence."""
    table = Table(title=row.title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True, style="dim")
    table.add_column("is", max_width=28)
    table.add_column("so", max_width=50)
    for fact in stated(row):
        table.add_row(fact.name, fact.fact, fact.so)
    if row.orders_refused_because is not None:
        table.add_row("why paper only", "", row.orders_refused_because)
    return table
