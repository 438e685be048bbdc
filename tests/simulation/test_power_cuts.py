"""Power cuts at commits: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

import random

import pytest

from agent.simulation import power_cuts
from agent.simulation.disk import torn


@pytest.mark.no_cover
def test_what_was_acknowledged_survives_every_cut() -> None:
    cuts, whole, nothing, violation = power_cuts.run(300, first_seed=1)
    assert violation is None
    assert cuts == 300
    assert whole > 0, "some cuts come after the sync"
    assert nothing > 0, "some cuts come before it"


def test_a_database_is_only_touched_once_its_log_is_whole() -> None:
    old = {"trades.db": b"a" * 4096, "trades.db-wal": b"b" * 2048}
    new = {"trades.db": b"c" * 4096, "trades.db-wal": b"d" * 4096}
    for seed in range(50):
        files = torn(old, new, random.Random(seed))
        if files["trades.db"] != old["trades.db"]:
            assert files["trades.db-wal"] == new["trades.db-wal"]


def test_a_cut_leaves_sectors_of_both_states_and_nothing_else() -> None:
    old, new = b"o" * 8192, b"n" * 8192
    seen = set()
    for seed in range(50):
        log = torn({"trades.db": b"", "trades.db-wal": old}, {"trades.db": b"", "trades.db-wal": new},
                   random.Random(seed))["trades.db-wal"]  # fmt: skip
        assert set(log) <= {ord("o"), ord("n")}
        seen.add(log.count(b"n"))
    assert 0 in seen
    assert len(seen) > 5
