"""Who may ask: key, nonce and signature as Kraken checks them, and the tokens of the private socket.

Stays true: the signed bytes are those that came over the wire; a nonce is used up by the first request that
carries it with a right signature, and none at or below it is taken afterwards, so requests that overtake each
other are refused. The secret is base64; one that is not cannot sign here.
Source: Kraken, "Spot REST authentication": HMAC-SHA512 of path + SHA256(nonce + body).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Final

import orjson

from agent.localexchange.kraken.errors import INVALID_KEY, INVALID_NONCE, INVALID_SIGNATURE, KrakenError
from agent.localexchange.parameters import form_pairs

#: How long a token can be used to subscribe, seconds.
TOKEN_EXPIRES_S: Final = 900


def secret_of(text: str) -> bytes | None:
    """The bytes behind a secret; None where the text is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def signature(secret: bytes, path: str, nonce: str, body: bytes) -> str:
    digest = hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()).decode()


def parameters(body: bytes) -> dict[str, str]:
    """A form's fields, or a JSON object's, as text. Empty for what is neither."""
    if body[:1] == b"{":
        try:
            sent: dict[str, Any] = orjson.loads(body)
        except orjson.JSONDecodeError:
            return {}
        return {name: value if isinstance(value, str) else str(value) for name, value in sent.items()}
    return dict(form_pairs(body.decode("utf-8", "replace")))


class Account:
    """The one account behind `key`."""

    def __init__(self, key: str, secret: str) -> None:
        self._key = key
        self._secret = secret_of(secret)
        self._last_nonce = -1
        self._tokens = 0

    def opened(self, path: str, key: str | None, sign: str | None, body: bytes) -> dict[str, str]:
        """The parameters of a request that is ours, without its nonce. Raises KrakenError."""
        if key != self._key or self._secret is None:
            raise KrakenError(INVALID_KEY)
        sent = parameters(body)
        nonce = sent.pop("nonce", "")
        right = signature(self._secret, path, nonce, body)
        if not hmac.compare_digest(right.encode(), (sign or "").encode()):
            raise KrakenError(INVALID_SIGNATURE)
        if not nonce.isdigit() or int(nonce) <= self._last_nonce:
            raise KrakenError(INVALID_NONCE)
        self._last_nonce = int(nonce)
        return sent

    def new_token(self) -> str:
        self._tokens += 1
        return f"local-token-{self._tokens}"

    def knows(self, token: object) -> bool:
        """Whether a token was given out here."""
        return token in {f"local-token-{number}" for number in range(1, self._tokens + 1)}
