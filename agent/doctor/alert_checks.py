"""Whether alerts would arrive: Telegram reachable and alone on its token, mail server willing."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.alerts.mail import MailAccount, greeted
from agent.alerts.telegram_link import InConflict, TelegramLink, Unreachable
from agent.compose.alert_settings import TelegramAccount, read_alert_settings
from agent.config.model import Config
from agent.doctor.result import Finding, green, red, yellow
from agent.shell.aside import aside
from agent.shell.redaction import Secrets

_PATIENCE_S: Final = 20.0


async def alerts(
    config: Config, env_path: Path, environment: Mapping[str, str], *, engine_runs: bool
) -> list[Finding]:
    reading = aside("alert settings", lambda: read_alert_settings(config, env_path, environment, Secrets()))
    done, _ = await asyncio.wait((reading,), timeout=_PATIENCE_S)
    if not done:
        return [yellow("alerts", "the keyring does not answer", "unlock it")]
    settings = reading.result()
    found = [
        yellow("alerts", trouble, "correct it, or switch it off in agent") for trouble in settings.troubles
    ]
    if settings.telegram is not None:
        found.append(await _telegram(settings.telegram, engine_runs))
    elif config.agent.telegram.enabled and not settings.troubles:
        text = "not set up: nobody is told when something goes wrong"
        fix = "make a bot with @BotFather, then set TELEGRAM_BOT_TOKEN, TELEGRAM_CHAT_ID, TELEGRAM_USER_ID"
        found.append(yellow("Telegram", text, fix))
    if settings.mail is not None:
        found.append(await _mail(settings.mail))
    return found


async def _telegram(account: TelegramAccount, engine_runs: bool) -> Finding:
    """A running engine listens itself: asking for updates beside it would be the conflict looked for."""
    name, fix = "Telegram", "give each agent a bot of its own, and stop other programs that use this one"
    try:
        link = TelegramLink.open(account.token, account.owner.chat_id, account.server)
    except ValueError as error:
        return red(name, str(error), "copy the token again")
    try:
        async with asyncio.timeout(_PATIENCE_S):
            bot = await link.name()
            if isinstance(bot, Unreachable):
                judge = red if bot.rejected else yellow
                return judge(name, bot.why, "check TELEGRAM_BOT_TOKEN" if bot.rejected else "check the line")
            if engine_runs:
                return green(name, f"@{bot} answers; the running engine listens to it")
            heard = await link.updates(0, wait_s=0)
    except TimeoutError:
        return yellow(name, "no answer in time", "check the line")
    finally:
        await link.close()
    if isinstance(heard, InConflict):
        text = "a webhook takes" if heard.webhook else "another program reads"
        return red(name, f"@{bot}: {text} its commands, so /emergency may not arrive", fix)
    if isinstance(heard, Unreachable):
        return yellow(name, f"@{bot}: {heard.why}", "try again")
    return green(name, f"@{bot} answers, and nobody else reads its commands")


async def _mail(account: MailAccount) -> Finding:
    where = f"{account.host}:{account.port}"

    def knock() -> Finding:
        try:
            encrypted = greeted(account)
        except smtplib.SMTPAuthenticationError:
            return red("e-mail", f"{where} refuses the login", "check SMTP_USER and SMTP_PASSWORD")
        except ssl.SSLError:
            return red("e-mail", f"{where}: its certificate is not trusted", "check SMTP_HOST")
        except (OSError, smtplib.SMTPException) as error:
            return yellow("e-mail", f"{where}: {type(error).__name__}", "check SMTP_HOST and SMTP_PORT")
        return green("e-mail", f"{where} answers{', encrypted' if encrypted else ''}")

    knocking = aside("mail", knock)
    done, _ = await asyncio.wait((knocking,), timeout=_PATIENCE_S)
    return (
        knocking.result()
        if done
        else yellow("e-mail", f"{where}: no answer", "check SMTP_HOST and SMTP_PORT")
    )
