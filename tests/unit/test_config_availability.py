"""Valid, but not to be had yet: refused where orders or signals would come from elsewhere, else mentioned."""

from __future__ import annotations

from typing import Any

import pytest
from config_documents import accepted

from agent.config.availability import not_available_yet


def keys(**sections: Any) -> tuple[set[str], set[str]]:
    found = not_available_yet(accepted(**sections))
    findings = (*found.refused, *found.ignored)
    words = ("not available yet", "agent.cli exchanges", "come by REST")
    assert all(any(word in f.reason for word in words) for f in findings)
    return {f.key for f in found.refused}, {f.key for f in found.ignored}


def test_paper_on_binance_is_available() -> None:
    assert keys() == (set(), set())


def test_testnet_on_binance_is_available() -> None:
    assert keys(exchange={"paper_trading": False, "testnet": True}) == (set(), set())


def test_live_on_binance_is_available_to_who_arms_it() -> None:
    assert keys(exchange={"paper_trading": False, "testnet": False}) == (set(), set())


@pytest.mark.parametrize("testnet", [True, False])
def test_orders_elsewhere_are_refused(testnet: bool) -> None:
    exchange = {"paper_trading": False, "testnet": testnet, "exchange_name": "bybit"}
    refused, _ = keys(exchange=exchange)
    assert refused == {"exchange.paper_trading"}


@pytest.mark.parametrize("source", ["polygon", "both"])
def test_polygon_is_available(source: str) -> None:
    assert keys(data_feed={"data_source": source}) == (set(), set())


def test_another_sqlite_file_than_the_data_directorys_is_refused() -> None:
    (refused,) = not_available_yet(accepted(agent={"database_url": "sqlite:///x.db"})).refused
    assert (refused.key, refused.reason.partition(":")[0]) == (
        "agent.database_url",
        "SQLite is where the ledger is kept anyway",
    )
    assert keys(agent={"database_url": "postgresql+psycopg://h/d"}) == (set(), set())


def test_alerts_and_metrics_are_available() -> None:
    sections = {"email": {"enabled": True}, "heartbeat_url": "https://h.example/1", "metrics_port": 9000}
    assert keys(agent=sections) == (set(), set())


@pytest.mark.parametrize(
    ("name", "timeframe", "left_out"),
    [
        ("kraken", "15m", set()),
        ("okx", "3m", set()),
        ("kraken", "10m", {"data_feed.use_websocket"}),
        ("coinbase", "15m", {"data_feed.use_websocket"}),
        ("gate", "15m", {"data_feed.use_websocket"}),
    ],
)
def test_where_candles_are_listened_to_on_paper(name: str, timeframe: str, left_out: set[str]) -> None:
    assert keys(exchange={"exchange_name": name}, timeframe=timeframe) == (set(), left_out)
    told = keys(exchange={"exchange_name": name}, timeframe=timeframe, data_feed={"use_websocket": False})
    assert told == (set(), set())
