"""Keys that the format does not have, and what was probably meant.

A misspelt limit would silently leave its default in force, so unknown keys are refused. The suggestion looks
in the same section first, then for the same key in another section. The value of an unknown key is never
shown: nobody knows what it is.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from pydantic import BaseModel

from agent.config.findings import Finding, JsonValue, dotted
from agent.config.model import ConfigFile

_CREDENTIAL: Final = re.compile(
    r"secret|token|passw|passphrase|credential|private_?key|api_?key|mnemonic", re.I
)

Loc = tuple[str | int, ...]


def _sections(model: type[BaseModel], at: tuple[str, ...] = ()) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Every section of the format (the empty path is the top level) and its keys."""
    found = {at: tuple(model.model_fields)}
    for name, declared in model.model_fields.items():
        kind = declared.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= _sections(kind, (*at, name))
    return found


_SECTIONS: Final = _sections(ConfigFile)


def unknown_key(loc: Loc, line: int | None, *, ignored: bool) -> Finding:
    """The finding for a key at `loc` that its section does not have.

    `ignored` when the file is of a newer minor version, which may have keys that this program does not need.
    """
    name, section = str(loc[-1]), tuple(str(step) for step in loc[:-1])
    if looks_like_credential(name):
        reason = "an unknown key that looks like a credential"
        fix = "credentials belong in .env, never in this file"
    else:
        reason = "an unknown key"
        fix = _suggestion(name, section)
    if ignored:
        reason += ", ignored because the file is of a newer version"
    return Finding(dotted(loc), None, reason, fix, line)


def looks_like_credential(name: str) -> bool:
    return bool(_CREDENTIAL.search(name[:200]))


def holds_something(value: JsonValue) -> bool:
    """Whether an unknown credential key holds more than nothing or a placeholder."""
    return not (value is None or value == "" or (isinstance(value, str) and value.startswith("YOUR_")))


def _suggestion(name: str, section: tuple[str, ...]) -> str:
    siblings = {_bare(key): key for key in _SECTIONS.get(section, ())}
    near = difflib.get_close_matches(_bare(name), list(siblings), 1, 0.75) if len(name) <= 60 else []
    if near:
        return f'did you mean "{siblings[near[0]]}"?'
    for home, keys in _SECTIONS.items():
        if name in keys:
            where = f'section "{dotted(home)}"' if home else "the top level of the file"
            return f"did you mean to put it in {where}? It belongs there"
    return "remove it, or correct its name"


def _bare(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).lower()
