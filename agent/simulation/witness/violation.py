"""A law that does not hold."""

from __future__ import annotations


class Violation(Exception):  # noqa: N818 - a finding, not a failure of the simulation
    """An invariant does not hold. `law` is its number."""

    def __init__(self, law: int, text: str) -> None:
        # Both as they are: a finding is handed from one process to another, which makes it anew from them.
        super().__init__(law, text)
        self.law = law
        self.text = text

    def __str__(self) -> str:
        return f"invariant {self.law}: {self.text}"
