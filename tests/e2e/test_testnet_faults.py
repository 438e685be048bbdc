"""A few faults of the exchange under real orders; `fault_trials.py` tries them all and prints the table."""

from __future__ import annotations

import pytest
from fault_trials import TELLING, TRIALS, tried

TOLD = {trial.name: trial for trial in TRIALS}


@pytest.mark.parametrize("name", TELLING)
async def test_the_trade_ends_flat_and_both_ledgers_are_one(house, tmp_path, name):
    row = await tried(house, tmp_path / "data", TOLD[name])
    assert row.fired > 0
    assert (row.outcome, row.differences) == (TOLD[name].ends, ())
