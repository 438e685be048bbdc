"""Worlds over Kraken's rules end as those over Binance's do: in equal books."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from agent.config.check import check_config
from agent.localexchange.venue.order import Order
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
    """A stop rests, the engine has just started again, and another program makes every call there may be, now
    and two seconds later: the stop is canceled at once, and what it sold must be known before anything is."""
    world = World(4, 0.3, luck=0.0, rules=KRAKEN)
    asked_ms: list[int] = []

    def sales() -> list[Order]:
        return [o for o in world.venue.desk.venue.registry.all_orders() if o.terms.side is Side.SELL]

    def when_it_has_rested() -> None:
        if any(o.status is Status.NEW and world.agenda.now_ms > o.created_ms + 60_000 for o in sales()):
            world.crash("the process was killed", downtime_us=5_000_000)
            world.agenda.plan(6_000_000, emergency)
        else:
            world.agenda.plan(1_000_000, when_it_has_rested)

    def emergency() -> None:
        use_up = partial(world.rules.use_up_calls, world.venue)
        use_up()
        world.agenda.plan(2_000_000, use_up)
        world.ask("emergency")
        asked_ms.append(world.agenda.now_ms)

    world.agenda.plan(600_000_000, when_it_has_rested)
    result = world.run()
    assert result.violation is None, result.violation
    (began_ms,) = asked_ms
    (sold,) = [o for o in sales() if o.created_ms >= began_ms]
    assert sold.status is Status.FILLED
    assert 5_000 < sold.updated_ms - began_ms < 10_000, "the look waits for room, twice"


@pytest.mark.no_cover
def test_days_of_bad_luck_end_with_equal_books() -> None:
    """A slice: more of it is `make simulate RULES=kraken`."""
    totals = Totals(KRAKEN.without)
    for seed in range(12):
        result = World(seed, 0.08, luck=3.0, rules=KRAKEN).run()
        assert result.violation is None, f"seed {seed}\n" + "\n".join(result.story[-40:])
        totals.add(result)
    assert totals.orders > 10
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
