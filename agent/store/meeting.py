"""Whether a ledger's file and its copy on a server fit together, and what to do when they do not. Pure.

The file of this machine is never given up for the copy while it knows something that the copy does not.
"""

from __future__ import annotations

from enum import Enum

from agent.store.spool import Copy


class Standing(Enum):
    IN_STEP = "send what is kept"
    """The copy is a former state of this file, and everything since is kept."""
    ANEW = "make the copy anew"
    """The copy is not there, or something since is not kept any more; the file has all of it."""
    AHEAD = "the file went back"
    """The copy has changes of this file that it does not know any more: an older one took its place."""
    STRANGE = "another file's"
    """The rows under this agent's name were written from another file."""


def compare(ours: Copy, oldest_kept: int | None, theirs: Copy | None) -> Standing:
    if theirs is None:
        return Standing.ANEW
    if theirs.install != ours.install:
        return Standing.STRANGE
    if theirs.seq > ours.seq:
        return Standing.AHEAD
    next_kept = ours.seq + 1 if oldest_kept is None else oldest_kept
    return Standing.IN_STEP if theirs.seq >= next_kept - 1 else Standing.ANEW


def conflict(standing: Standing, agent_id: str, where: object) -> str:
    """Why nothing is sent, with the ways out."""
    if standing is Standing.AHEAD:
        return (
            f"{where} knows more of agent {agent_id} than trades.db here, which must be an older copy; "
            "move trades.db away to continue from the database"
        )
    return (
        f"the rows of agent {agent_id} in {where} were written from another data directory; give this agent "
        "another name (?application_name=NAME in agent.database_url), or move trades.db away to continue "
        "from the database"
    )
