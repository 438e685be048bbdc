"""From the text of a configuration to a report: everything that is wrong with it, in one go.

How it works: the strict reader gives a tree and its flaws; the model checks every value by its own rule; what
it refuses is taken out, so that the rest can still be checked for agreement and reviewed. A finding that
depends on a key which is itself wrong is left for the next run: it would be a guess.
What stays true: no content whatsoever makes this raise, and no finding repeats a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from agent.config import names, strict_json
from agent.config.address_parts import without_password
from agent.config.agreement import disagreements
from agent.config.canonical import canonical, content_hash
from agent.config.draft import Draft, Tree, at
from agent.config.findings import DOCUMENT, Finding, JsonValue, Report, dotted, shown
from agent.config.model import Config, ConfigFile
from agent.config.review import review
from agent.config.rules import REFUSAL
from agent.config.unknown import Loc, holds_something, looks_like_credential, unknown_key

#: Keys whose value is never repeated, whatever it is.
_UNSHOWN: Final = frozenset(
    {"api_key", "api_secret", "api_passphrase", "polygon_api_key", "database_url", "heartbeat_url"}
)
_MOST_UNKNOWN: Final = 50


def check_config(content: str | bytes, path: Path = Path("config.json")) -> Report:
    """Check a configuration's content. `path` is only named in the report, never opened."""
    document = strict_json.read(content)
    errors = [_flaw(flaw) for flaw in document.flaws]
    is_json = not any(flaw.breaks_grammar for flaw in document.flaws)
    tree = document.value
    if not isinstance(tree, dict):
        if not errors:
            reason = "the file must hold one object: { ... }"
            errors.append(Finding(DOCUMENT, None, reason, "export the configuration again", 1))
        return Report(path, tuple(errors), (), None, is_json)

    file, refusals = _model(_with_currencies(tree))
    unknown = [loc for loc, detail in refusals.items() if detail["type"] == "extra_forbidden"]
    known = {loc: detail for loc, detail in refusals.items() if detail["type"] != "extra_forbidden"}
    failed = {dotted(flaw.path) for flaw in document.flaws if flaw.path} | {dotted(loc) for loc in known}
    draft = Draft(file, tree, frozenset(failed), document.lines)
    errors += [_refusal(draft, loc, detail) for loc, detail in known.items()]
    refused, ignored = _unknown_keys(draft, unknown)
    errors += refused
    errors += disagreements(draft)
    # Text that is no JSON may have lost any key: only what it does state is looked at twice.
    reviewed = [warning for warning in review(draft) if is_json or warning.line is not None]
    warnings = [*ignored, *reviewed]
    config = None if errors else _config(file, tree)
    return Report(path, _in_order(errors), _in_order(warnings), config, is_json)


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """From the top of the file to its end, what has no line last."""
    return tuple(sorted(findings, key=lambda finding: (finding.line is None, finding.line or 0)))


def _config(file: ConfigFile, tree: Tree) -> Config:
    text = canonical(_without_password(tree))
    content = {name: getattr(file, name) for name in ConfigFile.model_fields}
    return Config(**content, config_hash=content_hash(text), canonical=text)


def _without_password(tree: Tree) -> Tree:
    """The tree as it may be stored: an address of a database loses the password in it."""
    section = tree.get("agent")
    if not isinstance(section, dict) or not isinstance(url := section.get("database_url"), str):
        return tree
    return {**tree, "agent": {**section, "database_url": without_password(url)}}


def _model(tree: Tree) -> tuple[ConfigFile, dict[Loc, Any]]:
    """The model of everything that is right, and pydantic's detail of everything that is not."""
    refusals: dict[Loc, Any] = {}
    try:
        return ConfigFile.model_validate(tree), refusals
    except ValidationError as refused:
        for detail in refused.errors(include_url=False, include_input=False):
            refusals[detail["loc"]] = detail
    sound = _without(tree, refusals)
    return ConfigFile.model_validate(sound), refusals


def _without(tree: Tree, refused: Mapping[Loc, Any]) -> Tree:
    """The tree without the refused members."""

    def copied(value: JsonValue, loc: Loc) -> JsonValue:
        if not isinstance(value, dict):
            return value
        return {k: copied(v, (*loc, k)) for k, v in value.items() if (*loc, k) not in refused}

    pruned = copied(tree, ())
    assert isinstance(pruned, dict)
    return pruned


def _with_currencies(tree: Tree) -> Tree:
    """The tree with base and quote taken from the pair where the file leaves them out."""
    exchange = tree.get("exchange")
    pair = exchange.get("trading_pair") if isinstance(exchange, dict) else None
    if not isinstance(exchange, dict) or not isinstance(pair, str) or not names.is_pair(pair):
        return tree
    base, _, quote = pair.partition("/")
    return {**tree, "exchange": {"base_currency": base, "quote_currency": quote, **exchange}}


def _flaw(flaw: strict_json.Flaw) -> Finding:
    return Finding(dotted(flaw.path), None, f"{flaw.place}: {flaw.reason}", flaw.fix, flaw.line)


def _refusal(draft: Draft, loc: Loc, detail: Mapping[str, Any]) -> Finding:
    """The finding for a known key whose value is refused, in the words of its rule."""
    line = draft.lines.get(loc)
    if detail["type"] == REFUSAL:
        value = None if loc[-1] in _UNSHOWN else shown(at(draft.tree, loc))
        return Finding(dotted(loc), value, detail["ctx"]["reason"], detail["ctx"]["fix"], line)
    assert detail["type"] == "model_type", "every other type of refusal comes from a rule"
    fix = "write { ... }, or remove the key to use the defaults"
    return Finding(dotted(loc), None, "must be a section: an object between { and }", fix, line)


def _unknown_keys(draft: Draft, locs: list[Loc]) -> tuple[list[Finding], list[Finding]]:
    """Unknown keys that are refused, and those that a newer minor version excuses.

    A credential under an unknown name is refused in every version.
    """
    refused: list[Loc] = []
    ignored: list[Loc] = []
    for loc in locs:
        secret = looks_like_credential(str(loc[-1])) and holds_something(at(draft.tree, loc))
        (ignored if draft.is_newer_minor and not secret else refused).append(loc)
    return _listed(draft, refused, ignored=False), _listed(draft, ignored, ignored=True)


def _listed(draft: Draft, locs: list[Loc], *, ignored: bool) -> list[Finding]:
    listed = [unknown_key(loc, draft.lines.get(loc), ignored=ignored) for loc in locs[:_MOST_UNKNOWN]]
    if len(locs) > _MOST_UNKNOWN:
        reason = f"{len(locs) - _MOST_UNKNOWN} more unknown keys"
        listed.append(Finding(DOCUMENT, None, reason, "export the configuration again"))
    return listed
