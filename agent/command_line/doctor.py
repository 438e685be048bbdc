"""`doctor`: everything that should be right before and while it trades, each with its fix.

Works with an engine and without, with a network and without; it changes nothing and sends no order. Exit
code 0 when nothing is red.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from agent.command_line.outcome import Ended
from agent.command_line.place import engine_link
from agent.command_line.terminal import Terminal, console
from agent.compose.account_keys import account_keys
from agent.compose.account_worth import ExchangeTime
from agent.compose.market import markets_of
from agent.compose.polygon import polygon_for
from agent.config.findings import Report
from agent.config.load import check_file
from agent.config.model import Config
from agent.doctor import exchange_checks, judging, machine
from agent.doctor.alert_checks import alerts
from agent.doctor.database_checks import database_server
from agent.doctor.polygon_checks import polygon_data
from agent.doctor.result import Diagnosis, Finding, Light, green, red, yellow
from agent.options import ExchangeAddress
from agent.shell.clock import SystemClock
from agent.shell.redaction import Secrets
from agent.store.data_dir import DataDir
from agent.store.trouble import StoreTrouble
from agent.store.way_to_live import gates_of, runs_of

_COLOURS: Final = {Light.GREEN: "green", Light.YELLOW: "yellow", Light.RED: "bold red"}


def doctor_command(
    config_path: Path, env_file: Path | None, data_dir: Path, replaced: ExchangeAddress | None, as_json: bool
) -> int:
    report = check_file(config_path)
    diagnosis = asyncio.run(examine(report, env_file or config_path.parent / ".env", data_dir, replaced))
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document(diagnosis.document())
    else:
        show(terminal, diagnosis)
    return diagnosis.exit_code


async def examine(
    report: Report, env_path: Path, data_dir: Path, replaced: ExchangeAddress | None
) -> Diagnosis:
    """All checks. What needs a valid configuration is left out without one."""
    directory = DataDir(data_dir)
    found = machine.configuration(report)
    found += machine.env_file(env_path)
    found += machine.systemd_credentials(os.environ)
    found += await asyncio.to_thread(machine.storage, directory)
    lock, pid = machine.engine_and_latch(directory)
    found += lock
    running, more = await _engine(data_dir) if pid is not None else (None, [])
    found += [*more, *machine.versions(running), *machine.listeners(pid)]
    config = report.config
    if config is None:
        return Diagnosis(tuple(found))
    online, told = await asyncio.gather(
        _exchange(config, env_path, replaced),
        alerts(config, env_path, os.environ, engine_runs=pid is not None),
    )
    found += await database_server(config, directory)
    polygon = polygon_for(config, replaced, env_path, Secrets())
    found += await polygon_data(config, polygon, SystemClock(), data_dir)
    return Diagnosis((*found, *online, *told, *_phases(config, directory)))


async def _engine(data_dir: Path) -> tuple[str | None, list[Finding]]:
    """The running engine's version, and what blocks its entries."""
    try:
        status = await engine_link(data_dir).status()
    except Ended as why:
        return None, [yellow("engine state", why.text, why.fix or "look at its log")]
    blocked = status.entries_blocked_by
    if blocked:
        return status.version, [yellow("engine state", f"{status.state}: {'; '.join(blocked)}", "see status")]
    return status.version, [green("engine state", f"{status.state}, entries allowed")]


async def _exchange(config: Config, env_path: Path, replaced: ExchangeAddress | None) -> list[Finding]:
    clock, markets = ExchangeTime(), markets_of(config, replaced)
    try:
        asked = await exchange_checks.reachability(config, markets, clock)
    except ValueError as error:
        return [red("timeframe", str(error), "choose one the exchange has")]
    found, seen = asked.findings, None
    try:
        if asked.instrument is None:
            what = "size, fee, history and keys"
            return [
                *found,
                yellow("not checked", f"{what}: the exchange does not answer", "run it again later"),
            ]
        if config.mode != "paper":
            keys = await asyncio.to_thread(account_keys, config, env_path, Secrets())
            more, seen = await exchange_checks.account(config, markets.orders, keys, clock)
            found += more
        pair, wanted = config.exchange.trading_pair, config.data_feed.use_websocket
        parts = await asyncio.gather(
            exchange_checks.socket(markets.signals, pair, wanted),
            exchange_checks.warm_up(config, markets, asked.market, clock),
            exchange_checks.size_and_fee(config, asked.market, asked.instrument, seen, clock),
        )
        return [*found, *(one for part in parts for one in part)]
    finally:
        await asked.market.close()


def _phases(config: Config, directory: DataDir) -> list[Finding]:
    try:
        gates = gates_of(config, runs_of(directory.trades_db))
    except StoreTrouble:
        return []  # the database's own finding says it
    return judging.live_gates(config, gates)


def show(terminal: Terminal, diagnosis: Diagnosis) -> None:
    """One line each, the worst last, where the eye is."""
    from rich.text import Text

    order = list(Light)
    for one in sorted(diagnosis.findings, key=lambda f: order.index(f.light)):
        line = Text(f"{one.light.value:<7}", style=_COLOURS[one.light])
        line.append(f"{one.name}: {one.text}", style="default")
        console(stderr=False).print(line, soft_wrap=True)
        if one.fix:
            terminal.show(f"       fix: {one.fix}")
    counts = [f"{sum(f.light is light for f in diagnosis.findings)} {light.value}" for light in Light]
    terminal.show(", ".join(counts))
