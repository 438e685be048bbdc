"""Where a command's words go, and how it asks for consent.

With `--json` standard output carries one document or nothing and every message goes to standard error;
without it the result goes to standard output and only questions, progress and errors to standard error.
Consent is asked on a terminal and never assumed: without one, `--yes` is needed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from agent.command_line.outcome import Ended, ExitCode

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


#: Columns that no table needs, and that every table may have.
_WIDE: Final = 10_000
_NARROW: Final = 80


class Terminal:
    def __init__(self, *, as_json: bool = False, assume_yes: bool = False) -> None:
        self.as_json = as_json
        self.assume_yes = assume_yes

    @property
    def can_ask(self) -> bool:
        return sys.stdin.isatty() and sys.stderr.isatty()

    def document(self, document: Any) -> None:
        """The one JSON document on standard output."""
        assert self.as_json, "documents are for --json"
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        sys.stdout.flush()

    def show(self, view: RenderableType) -> None:
        """A result for people."""
        # A sentence keeps its line, so that it can be searched for; a table needs the width.
        out = console(stderr=self.as_json)
        if isinstance(view, str) or out.is_terminal or os.environ.get("COLUMNS"):
            out.print(view, soft_wrap=isinstance(view, str))
            return
        out.file.write(_unwrapped(view))
        out.file.flush()

    def result(self, text: str, document: Any) -> None:
        """One sentence, or the document with --json."""
        if self.as_json:
            self.document(document)
        else:
            self.show(text)

    def say(self, text: str) -> None:
        """Progress, a warning or a remark: never part of the result."""
        console(stderr=True).print(text, soft_wrap=True)

    def consent(self, question: str, without: str) -> None:
        """Go on only when the user agrees. `without` names what is not done otherwise."""
        if self.assume_yes:
            return
        if not self.can_ask:
            raise Ended(
                ExitCode.REFUSED,
                f"This would happen: {question}",
                f"{without} needs --yes when there is no terminal to ask on",
            )
        if self.ask(f"{question} [y/N] ").lower() not in ("y", "yes"):
            raise Ended(ExitCode.REFUSED, f"Nothing was done: {without} was not confirmed.")

    def ask(self, question: str) -> str:
        """One line from the terminal; empty when it ends."""
        console(stderr=True).print(question, end="", soft_wrap=True)
        return sys.stdin.readline().strip()


def _unwrapped(view: RenderableType) -> str:
    """As wide as it is, for a file or another program, which looks for lines."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(markup=False, highlight=False, width=_WIDE, color_system=None)
    width = Measurement.get(wide, wide.options, view).maximum
    with wide.capture() as captured:
        wide.print(view, width=max(_NARROW, width))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def console(*, stderr: bool) -> Console:
    """Names and sentences are text, never markup; colours only on a terminal."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False)
