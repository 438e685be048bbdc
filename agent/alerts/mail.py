"""Alerts by e-mail: one plain message for each post, over SMTP with STARTTLS where the server offers it.

A post is sent on a thread of its own, which is never waited for when the program ends: a mail server that
hangs holds up nothing but the next mail. Stays true: user and password go over an encrypted connection only
(STARTTLS, or TLS from the start on port 465), except to this machine; the certificate is checked; headers
carry one line each.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from agent.alerts.courier import Delivery, NotSent, Sent
from agent.alerts.message import Post
from agent.config.secret import Secret
from agent.shell.aside import aside

#: Seconds of machine time for each step of the conversation.
_STEP_S: Final = 15.0
_TLS_FROM_THE_START: Final = 465
DEFAULT_PORT: Final = 587
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class MailAccount:
    """`recipients` separated by commas in SMTP_TO."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: Secret | None
    password: Secret | None

    @property
    def is_local(self) -> bool:
        return self.host in _LOOPBACK


class Mailer:
    """`headline` begins the subject: who speaks, as `LIVE ADA/USDT`."""

    def __init__(self, account: MailAccount, headline: Callable[[], str]) -> None:
        self._account = account
        self._headline = headline
        self._under_way: asyncio.Future[Delivery] | None = None

    async def send(self, post: Post) -> Delivery:
        """One mail at a time: while one hangs no other thread is started."""
        if self._under_way is not None and not self._under_way.done():
            return NotSent("the mail server still holds the last message")
        self._under_way = aside("mail", lambda: deliver(self._account, self._mail(post)))
        return await asyncio.shield(self._under_way)

    def _mail(self, post: Post) -> EmailMessage:
        first, _, _ = post.text.partition("\n")
        mail = EmailMessage()
        mail["Subject"] = _one_line(f"[{self._headline()}] {_subject(post, first)}")[:200]
        mail["From"] = self._account.sender
        mail["To"] = ", ".join(self._account.recipients)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain="agent.invalid")
        mail.set_content(post.text)
        return mail


def deliver(account: MailAccount, mail: EmailMessage) -> Delivery:
    """The whole conversation. Blocks: call it on a thread."""
    try:
        with _opened(account) as server:
            refused = _introduced(server, account)
            if refused is not None:
                return NotSent(refused, rejected=True)
            server.send_message(mail)
            return Sent()
    except smtplib.SMTPAuthenticationError:
        return NotSent("the mail server does not accept SMTP_USER and SMTP_PASSWORD", rejected=True)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused):
        return NotSent("the mail server refuses SMTP_FROM or SMTP_TO", rejected=True)
    except ssl.SSLCertVerificationError:
        return NotSent(f"the certificate of {account.host} is not trusted")
    except smtplib.SMTPException as error:
        return NotSent(f"the mail server breaks off ({type(error).__name__})")
    except (OSError, ValueError) as error:
        return NotSent(f"{account.host}:{account.port} cannot be reached ({type(error).__name__})")


def greeted(account: MailAccount) -> bool:
    """Everything but a mail: whether the conversation was encrypted. Blocks; raises what smtplib raises."""
    with _opened(account) as server:
        refused = _introduced(server, account)
        if refused is not None:
            raise smtplib.SMTPException(refused)
        return isinstance(server.sock, ssl.SSLSocket)


def _opened(account: MailAccount) -> smtplib.SMTP:
    if account.port == _TLS_FROM_THE_START:
        context = _trust(account)
        return smtplib.SMTP_SSL(account.host, account.port, timeout=_STEP_S, context=context)
    return smtplib.SMTP(account.host, account.port, timeout=_STEP_S)


def _introduced(server: smtplib.SMTP, account: MailAccount) -> str | None:
    """Encrypted where that is offered, and logged in where that is wanted; or why not."""
    server.ehlo()
    encrypted = isinstance(server, smtplib.SMTP_SSL)
    if not encrypted and server.has_extn("starttls"):
        server.starttls(context=_trust(account))
        server.ehlo()
        encrypted = True
    if account.user is not None and account.password is not None:
        if not encrypted and not account.is_local:
            return "the mail server offers no encryption, so the password is not sent"
        try:
            server.login(account.user.reveal(), account.password.reveal())
        except smtplib.SMTPServerDisconnected:
            return "the mail server hangs up at the login: are SMTP_USER and SMTP_PASSWORD right?"
    return None


def _trust(account: MailAccount) -> ssl.SSLContext:
    """Certificates are checked, except of this machine's own mail server, which names some other host."""
    context = ssl.create_default_context()
    if account.is_local:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _subject(post: Post, first: str) -> str:
    lines = post.text.splitlines()
    return f"{post.level.value}: {lines[1]}" if post.level is not None and len(lines) == 2 else first


def _one_line(text: str) -> str:
    return " ".join(text.split())
