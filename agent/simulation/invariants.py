"""The laws an agent must obey whatever happens, and where each of them is checked.

Belongs here: one row for each invariant, by its number in a `Violation`. Stays true: a row that says
`moment`, `death` or `rest` has a check that raises it; one that says `elsewhere` names what checks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Checked(StrEnum):
    MOMENT = "at every moment it concerns: a request sets out, an answer arrives, the core makes a step"
    DEATH = "whenever the process is lost, in what is on the disk"
    REST = "after healing, at rest, and again after each of two restarts"
    LIFE = "by how a world or a flow is lived: again, or with the process lost at every point of it"
    ELSEWHERE = "not in worlds"


@dataclass(frozen=True, slots=True)
class Invariant:
    number: int
    law: str
    checked: tuple[Checked, ...]
    how: str
    """By what; of a law that no world can break, why not, and which tests hold it instead."""


M, D, R, L, N = Checked.MOMENT, Checked.DEATH, Checked.REST, Checked.LIFE, Checked.ELSEWHERE

INVARIANTS: Final = tuple(
    Invariant(*row)
    for row in (
        (1, "no order at the venue that the ledger does not know", (R,), "ids at the venue and in orders"),
        (2, "one intent, at most one order", (M, R), "ids on the wire; ids and entries of a signal at rest"),
        (3, "fills equal the venue's", (D, R), "a part of them at every death, the same at rest"),
        (4, "balances and flows equal the venue's", (M, R), "every change of cash; both currencies at rest"),
        (5, "unknown is honest", (M, R), "by the world's clock, from the answers on the wire"),
        (6, "nothing leaves without a durable intent", (M,), "the row on the disk against the request"),
        (7, "only legal transitions", (M,), "every order and every position of every step"),
        (8, "no naked position", (M,), "open sales at the venue while something is held in calm"),
        (9, "an exit never oversells", (M,), "what was sold, and what each sale is for"),
        (10, "limits of risk hold", (M, R), "size, count and loss by the venue's books; trades a day"),
        (11, "closed bars only, each once, in order", (R,), "rows of decisions against the whole history"),
        (12, "stale data and unknown orders stop entries", (M,), "bar, signal and orders of each entry"),
        (13, "back-off is obeyed", (M,), "every request against the ban, and the weight used"),
        (14, "time is injected and may step", (L,), "F45 in worlds; a world is the same on any machine"),
        (15, "reconcile before trade", (M,), "the account's reading and agreement before each entry"),
        (16, "the emergency stop wins", (M,), "latch and halt before each entry and at each start"),
        (17, "what was acknowledged is durable", (D,), "rows at every death; torn files in power cuts"),
        (18, "recovery is idempotent", (L,), "two more restarts of every world; crash_points"),
        (19, "resources are bounded", (R,), "nothing settled is asked about; memory: tests/bench"),
        (20, "liveness", (M, R), "tasks, loop and process; at rest within the time to converge"),
        (21, "only the owner commands", (N,), "nobody else gets into a world: tests/alerts/test_telegram.py"),
        (22, "the mode's wall", (M,), "no signed request on paper; hosts: tests/unit/test_signed_wall.py"),
        (23, "no secret leaves", (N,), "no logs in a world: tests/exchange/test_signed_secrets.py"),
        (24, "deterministic", (L,), "digests under other hash seeds: tests/simulation/test_worlds.py"),
        (25, "audit", (R,), "fills lead to an order, an intent, an accepted verdict and a trade"),
    )
)  # fmt: skip
