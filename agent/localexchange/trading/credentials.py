"""The key of the one account, and whether a signature is its.

Belongs here: HMAC-SHA256 with a shared secret, or Ed25519 and RSA (PKCS#1 v1.5) with the client's public key
in PEM instead of the secret. Stays true: the signed bytes are those that came over the wire, never put
together anew; comparing takes the same time whether it fails early or late.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from typing import Final

_PUBLIC: Final = "PUBLIC KEY"


class Credentials:
    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret
        self._sign = signer(secret.encode())

    def holds(self, payload: bytes, signature: str) -> bool:
        """Whether `signature` (hexadecimal for HMAC, base64 otherwise) was made for these bytes."""
        if _PUBLIC in self._secret:
            return _verified(self._secret, payload, signature)
        return hmac.compare_digest(self._sign(payload).encode(), signature.lower().encode())


def signer(secret: bytes) -> Callable[[bytes], str]:
    """HMAC-SHA256 in hexadecimal, as requests are signed. What the key alone decides is computed once."""
    keyed = hmac.new(secret, digestmod="sha256")

    def sign(payload: bytes) -> str:
        right = keyed.copy()
        right.update(payload)
        return right.hexdigest()

    return sign


def _verified(pem: str, payload: bytes, signature: str) -> bool:
    # Only keys of this kind need the library, which takes a while to load.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = load_pem_public_key(pem.encode())
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public, Ed25519PublicKey):
            public.verify(raw, payload)
        elif isinstance(public, RSAPublicKey):
            public.verify(raw, payload, PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, binascii.Error):
        return False
    return True
