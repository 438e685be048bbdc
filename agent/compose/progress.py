"""Loading history, shown: a bar on a terminal, a line per tenth in a log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class WarmupProgress:
    """Shows (bars, needed) on standard error while they grow."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tenths = -1
        self._shown = (0, 0)
        self._closed = False

    def show(self, warmup: tuple[int, int]) -> None:
        bars, needed = warmup
        if warmup == self._shown or needed == 0 or self._closed:
            return
        self._shown = warmup
        if sys.stderr.isatty():
            self._on_terminal(bars, needed)
        elif (tenths := 10 * bars // needed) > self._tenths:
            self._tenths = tenths
            try:
                print(f"loading history: {bars} of {needed} bars", file=sys.stderr)
            except OSError:
                # Nobody reads it; the log says when history is loaded.
                self._closed = True

    def close(self) -> None:
        """Nothing is shown any more."""
        self._closed = True
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _on_terminal(self, bars: int, needed: int) -> None:
        if self._bar is None:
            # Only a terminal needs it.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("loading history"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.add_task("history", total=needed)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=bars, total=needed)
