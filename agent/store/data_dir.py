"""Where everything lives that survives a restart, and the lock that lets one engine work there.

The directory is made for its owner alone. Its names are an interface: the window, the command line and the
emergency stop find the same files.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent.store.trouble import file_trouble


@dataclass(frozen=True, slots=True)
class DataDir:
    """A data directory and the names in it. Nothing is touched by making one of these."""

    path: Path

    @classmethod
    def resolve(cls, option: str | Path | None, environ: Mapping[str, str], config: Path | None) -> Self:
        """`--data-dir`, else AGENT_DATA_DIR, else the folder of the config file, else the current one."""
        named = option or environ.get("AGENT_DATA_DIR")
        if named:
            return cls(Path(named).expanduser().absolute())
        folder = Path.cwd() if config is None else config.absolute().parent
        return cls(folder)

    @property
    def trades_db(self) -> Path:
        return self.path / "trades.db"

    @property
    def candles_db(self) -> Path:
        return self.path / "candles.db"

    @property
    def lock_file(self) -> Path:
        return self.path / "agent.lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def log_file(self) -> Path:
        return self.logs / "agent.log"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    def create(self) -> None:
        """Make the directory (mode 0700) where there is none, and prove that it can be written.

        Raises StoreTrouble.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise file_trouble(error, self.path, "creating the data directory") from None
        try:
            # Permissions, read-only mounts and full disks differ in when they show: so write, and sync.
            with tempfile.NamedTemporaryFile(dir=self.path, prefix=".writable-") as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            raise file_trouble(error, self.path, "writing a file into") from None
