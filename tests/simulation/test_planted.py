"""The simulation bites: a sample of planted bugs is found within a few seeds; all of them is `make prove`."""

from __future__ import annotations

import pytest

from agent.core import ordering
from agent.exchange.signed import binance
from agent.simulation import planted
from agent.simulation.planted import BUGS, seeds_to_find

SAMPLE = [
    "row_after_the_order",
    "blind_resend",
    "silence_is_refusal",
    "one_not_found_is_final",
    "client_id_used_twice",
    "fill_counted_twice",
    "base_fee_ignored",
    "acknowledged_too_early",
    "cap_ignored",
    "halt_forgotten",
]


@pytest.mark.no_cover
@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_bug_is_found(name: str) -> None:
    found = seeds_to_find(name, 20)
    assert found is not None, f"{name} ({BUGS[name].what}) lives through 20 days"


def test_there_are_at_least_forty_of_them_each_with_a_sentence() -> None:
    assert len(BUGS) >= 40
    assert all(len(bug.what) > 20 for bug in BUGS.values())


def test_a_lifted_bug_leaves_nothing_behind() -> None:
    before = ordering.DEFINITE_NOT_FOUNDS, ordering.on_report, binance.SignedBinance.place
    for name in BUGS:
        with planted.planted(name):
            pass
    assert (ordering.DEFINITE_NOT_FOUNDS, ordering.on_report, binance.SignedBinance.place) == before
