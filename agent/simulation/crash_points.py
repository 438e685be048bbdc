"""Every point at which the agent can die in five canonical flows, one world for each.

A flow is a short stretch of market with one trade in it. It is lived once undisturbed, counting the moments
between two awaits and the commits; then once for every one of them, with the process lost exactly there, and
started again; then recoveries are interrupted too. Each of these worlds must come to rest with equal books.

    python -m agent.simulation.crash_points [FLOW ...] [--every 1] [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from agent.simulation import market_news
from agent.simulation.agenda import MS, SECOND
from agent.simulation.path import Plot
from agent.simulation.terms import BASE, Terms
from agent.simulation.witness import Violation
from agent.simulation.world import BEGIN_MS, MINUTE, World

#: Bars of a flow: three that fall, the capitulation, and what comes of it.
_BEFORE: Final = 4
_USUAL: Final = 900_000
_TOLD_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Flow:
    """`after` are the closes of the bars behind the signal, as shares of the entry price."""

    name: str
    after: tuple[float, ...]
    exits: dict[str, Any]
    agent: dict[str, Any]
    disturb: Callable[[FlowWorld], None]


def _nothing(world: FlowWorld) -> None:
    return None


def _partial_and_lost(world: FlowWorld) -> None:
    partial = {"fault": "F15", "match": {"method": "POST"}, "params": {"share": "0.5", "pieces": 4}}
    world.set_fault(partial, 30 * MINUTE)
    world.network.ambushes.append(("F2", 20 * SECOND, 0))


def _emergency(world: FlowWorld) -> None:
    world.agenda.plan(10 * MINUTE, lambda: world.ask("emergency"))


_BOTH: Final = {"use_fib_exits": True, "use_stop_loss": True, "use_time_exit": False, "fib_target_level": 0.5}
_STOP: Final = {"use_fib_exits": False, "use_stop_loss": True, "use_time_exit": True, "max_hold": 1}
_PLAIN: Final = {"protective_stop": True, "enter_without_room": True, "entry_order": "limit"}

FLOWS: Final = {
    flow.name: flow
    for flow in (
        Flow("entry-and-target", (1.012, 1.03, 1.04), _BOTH, {**_PLAIN, "entry_bar_exits": "all"}, _nothing),
        Flow("entry-and-stop", (0.99, 0.95, 0.94), _BOTH, _PLAIN, _nothing),
        Flow("partial-fill-and-time-out", (1.0, 1.001, 0.999), _STOP, _PLAIN, _partial_and_lost),
        Flow("exit-under-a-resting-stop", (1.0, 1.001, 1.0), _STOP, _PLAIN, _nothing),
        Flow("emergency-stop", (1.0, 1.0, 1.0), _BOTH, _PLAIN, _emergency),
    )
}


def _terms(flow: Flow) -> Terms:
    body = json.loads(BASE)
    body["exchange"]["paper_trading"] = False
    body["backtest_params"] |= {"use_traditional_tp": False, **flow.exits}
    body["risk_management"] |= {
        "max_position_size_percent": 20.0, "risk_per_trade_percent": 5.0, "order_timeout_seconds": 5,
        "slippage_tolerance_percent": 1.0, "max_daily_loss_percent": 20.0,
    }  # fmt: skip
    body["agent"] |= flow.agent
    return Terms(
        seed=0, paper=False, config=json.dumps(body), protects=True, busy=1.0, luck=0.0,
        foreign_base=Decimal(0), cash=Decimal(10_000),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """Die after so many moments, or at such a commit; `again` moments after the next start, once more."""

    moment: int | None = None
    commit: int | None = None
    before: bool = False
    again: int | None = None


class FlowWorld(World):
    """One flow, with the process lost at one point of it."""

    def __init__(self, flow: Flow, point: Point) -> None:
        super().__init__(4242, 0.1, terms=_terms(flow))
        self.flow = flow
        self.point = point
        self.moments = self.commits = 0
        self._script()

    def _script(self) -> None:
        path = self.venue.path
        path.make_until(BEGIN_MS - 1)
        level, plots = float(path._level), list[Plot]()
        for _ in range(_BEFORE - 1):
            plots.append(Plot(round(level * 0.994), round(level), round(level * 0.995), _USUAL))
            level *= 0.995
        low = level * 0.975
        close = low + (level - low) * 0.6
        plots.append(Plot(round(low), round(level), round(close), 9 * _USUAL))
        for share in self.flow.after:
            to = close * share
            plots.append(
                Plot(round(min(to, level) * 0.9995), round(max(to, close) * 1.0005), round(to), _USUAL)
            )
        path._plots = plots

    def _live(self) -> None:
        self.start()
        market_news.plan(self)
        signal_us = self.bar_ms * MS * _BEFORE
        self._go(signal_us - SECOND)
        self.flow.disturb(self)
        process = self.process
        assert process is not None
        begun, committed = process.loop.moments, process.commits
        if self.point.moment is not None:
            self.crash_in(self.point.moment)
        if self.point.commit is not None:
            process.crash_at_commit(self.point.commit, before=self.point.before)
        self._go(self.bar_ms * MS * len(self.flow.after) + 5 * SECOND)
        self.moments, self.commits = process.loop.moments - begun, process.commits - committed
        self.heal()
        self.settle("after the flow")
        self.witness.check_rest()
        self.witness.check_decisions()
        self.crash("to recover once more", downtime_us=SECOND)
        self.settle("recovered")
        self.witness.check_rest()

    def _downtime_us(self) -> int:
        return 5 * SECOND

    def start(self) -> None:
        super().start()
        if self.lives == 2 and self.point.again is not None and not self._healing:
            self.crash_in(self.point.again)


def points(flow: Flow, every: int, chance: random.Random) -> tuple[list[Point], FlowWorld]:
    """All points of a flow (or every n-th), and the undisturbed world they were counted in."""
    calm = FlowWorld(flow, Point())
    result = calm.run()
    if result.violation is not None:
        raise result.violation
    found = [Point(moment=n) for n in range(0, calm.moments, every)]
    for before in (True, False):
        found += [Point(commit=n, before=before) for n in range(0, calm.commits, every)]
    for n in range(0, calm.moments, every * 3):
        found.append(Point(moment=n, again=chance.randint(0, 250)))
    return found, calm


@dataclass(frozen=True, slots=True)
class Checked:
    """`crashes` are those that happened, those of recoveries included."""

    moments: int
    commits: int
    worlds: int
    crashes: int
    violations: list[tuple[Point, Violation]]


def live(asked: tuple[str, Point]) -> tuple[Point, int, Violation | None]:
    """One world of a flow, and how often the process was lost in it, the last recovery apart."""
    name, point = asked
    world = FlowWorld(FLOWS[name], point)
    result = world.run()
    return point, world.crashes - 1, result.violation


def check(flow: Flow, every: int = 1, jobs: int = 1) -> Checked:
    """Live every point."""
    found, calm = points(flow, every, random.Random(flow.name))
    crashes, violations, began_s = 0, [], time.monotonic()
    told_s = began_s
    for done, (point, died, violation) in enumerate(_lived(flow, found, jobs), 1):
        crashes += died
        if violation is not None:
            violations.append((point, violation))
        now_s = time.monotonic()
        if now_s > told_s + _TOLD_AFTER_S:
            told_s = now_s
            passed = f"{done} of {len(found)} worlds in {now_s - began_s:.0f} s"
            print(f"{flow.name}: {passed}, {len(violations)} violations", file=sys.stderr, flush=True)
    return Checked(calm.moments, calm.commits, len(found), crashes, violations)


def _lived(flow: Flow, found: list[Point], jobs: int) -> Iterator[tuple[Point, int, Violation | None]]:
    asked = [(flow.name, point) for point in found]
    if jobs == 1:
        yield from map(live, asked)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(live, asked, chunksize=8)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m agent.simulation.crash_points", description=__doc__)
    parser.add_argument("flows", nargs="*", help=f"{', '.join(FLOWS)} (all)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th point")
    parser.add_argument("--jobs", type=int, default=1, choices=range(1, 65), metavar="N",
                        help="worlds at a time, each in a process (1)")  # fmt: skip
    asked = parser.parse_args(arguments)
    total = 0
    for name in asked.flows or FLOWS:
        if name not in FLOWS:
            parser.error(f"there is no flow {name!r}; there are {', '.join(FLOWS)}")
        done = check(FLOWS[name], max(1, asked.every), asked.jobs)
        print(
            f"{name}: {done.moments} moments and {done.commits} commits, {done.worlds} worlds, "
            f"{done.crashes} crashes, {len(done.violations)} violations",
            flush=True,
        )
        for point, violation in done.violations[:5]:
            print(f"  {point}: {violation}")
        total += len(done.violations)
    print("1 violation" if total == 1 else f"{total} violations")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
