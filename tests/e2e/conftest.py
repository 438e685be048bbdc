"""What every test from outside gets: a house whose processes end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from agent_process import House


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    built = House()
    yield built
    await built.clear()
