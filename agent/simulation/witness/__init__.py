"""The witness: what must hold, checked from the venue's own ledger while a world runs.

Belongs here: the invariants of RELIABILITY as far as engine and store are concerned, a file for each place
where they are looked at. Stays true: the witness changes nothing and believes nothing the agent says about
itself where the venue's books can be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.simulation.witness.durability import Durability
from agent.simulation.witness.figures import Figures
from agent.simulation.witness.flows import Flows
from agent.simulation.witness.holdings import Holdings
from agent.simulation.witness.rest import check_decisions, check_ledgers
from agent.simulation.witness.steps import Steps
from agent.simulation.witness.violation import Violation
from agent.simulation.witness.wire import Wire

if TYPE_CHECKING:
    from agent.simulation.world import World

__all__ = ["Figures", "Violation", "Witness"]


class Witness:
    def __init__(self, world: World) -> None:
        self.world = world
        self.figures = Figures()
        self.flows = Flows(world)
        self.holdings = Holdings(world, self.figures, self.flows)
        self.steps = Steps(world, self.figures, self.holdings, self.flows)
        self.wire = Wire(world, self.holdings, self.flows, self.steps)
        self.durability = Durability(world)

    def check_rest(self) -> None:
        """At the end, healed and settled: the two ledgers are equal."""
        if self.world.terms.paper:
            return
        self.holdings.look()
        check_ledgers(self.world, self.holdings.ours)
        self.flows.check_rest()

    def check_decisions(self) -> None:
        """Each bar was decided once, in order, and as the whole history says."""
        check_decisions(self.world)
