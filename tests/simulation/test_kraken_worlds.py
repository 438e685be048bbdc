"""Worlds over Kraken's rules end as those over Binance's do: in equal books."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.config.check import check_config
from agent.localexchange.venue.words import Side, Status
from agent.simulation import command
from agent.simulation.kraken_rules import KRAKEN
from agent.simulation.totals import Totals
from agent.simulation.world import World


def test_a_plain_day_trades_and_ends_with_equal_books() -> None:
    result = World(3, 0.5, luck=0.0, rules=KRAKEN).run()
    assert result.violation is None
    assert result.figures.entries >= 2
    assert result.figures.fills >= 2 * result.figures.entries
    assert result.figures.unknown == 0


def test_an_emergency_beside_a_full_counter_of_calls_is_flat_within_ten_seconds() -> None:
    """A stop rests, and another program has just made every call there may be."""
    world = World(4, 0.3, luck=0.0, rules=KRAKEN)
    done: list[int] = []

    def when_it_rests() -> None:
        orders = world.venue.desk.venue.registry.all_orders()
        if not any(order.status is Status.NEW and order.terms.side is Side.SELL for order in orders):
            world.agenda.plan(1_000_000, when_it_rests)
            return
        world.rules.use_up_calls(world.venue)
        world.ask("emergency")
        done.append(world.agenda.now_ms)

    world.agenda.plan(600_000_000, when_it_rests)
    result = world.run()
    assert result.violation is None, result.violation
    assert len(done) == 1
    (took_ms,) = result.figures.emergency_flat_ms
    assert 2_000 < took_ms < 10_000, "the look between cancel and sale waits for room, once"


@pytest.mark.no_cover
def test_days_of_bad_luck_end_with_equal_books() -> None:
    """A slice: more of it is `make simulate RULES=kraken`."""
    totals = Totals(KRAKEN.without)
    for seed in range(12):
        result = World(seed, 0.08, luck=3.0, rules=KRAKEN).run()
        assert result.violation is None, f"seed {seed}\n" + "\n".join(result.story[-40:])
        totals.add(result)
    assert totals.orders > 20
    assert totals.crashes > 30


def test_its_orders_are_live_ones_because_there_is_no_sandbox() -> None:
    config = json.loads(World(3, 0.1, rules=KRAKEN).terms.config)
    assert config["exchange"]["exchange_name"] == "kraken"
    told: Any = check_config(json.dumps(config)).config
    assert told.mode in ("live", "paper")


def test_a_range_over_its_rules_says_how_to_see_one_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seed", "5", "--days", "0.05", "--rules", "kraken"]) == 0
    told = capsys.readouterr().out
    assert "/0/private/OpenOrders" in told
    assert told.splitlines()[-1] == "0 violations"
