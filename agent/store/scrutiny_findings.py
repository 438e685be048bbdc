"""What the worker found, as the document that carries it.

Light: the engine reads it without loading pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from agent.insight.parity import Score

#: The document that holds the last findings of a scope.
SCRUTINY_KEY: Final = "scrutiny"


#: How the key of a report about an absence begins.
AWAY: Final = "away"


@dataclass(frozen=True, slots=True)
class Looks:
    """How often a worker was sent, how often none answered, and bars that had to wait for the next one."""

    made: int = 0
    failed: int = 0
    last_failure: str = ""
    waited: int = 0

    @classmethod
    def of(cls, document: object) -> Looks:
        """Raises ValueError for anything else than its fields."""
        if not isinstance(document, Mapping) or set(document) != {f.name for f in fields(cls)}:
            raise ValueError("no looks")
        return cls(**document)

    def sentence(self) -> str:
        failed = f", {self.failed} of them without an answer" if self.failed else ""
        why = f" (the last: {self.last_failure})" if self.failed else ""
        looks = "1 look" if self.made == 1 else f"{self.made} looks"
        bars = "1 bar" if self.waited == 1 else f"{self.waited} bars"
        waited = f"; {bars} waited for the next look" if self.waited else ""
        return f"Beside the engine: {looks}{failed}{why}{waited}."


@dataclass(frozen=True, slots=True)
class Findings:
    """`warnings` by a key that stays the same while the same thing is wrong."""

    score: Score
    warnings: Mapping[str, str]
    looks: Looks = Looks()

    def document(self) -> dict[str, Any]:
        return {
            "score": self.score.document(),
            "warnings": dict(self.warnings),
            "looks": asdict(self.looks),
        }

    @classmethod
    def of(cls, document: object) -> Findings:
        """Raises ValueError for anything else than `document` made."""
        if not isinstance(document, Mapping) or not isinstance(document.get("warnings"), Mapping):
            raise ValueError("no findings")
        looks = Looks.of(document["looks"]) if "looks" in document else Looks()
        return cls(Score.of(document.get("score")), dict(document["warnings"]), looks)


def findings_in(documents: Mapping[str, Any]) -> Findings:
    """The findings among the stored documents of a scope; none when a version that is not ours kept them."""
    try:
        return Findings.of(documents.get(SCRUTINY_KEY))
    except (ValueError, TypeError):
        return Findings(Score(), {})
