"""Where an exchange is reached, and that a rehearsal cannot reach another."""

from __future__ import annotations

import pytest

from agent.exchange.addresses import Addresses, host_of, hosts_in

CCXT_URLS = {
    "public": "https://api.example.com/0",
    "private": "https://secret.example.com",
    "files": {"deep": "https://cdn.example.com/x/y"},
    "ws": {"spot": "wss://ws.example.com/v2"},
}


def test_a_replacement_replaces_every_base() -> None:
    urls = Addresses.replaced("kraken", "http://127.0.0.1:8090", "ws://127.0.0.1:8091").rest_urls(CCXT_URLS)
    assert urls == {
        "public": "http://127.0.0.1:8090/0",
        "private": "http://127.0.0.1:8090",
        "files": {"deep": "http://127.0.0.1:8090/x/y"},
        "ws": {"spot": "ws://127.0.0.1:8091/v2"},
    }
    assert hosts_in(urls) == {"127.0.0.1:8090", "127.0.0.1:8091"}


def test_without_a_socket_address_no_socket_can_be_opened() -> None:
    addresses = Addresses.replaced("kraken", "http://127.0.0.1:8090", None)
    assert hosts_in(addresses.rest_urls(CCXT_URLS)) == {"127.0.0.1:8090", "no-sockets.invalid"}
    with pytest.raises(AssertionError, match="no socket address"):
        addresses.market_streams(["a"])


def test_binance_keeps_only_the_groups_of_spot_trading() -> None:
    urls = Addresses.replaced("binance", "http://127.0.0.1:1", "ws://127.0.0.1:1").rest_urls(
        {"fapi": "https://f"}
    )
    assert urls == {
        "public": "http://127.0.0.1:1/api/v3",
        "private": "http://127.0.0.1:1/api/v3",
        "sapi": "http://127.0.0.1:1/sapi/v1",
    }
    assert "sapi" not in Addresses.sandbox("binance").rest_urls({})


def test_binances_own_addresses() -> None:
    live, sandbox = Addresses.production("binance"), Addresses.sandbox("binance")
    assert live.market_streams(["a@x", "b@y"]) == "wss://stream.binance.com:9443/stream?streams=a@x/b@y"
    assert (live.venue, sandbox.venue) == ("binance@api.binance.com", "binance@testnet.binance.vision")
    assert not live.is_loopback
    assert "binance.com" not in str(sandbox)


def test_another_exchange_keeps_ccxts_addresses() -> None:
    addresses = Addresses.production("kraken")
    assert addresses.rest_urls(CCXT_URLS) == CCXT_URLS
    assert (addresses.venue, addresses.ws) == ("kraken@production", None)
    assert Addresses.sandbox("bybit").venue == "bybit@sandbox"


@pytest.mark.parametrize("url", ["http://localhost:8090", "http://127.0.0.2:80", "http://[::1]:8090"])
def test_loopback_is_recognised(url: str) -> None:
    assert Addresses.replaced("binance", url, None).is_loopback


def test_a_slash_at_the_end_is_forgiven_and_the_venue_names_the_port() -> None:
    addresses = Addresses.replaced("binance", " http://127.0.0.1:8090/ ", "ws://127.0.0.1:8090/")
    assert (addresses.rest, addresses.ws, addresses.ws_api) == (
        "http://127.0.0.1:8090",
        "ws://127.0.0.1:8090",
        "ws://127.0.0.1:8090/ws-api/v3",
    )
    assert addresses.venue == "binance@127.0.0.1:8090"
    assert not Addresses.replaced("binance", "http://10.0.0.5", None).is_loopback


@pytest.mark.parametrize(
    ("rest", "ws", "word"),
    [
        ("127.0.0.1:8090", None, "http://"),
        ("ftp://127.0.0.1", None, "http://"),
        ("http://", None, "http://"),
        ("http://host:port", None, "cannot be read"),
        ("http://127.0.0.1:8090/api/v3", None, "nothing behind it"),
        ("http://me@127.0.0.1", None, "nothing behind it"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090", "ws://"),
    ],
)
def test_a_url_that_is_none_is_refused_in_words(rest: str, ws: str | None, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Addresses.replaced("binance", rest, ws)


def test_a_host_is_named_with_its_port_unless_it_is_the_usual_one() -> None:
    assert host_of("https://a.b:443/x") == host_of("https://a.b/y") == "a.b"
    assert host_of("wss://a.b:9443/ws") == "a.b:9443"
    assert host_of("http://[::1]:80/") == "[::1]"
