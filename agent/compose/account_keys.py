"""The keys of the account, for the modes that need them; in paper no source is touched.

Stays true: every secret is registered for redaction before anything else happens to it; what is missing or
refused is a sentence that says exactly what to do and never shows a value.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.config.credentials import ExchangeKeys, default_sources, read_credentials
from agent.config.env_file import CredentialsRefused
from agent.config.model import Config
from agent.config.secret import Secret
from agent.config.venues import needs_passphrase
from agent.exchange.signed.keys import RequestKeys
from agent.shell.redaction import Secrets

LOG: Final = logging.getLogger("agent")
KEY: Final = "EXCHANGE_API_KEY"
SECRET: Final = "EXCHANGE_API_SECRET"
PASSPHRASE: Final = "EXCHANGE_API_PASSPHRASE"

AskSecret = Callable[[str], str | None]
"""Asks a person for one credential by name, without showing it; None when there is nobody to ask."""


def account_keys(
    config: Config, env_path: Path, secrets: Secrets, ask: AskSecret | None = None, *, say: bool = True
) -> ExchangeKeys | str:
    """The keys that sign orders, or why there are none. Not for paper."""
    assert config.mode != "paper", "paper reads no key"
    names = [KEY, SECRET, *([PASSPHRASE] if needs_passphrase(config.exchange.exchange_name) else [])]
    try:
        found = read_credentials(names, default_sources(env_path, os.environ))
    except CredentialsRefused as refused:
        return str(refused)
    for remark in found.remarks if say else ():
        LOG.warning("%s: %s", env_path.name, remark)
    values = dict(found.values)
    for name in found.missing(names):
        typed = ask(name) if ask is not None else None
        if not typed:
            return _missing(found.missing(names), config.mode, env_path)
        values[name] = Secret(typed)
    for value in values.values():
        secrets.add(value.reveal())
    keys = ExchangeKeys(values[KEY], values[SECRET], values.get(PASSPHRASE))
    try:
        RequestKeys(keys)
    except ValueError as error:
        return f"{SECRET}: {error}"
    origins = ", ".join(sorted({str(origin) for origin in found.sources.values()})) or "typed in"
    if say:
        LOG.info("keys of the account: %s", origins)
    return keys


def _missing(names: tuple[str, ...], mode: str, env_path: Path) -> str:
    wanted, lines = " and ".join(names), " and ".join(f"{name}=..." for name in names)
    return (
        f"{wanted} missing, and needed for {mode} trading: run `python -m agent.cli credentials set`, or "
        f"write {lines} into {env_path} (then: chmod 600 {env_path.name})"
    )
