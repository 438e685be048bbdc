"""The account's key as it signs: HMAC-SHA256 with a secret, or Ed25519 with a private key in PEM.

Stays true: key and secret are Secrets until the moment of use and show up in no representation. REST requests
are signed by ccxt, which gets the same two texts; requests on the socket are signed here, over the parameters
sorted by name, not url-encoded, joined by `&` (Binance, WebSocket API, "SIGNED request security").
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from agent.config.credentials import ExchangeKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PEM: Final = "PRIVATE KEY"


class RequestKeys:
    """Signs for one account. Raises ValueError, in words for the user, for a key that cannot sign."""

    __slots__ = ("_ed25519", "_key", "_secret")

    def __init__(self, keys: ExchangeKeys) -> None:
        self._key = keys.api_key
        self._secret = keys.api_secret
        self._ed25519: Ed25519PrivateKey | None = None
        if _PEM in keys.api_secret.reveal():
            self._ed25519 = _ed25519(self.secret)

    def __repr__(self) -> str:
        return "RequestKeys(hidden)"

    @property
    def api_key(self) -> str:
        """The key itself, for the header or frame that sends it."""
        return self._key.reveal()

    @property
    def secret(self) -> str:
        """The secret itself, for the call that signs. A PEM has plain line ends and no blank around it."""
        text = self._secret.reveal()
        if _PEM not in text:
            return text
        return "\n".join(line.strip() for line in text.replace("\\n", "\n").split("\n") if line.strip())

    def signed(self, params: Mapping[str, str | int]) -> dict[str, str | int]:
        """`params` with key and signature, as a request on the socket carries them."""
        complete = {**params, "apiKey": self.api_key}
        payload = "&".join(f"{name}={complete[name]}" for name in sorted(complete)).encode()
        return {**complete, "signature": self._sign(payload)}

    def signed_query(self, params: Mapping[str, str | int]) -> str:
        """`params` as the query of a REST request, with its signature at the end."""
        query = urlencode(params)
        return f"{query}&signature={quote(self._sign(query.encode()), safe='')}"

    def _sign(self, payload: bytes) -> str:
        if self._ed25519 is not None:
            return base64.b64encode(self._ed25519.sign(payload)).decode()
        return hmac.new(self._secret.reveal().encode(), payload, hashlib.sha256).hexdigest()


def _ed25519(pem: str) -> Ed25519PrivateKey:
    # Only for who has such a key: it takes 20 ms.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError):
        # What the library says may quote the key.
        raise ValueError(
            "EXCHANGE_API_SECRET: the private key cannot be read; give it as PEM without password"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("EXCHANGE_API_SECRET: the private key is not Ed25519; use an Ed25519 or an HMAC key")
    return key
