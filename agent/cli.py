"""`python -m agent.cli`: one thin command per function; the work is done in `agent.command_line`.

Belongs here: names, options and help of the commands, and the way every one of them ends. Each command
imports what it needs when it runs, so that help is quick. Exit codes: 0 done, 1 refused or invalid,
2 unreadable input, 3 no engine is running, 4 another instance holds the lock, 5 the exchange cannot be
reached, 6 halted but not yet flat. No error is a traceback: what is the user's is a sentence with its fix.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from agent.command_line.outcome import Ended, ExitCode, leave

PROGRAM: Final = "python -m agent.cli"

app = typer.Typer(
    name="agent.cli",
    help="Operate the trading agent: look at it, steer it, stop it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Default: AGENT_DATA_DIR, else the current folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. Needed when there is no terminal.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many rows, newest first.")]


# --- looking -----------------------------------------------------------------------------------


@app.command("validate-config")
def validate_config(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The exported config.json.")],
    env_file: Annotated[Path | None, typer.Option("--env-file", help="Default: .env beside it.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check a configuration.

    Prints every error and warning with key, value, reason and fix.
    """
    from agent.config.report import validate_config_command

    return validate_config_command(config, as_json, env_file)


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """What the agent is doing.

    State, balance, positions with their levels, orders, health, and what blocks entries.
    """
    from agent.command_line.looking import status_command

    return status_command(data_dir, as_json)


@app.command()
def trades(data_dir: DataDir = None, limit: Limit = 20, as_json: AsJson = False) -> int:
    """The trades, newest first."""
    from agent.command_line.looking import trades_command

    return trades_command(data_dir, limit, as_json)


@app.command()
def decisions(data_dir: DataDir = None, limit: Limit = 20, as_json: AsJson = False) -> int:
    """Why it did or did not trade, bar by bar."""
    from agent.command_line.looking import decisions_command

    return decisions_command(data_dir, limit, as_json)


@app.command()
def stats(data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """How it goes: account, live against backtest, execution.

    Also how far the way to live is walked.
    """
    from agent.command_line.statistics import stats_command

    return stats_command(data_dir, as_json)


@app.command()
def why(
    bar: Annotated[
        str | None,
        typer.Argument(metavar="[BAR]", help='Like "2025-01-15 14:30", UTC. Default: the last one.'),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """Why a bar was traded, or not.

    Each condition with its value and threshold, the outcome, and every limit that was asked.
    """
    from agent.command_line.story import why_command

    return why_command(data_dir, bar, as_json)


@app.command()
def away(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many, newest first.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Also those in which nothing happened.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """What happened while the agent was off or cut off.

    Bars and signals missed and what became of each, what was bought and sold, what the return found.
    """
    from agent.command_line.story import away_command

    return away_command(data_dir, limit, everything, as_json)


@app.command()
def parity(data_dir: DataDir = None, as_json: AsJson = False) -> int:
    """Whether it decided as the backtest would have.

    Every decision beside the whole history, every trade beside the bar form. Exit code 1 on a mismatch.
    """
    from agent.command_line.parity import parity_command

    return parity_command(data_dir, as_json)


@app.command()
def exchanges(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Like kraken. Default: all.")] = None,
    as_json: AsJson = False,
) -> int:
    """What each exchange can do.

    Order types, client order ids, sandbox, history, closed bars, stops; for one, what follows from each.
    """
    from agent.command_line.exchanges import exchanges_command

    return exchanges_command(name, as_json)


# --- steering ----------------------------------------------------------------------------------


@app.command()
def start(data_dir: DataDir = None, yes: Yes = False, as_json: AsJson = False) -> int:
    """Let the running engine trade."""
    from agent.command_line import steering

    return steering.start_command(data_dir, yes, as_json)


@app.command()
def pause(data_dir: DataDir = None, yes: Yes = False, as_json: AsJson = False) -> int:
    """No entries; open positions are managed to their exits."""
    from agent.command_line import steering

    return steering.pause_command(data_dir, yes, as_json)


@app.command()
def resume(data_dir: DataDir = None, yes: Yes = False, as_json: AsJson = False) -> int:
    """Allow entries again after a pause."""
    from agent.command_line import steering

    return steering.resume_command(data_dir, yes, as_json)


@app.command()
def stop(
    flatten: Annotated[bool, typer.Option("--flatten", help="Sell what is held, at market.")] = False,
    exits_only: Annotated[
        bool, typer.Option("--exits-only", help="Keep open positions until they exit by themselves.")
    ] = False,
    data_dir: DataDir = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Stop trading; say what becomes of an open position."""
    from agent.command_line import steering

    return steering.stop_command(data_dir, flatten, exits_only, yes, as_json)


@app.command()
def close(
    position_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="The position's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open position.")] = False,
    data_dir: DataDir = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Sell one position, or all, at market."""
    from agent.command_line import steering

    return steering.close_command(data_dir, position_id, everything, yes, as_json)


@app.command("clear-halt")
def clear_halt(data_dir: DataDir = None, yes: Yes = False, as_json: AsJson = False) -> int:
    """Clear a halt, once flat and reconciled.

    The agent is STOPPED afterwards and trades again when started.
    """
    from agent.command_line import steering

    return steering.clear_halt_command(data_dir, yes, as_json)


@app.command("emergency-stop")
def emergency_stop(
    config: Annotated[Path | None, typer.Option("--config", help="Default: ./config.json.")] = None,
    data_dir: DataDir = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="The engine's, where it was given one.")
    ] = None,
    exchange_url: Annotated[
        str | None, typer.Option("--exchange-url", metavar="URL", envvar="EXCHANGE_URL")
    ] = None,
    exchange_ws_url: Annotated[
        str | None, typer.Option("--exchange-ws-url", metavar="URL", envvar="EXCHANGE_WS_URL")
    ] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to watch until flat.")] = 30.0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Cancel our orders, sell what we own, allow no entry.

    No entry is made until the halt is cleared. Other holdings are never sold.

    Exit code 0: flat and latched; 6: latched but not yet flat.
    """
    from agent.command_line.emergency import emergency_command

    return emergency_command(config, data_dir, env_file, exchange_url, exchange_ws_url, wait, yes, as_json)


# --- keeping -----------------------------------------------------------------------------------


@app.command()
def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="trades, orders, fills, decisions, balances, tax, costs, incidents, dust, configs",
        ),
    ],
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")
    ] = None,
    all_scopes: Annotated[
        bool, typer.Option("--all-scopes", help="Of every venue, mode and account, not only the last.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """Write what is stored as CSV or JSON."""
    from agent.command_line.keeping import export_command

    return export_command(data_dir, what, "json" if as_json else form, out, all_scopes, overwrite)


@app.command()
def backup(
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: DIR/backups.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many copies stay.")] = 30,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """Copy the database, also while the agent runs.

    The copy is verified; then the oldest copies are removed.
    """
    from agent.command_line.keeping import backup_command

    return backup_command(data_dir, out, keep, as_json)


@app.command()
def restore(
    copy: Annotated[Path, typer.Argument(metavar="BACKUP", help="A file made by backup.")],
    data_dir: DataDir = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Put a backup in the place of the database.

    What it replaces is kept. No engine may run.
    """
    from agent.command_line.keeping import restore_command

    return restore_command(data_dir, copy, yes, as_json)


@app.command("paper-reset")
def paper_reset(data_dir: DataDir = None, yes: Yes = False, as_json: AsJson = False) -> int:
    """Begin a new paper account.

    What the old one did stays stored. No engine may run.
    """
    from agent.command_line.keeping import paper_reset_command

    return paper_reset_command(data_dir, yes, as_json)


# --- rehearsing --------------------------------------------------------------------------------


@app.command()
def replay(
    candles: Annotated[Path, typer.Argument(metavar="CANDLES", help="CSV, also gzipped.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")],
    config: Annotated[Path, typer.Option("--config")] = Path("config.json"),
    policy: Annotated[str | None, typer.Option("--policy", help="target or first_level.")] = None,
    form: Annotated[str, typer.Option("--form", help="bar or live.")] = "bar",
    path: Annotated[Path | None, typer.Option("--path", help="Finer candles, for --form live.")] = None,
    as_json: AsJson = False,
) -> int:
    """Run the agent's own decisions over recorded candles."""
    from agent.command_line.rehearsing import replay_from

    return replay_from(candles, config, out, policy, form, path, as_json)


@app.command("demo-market")
def demo_market(
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of the synthetic market.")] = 1,
    candles: Annotated[Path | None, typer.Option("--candles", help="A CSV instead of it.")] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="ISO", help="The simulated now.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="Times real time.")] = 1.0,
    pair: Annotated[str, typer.Option("--pair")] = "ADA/USDT",
    key: Annotated[str, typer.Option("--key", help="The account's key.")] = "local-key",
    secret: Annotated[str, typer.Option("--secret", help="The account's secret.")] = "local-secret",
    balance: Annotated[list[str] | None, typer.Option("--balance", metavar="USDT=10000")] = None,
) -> int:
    """An exchange on this machine, to rehearse against.

    It speaks Binance's protocol; `agent.main --exchange-url` trades there.
    """
    from agent.command_line.rehearsing import demo_market_from

    return demo_market_from(port, seed, candles, start, speed, pair, key, secret, balance)


@app.command()
def drill(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="One disaster; may be repeated.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="A new directory to keep everything in.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """Commit disasters on purpose and see what the agent does.

    Against the built-in exchange, in a scratch directory; two minutes. Exit code 0 only if all passed.
    """
    from agent.command_line.drill import drill_command

    return drill_command(only, keep, data_dir, as_json)


# --- credentials -------------------------------------------------------------------------------

credentials = typer.Typer(
    help="API keys and passwords: set, check, remove.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(credentials, name="credentials")
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Like EXCHANGE_API_KEY.")]


@credentials.command("set")
def credentials_set(
    names: Names = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="One value from a file, as a PEM key.")
    ] = None,
) -> int:
    """Store credentials in the keyring.

    Each value is asked for without showing it; without names: key and secret of the exchange.
    """
    from agent.command_line.credentials import set_command

    return set_command(names or [], file)


@credentials.command("check")
def credentials_check(
    config: Annotated[Path, typer.Option("--config", help="Default: ./config.json.")] = Path("config.json"),
    env_file: Annotated[Path | None, typer.Option("--env-file", help="Default: .env beside it.")] = None,
    as_json: AsJson = False,
) -> int:
    """Where each credential comes from; never its value.

    Exit code 1 when one that the configuration needs is missing.
    """
    from agent.command_line.credentials import check_command

    return check_command(config, env_file, as_json)


@credentials.command("remove")
def credentials_remove(names: Names = None, yes: Yes = False) -> int:
    """Take credentials out of the keyring."""
    from agent.command_line.credentials import remove_command

    return remove_command(names or [], yes)


# --- the way to live ---------------------------------------------------------------------------


@app.command()
def doctor(
    config: Annotated[Path, typer.Option("--config", help="Default: ./config.json.")] = Path("config.json"),
    env_file: Annotated[Path | None, typer.Option("--env-file", help="Default: .env beside it.")] = None,
    data_dir: DataDir = None,
    exchange_url: Annotated[str | None, typer.Option("--exchange-url", metavar="URL")] = None,
    exchange_ws_url: Annotated[str | None, typer.Option("--exchange-ws-url", metavar="URL")] = None,
    as_json: AsJson = False,
) -> int:
    """Check everything, with the fix for each.

    Clock, exchange, keys, order size, fee, disk, database, alerts, phases. Exit code 1 when something is red.
    """
    from agent.command_line.doctor import doctor_command
    from agent.command_line.place import data_dir_of
    from agent.options import OptionRefused, exchange_address

    try:
        replaced = exchange_address(exchange_url, exchange_ws_url)
    except OptionRefused as why:
        raise Ended(ExitCode.REFUSED, f"{why}.") from None
    return doctor_command(config, env_file, data_dir_of(data_dir, config), replaced, as_json)


@app.command()
def arm(
    config: Annotated[Path, typer.Option("--config", help="Default: ./config.json.")] = Path("config.json"),
    env_file: Annotated[Path | None, typer.Option("--env-file", help="Default: .env beside it.")] = None,
    override_phases: Annotated[
        str | None,
        typer.Option("--override-phases", metavar="REASON", help="Go around phases and list; is kept."),
    ] = None,
    data_dir: DataDir = None,
    exchange_url: Annotated[str | None, typer.Option("--exchange-url", metavar="URL")] = None,
    exchange_ws_url: Annotated[str | None, typer.Option("--exchange-ws-url", metavar="URL")] = None,
    as_json: AsJson = False,
) -> int:
    """Arm live trading, gate by gate.

    Shows every gate and the launch list with their numbers (the exchange is asked what the account is worth);
    when all are open, asks for the pair to be typed. Good for this configuration and version only. Exit
    code 0 only when armed.
    """
    from agent.command_line.arming import arm_command
    from agent.command_line.place import data_dir_of
    from agent.options import OptionRefused, exchange_address

    try:
        replaced = exchange_address(exchange_url, exchange_ws_url)
    except OptionRefused as why:
        raise Ended(ExitCode.REFUSED, f"{why}.") from None
    return arm_command(config, env_file, data_dir_of(data_dir, config), override_phases, replaced, as_json)


@app.command()
def disarm(data_dir: DataDir = None) -> int:
    """Forget that live trading was armed."""
    from agent.command_line.arming import disarm_command
    from agent.command_line.place import data_dir_of

    return disarm_command(data_dir_of(data_dir))


# --- endings -----------------------------------------------------------------------------------

#: What typer makes of Ctrl-C.
_INTERRUPTED: Final = 130


#: What is looked for under a name of its own, and where it is.
_ELSEWHERE: Final = {
    **{
        kind: f"it is an export: {PROGRAM} export {kind}"
        for kind in ("costs", "tax", "incidents", "dust", "orders", "fills", "balances", "configs")
    },
    "kpis": f"they are in {PROGRAM} stats",
    "positions": f"they are in {PROGRAM} status",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(words or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except Ended as why:
        return _tell(why.text, why.fix, why.code)
    except TyperException as why:
        fix = _ELSEWHERE.get(words[0], f"see {PROGRAM} --help")
        return _tell(f"{why.format_message()}", fix, ExitCode.REFUSED)
    if result == _INTERRUPTED:
        return _tell("Interrupted.", "look at the result with `status`", ExitCode.REFUSED)
    assert isinstance(result, int), "every command returns its exit code"
    return int(result)


def _tell(text: str, fix: str, code: ExitCode) -> int:
    print(f"{text}\n{fix[:1].upper()}{fix[1:]}." if fix else text, file=sys.stderr)
    return int(code)


def run() -> NoReturn:
    leave(main())


if __name__ == "__main__":
    run()
