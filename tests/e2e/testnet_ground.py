"""What tests of real orders need: a configuration for testnet, and an account at the local exchange."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TESTNET: Final[dict[str, Any]] = {"exchange": {"paper_trading": False, "testnet": True}}


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account. The words are unusual enough to be found wherever they should not be."""

    key: str
    secret: str

    @property
    def options(self) -> tuple[str, ...]:
        """Of the local exchange."""
        return ("--key", self.key, "--secret", self.secret)

    def environment(self, directory: Path, **other: str) -> dict[str, str]:
        """Of an engine; locks of accounts stay inside the test."""
        return {
            "EXCHANGE_API_KEY": other.get("key", self.key),
            "EXCHANGE_API_SECRET": other.get("secret", self.secret),
            "XDG_STATE_HOME": str(directory / "state"),
        }


credentials: Final = Credentials("canary-key-7f3a9b2c4d5e6f", "canary-secret-1a2b3c4d5e6f7a8b9c")
