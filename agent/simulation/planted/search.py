"""The search for the first seed that finds a planted bug.

Stays true: a bug counts as found only by a seed that violates nothing without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from agent.simulation.planted.mutant import BUGS, Bug, Mutant
from agent.simulation.witness import Violation
from agent.simulation.world import World

SEEDS: Final = 200
#: So many between two words of progress.
STEP: Final = 10
#: What breaks a part when a planted bug was not kept up with the code: that proves nothing.
MISFITS: Final = (
    "TypeError",
    "AttributeError",
    "NameError",
    "positional argument",
    "unexpected keyword",
    "has no attribute",
)


@dataclass(frozen=True, slots=True)
class Search:
    """How far the search for one bug came. `law` is what was violated by the last seed tried, if anything."""

    name: str
    tried: int = 0
    law: str | None = None
    cpu_s: float = 0.0

    def is_over(self, most: int) -> bool:
        return self.law is not None or self.tried >= most


@contextmanager
def planted(name: str) -> Iterator[Bug]:
    mutant = Mutant()
    try:
        BUGS[name].plant(mutant)
        yield BUGS[name]
    finally:
        mutant.lift()


def try_seed(name: str, seed: int, live: Callable[[int], Violation | None] | None = None) -> str | None:
    """What a world with the bug violates, and without it does not; None when it violates nothing."""
    live = live or _live
    with planted(name):
        found = live(seed)
    if found is None:
        return None
    misfit = next((word for word in MISFITS if word in str(found)), None)
    assert misfit is None, f"{name} does not fit the code any more: {found}"
    plain = live(seed)
    assert plain is None, f"seed {seed} violates without any planted bug: {plain}"
    return str(found)


def _live(seed: int) -> Violation | None:
    return World(seed).run().violation


def go_on(search: Search, most: int) -> Search:
    """Try the next few seeds."""
    began_s = time.process_time()
    tried, law = search.tried, None
    while law is None and tried < min(most, search.tried + STEP):
        law = try_seed(search.name, tried)
        tried += 1
    return replace(search, tried=tried, law=law, cpu_s=search.cpu_s + time.process_time() - began_s)


def seeds_to_find(name: str, most: int = SEEDS, first: int = 0) -> tuple[int, str] | None:
    """How many seeds it takes until a planted bug is found, and by which law; None when none finds it."""
    for tried in range(most):
        law = try_seed(name, first + tried)
        if law is not None:
            return tried + 1, law
    return None
