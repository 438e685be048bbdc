"""The five flows do what their names say, and dying at a sample of their points ends with equal books."""

from __future__ import annotations

import sqlite3

import pytest

from agent.simulation.crash_points import FLOWS, FlowWorld, Point, points
from agent.simulation.world import Result

#: How each flow leaves its position, and the orders it needs for that.
LEFT = {
    "entry-and-target": ("FIB_50", {"entry", "protect", "target"}),
    "entry-and-stop": ("STOP", {"entry", "protect"}),
    "partial-fill-and-time-out": ("TIME", {"entry", "protect", "exit"}),
    "exit-under-a-resting-stop": ("TIME", {"entry", "protect", "exit"}),
    "emergency-stop": ("EMERGENCY", {"entry", "protect", "exit"}),
}


def live(name: str, point: Point) -> tuple[Result, list[str], set[str]]:
    world = FlowWorld(FLOWS[name], point)
    result = world.run()
    connection = sqlite3.connect(world.disk.path / "trades.db")
    try:
        reasons = [row[0] for row in connection.execute("SELECT reason FROM trades")]
        purposes = {row[0] for row in connection.execute("SELECT purpose FROM intents")}
    finally:
        connection.close()
    return result, reasons, purposes


@pytest.mark.parametrize("name", list(FLOWS))
def test_a_flow_does_what_its_name_says(name: str) -> None:
    reason, needed = LEFT[name]
    result, reasons, purposes = live(name, Point())
    assert result.violation is None
    assert reasons[0].startswith(reason)
    assert needed <= purposes


@pytest.mark.no_cover
@pytest.mark.parametrize("name", list(FLOWS))
def test_dying_anywhere_in_a_flow_ends_with_equal_books(name: str) -> None:
    import random

    found, calm = points(FLOWS[name], 97, random.Random(name))
    assert calm.moments > 150
    for point in found:
        result = FlowWorld(FLOWS[name], point).run()
        assert result.violation is None, f"{point}: {result.violation}"
