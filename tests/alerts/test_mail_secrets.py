"""A mail about trouble says what happened and none of the secrets that the trouble's own words held."""

from __future__ import annotations

import json
import urllib.parse
from email import message_from_string
from email.policy import default

from agent.compose.account_keys import account_keys
from agent.config import check_config
from agent.core.events import EmergencyRequested, Scrutinized
from tests.alerts.alert_ground import config, ground
from tests.alerts.smtp_stub import SmtpStub
from tests.alerts.telegram_stub import CHAT, TOKEN, USER, TelegramStub, failing

CANARIES = {
    "EXCHANGE_API_KEY": "canary-key-0a1b2c3d4e5f",
    "EXCHANGE_API_SECRET": "canary-secret-5f/4e+3d2c1b0a",
    "SMTP_PASSWORD": "canary-mail-5e6f7a8b9c",
    "TELEGRAM_BOT_TOKEN": TOKEN,
}
#: What libraries write into their errors: values as they are, in addresses, in JSON.
WORDS = tuple(CANARIES.values())
TROUBLES = (
    *(f"GET failed: {word} was refused" for word in WORDS),
    f"https://api.telegram.org/bot{TOKEN}/getMe: reset",
    *(f"https://api.binance.com/api/v3/order?apiKey={urllib.parse.quote(word, safe='')}" for word in WORDS),
    json.dumps({"headers": {"X-MBX-APIKEY": CANARIES["EXCHANGE_API_KEY"], "s": list(WORDS)}}),
)
SPELLED = {*WORDS, *(urllib.parse.quote(word, safe="") for word in WORDS), TOKEN.partition(":")[2]}


def leaks(texts):
    return [word for word in SPELLED if any(word in text for text in texts)]


async def test_every_mail_arrives_and_holds_no_secret(tmp_path):
    assert set(leaks(TROUBLES)) == SPELLED, "the troubles hold what is looked for"
    async with SmtpStub(login=f"\0me\0{CANARIES['SMTP_PASSWORD']}") as mail, TelegramStub() as telegram:
        # A bot whose token is refused hands its alerts to e-mail, with the reason.
        telegram.trouble["sendMessage"] = lambda: failing(401, f"Unauthorized: {TOKEN}")
        values = {
            **CANARIES,
            **{"TELEGRAM_CHAT_ID": str(CHAT), "TELEGRAM_USER_ID": str(USER), "SMTP_USER": "me"},
            **{"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port)},
            **{"SMTP_FROM": "agent@example.org", "SMTP_TO": "me@example.org"},
        }
        keys = tmp_path / ".env"
        keys.touch(0o600)
        keys.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
        chosen = config(email={"enabled": True, "level": "ERROR"})
        async with ground(tmp_path, {"TELEGRAM_API_URL": telegram.url}, chosen=chosen) as world:
            rehearsed = check_config('{"exchange": {"paper_trading": false, "testnet": true}}').config
            assert not isinstance(account_keys(rehearsed, keys, world.secrets), str)
            # One trouble, so that all mails are among the few that leave at once.
            world.learn(Scrutinized("ERROR", "trouble", " ".join([*TROUBLES, "and no more"])))
            world.learn(EmergencyRequested(f"who holds {CANARIES['EXCHANGE_API_SECRET']}"))
            told = ("trouble", "and no more", "emergency stop by who holds", "Telegram does not work")
            await mail.until(lambda: all(any(word in m for m in mails(mail)) for word in told), 30)
        assert leaks([*mail.mails, *mails(mail)]) == []
        assert any("***" in text for text in mails(mail))


def mails(mail):
    """Headers and decoded bodies."""
    read = [message_from_string(text, policy=default) for text in mail.mails]
    return [f"{list(one.items())}\n{one.get_content()}" for one in read]
