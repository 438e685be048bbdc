"""Processes that outlive the window: the engine it starts, and the emergency stop that acts by itself.

Law: both are sessions of their own with no pipe to the window, so that closing, killing or freezing it
changes nothing for them. What they say goes to a file, from which it is read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_SHOWN_BYTES: Final = 16_384


class DetachedProcess:
    """One process started with `words` after the interpreter, and what it said so far."""

    def __init__(self, words: Sequence[str], name: str, secrets: Mapping[str, str] | None = None) -> None:
        descriptor, path = tempfile.mkstemp(prefix=f"agent-{name}-", suffix=".log")
        self.output = Path(path)
        self._read = 0
        try:
            self._process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(secrets or {})},
            )
        finally:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """The last of what it said."""
        try:
            return self.output.read_bytes()[-_SHOWN_BYTES:].decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def new_lines(self) -> list[str]:
        """Whole lines said since the last call."""
        try:
            with self.output.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except OSError:
            return []
        whole = fresh if self.exit_code is not None else fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        return [line for line in whole.decode("utf-8", "replace").splitlines() if line.strip()]

    def end(self) -> None:
        """Ask it to stop cleanly (SIGTERM, where there is one)."""
        if self.exit_code is None:
            self._process.terminate()

    def forget(self) -> None:
        """Leave it running: nobody waits for it any more."""
        # A Popen that is collected while its process runs warns; this one has been let go on purpose.
        self._process.returncode = self._process.poll() if self._process.poll() is not None else 0
        if self.exit_code is not None:
            self.output.unlink(missing_ok=True)
