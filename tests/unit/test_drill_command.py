"""The fire drill around its disasters: verdicts, refusals, endings. The disasters are played in tests/e2e."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from stored_agents import PAPER, status_batch, store

from agent.cli import main
from agent.drill import disasters, playing
from agent.drill.disasters import DISASTERS, Disaster
from agent.drill.playing import Verdict, play
from agent.drill.stage import Failed
from agent.store.instance_lock import InstanceLock


class EmptyStage:
    """A stage without processes."""

    def __init__(self, directory) -> None:
        self.directory = directory

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error) -> None:
        return None


async def _good(stage) -> str:
    return "nothing was lost"


async def _bad(stage) -> str:
    raise Failed("the position's size was 5 before and is 4 now")


async def _endless(stage) -> str:
    raise TimeoutError


GOOD = Disaster("good", "Nothing happens.", "Nothing is lost.", _good)
BAD = replace(GOOD, name="bad", play=_bad)
ENDLESS = replace(GOOD, name="endless", play=_endless)
ELSEWHERE = replace(GOOD, name="elsewhere", runs_here=False)


@pytest.fixture
def without_processes(monkeypatch):
    monkeypatch.setattr(playing, "Stage", EmptyStage)


async def test_every_disaster_gets_a_verdict_and_a_reason(without_processes, tmp_path):
    begun, ended = [], []
    results = await play((GOOD, BAD, ENDLESS, ELSEWHERE), tmp_path, begun.append, ended.append)
    assert [r.verdict for r in results] == [Verdict.PASSED, Verdict.FAILED, Verdict.FAILED, Verdict.NOT_HERE]
    assert results[1].told == "the position's size was 5 before and is 4 now"
    assert "not over" in results[2].told
    assert (begun, ended) == ([GOOD, BAD, ENDLESS, ELSEWHERE], results)


@pytest.mark.parametrize(
    ("played", "code", "words"),
    [
        ((GOOD,), 0, "All 1 passed."),
        ((GOOD, ELSEWHERE), 0, "All 1 passed. 1 cannot be played on this system."),
        ((GOOD, BAD), 1, "1 of 2 disasters FAILED: bad. Do not trade before that is understood."),
    ],
)
def test_the_exit_code_is_zero_only_when_nothing_failed(
    without_processes, monkeypatch, tmp_path, capsys, played, code, words
):
    monkeypatch.setattr(disasters, "DISASTERS", played)
    assert main(["drill", "--data-dir", str(tmp_path)]) == code
    told = capsys.readouterr()
    assert told.out == words + "\n"
    assert "good: Nothing happens." in told.err
    assert main(["drill", "--data-dir", str(tmp_path), "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is (code == 0)
    assert document["disasters"][0]["verdict"] == "passed"


def test_what_is_refused_says_how_to_do_it(tmp_path, capsys):
    assert main(["drill", "--only", "flood"]) == 1
    assert "choose among kill, stalled-socket" in capsys.readouterr().err.lower()
    assert main(["drill", "--keep", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_drill_beside_an_engine_that_trades_real_money(tmp_path, capsys):
    store(tmp_path, status_batch({"mode": "live"}), scope=replace(PAPER, mode="live", account="main"))
    with InstanceLock.take(tmp_path / "agent.lock", at_ms=1):
        assert main(["drill", "--data-dir", str(tmp_path)]) == 1
    assert "A live engine works in this data directory" in capsys.readouterr().err


def test_every_disaster_is_described_for_its_user():
    assert [d.name for d in DISASTERS] == [
        *("kill", "stalled-socket", "ban", "lost-answer", "half-filled", "full-disk"),
    ]
    assert all(d.does.endswith(".") and d.expects.endswith(".") for d in DISASTERS)


# --- the ban ------------------------------------------------------------------------------------------


def request(connection, path, ts, status=200):
    return {"connection": connection, "path": path, "ts": ts, "status": status}


#: The ban falls on the price; the account was asked for over another connection before that was read.
BANNED = [
    request(1, "/time", 0),
    request(1, "/price", 10, 418),
    request(2, "/account", 12, 418),
    request(3, "/klines", 12, 418),
]
SILENT = request(2, "/account", 301_000)


@pytest.mark.parametrize(
    ("more", "seen", "early"),
    [
        ([], 4, []),
        ([], 2, ["/account", "/klines"]),
        ([request(1, "/price", 13, 418)], 5, ["/price"]),
        ([request(2, "/price", 13, 418)], 5, []),
        ([request(2, "/price", 13, 418)], 4, ["/price"]),
        ([request(4, "/time", 200_000, 418)], 4, ["/time"]),
        ([request(0, "/ws-api", 200_000, 101)], 4, ["/ws-api"]),
    ],
)
def test_what_was_on_its_way_when_the_ban_came_is_forgiven_and_nothing_else(more, seen, early):
    found = disasters.sent_during_ban([*BANNED, *more, SILENT], seen, 300_000)
    assert [r["path"] for r in found] == early
