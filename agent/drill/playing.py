"""Playing disasters one after the other, each on a stage of its own, each with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.drill.disasters import Disaster
from agent.drill.stage import Failed, Stage

#: No disaster takes longer, whatever happens.
LONGEST_S: Final = 150.0


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "FAILED"
    NOT_HERE = "not on this system"


@dataclass(frozen=True, slots=True)
class Played:
    disaster: Disaster
    verdict: Verdict
    told: str
    took_s: float


async def play(
    disasters: Sequence[Disaster],
    scratch: Path,
    begins: Callable[[Disaster], None],
    ended: Callable[[Played], None],
) -> list[Played]:
    """Play `disasters` in `scratch`, a directory for each. Told at the beginning and the end of each."""
    results = []
    for disaster in disasters:
        begins(disaster)
        start = time.monotonic()
        verdict, told = await _one(disaster, scratch / disaster.name)
        results.append(Played(disaster, verdict, told, time.monotonic() - start))
        ended(results[-1])
    return results


async def _one(disaster: Disaster, directory: Path) -> tuple[Verdict, str]:
    if not disaster.runs_here:
        return Verdict.NOT_HERE, "this disaster needs Linux"
    try:
        async with asyncio.timeout(LONGEST_S), Stage(directory) as stage:
            return Verdict.PASSED, await disaster.play(stage)
    except Failed as failure:
        return Verdict.FAILED, str(failure)
    except TimeoutError:
        return Verdict.FAILED, f"it was not over after {LONGEST_S:g} s"
