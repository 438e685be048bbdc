"""What the worker found, as the document that carries it.

Light: the engine reads it without loading pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.insight.parity import Score

#: The document that holds the last findings of a scope.
SCRUTINY_KEY: Final = "scrutiny"


#: How the key of a report about an absence begins.
AWAY: Final = "away"


@dataclass(frozen=True, slots=True)
class Findings:
    """`warnings` by a key that stays the same while the same thing is wrong."""

    score: Score
    warnings: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        return {"score": self.score.document(), "warnings": dict(self.warnings)}

    @classmethod
    def of(cls, document: object) -> Findings:
        """Raises ValueError for anything else than `document` made."""
        if not isinstance(document, Mapping) or not isinstance(document.get("warnings"), Mapping):
            raise ValueError("no findings")
        return cls(Score.of(document.get("score")), dict(document["warnings"]))


def findings_in(documents: Mapping[str, Any]) -> Findings:
    """The findings among the stored documents of a scope; none when a version that is not ours kept them."""
    try:
        return Findings.of(documents.get(SCRUTINY_KEY))
    except (ValueError, TypeError):
        return Findings(Score(), {})
