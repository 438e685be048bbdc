"""The figures are the snapshot's, what is not known is left out, and the door opens to this machine only."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.core.events import ExchangeReported
from agent.core.snapshot import snapshot
from agent.metrics.exposition import STATES, exposition
from agent.metrics.server import MetricsServer
from tests.playbook import Playbook

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy" / "grafana-dashboard.json"


def shown(play: Playbook):
    return snapshot(play.state, "1.2.3")


def figures(play: Playbook) -> dict[str, float]:
    families = text_string_to_metric_families(exposition(shown(play)).decode())
    found = {}
    for family in families:
        for sample in family.samples:
            assert (sample.labels["pair"], sample.labels["mode"]) == ("ADA/USDT", "paper")
            state = sample.labels.get("state")
            found[sample.name if state is None else f"{sample.name} {state}"] = sample.value
    return found


def in_position() -> Playbook:
    play = Playbook()
    play.ready()
    play.enter()
    return play


def test_the_figures_are_those_of_the_snapshot():
    play = in_position()
    document, told = shown(play), figures(play)
    assert told["agent_equity_quote"] == float(document["equity"])
    assert told["agent_balance_quote"] == float(document["balance"])
    assert told["agent_open_positions"] == len(document["positions"]) == 1
    assert told["agent_entries_blocked"] == len(document["entries_blocked_by"])
    assert told["agent_state RUNNING"] == 1
    assert sum(told[f"agent_state {state}"] for state in STATES) == 1


def test_what_is_not_known_yet_is_left_out():
    told = figures(Playbook())
    assert "agent_equity_quote" not in told
    assert "agent_exchange_latency_seconds" not in told
    assert told["agent_exchange_reachable"] == 0
    assert told["agent_state STOPPED"] == 1


def test_the_dashboard_shows_only_figures_that_exist():
    play = in_position()
    play.learn(ExchangeReported(reachable=True, latency_ms=8.5, clock_offset_ms=-120, used_weight=97))
    told = {name.partition(" ")[0] for name in figures(play)}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    named = [re.findall(r"agent_[a-z_]+", expression) for expression in asked]
    assert all(named), "each question asks for a figure of ours"
    assert {name for names in named for name in names} <= told


async def asked(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_it_listens_on_loopback_and_answers_whoever_asks_for_it_by_that_name():
    play, listening = in_position(), asyncio.Event()
    server = MetricsServer(lambda: shown(play), 0)
    task = asyncio.create_task(server.run(listening))
    await asyncio.wait_for(listening.wait(), 10)
    url = f"http://127.0.0.1:{server.port}/metrics"
    status, body = await asked(url)
    assert (status, "agent_equity_quote" in body) == (200, True)
    assert (await asked(url, Host="evil.example"))[0] == 403
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_port_that_is_taken_is_said_and_nothing_more(caplog: pytest.LogCaptureFixture):
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING):
        await MetricsServer(dict, taken.getsockname()[1]).run()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["no metrics"]
