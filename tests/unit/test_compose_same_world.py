"""Recognising a simulated exchange that was started again from its beginning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.compose.ledger_journal import DURABLE_KEY
from agent.compose.same_world import another_run
from agent.core.boot import fresh
from agent.store.batch import Stored
from agent.store.codec import encode

NOON_MS = 1_736_942_400_000
VENUE = "binance@127.0.0.1:8090"


def stored(decided_open_ms):
    durable = replace(fresh(NOON_MS), decided_open_ms=decided_open_ms)
    return Stored({DURABLE_KEY: encode(durable)}, (), (), 0, None)


@pytest.mark.parametrize("decided_open_ms", [None, NOON_MS - 900_000, NOON_MS])
def test_an_exchange_that_went_on_is_the_same(decided_open_ms):
    assert another_run(stored(decided_open_ms), VENUE, NOON_MS) is None


def test_an_address_never_seen_before_is_welcome():
    assert another_run(Stored({}, (), (), 0, None), VENUE, NOON_MS) is None


def test_an_exchange_before_what_is_stored_is_another_one():
    sentence = another_run(stored(NOON_MS + 900_000), VENUE, NOON_MS)
    assert sentence is not None
    assert sentence.startswith(f"{VENUE} is at 2025-01-15T12:00:00")
    assert "until 2025-01-15T12:15:00" in sentence
    assert "Use another --data-dir" in sentence
