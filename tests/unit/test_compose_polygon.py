"""Polygon's key and address at a start: found, refused in words, or left out of a simulated market."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_documents import accepted

from agent.compose.polygon import Polygon, polygon_for
from agent.options import ExchangeAddress
from agent.shell.redaction import Secrets

KEY = "canary-polygon-7a1b"
SIMULATED = ExchangeAddress("http://127.0.0.1:1", None)


def found(tmp_path: Path, source: str, exchange: ExchangeAddress | None = None) -> tuple[Any, Secrets]:
    config, secrets = accepted(data_feed={"data_source": source}), Secrets()
    return polygon_for(config, exchange, tmp_path / ".env", secrets), secrets


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLYGON_API_KEY", "POLYGON_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def with_key(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text(f"POLYGON_API_KEY={KEY}\n")
    env.chmod(0o600)


def test_the_exchanges_own_data_needs_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, "exchange")[0] is None


@pytest.mark.parametrize("source", ["polygon", "both"])
def test_the_key_comes_from_env_and_is_hidden(tmp_path: Path, source: str) -> None:
    with_key(tmp_path)
    polygon, secrets = found(tmp_path, source)
    assert isinstance(polygon, Polygon)
    assert (polygon.leads, polygon.venue) == (source == "polygon", "polygon@api.polygon.io")
    assert KEY not in repr(polygon)
    assert KEY not in secrets.redact(f"a request with {KEY} failed")


@pytest.mark.parametrize("source", ["polygon", "both"])
def test_a_missing_key_is_a_sentence_with_a_way_out(tmp_path: Path, source: str) -> None:
    why, _ = found(tmp_path, source)
    assert "POLYGON_API_KEY missing" in why
    assert "credentials set" in why


def test_a_simulated_market_is_never_mixed_with_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(tmp_path)
    assert found(tmp_path, "both", SIMULATED)[0] is None
    assert "simulated market" in found(tmp_path, "polygon", SIMULATED)[0]
    monkeypatch.setenv("POLYGON_URL", "http://127.0.0.1:9")
    assert found(tmp_path, "polygon", SIMULATED)[0].venue == "polygon@127.0.0.1:9"


@pytest.mark.parametrize("url", ["http://example.com", "127.0.0.1:9", "ftp://127.0.0.1"])
def test_the_key_never_travels_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with_key(tmp_path)
    monkeypatch.setenv("POLYGON_URL", url)
    assert "POLYGON_URL is no address" in found(tmp_path, "both")[0]
