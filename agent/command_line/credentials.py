"""`credentials set | check | remove`: keys into the keyring and out of it, and where each one comes from.

Stays true: a value is typed at a prompt that does not show it, or read from a file, never given as an
argument (other users see arguments); no value is ever printed, not even its length.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.command_line import desktop_keyring
from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.terminal import Terminal
from agent.config.credentials import default_sources, needed_names
from agent.config.env_file import ENV_NAMES, CredentialsRefused, is_set
from agent.config.secret import Secret

if TYPE_CHECKING:
    from agent.config.model import Config

DEFAULT_NAMES: Final = ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET")
_MOST_BYTES: Final = 16 * 1024

Prompt = Callable[[str], str]


def set_command(names: Sequence[str], file: Path | None, *, prompt: Prompt = getpass) -> int:
    """Ask for each value and put it into the keyring. Without names: key and secret of the exchange."""
    chosen = _known(names) or DEFAULT_NAMES
    if (reason := desktop_keyring.why_none()) is not None:
        raise Ended(ExitCode.REFUSED, f"Nothing was stored: {reason}.", desktop_keyring.WITHOUT)
    if file is not None:
        if len(chosen) != 1:
            raise Ended(ExitCode.REFUSED, "--file holds one value.", "name exactly one credential with it")
        values = {chosen[0]: _from_file(file)}
    else:
        values = {name: _typed(name, prompt) for name in chosen}
    for name, value in values.items():
        try:
            desktop_keyring.put(name, value)
        except desktop_keyring.NoKeyring as why:
            raise Ended(ExitCode.REFUSED, f"{name} was not stored: {why}.", desktop_keyring.WITHOUT) from None
        Terminal().show(f"{name}: stored in the keyring")
    return ExitCode.DONE


def remove_command(names: Sequence[str], assume_yes: bool) -> int:
    """Take names out of the keyring; other places are named, not touched."""
    chosen = _known(names)
    if not chosen:
        raise Ended(ExitCode.REFUSED, "Nothing was named.", "name what to remove, like EXCHANGE_API_KEY")
    terminal = Terminal(assume_yes=assume_yes)
    terminal.consent(f"Remove from the keyring: {', '.join(chosen)}.", "credentials remove")
    missing = []
    for name in chosen:
        try:
            removed = desktop_keyring.take_out(name)
        except desktop_keyring.NoKeyring as why:
            raise Ended(
                ExitCode.REFUSED, f"{name} was not removed: {why}.", desktop_keyring.WITHOUT
            ) from None
        terminal.show(f"{name}: {'removed from' if removed else 'not in'} the keyring")
        if not removed:
            missing.append(name)
    return ExitCode.REFUSED if missing else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class Found:
    """Where a credential comes from: the first place counts, the others are hidden by it."""

    name: str
    places: tuple[str, ...]
    is_needed: bool


@dataclass(frozen=True, slots=True)
class Places:
    """Every credential there is, and what is wrong with places that cannot be read."""

    found: tuple[Found, ...]
    troubles: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.found if one.is_needed and not one.places)

    def document(self) -> dict[str, Any]:
        return {
            "credentials": [
                {
                    "name": one.name,
                    "source": one.places[0] if one.places else None,
                    "also_in": list(one.places[1:]),
                    "needed": one.is_needed,
                }
                for one in self.found
            ],
            "troubles": list(self.troubles),
            "remarks": list(self.remarks),
        }


def places(env_path: Path, config: Config | None) -> Places:
    """Look every name up in every place."""
    needed = set(needed_names(config)) if config is not None else set()
    troubles: list[str] = []
    remarked: list[str] = []
    in_place: dict[str, frozenset[str]] = {}
    for source in default_sources(env_path, os.environ):
        try:
            values, remarks = source.look_up(ENV_NAMES)
        except CredentialsRefused as refused:
            troubles.append(str(refused))
            continue
        remarked += [f"{env_path.name}: {remark}" for remark in remarks]
        in_place[source.name] = frozenset(values)
    found = tuple(
        Found(name, tuple(where for where, has in in_place.items() if name in has), name in needed)
        for name in ENV_NAMES
    )
    if (reason := desktop_keyring.why_none()) is not None and not any(one.places for one in found):
        remarked.append(f"{reason}: {desktop_keyring.WITHOUT}")
    return Places(found, tuple(troubles), tuple(remarked))


def check_command(config_path: Path, env_file: Path | None, as_json: bool) -> int:
    """Print where each value comes from. Exit 1 when something needed is missing or a place is refused."""
    from agent.config.findings import ConfigRefused
    from agent.config.load import load_config

    try:
        config = load_config(config_path).config if config_path.exists() else None
    except ConfigRefused:
        raise Ended(
            ExitCode.REFUSED,
            f"{config_path} is not a valid configuration, so nobody knows which keys it needs.",
            f"check it with: python -m agent.cli validate-config {config_path}",
        ) from None
    seen = places(env_file or config_path.parent / ".env", config)
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document(seen.document())
    else:
        for line in _lines(seen):
            terminal.show(line)
    for trouble in (*seen.troubles, *seen.remarks):
        terminal.say(trouble)
    if seen.missing:
        terminal.say(
            f"Missing: {', '.join(seen.missing)}. Set them with `python -m agent.cli credentials set`."
        )
    return ExitCode.REFUSED if seen.missing or seen.troubles else ExitCode.DONE


def _lines(seen: Places) -> list[str]:
    lines = []
    for one in seen.found:
        if one.places:
            hidden = f" (hides {', '.join(one.places[1:])})" if one.places[1:] else ""
            lines.append(f"{one.name}: {one.places[0]}{hidden}")
        else:
            lines.append(f"{one.name}: {'MISSING' if one.is_needed else 'not set'}")
    return lines


def _known(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name in ENV_NAMES:
            continue
        near = difflib.get_close_matches(name.upper(), ENV_NAMES, 1, 0.6) if len(name) < 60 else []
        if "=" in name or len(name) > 40:
            # Perhaps a value: it is not repeated here.
            text, fix = "A credential is named here, not given.", "the value is asked for at a prompt"
        else:
            text = f"{name} is no credential of this program."
            fix = f"did you mean {near[0]}" if near else f"one of {', '.join(ENV_NAMES)}"
        raise Ended(ExitCode.REFUSED, text, fix)
    return tuple(dict.fromkeys(names))


def _typed(name: str, prompt: Prompt) -> Secret:
    if not sys.stdin.isatty():
        raise Ended(
            ExitCode.REFUSED,
            "A value is typed at a terminal, and there is none.",
            "use --file for a value in a file, a systemd credential, or a .env of mode 0600",
        )
    try:
        value = prompt(f"{name} (not shown): ").strip()
    except (EOFError, KeyboardInterrupt):
        raise Ended(ExitCode.REFUSED, "Nothing was stored: interrupted.") from None
    return _checked(name, value)


def _from_file(path: Path) -> Secret:
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise Ended(ExitCode.UNREADABLE, f"{path} is too long for a credential.")
        return _checked(str(path), content.decode("utf-8").strip())
    except UnicodeDecodeError:
        raise Ended(ExitCode.UNREADABLE, f"{path} is not UTF-8.") from None
    except OSError as error:
        raise Ended(ExitCode.UNREADABLE, f"{path} cannot be read: {error.strerror}.") from None


def _checked(name: str, value: str) -> Secret:
    if not is_set(value):
        raise Ended(ExitCode.REFUSED, f"{name} is empty or a placeholder: nothing was stored.")
    return Secret(value)
