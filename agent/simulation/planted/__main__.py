"""The command line of the planted bugs."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from agent.simulation.planted import BUGS, SEEDS
from agent.simulation.planted.results import Results
from agent.simulation.planted.search import Search, go_on


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    asked = parser.parse_args(arguments)
    names = asked.names or list(BUGS)
    if strangers := [name for name in names if name not in BUGS]:
        parser.error(f"there is no planted bug {strangers[0]!r}; there are {', '.join(BUGS)}")
    if asked.list:
        for name in names:
            print(f"{name}: {BUGS[name].what}")
        return 0
    try:
        results = Results(asked.results)
    except ValueError as error:
        parser.error(str(error))
    _search(names, asked.seeds, asked.jobs, results)
    found = [s for s in map(results.of, names) if s.law is not None]
    for search in sorted(found, key=lambda s: s.tried):
        print(_told(search))
    for name in names:
        if results.of(name).law is None:
            print(_told(results.of(name)))
    print(f"{len(found)} of {len(names)} planted bugs found")
    return 1 if len(found) < len(names) else 0


def _search(names: Iterable[str], most: int, jobs: int, results: Results) -> None:
    """Go on with every search that is not over, telling what became of each step."""
    steps = _alone if jobs == 1 else _together
    todo = [results.of(name) for name in names if not results.of(name).is_over(most)]
    for search in steps(todo, most, jobs):
        results.keep(search)
        print(_told(search), file=sys.stderr, flush=True)


def _alone(todo: list[Search], most: int, jobs: int) -> Iterator[Search]:
    for search in todo:
        while not search.is_over(most):
            search = go_on(search, most)
            yield search


def _together(todo: list[Search], most: int, jobs: int) -> Iterator[Search]:
    """Each bug in one process at a time, those that were found quickly making room for the others."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawned) as pool:
        running: set[Future[Search]] = set()
        while todo or running:
            while todo and len(running) < jobs:
                running.add(pool.submit(go_on, todo.pop(0), most))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                search = future.result()
                if not search.is_over(most):
                    todo.append(search)
                yield search


def _told(search: Search) -> str:
    seeds = f"{search.tried} seed{'' if search.tried == 1 else 's'}"
    found = f"not found in {seeds}" if search.law is None else f"{seeds}: {search.law[:150]}"
    return f"{search.name} ({BUGS[search.name].what}): {found} ({search.cpu_s:.0f} s)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent.simulation.planted", description="Find planted bugs."
    )
    parser.add_argument("names", nargs="*", help="the bugs to look for (all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds to try for each ({SEEDS})")
    parser.add_argument("--jobs", type=int, default=1, choices=range(1, 65), metavar="N",
                        help="bugs at a time, each in a process (1)")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="FILE",
                        help="keep results there, and go on where an interrupted search ended")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="only tell what there is")
    return parser


if __name__ == "__main__":
    sys.exit(main())
