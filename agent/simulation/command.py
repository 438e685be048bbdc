"""The command line: one world with its story, or many with a count of what was violated.

    python -m agent.simulation --seed 7 [--days 1]
    python -m agent.simulation --seeds 0:500 [--days 1] [--jobs 2] [--rules kraken]

The last line always says `N violations`; the exit code is 0 only for none of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from agent.simulation.kraken_rules import KRAKEN
from agent.simulation.rules import BINANCE, Rules
from agent.simulation.totals import Totals
from agent.simulation.world import Result, World

RULES: Final[Mapping[str, Rules]] = {rules.name: rules for rules in (BINANCE, KRAKEN)}
_TOLD_AFTER_S = 5.0
#: In so many days every fault must have happened.
_ALL_AFTER_DAYS = 200


def run(arguments: Sequence[str] | None = None) -> None:
    sys.exit(main(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.seed is not None:
        return one(asked.seed, asked.days, thorough=asked.thorough, rules=asked.rules)
    return many(asked.seeds, asked.days, asked.jobs, thorough=asked.thorough, rules=asked.rules)


def one(seed: int, days: float, *, thorough: bool = False, rules: str = BINANCE.name) -> int:
    """Live one world and tell its story."""
    result = World(seed, days, thorough=thorough, rules=RULES[rules]).run()
    for line in result.story:
        print(line)
    print()
    totals = Totals(RULES[rules].without)
    totals.add(result)
    for line in totals.lines():
        print(line)
    if result.violation is not None:
        print(f"VIOLATION {result.violation}")
    print(_count(1 if result.violation else 0))
    return 1 if result.violation else 0


def many(seeds: range, days: float, jobs: int, *, thorough: bool = False, rules: str = BINANCE.name) -> int:
    """Live many worlds; only what is violated tells a story."""
    totals = Totals(RULES[rules].without)
    began_s = told_s = time.monotonic()
    for result in _until_interrupted(_results(seeds, days, jobs, thorough, rules)):
        totals.add(result)
        if result.violation is not None:
            print(f"seed {result.seed}: VIOLATION {result.violation}")
            over = "" if rules == BINANCE.name else f" --rules {rules}"
            print(f"  reproduce: python -m agent.simulation --seed {result.seed} --days {days:g}{over}")
            for line in result.story[-25:]:
                print(f"    {line}")
            sys.stdout.flush()
        now_s = time.monotonic()
        if now_s - told_s > _TOLD_AFTER_S:
            told_s = now_s
            passed_s = now_s - began_s
            print(
                f"{totals.worlds} of {len(seeds)} worlds, {totals.days:g} days in {passed_s:.0f} s, "
                f"{totals.orders} orders, {totals.crashes} crashes, {_count(totals.violations)}",
                file=sys.stderr,
                flush=True,
            )
    for line in totals.lines():
        print(line)
    violations = totals.violations
    if totals.days >= _ALL_AFTER_DAYS and totals.missing:
        violations += 1
        print(f"VIOLATION of the simulation itself: {', '.join(totals.missing)} never happened")
    print(_count(violations))
    return 1 if violations else 0


def _until_interrupted(results: Iterator[Result]) -> Iterator[Result]:
    """A long range may be ended with Ctrl+C; what was lived until then still counts."""
    try:
        yield from results
    except KeyboardInterrupt:
        print("interrupted: these are the worlds so far", file=sys.stderr)


def _results(seeds: range, days: float, jobs: int, thorough: bool, rules: str) -> Iterator[Result]:
    if jobs == 1:
        for seed in seeds:
            yield live((seed, days, thorough, rules))
        return
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawned) as pool:
        yield from pool.map(live, [(seed, days, thorough, rules) for seed in seeds], chunksize=4)


def live(asked: tuple[int, float, bool, str]) -> Result:
    """One world; a good one's story is not carried from one process to the other."""
    began_s = time.process_time()
    result = World(asked[0], asked[1], thorough=asked[2], rules=RULES[asked[3]]).run()
    result.cpu_s = time.process_time() - began_s
    if result.violation is None:
        result.story = []
    return result


def _count(number: int) -> str:
    return f"{number} violation{'' if number == 1 else 's'}" if number == 1 else f"{number} violations"


def _range(text: str) -> range:
    first, colon, last = text.partition(":")
    try:
        seeds = range(int(first), int(last)) if colon else range(int(first))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds; write it like 0:500") from None
    if not len(seeds):
        raise argparse.ArgumentTypeError(f"{text!r} holds no seed; the first is included, the last is not")
    return seeds


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0.01 <= days <= 400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days between 0.01 and 400")
    return days


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of processes; this machine has {os.cpu_count()}"
        )
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent.simulation",
        description="The real agent against the local venue through faults and crashes, in virtual time.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="live one world and tell its story")
    which.add_argument("--seeds", type=_range, metavar="A:B", help="live the worlds A to B-1")
    parser.add_argument("--days", type=_days, default=1.0, help="simulated days of each world (1)")
    parser.add_argument("--jobs", type=_jobs, default=1, help="worlds at a time, each in a process (1)")
    parser.add_argument(
        "--rules",
        choices=sorted(RULES),
        default=BINANCE.name,
        help="the venue's protocol and rules (binance)",
    )
    parser.add_argument(
        "--thorough", action="store_true", help="with ccxt itself and the product's own rhythm (slow)"
    )
    return parser
