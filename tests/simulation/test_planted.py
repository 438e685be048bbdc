"""The simulation bites: a sample of planted bugs is found within a few seeds; all of them is `make prove`."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core import ordering
from agent.exchange.signed import binance
from agent.simulation import planted
from agent.simulation.planted import BUGS, seeds_to_find
from agent.simulation.planted.results import Results
from agent.simulation.planted.search import Search, try_seed
from agent.simulation.witness import Violation

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


def test_a_seed_that_breaks_without_the_bug_finds_nothing() -> None:
    always = Violation(4, "books differ")
    with pytest.raises(AssertionError, match="without any planted bug"):
        try_seed("blind_resend", 7, lambda seed: always)
    plain = binance.SignedBinance.place

    def only_with_the_bug(seed: int) -> Violation | None:
        return None if binance.SignedBinance.place is plain else always

    assert try_seed("blind_resend", 7, only_with_the_bug) == "invariant 4: books differ"
    assert try_seed("blind_resend", 7, lambda seed: None) is None


def test_a_bug_that_fits_the_code_no_more_is_not_found_by_breaking_it() -> None:
    with pytest.raises(AssertionError, match="does not fit the code"):
        try_seed("blind_resend", 7, lambda seed: Violation(20, "TypeError: place() takes two"))


def test_a_search_goes_on_where_it_ended_and_other_code_begins_anew(tmp_path: Path) -> None:
    kept = tmp_path / "searches.jsonl"
    first = Results(kept, of="this code")
    first.keep(Search("blind_resend", 10, None, 8.5))
    first.keep(Search("blind_resend", 20, None, 17.0))
    first.keep(Search("no_stop", 3, "invariant 8: naked", 2.0))
    again = Results(kept, of="this code")
    assert again.of("blind_resend") == Search("blind_resend", 20, None, 17.0)
    assert again.of("no_stop").is_over(200)
    assert not again.of("halt_forgotten").is_over(200)
    assert Results(kept, of="other code").of("no_stop") == Search("no_stop")


def test_a_damaged_line_of_results_is_named(tmp_path: Path) -> None:
    kept = tmp_path / "searches.jsonl"
    kept.write_text('{"code": "c", "name": "no_stop", "tried": 3, "law": null, "cpu_s": 1.0}\nhalf a li')
    with pytest.raises(ValueError, match="line 2 is no result of a search"):
        Results(kept, of="c")
