"""What searches for planted bugs found so far, kept so that a long search can go on where it ended.

A line of JSON for every step of a search, the last one of each bug counts. Stays true: what was found with
other code is not taken for this one's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from agent.simulation.planted.search import Search
from agent.simulation.source import digest


class Results:
    """`path` None keeps nothing. Raises ValueError where a line of the file cannot be read."""

    def __init__(self, path: Path | None, of: str | None = None) -> None:
        self._path = path
        self._code = of or digest()
        self._known: dict[str, Search] = {}
        if path is not None and path.exists():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                self._take(line, f"{path}, line {number}")

    def _take(self, line: str, where: str) -> None:
        try:
            row = json.loads(line)
            made_with = row.pop("code")
            search = Search(**row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            text = f"{where} is no result of a search ({error}); delete it, or name another file"
            raise ValueError(text) from error
        if made_with == self._code:
            self._known[search.name] = search

    def of(self, name: str) -> Search:
        return self._known.get(name, Search(name))

    def keep(self, search: Search) -> None:
        self._known[search.name] = search
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"code": self._code, **asdict(search)}) + "\n")
