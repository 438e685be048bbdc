"""The document of `status --json`: every promised key, with its type, and nothing else."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from status_documents import HALT, flat_status, full_status

from agent.control.status import Status, StatusUnreadable, iso

PROMISED = {
    "": {
        "running",
        "state",
        "state_since",
        "mode",
        "pair",
        "timeframe",
        "balance",
        "equity",
        "day",
        "positions",
        "orders",
        "feed",
        "exchange",
        "warmup",
        "halt",
        "entries_blocked_by",
        "version",
        "config_hash",
    },
    "day": {"date", "pnl", "trades", "start_equity"},
    "positions": {
        "id",
        "mode",
        "opened_at",
        "entry_price",
        "size",
        "stop",
        "target",
        "take_profit",
        "unrealized_pnl",
        "protected_by",
        "unprotected_since",
    },
    "orders": {"client_id", "side", "type", "status", "quantity", "filled", "price"},
    "feed": {"source", "fresh", "last_closed_bar"},
    "exchange": {"reachable", "latency_ms", "clock_offset_ms", "used_weight"},
    "warmup": {"bars", "needed", "error_bound"},
    "halt": {"reason", "at", "flat", "remaining"},
}


def test_the_document_has_exactly_the_promised_keys():
    document = Status.read(full_status(halt=HALT)).document(running=True)
    assert set(document) == PROMISED[""]
    for section in ("day", "feed", "exchange", "warmup", "halt"):
        assert set(document[section]) == PROMISED[section]
    assert set(document["positions"][0]) == PROMISED["positions"]
    assert set(document["orders"][0]) == PROMISED["orders"]


def test_what_is_read_comes_back_digit_for_digit():
    source = full_status(halt=HALT)
    document = Status.read(source).document(running=True)
    assert {key: source[key] for key in document} == document


def test_an_engine_that_does_not_run_is_said_so():
    assert Status.read(full_status()).document(running=False)["running"] is False


def test_what_is_not_known_yet_is_null():
    unknown = flat_status(
        balance=None,
        equity=None,
        day={"date": None, "pnl": None, "trades": 0, "start_equity": None},
        feed={"source": "none", "fresh": False, "last_closed_bar": None},
        exchange={"reachable": False, "latency_ms": None, "clock_offset_ms": None, "used_weight": None},
        warmup={"bars": 0, "needed": 7100, "error_bound": None},
    )
    del unknown["price"], unknown["at"], unknown["venue"]
    status = Status.read(unknown)
    assert status.bid is None
    assert status.balance is None
    assert {key: unknown[key] for key in unknown if key != "running"} == {
        key: value for key, value in status.document(running=True).items() if key != "running"
    }


def _paths(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    if isinstance(document, dict):
        for key, value in document.items():
            found += [(*path, key), *_paths(value, (*path, key))]
    if isinstance(document, list):
        for index, value in enumerate(document):
            found += _paths(value, (*path, index))
    return found


_PROMISED_PATHS = _paths(Status.read(full_status(halt=HALT)).document(running=True))


@pytest.mark.parametrize("path", [p for p in _PROMISED_PATHS if p != ("running",)], ids=str)
def test_every_key_is_needed_and_its_type_checked(path):
    *parents, last = path
    for damage in ("missing", "wrong type"):
        document = copy.deepcopy(full_status(halt=HALT))
        place = document
        for step in parents:
            place = place[step]
        if damage == "missing":
            del place[last]
        else:
            place[last] = object()
        with pytest.raises(StatusUnreadable, match=str(last)):
            Status.read(document)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "SLEEPING"),
        ("mode", "demo"),
        ("balance", "NaN"),
        ("balance", "1,000"),
        ("balance", 1000.5),
        ("state_since", "2025-01-15T14:32:05"),
        ("state_since", "yesterday"),
        ("entries_blocked_by", [1]),
        ("entries_blocked_by", "feed"),
        ("positions", {}),
        ("day", []),
    ],
)
def test_values_outside_the_promise_are_refused(key, value):
    with pytest.raises(StatusUnreadable, match=key):
        Status.read(full_status(**{key: value}))


def test_a_document_that_is_none_is_refused():
    with pytest.raises(StatusUnreadable, match="the document is not an object"):
        Status.read([])


def test_flat_means_nothing_held_and_no_order_that_may_still_fill():
    assert not Status.read(full_status()).is_flat
    assert Status.read(flat_status()).is_flat
    order = full_status()["orders"][0]
    assert not Status.read(flat_status(orders=[order])).is_flat
    assert not Status.read(flat_status(orders=[{**order, "status": "UNKNOWN"}])).is_flat
    assert Status.read(flat_status(orders=[{**order, "status": "CANCELED"}])).is_flat


def test_currencies_come_from_the_pair_and_amounts_are_exact():
    status = Status.read(full_status())
    assert (status.base, status.quote) == ("ADA", "USDT")
    assert status.positions[0].entry_price == Decimal("0.34211")
    assert status.bid == Decimal("0.3449")


def test_times_are_utc_with_milliseconds():
    assert iso(datetime(2025, 1, 15, 14, 32, 5, 250_000, UTC)) == "2025-01-15T14:32:05.250Z"
    east = timezone(timedelta(hours=5, minutes=30))
    assert iso(datetime(2025, 1, 15, 20, 2, 5, tzinfo=east)) == "2025-01-15T14:32:05.000Z"
