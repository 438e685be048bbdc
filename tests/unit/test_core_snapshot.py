"""The picture of the agent that everybody else sees: `status --json`, and the line at every change."""

from __future__ import annotations

import json

import pytest

from agent.core import events as e
from agent.core.events import Impairment
from agent.core.snapshot import is_flat, snapshot, state_line
from tests.playbook import D, Playbook, make_setup

KEYS = {
    "state", "state_since", "mode", "pair", "timeframe", "balance", "equity", "day", "positions", "orders",
    "feed", "exchange", "warmup", "halt", "entries_blocked_by", "version", "config_hash",
}  # fmt: skip


def shown(play: Playbook) -> dict[str, object]:
    document = dict(snapshot(play.state, "1.2.3"))
    return dict(json.loads(json.dumps(document)))


def test_before_anything_is_known_everything_is_there_and_unknown() -> None:
    document = shown(Playbook())
    assert document.keys() >= KEYS
    assert document["state"] == "STOPPED"
    assert document["balance"] is None
    assert document["halt"] is None
    assert document["positions"] == []
    assert is_flat(Playbook().state)
    assert state_line(Playbook().state) == "STOPPED | Paper Trading | ADA/USDT 15m | Balance: unknown"


def test_a_position_is_shown_with_its_levels_as_money() -> None:
    play = Playbook().ready()
    play.enter("0.4981")
    document = shown(play)
    [position] = document["positions"]  # type: ignore[misc]
    assert position["entry_price"] == "0.4981"
    assert position["size"] == "2006.5962"
    assert position["stop"] == "0.4796"
    assert position["target"] == "0.5028"
    assert position["take_profit"] is None
    assert position["protected_by"] == play.stop().client_id
    [order] = document["orders"]  # type: ignore[misc]
    assert (order["side"], order["type"], order["status"]) == ("SELL", "STOP_LOSS", "NEW")
    assert (order["quantity"], order["filled"], order["price"]) == ("2006.5", "0", "0.4796")
    assert document["balance"] == "9000.01444"
    day = document["day"]
    assert day["trades"] == 1  # type: ignore[index]
    assert day["start_equity"] == "10000"  # type: ignore[index]
    assert not is_flat(play.state)


def test_a_signal_being_examined_or_bought_is_not_mistaken_for_waiting() -> None:
    play = Playbook().ready()
    assert shown(play)["watch"] == "MONITORING"
    play.signal()
    assert shown(play)["watch"] == "RISK_CHECK"
    play.book()
    assert shown(play)["watch"] == "ENTERING"
    play.fills(play.entry())
    assert shown(play)["watch"] == "MONITORING"


def test_an_order_of_unknown_outcome_is_shown_and_is_not_flat() -> None:
    play = Playbook().ready()
    play.signal()
    play.book()
    play.loses_answer(play.entry())
    document = shown(play)
    assert document["orders"][0]["status"] == "UNKNOWN"  # type: ignore[index]
    assert not is_flat(play.state)


def test_health_is_shown_as_it_was_last_reported() -> None:
    play = Playbook().ready()
    play.learn(e.ExchangeReported(True, 12.34, -40, 87))
    play.learn(e.Impaired(Impairment.FEED_STALE, "silent for 40 s"))
    document = shown(play)
    assert document["exchange"] == {
        "reachable": True,
        "latency_ms": 12.3,
        "clock_offset_ms": -40,
        "used_weight": 87,
    }
    assert document["entries_blocked_by"] == ["feed stale: silent for 40 s"]
    assert document["feed"]["source"] == "websocket"  # type: ignore[index]


@pytest.mark.parametrize(
    ("mode", "name"), [("paper", "Paper Trading"), ("testnet", "Testnet"), ("live", "LIVE TRADING")]
)
def test_the_line_names_state_mode_pair_and_balance(mode: str, name: str) -> None:
    play = Playbook(make_setup(mode=mode)).ready("10000")
    assert state_line(play.state) == f"RUNNING | {name} | ADA/USDT 15m | Balance: 10,000.00 USDT"


def test_capital_shows_as_the_balance_it_leaves() -> None:
    play = Playbook(make_setup(capital=D(1500))).ready("10000")
    assert shown(play)["balance"] == "1500"
    assert shown(play)["equity"] == "1500"
