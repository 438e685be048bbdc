"""The search for the first seed that finds a planted bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent.simulation.planted.mutant import BUGS, Bug, Mutant
from agent.simulation.world import World

SEEDS: Final = 200
#: What breaks a part when a planted bug was not kept up with the code: that proves nothing.
MISFITS: Final = (
    "TypeError",
    "AttributeError",
    "NameError",
    "positional argument",
    "unexpected keyword",
    "has no attribute",
)


@contextmanager
def planted(name: str) -> Iterator[Bug]:
    mutant = Mutant()
    try:
        BUGS[name].plant(mutant)
        yield BUGS[name]
    finally:
        mutant.lift()


def seeds_to_find(name: str, most: int = SEEDS, first: int = 0) -> tuple[int, str] | None:
    """How many seeds it takes until a planted bug is found, and by which law; None when none finds it."""
    with planted(name):
        for tried in range(most):
            found = World(first + tried).run().violation
            if found is not None:
                misfit = next((word for word in MISFITS if word in str(found)), None)
                assert misfit is None, f"{name} does not fit the code any more: {found}"
                return tried + 1, str(found)
    return None
