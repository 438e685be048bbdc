"""What the operator set up for alerts: Telegram, e-mail, heartbeat, from configuration and credentials.

Stays true: every secret is registered for redaction before anything else happens to it, and nothing that is
missing or refused keeps the engine from trading: it is a sentence in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.alerts.gate import Owner
from agent.alerts.mail import DEFAULT_PORT, MailAccount
from agent.alerts.telegram_link import OFFICIAL
from agent.config.credentials import Credentials, default_sources, read_credentials
from agent.config.env_file import CredentialsRefused
from agent.config.model import Config
from agent.config.secret import Secret
from agent.shell.redaction import Secrets

LOG: Final = logging.getLogger("agent.alerts")
TELEGRAM_NAMES: Final = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", "TELEGRAM_USER_ID")
SMTP_NAMES: Final = ("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "SMTP_FROM", "SMTP_TO")
_SECRET: Final = ("TELEGRAM_BOT_TOKEN", "SMTP_PASSWORD")
#: A Bot API server of one's own instead of Telegram's.
SERVER_VARIABLE: Final = "TELEGRAM_API_URL"


@dataclass(frozen=True, slots=True)
class TelegramAccount:
    token: Secret
    owner: Owner
    server: str = OFFICIAL


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """None: not wanted, or not possible; `troubles` says why, in words for the user."""

    telegram: TelegramAccount | None
    mail: MailAccount | None
    heartbeat: Secret | None
    troubles: tuple[str, ...]


def read_alert_settings(
    config: Config, env_path: Path, environment: Mapping[str, str], secrets: Secrets
) -> AlertSettings:
    """Look the credentials up where the configuration wants them. May take long: a keyring may ask."""
    agent = config.agent
    names = (TELEGRAM_NAMES if agent.telegram.enabled else ()) + (SMTP_NAMES if agent.email.enabled else ())
    troubles: list[str] = []
    try:
        found = read_credentials(names, default_sources(env_path, environment))
    except CredentialsRefused as refused:
        found = Credentials()
        troubles.append(f"no alerts leave: {refused}")
    for name in _SECRET:
        value = found.get(name)
        secrets.add(value.reveal() if value is not None else None)
    if agent.heartbeat_url is not None:
        secrets.add(agent.heartbeat_url.reveal())
    return AlertSettings(
        telegram_account(found, environment, troubles) if agent.telegram.enabled else None,
        mail_account(found, troubles) if agent.email.enabled else None,
        agent.heartbeat_url,
        tuple(troubles),
    )


def telegram_account(
    found: Credentials, environment: Mapping[str, str], troubles: list[str]
) -> TelegramAccount | None:
    """None without a token, which is the normal case of somebody who wants no Telegram."""
    token = found.get("TELEGRAM_BOT_TOKEN")
    if token is None:
        return None
    chat = _number(found, "TELEGRAM_CHAT_ID", troubles)
    if chat is None:
        troubles.append("Telegram is off: TELEGRAM_CHAT_ID is needed beside TELEGRAM_BOT_TOKEN")
        return None
    user = _number(found, "TELEGRAM_USER_ID", troubles)
    if user is None:
        troubles.append("Telegram sends alerts and takes no commands: TELEGRAM_USER_ID is needed for them")
    server = environment.get(SERVER_VARIABLE, "").rstrip("/") or OFFICIAL
    parts = urlsplit(server)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        troubles.append(f"Telegram is off: {SERVER_VARIABLE} must begin with https://")
        return None
    return TelegramAccount(token, Owner(chat, user), server)


def mail_account(found: Credentials, troubles: list[str]) -> MailAccount | None:
    needed = ("SMTP_HOST", "SMTP_FROM", "SMTP_TO")
    values = {name: found.get(name) for name in needed}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        troubles.append(f"e-mail is off: {', '.join(missing)} missing")
        return None
    texts = {name: value.reveal().strip() for name, value in values.items() if value is not None}
    port = _number(found, "SMTP_PORT", troubles)
    return MailAccount(
        host=texts["SMTP_HOST"],
        port=port if port is not None and 0 < port < 65_536 else DEFAULT_PORT,
        sender=texts["SMTP_FROM"],
        recipients=tuple(part.strip() for part in texts["SMTP_TO"].split(",") if part.strip()),
        user=found.get("SMTP_USER"),
        password=found.get("SMTP_PASSWORD"),
    )


def _number(found: Credentials, name: str, troubles: list[str]) -> int | None:
    value = found.get(name)
    if value is None:
        return None
    try:
        return int(value.reveal().strip())
    except ValueError:
        troubles.append(f"{name} is not a number")
        return None
