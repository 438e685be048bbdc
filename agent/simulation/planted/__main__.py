"""The command line of the planted bugs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from agent.simulation.planted import BUGS, SEEDS, seeds_to_find


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agent.simulation.planted", description="Find planted bugs."
    )
    parser.add_argument("names", nargs="*", help="the bugs to look for (all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds to try for each (200)")
    parser.add_argument("--list", action="store_true", help="only tell what there is")
    asked = parser.parse_args(arguments)
    names = asked.names or list(BUGS)
    if strangers := [name for name in names if name not in BUGS]:
        parser.error(f"there is no planted bug {strangers[0]!r}; there are {', '.join(BUGS)}")
    if asked.list:
        for name in names:
            print(f"{name}: {BUGS[name].what}")
        return 0
    missed = 0
    for name in names:
        began_s = time.process_time()
        found = seeds_to_find(name, asked.seeds)
        passed_s = time.process_time() - began_s
        missed += found is None
        told = f"not found in {asked.seeds} seeds" if found is None else f"seed {found[0]}: {found[1][:150]}"
        print(f"{name} ({BUGS[name].what}): {told} ({passed_s:.0f} s)", flush=True)
    print(f"{len(names) - missed} of {len(names)} planted bugs found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
