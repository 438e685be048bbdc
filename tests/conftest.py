"""Every test runs as the product does: mixing money with float is an error where it happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.core.money import forbid_float_money
from tests.postgres_ground import NoPostgres, PostgresServer

forbid_float_money()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this session. Whoever stops it starts it again."""
    try:
        server = PostgresServer()
    except NoPostgres as why:
        pytest.skip(str(why))
    yield server
    server.remove()
