"""The command line: one world with its story, or many with a count of what was violated.

    python -m agent.simulation --seed 7 [--days 1]
    python -m agent.simulation --seeds 0:500 [--days 1] [--jobs 2] [--rules kraken] [--record FILE]

A range may be interrupted; with a record, the same command goes on where it ended.
The last line always says `N violations`; the exit code is 0 only for none of them.
"""

from __future__ import annotations

import argparse
import functools
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Final

from agent.exchange.ccxt_import import rest_class
from agent.simulation.disk import workplace
from agent.simulation.kraken_rules import KRAKEN
from agent.simulation.record import Range, Record, RecordError, opened
from agent.simulation.rules import BINANCE, Rules
from agent.simulation.totals import Totals
from agent.simulation.world import Result, World

RULES: Final[Mapping[str, Rules]] = {rules.name: rules for rules in (BINANCE, KRAKEN)}
_TOLD_AFTER_S = 5.0
_KEPT_AFTER_S = 30.0
#: Worlds asked for in advance for each process: they do not all take equally long.
_AHEAD = 8
#: In so many days every fault must have happened.
_ALL_AFTER_DAYS = 200


def run(arguments: Sequence[str] | None = None) -> None:
    sys.exit(main(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.seed is not None:
        return one(asked.seed, asked.days, thorough=asked.thorough, rules=asked.rules)
    seeds = asked.seeds
    of = Range(seeds.start, seeds.stop, asked.days, asked.rules, asked.thorough)
    return many(of, asked.jobs, asked.record)


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


def many(of: Range, jobs: int, path: Path | None = None) -> int:
    """Live many worlds; only what is violated tells a story."""
    try:
        record = opened(of, path, RULES[of.rules].without)
    except RecordError as error:
        print(error, file=sys.stderr)
        return 2
    totals = record.totals
    if totals.worlds:
        print(f"{totals.worlds} worlds were lived before: going on with seed {record.next_seed}")
    number = of.end - of.first
    began_s = told_s = kept_s = time.monotonic()
    lived_before = totals.worlds
    for result in _until_interrupted(_results(of, record.next_seed, jobs)):
        totals.add(result)
        if result.violation is not None:
            _tell(record, result)
        now_s = time.monotonic()
        if now_s - kept_s > _KEPT_AFTER_S:
            kept_s = now_s
            record.keep()
        if now_s - told_s > _TOLD_AFTER_S:
            told_s = now_s
            passed_s = now_s - began_s
            left_s = (number - totals.worlds) * passed_s / (totals.worlds - lived_before)
            print(
                f"{totals.worlds} of {number} worlds, {totals.days:g} days in {passed_s:.0f} s, "
                f"{totals.orders} orders, {totals.crashes} crashes, {_count(totals.violations)}, "
                f"{left_s:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
    record.keep()
    for line in totals.lines():
        print(line)
    for line in record.violations:
        print(f"VIOLATION {line}")
    violations = totals.violations
    if totals.days >= _ALL_AFTER_DAYS and totals.missing:
        violations += 1
        print(f"VIOLATION of the simulation itself: {', '.join(totals.missing)} never happened")
    print(_count(violations))
    return 1 if violations else 0


def _tell(record: Record, result: Result) -> None:
    of = record.of
    over = "" if of.rules == BINANCE.name else f" --rules {of.rules}"
    record.violations.append(f"seed {result.seed}: {result.violation}")
    record.keep()
    print(f"seed {result.seed}: VIOLATION {result.violation}")
    print(f"  reproduce: python -m agent.simulation --seed {result.seed} --days {of.days:g}{over}")
    for line in result.story[-25:]:
        print(f"    {line}")
    sys.stdout.flush()


def _until_interrupted(results: Iterator[Result]) -> Iterator[Result]:
    """A long range may be ended with Ctrl+C; what was lived until then still counts."""
    try:
        yield from results
    except KeyboardInterrupt:
        print("interrupted: these are the worlds so far", file=sys.stderr)


def _results(of: Range, first: int, jobs: int) -> Iterator[Result]:
    """In the order of the seeds. Only so many are asked for ahead as keep every process at work."""
    if jobs == 1:
        for seed in range(first, of.end):
            yield live(of, seed)
        return
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawned, initializer=_leave_interrupts_to_the_parent)
    asked: deque[Future[Result]] = deque()
    try:
        for seed in range(first, of.end):
            asked.append(pool.submit(live, of, seed))
            if len(asked) >= jobs * _AHEAD:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _settle_memory() -> None:
    """What the program itself is made of is never garbage: looking through it costs a twentieth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 5, 5)


@functools.cache
def _settle_before(rules: str) -> None:
    """Once before the first world of this process: what all of them share is no cost of a day."""
    workplace()
    rest_class(rules)
    _settle_memory()


#: Once behind the first world: it loads what only a world needs.
_settle_behind = functools.cache(_settle_memory)


def live(of: Range, seed: int) -> Result:
    """One world; a good one's story is not carried from one process to the other."""
    _settle_before(of.rules)
    began_s = time.process_time()
    result = World(seed, of.days, thorough=of.thorough, rules=RULES[of.rules]).run()
    # A world is full of circles; none of it outlives its end.
    gc.collect()
    _settle_behind()
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
        "--record", type=Path, metavar="FILE", help="keep the totals there, and go on with those it has"
    )
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
