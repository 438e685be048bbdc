"""Where each configuration came from: when it was accepted, its hash, who exported it, what it changed.

The texts hold no secret: keys are refused in config.json before anything is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import select

from agent.core.instant import iso_utc
from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS, Selection
from agent.store.reading import Reader

CONFIG_COLUMNS: Final = (
    *("accepted", "config_hash", "exporter_version", "exported", "strategy", "description"),
    *("mode", "venue", "pair", "starts", "changed"),
)


def config_rows(reader: Reader, of: Selection) -> Iterator[Mapping[str, Any]]:
    """A row each time another configuration was accepted; `starts` counts the starts it was used for.

    `changed` names every value that differs from the configuration before it in the same scope, as
    `section.key: before -> after`; nothing for the first.
    """
    table = schema.configs
    waiting: dict[tuple[str, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
    for row in reader.stream(select(table), table, of):
        scope = tuple(getattr(row, name) for name in SCOPE_COLUMNS)
        body = _document(row.body)
        before = waiting.get(scope)
        if before is not None and before[0]["config_hash"] == row.config_hash:
            before[0]["starts"] += 1
            continue
        if before is not None:
            yield before[0]
        waiting[scope] = (_row(row, body, None if before is None else before[1]), body)
    for last, _ in waiting.values():
        yield last


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Every value that is not the same, by its dotted name."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    names = [*new, *(name for name in old if name not in new)]
    return [
        f"{name}: {_shown(old, name)} -> {_shown(new, name)}"
        for name in names
        if old.get(name, _MISSING) != new.get(name, _MISSING)
    ]


_MISSING: Final = object()


def _row(row: Any, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "accepted": iso_utc(row.at_ms),
        "config_hash": row.config_hash,
        "exporter_version": body.get("version"),
        "exported": body.get("created_at"),
        "strategy": body.get("strategy_name"),
        "description": body.get("description"),
        "mode": row.mode,
        "venue": row.venue,
        "pair": row.pair,
        "starts": 1,
        "changed": "" if before is None else "; ".join(differences(before, body)),
    }


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    return json.dumps(leaves[name]) if name in leaves else "absent"
