"""Credentials: where they come from, and what is missing.

Precedence: systemd credential, keyring, `.env`, environment; the first source that has a name wins. Only the
names somebody asks for are looked up, so a paper run, which asks for none, touches no source at all. What
stays true: values are Secrets from the moment they are read, and no message or representation shows one.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from agent.config.env_file import ENV_NAMES, CredentialsRefused, is_set, read_env_file
from agent.config.findings import Finding, visible
from agent.config.model import Config
from agent.config.plain_file import NotPlain, failure_text, read_plain_file
from agent.config.secret import Secret
from agent.config.venues import needs_passphrase

SourceName = Literal["systemd", "keyring", ".env", "environment"]

KEYRING_SERVICE: Final = "seller-exhaustion-agent"
_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ExchangeKeys:
    """What signs orders. `api_passphrase` only where the exchange has one."""

    api_key: Secret
    api_secret: Secret
    api_passphrase: Secret | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was found, each with its source, and remarks about the `.env` that concern the user."""

    values: Mapping[str, Secret] = field(default_factory=dict)
    sources: Mapping[str, SourceName] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def get(self, name: str) -> Secret | None:
        assert name in ENV_NAMES, name
        return self.values.get(name)

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if self.get(name) is None)

    @property
    def exchange_keys(self) -> ExchangeKeys | None:
        """The keys for orders, None while key or secret is missing."""
        key, secret = self.get("EXCHANGE_API_KEY"), self.get("EXCHANGE_API_SECRET")
        if key is None or secret is None:
            return None
        return ExchangeKeys(key, secret, self.get("EXCHANGE_API_PASSPHRASE"))


class Source(Protocol):
    """One place where credentials may be. Raises CredentialsRefused where a file cannot be trusted."""

    @property
    def name(self) -> SourceName: ...

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        """The values of those names that it has, and remarks for the user."""
        ...


@dataclass(frozen=True, slots=True)
class SystemdSource:
    """Files in $CREDENTIALS_DIRECTORY, one per name, which only this service can read."""

    folder: Path | None
    name: SourceName = "systemd"

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        if self.folder is None:
            return {}, ()
        found = {name: _credential(self.folder / name) for name in names}
        return {name: Secret(text) for name, text in found.items() if text is not None and is_set(text)}, ()


def _credential(path: Path) -> str | None:
    try:
        content, _ = read_plain_file(path, _MAX_BYTES, follow_links=False)
        if len(content) > _MAX_BYTES:
            raise NotPlain("is too long for a credential")
        return content.decode("utf-8").rstrip("\r\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except NotPlain as refused:
        reason = str(refused)
    except OSError as failure:
        reason = f"cannot be read: {failure_text(failure)}"
    raise CredentialsRefused(path, reason, "check LoadCredential= in the service unit")


@dataclass(frozen=True, slots=True)
class KeyringSource:
    """The desktop's keyring, asked through `get_password`; by default the real one, imported on use."""

    get_password: Callable[[str, str], str | None] | None = None
    name: SourceName = "keyring"

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        ask = self.get_password or _desktop_keyring
        found: dict[str, Secret] = {}
        for name in names:
            text = ask(KEYRING_SERVICE, name)
            if text is not None and is_set(text):
                found[name] = Secret(text)
        return found, ()


def _desktop_keyring(service: str, name: str) -> str | None:
    """What the keyring holds; None where there is none or it is locked, as on a server without a desktop."""
    if not _may_have_keyring():
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(service, name)
    except KeyringError:
        return None


def _may_have_keyring() -> bool:
    """False on a Linux without a session bus, where no keyring can answer: loading the library to hear that
    takes a tenth of a second of every start."""
    if sys.platform != "linux" or "keyring" in sys.modules:
        return True
    home, runtime = os.environ.get("XDG_CONFIG_HOME"), os.environ.get("XDG_RUNTIME_DIR")
    chosen = Path(home or Path.home() / ".config") / "python_keyring" / "keyringrc.cfg"
    return (
        any(os.environ.get(name) for name in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"))
        or (runtime is not None and Path(runtime, "bus").exists())
        or chosen.exists()
        # Backends of others, which need no bus.
        or importlib.util.find_spec("keyrings") is not None
    )


@dataclass(frozen=True, slots=True)
class EnvFileSource:
    """The `.env` file, checked before it is believed."""

    path: Path
    name: SourceName = ".env"

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        file = read_env_file(self.path)
        if file is None:
            return {}, ()
        return {name: file.values[name] for name in names if name in file.values}, file.remarks


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """Environment variables: last, because every child process inherits them."""

    environment: Mapping[str, str] = field(repr=False)
    name: SourceName = "environment"

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        set_names = [name for name in names if is_set(self.environment.get(name))]
        return {name: Secret(self.environment[name]) for name in set_names}, ()


def default_sources(env_file: Path, environment: Mapping[str, str] = os.environ) -> tuple[Source, ...]:
    """The four sources in their order of precedence."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    return (
        SystemdSource(Path(folder) if folder else None),
        KeyringSource(),
        EnvFileSource(env_file),
        EnvironmentSource(environment),
    )


def read_credentials(names: Iterable[str], sources: Iterable[Source]) -> Credentials:
    """Look the names up. A name already found is not asked for again; without names no source is touched.

    Raises CredentialsRefused where a file that is still needed cannot be trusted.
    """
    wanted = tuple(dict.fromkeys(names))
    assert set(wanted) <= set(ENV_NAMES), "a name nobody documented"
    values: dict[str, Secret] = {}
    origins: dict[str, SourceName] = {}
    remarks: list[str] = []
    for source in sources:
        open_names = tuple(name for name in wanted if name not in values)
        if not open_names:
            break
        found, said = source.look_up(open_names)
        values |= found
        origins |= dict.fromkeys(found, source.name)
        remarks += said
    return Credentials(values, origins, tuple(remarks))


def needed_names(config: Config) -> tuple[str, ...]:
    """The credentials without which this configuration cannot run: none for paper on the exchange's data."""
    names: list[str] = []
    if config.mode != "paper":
        names += ["EXCHANGE_API_KEY", "EXCHANGE_API_SECRET"]
        if needs_passphrase(config.exchange.exchange_name):
            names.append("EXCHANGE_API_PASSPHRASE")
    if config.data_feed.data_source != "exchange":
        names.append("POLYGON_API_KEY")
    if config.agent.email.enabled:
        names += ["SMTP_HOST", "SMTP_FROM", "SMTP_TO"]
    return tuple(names)


def credential_warnings(config: Config, sources: Iterable[Source]) -> list[Finding]:
    """A warning for each credential the mode needs and no source has, or for a `.env` that is refused."""
    needed = needed_names(config)
    try:
        credentials = read_credentials(needed, sources)
    except CredentialsRefused as refused:
        return [Finding(visible(refused.path.name), None, refused.reason, refused.fix)]
    warnings = [
        Finding(name, None, f"missing, but needed for {_purpose(name, config)}", f"set {name}=... in .env")
        for name in credentials.missing(needed)
    ]
    warnings += [
        Finding(".env", None, remark, "correct or remove the line") for remark in credentials.remarks
    ]
    return warnings


def _purpose(name: str, config: Config) -> str:
    if name.startswith("SMTP_"):
        return "e-mail alerts"
    return "Polygon's data" if name == "POLYGON_API_KEY" else f"{config.mode} trading"
