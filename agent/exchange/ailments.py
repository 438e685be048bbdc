"""What is wrong at the moment, told once when it begins and once when it ends."""

from __future__ import annotations

from agent.core.events import Healed, Impaired, Impairment
from agent.core.ports import Sink


class Ailments:
    """Turns repeated findings into one Impaired and one Healed.

    `present` outlives a source that is started again, so that what its former life found can be healed.
    """

    def __init__(self, sink: Sink, present: dict[Impairment, str] | None = None) -> None:
        self._sink = sink
        self._present = {} if present is None else present
        self._expected: set[Impairment] = set()

    def found(self, by: Impairment, detail: str, *, permanent: bool = False, expected: bool = False) -> None:
        """It is so now. Told again only when it was not so before, or was only what every start has."""
        if by not in self._present or (by in self._expected and not expected):
            self._present[by] = detail
            if expected:
                self._expected.add(by)
            else:
                self._expected.discard(by)
            self._sink(Impaired(by, detail, permanent, expected))

    def gone(self, by: Impairment) -> None:
        self._expected.discard(by)
        if self._present.pop(by, None) is not None:
            self._sink(Healed(by))
