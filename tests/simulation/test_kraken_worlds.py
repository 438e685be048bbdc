"""Worlds over Kraken's rules end as those over Binance's do: in equal books."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.config.check import check_config
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
