"""Bugs planted on purpose: does the simulation find them?

Mutations of the order path, the ledger, reconciliation, stops, latch and counters, each one in memory with a
sentence, and the search for the first seed that finds it.

    python -m agent.simulation.planted [NAME ...] [--seeds 200]
"""

from agent.simulation.planted import exits, limits, money, order_path, restarts, storing
from agent.simulation.planted.mutant import BUGS, Bug
from agent.simulation.planted.search import SEEDS, planted, seeds_to_find

__all__ = [
    "BUGS", "SEEDS", "Bug", "exits", "limits", "money", "order_path", "planted", "restarts",
    "seeds_to_find", "storing",
]  # fmt: skip
