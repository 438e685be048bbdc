"""`replay`: recorded candles in, features, trades and metrics out. The command line calls `replay_command`.

Files go to the output directory, the result table to standard output (or one JSON document), progress and
everything said on the way to standard error. The live form runs the engine itself over the candles; it comes
in as a `LiveRunner`, because joining engine parts is not this package's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from agent.core.exits import Policy
from agent.core.market import MINUTE_MS, bar_ms
from agent.core.metrics import trade_metrics
from agent.core.series import CandleSeries
from agent.replay import bar_form
from agent.replay.agreement import agreement
from agent.replay.bar_form import Replayed, ReplayTrade, live_evaluation, run_bar_form
from agent.replay.candle_file import (
    CandleFileRefused,
    CandleFileUnreadable,
    RecordedCandles,
    bar_length_of,
    read_candles,
)
from agent.replay.files import write_features, write_metrics, write_trades
from agent.replay.report import agreement_text, tell
from agent.replay.setup import ReplaySetup

Form = Literal["bar", "live"]

DONE: Final = 0
REFUSED: Final = 1
UNREADABLE: Final = 2


@dataclass(frozen=True, slots=True)
class LiveReplayed:
    """What the engine did: trades in the order they closed, and remarks for the user (what differed, why)."""

    trades: tuple[ReplayTrade, ...]
    remarks: tuple[str, ...]


class LiveRunner(Protocol):
    """Runs the engine over recorded bars: each walks open, low, high, close, or along the bars of `path`."""

    def __call__(
        self,
        setup: ReplaySetup,
        candles: CandleSeries,
        path: CandleSeries | None,
        progress: bar_form.Progress,
        /,
    ) -> LiveReplayed: ...


def replay_command(
    candles_path: Path,
    setup: ReplaySetup,
    out_dir: Path,
    *,
    live_runner: LiveRunner,
    policy: Policy | None = None,
    form: Form = "bar",
    finer_path: Path | None = None,
    as_json: bool = False,
) -> int:
    """Replay and return the exit code: 0 done, 1 refused, 2 unreadable input.

    `policy` overrides the one in `setup`; `finer_path` serves the live form only.
    """
    messages = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    if policy is not None:
        setup = replace(setup, exits=replace(setup.exits, policy=policy))
    if finer_path is not None and form == "bar":
        messages.print("--path is for --form live: the bar form looks at whole bars. Leave it out.")
        return REFUSED
    try:
        recorded = _read(candles_path, bar_ms(setup.timeframe), messages)
        for notice in recorded.notices():
            messages.print(f"{candles_path}: {notice}")
        finer = None
        if finer_path is not None:
            finer = _read_finer(finer_path, recorded.candles, bar_ms(setup.timeframe), messages)
    except CandleFileUnreadable as error:
        messages.print(str(error))
        return UNREADABLE
    except CandleFileRefused as error:
        for complaint in error.complaints:
            messages.print(complaint)
        return REFUSED
    candles = recorded.candles
    result = run_bar_form(candles, setup.seller, setup.exits)
    with _progress(messages, "replaying") as progress:
        if form == "live":
            lived = live_runner(setup, candles, finer, progress)
            metrics = trade_metrics([t.pnl for t in lived.trades], [t.R for t in lived.trades])
            result = Replayed(result.features, lived.trades, metrics)
            remarks = list(lived.remarks)
        else:
            agreed = agreement(result.features, live_evaluation(candles, setup.seller, setup.exits, progress))
            remarks = [agreement_text(agreed)]
    for remark in remarks:
        messages.print(remark)
    try:
        files = _write_all(out_dir, result)
    except OSError as error:
        messages.print(f"{out_dir}: cannot be written ({error.strerror}); choose another --out")
        return REFUSED
    tell(result, setup, recorded, remarks, files, as_json=as_json)
    return DONE


def _read(path: Path, bar_length_ms: int, messages: Console) -> RecordedCandles:
    with _progress(messages, f"reading {path.name}") as progress:
        return read_candles(path, bar_length_ms, progress)


def _read_finer(path: Path, candles: CandleSeries, bar_length_ms: int, messages: Console) -> CandleSeries:
    """Candles that give the path inside `candles`: of a length that divides theirs."""
    finer = _read(path, MINUTE_MS, messages).candles
    step = bar_length_of(finer)
    if step >= bar_length_ms or bar_length_ms % step:
        raise CandleFileRefused(
            [
                f"{path}: its candles are {step // MINUTE_MS}m long, which does not divide the "
                f"{bar_length_ms // MINUTE_MS}m bars into smaller ones; give finer candles of the same market"
            ]
        )
    starts = set((finer.open_ms // bar_length_ms * bar_length_ms).tolist())
    bare = sum(open_ms not in starts for open_ms in candles.open_ms.tolist())
    if bare == len(candles):
        raise CandleFileRefused([f"{path}: covers none of the replayed bars; give candles of the same time"])
    if bare:
        messages.print(
            f"{path}: {bare} of {len(candles)} bars have no finer candles; they walk open, low, high, close"
        )
    return finer


@contextmanager
def _progress(messages: Console, what: str) -> Iterator[bar_form.Progress]:
    """A bar on a terminal, a line per tenth of the way in a log."""
    if not messages.is_terminal:
        yield _progress_lines(messages, what)
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=messages,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _progress_lines(messages: Console, what: str) -> bar_form.Progress:
    told = 0

    def tell_tenths(done: int, total: int) -> None:
        nonlocal told
        tenths = 10 if total == 0 else 10 * done // total
        if tenths > told:
            told = tenths
            messages.print(f"{what}: {tenths * 10} %")

    return tell_tenths


def _write_all(out_dir: Path, result: Replayed) -> list[Path]:
    out_dir.mkdir(parents=True, exist_ok=True)
    files = [out_dir / name for name in ("features.csv", "trades.csv", "metrics.json")]
    write_features(files[0], result.features)
    write_trades(files[1], result.trades)
    write_metrics(files[2], result.metrics)
    return files
