"""Every invariant is checked in worlds, or has a reason and a test elsewhere."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from agent.simulation.daily_loss import DailyLoss
from agent.simulation.invariants import INVARIANTS, Checked, Invariant

ROOT = Path(__file__).parent.parent.parent
RAISED = {
    int(number)
    for path in (ROOT / "agent" / "simulation").rglob("*.py")
    for number in re.findall(r"Violation\(\s*(\d+),", path.read_text())
}
IN_WORLDS = {Checked.MOMENT, Checked.DEATH, Checked.REST}


def test_the_table_is_complete_and_knows_every_number_that_is_raised() -> None:
    assert [row.number for row in INVARIANTS] == list(range(1, 26))
    assert RAISED - {0} <= {row.number for row in INVARIANTS}


@pytest.mark.parametrize("row", INVARIANTS, ids=lambda row: f"{row.number} {row.law}")
def test_a_law_is_raised_where_the_table_says_so_or_held_by_a_test_that_exists(row: Invariant) -> None:
    assert row.checked
    assert (row.number in RAISED) is bool(IN_WORLDS & set(row.checked))
    named = re.findall(r"tests/[\w/.]+", row.how)
    assert all((ROOT / name).exists() for name in named)
    if Checked.ELSEWHERE in row.checked:
        assert named, "who holds it then"


DAY_MS = 86_400_000


def test_a_loss_counts_from_the_day_s_start_and_without_what_came_from_outside() -> None:
    day = DailyLoss(Decimal(5), Decimal(1_000), 0)
    assert day.too_much(Decimal(950), Decimal(0)) is None
    assert day.too_much(Decimal(940), Decimal(0)) == "60.00 of 1000.00 were lost today, 50.00 are allowed"
    assert day.too_much(Decimal(840), Decimal(-100)) == "60.00 of 1000.00 were lost today, 50.00 are allowed"
    assert day.too_much(Decimal(1_040), Decimal(100)) is not None
    day.look(DAY_MS, Decimal(900), Decimal(100), holds=False)
    assert day.too_much(Decimal(860), Decimal(100)) is None
    assert day.too_much(Decimal(850), Decimal(100)) is not None


def test_a_day_that_begins_with_something_held_is_not_judged() -> None:
    day = DailyLoss(Decimal(5), Decimal(1_000), 0)
    day.look(DAY_MS, Decimal(900), Decimal(0), holds=True)
    assert day.too_much(Decimal(1), Decimal(0)) is None
