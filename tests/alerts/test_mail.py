"""E-mail through a mail server on loopback: encryption, login, refusal, headers, hanging."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from email import message_from_string
from email.policy import default

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.alerts.courier import NotSent, Sent
from agent.alerts.mail import MailAccount, Mailer
from agent.alerts.message import Post
from agent.config.secret import Secret
from agent.core.commands import AlertLevel
from agent.core.events import EmergencyRequested
from tests.alerts.alert_ground import config, ground
from tests.alerts.smtp_stub import SmtpStub

PASSWORD = "CANARY-mail-password"
POST = Post("CRITICAL 14:32:05 UTC\nemergency: emergency stop by signal", AlertLevel.CRITICAL)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server's context with a certificate nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def mailer(server, *, login=False, host="127.0.0.1"):
    account = MailAccount(
        host,
        server.port,
        "agent@example.org",
        ("a@example.org", "b@example.org"),
        Secret("me") if login else None,
        Secret(PASSWORD) if login else None,
    )
    return Mailer(account, lambda: "LIVE ADA/USDT")


async def test_a_mail_arrives_encrypted_with_a_subject_that_says_it(tls):
    async with SmtpStub(tls=tls, login=f"\0me\0{PASSWORD}") as server:
        assert await mailer(server, login=True).send(POST) == Sent()
        mail = message_from_string(server.mails[0], policy=default)
    assert mail["Subject"] == "[LIVE ADA/USDT] CRITICAL: emergency: emergency stop by signal"
    assert mail["To"] == "a@example.org, b@example.org"
    assert "emergency stop by signal" in mail.get_content()
    assert server.encrypted == [True]
    assert server.words.index("STARTTLS") < server.words.index("AUTH")


async def test_a_server_without_encryption_gets_mail_and_the_password_only_on_this_machine():
    async with SmtpStub(login=f"\0me\0{PASSWORD}") as server:
        assert await mailer(server).send(POST) == Sent()
        assert await mailer(server, login=True).send(POST) == Sent()
        assert server.encrypted == [False, False]


async def test_the_password_is_not_sent_in_the_open(monkeypatch):
    monkeypatch.setattr("agent.alerts.mail._LOOPBACK", ())
    async with SmtpStub(login=f"\0me\0{PASSWORD}") as server:
        refused = await mailer(server, login=True).send(POST)
        assert refused == NotSent(
            "the mail server offers no encryption, so the password is not sent", rejected=True
        )
        assert "AUTH" not in server.words


async def test_a_certificate_nobody_signed_is_refused_elsewhere(monkeypatch, tls):
    monkeypatch.setattr("agent.alerts.mail._LOOPBACK", ())
    async with SmtpStub(tls=tls) as server:
        refused = await mailer(server).send(POST)
    assert isinstance(refused, NotSent)
    assert "certificate" in refused.why


async def test_a_wrong_password_is_said_without_it():
    async with SmtpStub(login="other") as server:
        refused = await mailer(server, login=True).send(POST)
    assert refused == NotSent("the mail server does not accept SMTP_USER and SMTP_PASSWORD", rejected=True)


async def test_a_server_that_hangs_up_at_the_login_is_asked_about_the_password():
    async with SmtpStub(login="other", hangs_up=True) as server:
        refused = await mailer(server, login=True).send(POST)
    assert refused == NotSent(
        "the mail server hangs up at the login: are SMTP_USER and SMTP_PASSWORD right?", rejected=True
    )


async def test_no_server_and_a_text_that_wants_to_be_a_header():
    async with SmtpStub() as server:
        port = server.port
        two = Post("CRITICAL 1\nx\rBcc: thief@example.org\r\nBcc: thief@example.org", AlertLevel.CRITICAL)
        assert await mailer(server).send(two) == Sent()
        mail = message_from_string(server.mails[0], policy=default)
        assert mail["Bcc"] is None
    gone = await Mailer(MailAccount("127.0.0.1", port, "a@b.c", ("a@b.c",), None, None), str).send(POST)
    assert isinstance(gone, NotSent)
    assert not gone.for_good


async def test_one_mail_at_a_time_while_the_server_hangs():
    async with SmtpStub(hangs=True) as server:
        one = mailer(server)
        first = asyncio.ensure_future(one.send(POST))
        await server.until(lambda: server.connections == 1)
        second = await one.send(POST)
        assert second == NotSent("the mail server still holds the last message")
        assert server.connections == 1
        first.cancel()


async def test_a_critical_alert_goes_by_mail_and_an_error_does_not(tmp_path):
    async with SmtpStub() as server:
        environment = {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(server.port),
            "SMTP_FROM": "agent@example.org",
            "SMTP_TO": "me@example.org",
        }
        chosen = config(email={"enabled": True}, telegram={"enabled": False})
        async with ground(tmp_path, environment, chosen=chosen) as world:
            world.learn(EmergencyRequested("test"))
            await server.until(lambda: bool(server.mails))
        mail = message_from_string(server.mails[0], policy=default)
    assert mail["Subject"].startswith("[Paper ADA/USDT] CRITICAL: emergency: emergency stop by test")
    assert len(server.mails) == 1
