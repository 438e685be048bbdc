"""The wall between rehearsal and real money."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agent.exchange.addresses import Addresses
from agent.exchange.signed.arming import LiveArming, LiveRefusedError, trading_hosts
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.weight_gate import WeightGate
from tests.clocks import ManualClock
from tests.exchange.signed_ground import some_keys


def client(addresses: Addresses, arming: LiveArming | None = None) -> SignedBinance:
    clock = ManualClock()
    return SignedBinance(
        addresses,
        some_keys(),
        "ADA/USDT",
        WeightGate(clock),
        clock,
        chance=random.Random(1),
        halted=lambda: False,
        arming=arming,
    )


@pytest.mark.parametrize("other", [None, True, "armed", object()])
def test_an_arming_is_made_of_nothing_but_the_decision(other: Any) -> None:
    with pytest.raises(LiveRefusedError, match="live trading is refused"):
        LiveArming(other)


def test_an_arming_that_went_around_its_maker_arms_nothing() -> None:
    forged = object.__new__(LiveArming)
    with pytest.raises(LiveRefusedError):
        client(Addresses.production("binance"), forged)
    with pytest.raises(LiveRefusedError):
        client(Addresses.production("binance"), object())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rest",
    [
        "https://api.binance.com",
        "https://api1.binance.com",
        "https://api-gcp.binance.com:443",
        "https://API.BINANCE.COM",
        "https://api.binance.com.",
        "https://api.binance.us",
        "https://binance.com",
    ],
)
def test_no_name_for_production_gets_an_order_capable_client(rest: str) -> None:
    loopback = "ws://127.0.0.1:1"
    with pytest.raises(LiveRefusedError):
        client(Addresses.replaced("binance", rest, loopback))
    with pytest.raises(LiveRefusedError):
        client(Addresses.replaced("binance", "http://127.0.0.1:1", rest.replace("https", "wss")))
    with pytest.raises(LiveRefusedError):
        client(Addresses("binance", "replaced", rest, None, None))


def test_production_itself_is_refused() -> None:
    with pytest.raises(LiveRefusedError, match=r"api\.binance\.com"):
        client(Addresses.production("binance"))


def test_what_calls_itself_the_sandbox_must_be_it() -> None:
    assert trading_hosts(Addresses.sandbox("binance"), None) == {
        "testnet.binance.vision",
        "ws-api.testnet.binance.vision",
    }
    for rest in ("https://api.binance.com", "https://elsewhere.example", "http://127.0.0.1:80"):
        with pytest.raises(LiveRefusedError):
            client(Addresses("binance", "sandbox", rest, None, None))


def test_a_name_that_only_looks_like_production_is_not() -> None:
    addresses = Addresses.replaced("binance", "http://notbinance.com:80", "ws://127.0.0.1:1")
    assert trading_hosts(addresses, None) == {"notbinance.com", "127.0.0.1:1"}


def test_another_exchange_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="kraken"):
        client(Addresses.replaced("kraken", "http://127.0.0.1:1", None))


async def test_the_sandbox_has_no_rights_to_tell() -> None:
    from agent.exchange.signed.permissions import NoKeyRights

    exchange = client(Addresses.sandbox("binance"))
    assert await exchange.key_rights() == NoKeyRights()
    urls = exchange._client._ccxt.urls["api"]
    assert set(urls) == {"public", "private"}
    assert all(url.startswith("https://testnet.binance.vision/") for url in urls.values())
