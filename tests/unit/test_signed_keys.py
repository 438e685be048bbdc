"""Signing on the socket, with Binance's own published examples, and keys that cannot sign."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.exchange.signed.keys import RequestKeys
from tests.exchange.signed_ground import some_keys


def test_hmac_as_in_the_exchanges_own_example() -> None:
    # web-socket-api.md, "SIGNED request example (HMAC)".
    keys = RequestKeys(
        some_keys(
            "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
        )
    )
    params: dict[str, str | int] = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "newOrderRespType": "ACK",
        "recvWindow": 100,
        "timestamp": 1645423376532,
    }
    signed = keys.signed(params)
    assert signed["signature"] == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"
    assert {k: v for k, v in signed.items() if k not in ("apiKey", "signature")} == params


def pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("spelling", ["{}", " {} ", "{}\n\n", "crlf", "escaped"])
def test_ed25519_signs_what_its_public_key_verifies_however_it_is_spelt(spelling: str) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    text = pem(private)
    if spelling == "crlf":
        text = text.replace("\n", "\r\n")
    elif spelling == "escaped":
        text = text.replace("\n", "\\n")
    else:
        text = spelling.format(text)
    keys = RequestKeys(some_keys("somekey", text))
    signed = keys.signed({"timestamp": 7, "recvWindow": 5000})
    payload = b"apiKey=somekey&recvWindow=5000&timestamp=7"
    private.public_key().verify(base64.b64decode(str(signed["signature"])), payload)
    # ccxt tells an Ed25519 from an RSA key by its length.
    assert len(keys.secret) <= 120


def test_a_private_key_that_cannot_be_used_is_refused_in_words_without_itself() -> None:
    other = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    broken = "-----BEGIN PRIVATE KEY-----\nnotakeyatall\n-----END PRIVATE KEY-----"
    for text in (other, broken):
        with pytest.raises(ValueError, match="EXCHANGE_API_SECRET") as caught:
            RequestKeys(some_keys("k", text))
        assert "notakey" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_keys_show_themselves_nowhere() -> None:
    keys = RequestKeys(some_keys("visiblekey", "visiblesecret"))
    for shown in (repr(keys), str(keys), f"{keys}", repr([keys])):
        assert "visible" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    assert "visible" not in repr(copy.copy(keys))
