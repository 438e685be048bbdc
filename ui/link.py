"""What the window knows about its engine: attached, starting, silent, gone. A value, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LinkKind(StrEnum):
    LOOKING = "looking"
    STARTING = "starting"
    ATTACHED = "attached"
    SILENT = "silent"
    LOST = "lost"
    MISMATCH = "mismatch"
    FAILED = "failed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Link:
    """`text` is a sentence, `fix` what to do about it; `since_s` is machine time of the loop.

    SILENT: connected, but no answer within a second. LOST: the connection ended, it is looked for again.
    FAILED: the engine did not start. NONE: no engine runs and none is to be started by itself.
    """

    kind: LinkKind
    text: str = ""
    fix: str = ""
    pid: int | None = None
    since_s: float = 0.0
    round_trip_ms: float | None = None

    @property
    def is_up(self) -> bool:
        return self.kind in (LinkKind.ATTACHED, LinkKind.MISMATCH)
