"""Whole worlds: nothing is violated, a seed is the same world everywhere, and the command line says so."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from agent.simulation import command
from agent.simulation.network import Sent
from agent.simulation.record import Range, opened
from agent.simulation.totals import NOT_SIMULATED, SIMULATED, Totals
from agent.simulation.venue import KEY, Request
from agent.simulation.witness import Violation
from agent.simulation.world import World

DIGEST = "from agent.simulation.world import World; print(World(11, 0.15).run().digest)"


def test_a_plain_day_trades_and_ends_with_equal_books() -> None:
    result = World(3, 1.0, luck=0.0).run()
    assert result.violation is None
    assert result.figures.entries >= 4
    assert result.figures.unknown == 0


def test_neither_a_ban_nor_a_stale_answer_is_calm() -> None:
    """What is wrong with a position then is not the agent's doing: it may not ask, or was told otherwise."""
    world = World(3, 0.1, luck=0.0)
    network = world.network
    assert network.is_fair
    network.silent_until_ms = world.agenda.now_ms + 1
    assert not network.is_open
    network.silent_until_ms = 0
    world.set_fault({"fault": "F37", "params": {"age_ms": 30_000}, "count": 4}, 60_000_000)
    sent = Sent(world.agenda.now_ms, Request("GET", "/api/v3/account", "", "", KEY), status=200)
    world._answered(sent)
    assert network.is_fair
    assert world.venue.faults.fire_on_request(("F37",), "GET", "/api/v3/account") is not None
    world._answered(sent)
    assert network.is_open
    assert not network.is_fair
    world._bury()


def test_a_fault_that_begins_before_all_is_sold_takes_the_time_to_flat_out() -> None:
    world = World(3, 0.1, luck=0.0)
    held, begun_ms = world.witness.holdings, world.agenda.now_ms
    world.start()
    held.ours, held.flattening_since_ms = Decimal(100), begun_ms
    world.agenda.now_us += 300_000_000
    held.look()
    assert world.is_open
    world.network.silent_until_ms = world.agenda.now_ms + 1
    held.look()
    held.ours = Decimal(0)
    held.look()
    assert (held.figures.emergency_flat_ms, held.figures.emergency_cut) == ([], 1)
    held.ours, held.flattening_since_ms = Decimal(0), begun_ms
    held.look()
    assert (held.figures.emergency_flat_ms, held.figures.emergency_cut) == ([300_000], 1)
    world._bury()


@pytest.mark.no_cover
def test_five_hundred_seeds_of_bad_luck_end_with_equal_books() -> None:
    """An hour or so of each, three times as unlucky as usual: a day of each is `make prove`."""
    totals = Totals()
    for seed in range(500):
        result = World(seed, 0.05, luck=3.0).run()
        assert result.violation is None, f"seed {seed}\n" + "\n".join(result.story[-40:])
        totals.add(result)
    assert totals.orders > 500
    assert totals.crashes > 1_000
    assert totals.fired["F32"] == totals.crashes


@pytest.mark.no_cover
def test_every_fault_of_the_catalogue_happens_in_a_parade() -> None:
    totals = Totals()
    for seed in range(6):
        result = World(seed, 1.0, luck=0.5, parade=True).run()
        assert result.violation is None, "\n".join(result.story[-40:])
        totals.add(result)
        if not totals.missing:
            break
    assert totals.missing == []


def test_each_fault_of_the_catalogue_is_simulated_or_tested_elsewhere_for_a_reason() -> None:
    catalogue = {f"F{number}" for number in range(1, 53)}
    assert set(SIMULATED) | set(NOT_SIMULATED) == catalogue
    assert not set(SIMULATED) & set(NOT_SIMULATED)
    assert all(len(reason) > 20 for reason in NOT_SIMULATED.values())


def test_ccxt_itself_goes_through_the_same_disasters() -> None:
    totals = Totals()
    for seed in (4, 5):
        result = World(seed, 0.15, thorough=True).run()
        assert result.violation is None, "\n".join(result.story[-40:])
        totals.add(result)
    assert totals.crashes >= 4


@pytest.mark.no_cover
@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_a_seed_is_the_same_world_whatever_the_hash_seed(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST],
        capture_output=True, text=True, env=environment, timeout=120, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == World(11, 0.15).run().digest


def test_a_range_ends_with_the_number_of_violations(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seeds", "5:7", "--days", "0.1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 violations"


def test_a_range_goes_on_where_its_record_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, whole = tmp_path / "kept.json", tmp_path / "whole.json"
    two_worlds = Range(5, 7, 0.05, "binance", thorough=False)
    half = opened(two_worlds, kept, frozenset())
    half.totals.add(command.live(two_worlds, 5))
    half.keep()
    asked = ["--seeds", "5:7", "--days", "0.05", "--record"]
    assert command.main([*asked, str(kept)]) == 0
    assert "1 worlds were lived before" in capsys.readouterr().out
    assert command.main([*asked, str(whole)]) == 0
    bodies = [json.loads(path.read_text()) for path in (kept, whole)]
    for body in bodies:
        del body["totals"]["cpu_s"], body["told"]
    assert bodies[0] == bodies[1]
    assert bodies[0]["totals"]["worlds"] == 2


def test_the_record_of_other_worlds_is_not_added_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    opened(Range(0, 9, 0.05, "binance", thorough=False), kept, frozenset()).keep()
    assert command.main(["--seeds", "5:7", "--days", "0.05", "--record", str(kept)]) == 2
    assert "is the record of other worlds" in capsys.readouterr().err
    opened(Range(5, 7, 0.05, "binance", thorough=False, code="of before"), tmp_path / "b", frozenset()).keep()
    assert command.main(["--seeds", "5:7", "--days", "0.05", "--record", str(tmp_path / "b")]) == 2
    assert "or of other code" in capsys.readouterr().err
    kept.write_text("{}")
    assert command.main(["--seeds", "5:7", "--days", "0.05", "--record", str(kept)]) == 2
    assert "is no record of a range" in capsys.readouterr().err


def test_what_a_process_of_many_finds_reaches_the_one_that_tells_it() -> None:
    result = World(5, 0.05).run()
    result.violation = Violation(9, "2 ADA sold twice")
    told = pickle.loads(pickle.dumps(result))
    assert (told.violation.law, str(told.violation)) == (9, "invariant 9: 2 ADA sold twice")
    assert told.story == result.story


def test_one_seed_tells_its_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seed", "5", "--days", "0.1"]) == 0
    told = capsys.readouterr().out
    assert "start no. 1" in told
    assert told.splitlines()[-1] == "0 violations"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--seeds", "5:five"], "no range of seeds"),
        (["--seeds", "7:7"], "holds no seed"),
        (["--seed", "1", "--days", "0"], "not a number of days"),
        (["--seeds", "1:2", "--jobs", "0"], "not a number of processes"),
        ([], "one of the arguments --seed --seeds is required"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(asked)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_world_leaves_nothing_behind_in_its_process() -> None:
    import logging

    from agent.simulation import process

    level = logging.getLogger("agent").level
    World(5, 0.1).run()
    assert process._OURS, "a world puts something else in the place of clocks and rhythms"
    for (module, name), ours in process._OURS.items():
        assert getattr(module, name) is ours, f"{module.__name__}.{name}"
    assert logging.getLogger("agent").level == level
