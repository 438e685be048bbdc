"""Bringing what an emergency stop could not write into the ledger, before anything reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.store.batch import Scope
from agent.store.ledger import Ledger
from agent.store.spill import IMPORTED, SpillFile


def import_spilled(directory: Path, database: Path, *, keep: bool = False) -> tuple[Scope, ...]:
    """Import the journal of `directory`; says whose rows were added. Only the lock holder may call it.

    `keep` leaves it as it is, for another database that shall read it in too.

    Raises StoreTrouble, then nothing was lost: the next start tries again.
    """
    file = SpillFile(directory)
    found = []
    for scope in file.scopes():
        ledger = Ledger.open(database, scope)
        try:
            batches, mark = file.read(scope)
            if ledger.load().documents.get(IMPORTED) == mark:
                continue
            marked = replace(batches[-1], documents={**batches[-1].documents, IMPORTED: mark})
            ledger.commit(*batches[:-1], marked)
            found.append(scope)
        finally:
            ledger.close()
    if file.scopes() and not keep:
        file.clear()
    return tuple(found)
