"""The exchange's own signatures are those of the standard library."""

from __future__ import annotations

import hmac

import pytest

from agent.localexchange.trading.credentials import Credentials, signer


@pytest.mark.parametrize("length", [0, 1, 28, 63, 64, 65, 200])
def test_a_signature_is_hmac_sha256(length: int) -> None:
    secret = bytes(range(256))[:length]
    sign = signer(secret)
    for payload in (b"", b"a=1", b"timestamp=1700000000000&recvWindow=5000", bytes(1_000), b"a=1"):
        assert sign(payload) == hmac.new(secret, payload, "sha256").hexdigest()


def test_only_the_right_signature_of_the_very_bytes_is_accepted() -> None:
    credentials = Credentials("key", "secret")
    right = hmac.new(b"secret", b"a=1", "sha256").hexdigest()
    assert credentials.holds(b"a=1", right)
    assert credentials.holds(b"a=1", right.upper())
    assert not credentials.holds(b"a=2", right)
    assert not credentials.holds(b"a=1", right[:-1])
    assert not Credentials("key", "other").holds(b"a=1", right)
