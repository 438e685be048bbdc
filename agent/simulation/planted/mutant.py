"""What a planted bug is, and how it is lifted again.

Belongs here: putting something else where modules and classes have what is right, and the list of bugs. Stays
true: nothing on disk is changed; when a bug is lifted, everything is as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


class Mutant:
    """What a planted bug does to modules and classes, and how it is undone."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, other: Any) -> Any:
        """Put `other` where `owner` has `name`, and wherever a module took it by name. Returns what was."""
        was = owner.__dict__[name]
        self._set(owner, name, other)
        if isinstance(owner, ModuleType) and callable(was):
            for module in [m for n, m in sys.modules.items() if n.startswith("agent.")]:
                for key, value in list(vars(module).items()):
                    if value is was:
                        self._set(module, key, other)
        return was.__func__ if isinstance(was, staticmethod) else was

    def _set(self, owner: Any, name: str, other: Any) -> None:
        self._undo.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, other)

    def lift(self) -> None:
        for owner, name, was in reversed(self._undo):
            setattr(owner, name, was)
        self._undo.clear()


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    what: str
    plant: Callable[[Mutant], None]


BUGS: dict[str, Bug] = {}


def bug(what: str) -> Callable[[Callable[[Mutant], None]], Callable[[Mutant], None]]:
    def named(plant: Callable[[Mutant], None]) -> Callable[[Mutant], None]:
        name = plant.__name__
        BUGS[name] = Bug(name, what, plant)
        return plant

    return named
