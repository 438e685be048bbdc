"""What is seen of the engine after every step, also by nobody."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace

from agent.compose.onlookers import Onlookers
from agent.compose.progress import WarmupProgress
from agent.control.messages import NoticeKind, encode
from agent.core.commands import Alert, AlertLevel, Keep
from agent.core.phase import Phase
from agent.core.records import DecisionRow, Outcome
from tests.playbook import Playbook
from ui.present.decisions import row_of


class Channel:
    """A control channel that keeps what it is told."""

    def __init__(self):
        self.changes = 0
        self.notices = []

    def changed(self):
        self.changes += 1

    def notice(self, notice):
        self.notices.append(notice)


class Closed(io.StringIO):
    """A pipe whose reader went away."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def watched():
    channel, watching = Channel(), []
    return channel, watching, Onlookers(channel, WarmupProgress(), watching.append)


def test_one_line_for_every_change_of_state(capsys):
    play, (_, _, onlookers) = Playbook(), watched()
    onlookers(play.state, ())
    onlookers(play.state, ())
    play.ready()
    onlookers(play.state, ())
    assert play.state.phase is Phase.RUNNING
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" |")[0] for line in lines] == ["STOPPED", "RUNNING"]
    assert lines[-1] == "RUNNING | Paper Trading | ADA/USDT 15m | Balance: 10,000.00 USDT"


def test_a_reader_that_went_away_takes_nothing_from_the_others(monkeypatch, caplog):
    monkeypatch.setattr(sys, "stdout", Closed())
    play, (channel, watching, onlookers) = Playbook(), watched()
    play.ready()
    play.enter()
    onlookers(play.state, (Alert(AlertLevel.INFO, "signal", "bought"),))
    onlookers(play.state, ())
    assert watching == [True]
    assert [notice.body["text"] for notice in channel.notices] == ["bought"]
    assert [record.message for record in caplog.records] == [
        "nobody reads standard output any more ([Errno 32] Broken pipe): changes of state are only logged"
    ]


def test_a_decided_bar_is_told_with_its_row():
    play, (channel, _, onlookers) = Playbook(), watched()
    row = DecisionRow(
        0, 60_000, 0.51, 0.5, 0.52, None, 2.4, float("nan"), 0.7, True, False, False, Outcome.NO_SIGNAL, "",
        "socket",
    )  # fmt: skip
    onlookers(play.state, (Keep(row),))
    (notice,) = channel.notices
    assert notice.kind is NoticeKind.DECISION
    told = json.loads(encode(notice))["body"]
    assert (told["outcome"], told["vol_z"], told["tr_z"]) == ("no_signal", 2.4, None)
    assert row_of(told) == replace(row, tr_z=None)
    assert row_of({**told, "outcome": "something newer"}) is None
