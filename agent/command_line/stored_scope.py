"""Opening the store for a command that reads: the database of the data directory, and whose rows are meant.

Without another wish the rows are those of the agent, venue, mode, account and pair that ran last, so that a
demonstration's trades never stand among others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of

if TYPE_CHECKING:
    from agent.store.batch import Scope
    from agent.store.reading import Reader


@contextmanager
def reading(data_dir: Path | None) -> Iterator[tuple[Reader, Scope]]:
    """The reader and the scope that ran last. Raises Ended when there is nothing to read (exit code 2)."""
    from agent.command_line.stored import last_scope, place_in
    from agent.store.reading import Reader
    from agent.store.trouble import StoreTrouble

    try:
        reader = Reader.open(place_in(data_dir_of(data_dir)))
    except StoreTrouble as trouble:
        raise unreadable(trouble) from None
    try:
        scope = last_scope(reader)
        if scope is None:
            raise Ended(ExitCode.UNREADABLE, "Nothing is stored yet.", "start the engine once")
        yield reader, scope
    except StoreTrouble as trouble:
        raise unreadable(trouble) from None
    finally:
        reader.close()


def unreadable(trouble: Exception) -> Ended:
    text = str(trouble)
    return Ended(ExitCode.UNREADABLE, f"{text[:1].upper()}{text[1:]}.")
