"""start, pause, resume, stop, close and clear-halt against a fake engine on a real control channel."""

from __future__ import annotations

import io
import json
import sys

import pytest
from control_fakes import OTHER
from engine_threads import ScriptedDoor, engine
from status_documents import HALT, flat_status, full_status

from agent.cli import main
from agent.command_line.terminal import Terminal
from agent.control.door import NotDone
from agent.core.events import (
    ClearHaltRequested,
    CloseRequested,
    PauseRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)

BY = "command line"


@pytest.fixture
def answers(monkeypatch):
    """Pretend to sit at a terminal and type these lines."""

    def type_in(*lines: str) -> None:
        monkeypatch.setattr(Terminal, "can_ask", True)
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return type_in


@pytest.mark.parametrize(
    ("words", "event"),
    [
        (["start"], StartRequested(BY)),
        (["pause"], PauseRequested(BY)),
        (["resume"], ResumeRequested(BY)),
        (["clear-halt"], ClearHaltRequested(BY)),
        (["stop", "--flatten"], StopRequested(BY, flatten=True)),
        (["stop", "--exits-only"], StopRequested(BY, flatten=False)),
        (["close", "3"], CloseRequested(BY, 3)),
        (["close", "--all"], CloseRequested(BY, None)),
    ],
)
def test_with_yes_each_command_reaches_the_engine(tmp_path, capsys, words, event):
    door = ScriptedDoor(full_status(halt=HALT))
    with engine(tmp_path, door):
        assert main([*words, "--yes", "--data-dir", str(tmp_path)]) == 0
    assert door.asked == [event]
    assert "The agent is" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["start"],
        ["pause"],
        ["resume"],
        ["clear-halt"],
        ["stop", "--flatten"],
        ["close", "3"],
        ["close", "--all"],
    ],
)
def test_without_a_terminal_nothing_happens_unless_yes_is_said(tmp_path, capsys, words):
    door = ScriptedDoor(full_status(halt=HALT))
    with engine(tmp_path, door):
        assert main([*words, "--data-dir", str(tmp_path)]) == 1
    assert door.asked == []
    told = capsys.readouterr()
    assert told.out == ""
    assert "--yes" in told.err


def test_json_is_exactly_one_document_on_standard_output(tmp_path, capsys):
    with engine(tmp_path, ScriptedDoor(flat_status())):
        assert main(["pause", "--yes", "--json", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"state": "PAUSED", "text": "The agent is PAUSED."}
    assert told.err == ""


def test_a_refusal_of_the_engine_is_a_sentence_and_exit_1(tmp_path, capsys):
    door = ScriptedDoor(flat_status(halt=HALT))
    door.refusal = NotDone("not_flat", "position 3 is still open", "close it first")
    with engine(tmp_path, door):
        assert main(["clear-halt", "--yes", "--json", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "Position 3 is still open.\nClose it first.\n"


def test_consent_names_the_numbers_and_no_means_no(tmp_path, capsys, answers):
    door = ScriptedDoor(full_status())
    answers("n")
    with engine(tmp_path, door):
        assert main(["close", "3", "--data-dir", str(tmp_path)]) == 1
    assert door.asked == []
    asked = capsys.readouterr().err
    assert "position 3: 1,234.5 ADA, about 425.78 USDT (+3.46 USDT)" in asked
    assert "Nothing was done" in asked


def test_yes_on_the_terminal_does_it(tmp_path, capsys, answers):
    door = ScriptedDoor(full_status())
    answers("y")
    with engine(tmp_path, door):
        assert main(["close", "--all", "--data-dir", str(tmp_path)]) == 0
    assert door.asked == [CloseRequested(BY, None)]


def test_closing_what_is_not_open_is_refused_before_asking(tmp_path, capsys, answers):
    door = ScriptedDoor(full_status())
    answers("y")
    with engine(tmp_path, door):
        assert main(["close", "9", "--data-dir", str(tmp_path)]) == 1
    assert "No open position has the id 9." in capsys.readouterr().err
    assert door.asked == []


@pytest.mark.parametrize("words", [["close"], ["close", "3", "--all"]])
def test_close_needs_exactly_one_of_id_and_all(tmp_path, capsys, words):
    assert main([*words, "--yes", "--data-dir", str(tmp_path)]) == 1
    assert "Say which position to close." in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "flatten"), [("f", True), ("flatten", True), ("e", False)])
def test_stop_with_an_open_position_asks_what_becomes_of_it(tmp_path, capsys, answers, typed, flatten):
    door = ScriptedDoor(full_status())
    answers(typed, "y")
    with engine(tmp_path, door):
        assert main(["stop", "--data-dir", str(tmp_path)]) == 0
    assert door.asked == [StopRequested(BY, flatten=flatten)]
    assert "1,234.5 ADA" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["c", "", "what"])
def test_stop_does_nothing_on_any_other_answer(tmp_path, answers, typed):
    door = ScriptedDoor(full_status())
    answers(typed, "y")
    with engine(tmp_path, door):
        assert main(["stop", "--data-dir", str(tmp_path)]) == 1
    assert door.asked == []


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_stop_with_an_open_position_and_no_terminal_needs_a_choice(tmp_path, capsys, yes):
    door = ScriptedDoor(full_status())
    with engine(tmp_path, door):
        assert main(["stop", *yes, "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "--flatten" in told
    assert "--exits-only" in told
    assert door.asked == []


def test_stop_when_flat_needs_no_choice(tmp_path):
    door = ScriptedDoor(flat_status())
    with engine(tmp_path, door):
        assert main(["stop", "--yes", "--data-dir", str(tmp_path)]) == 0
    assert door.asked == [StopRequested(BY, flatten=False)]


def test_contradicting_choices_are_refused(tmp_path, capsys):
    assert main(["stop", "--flatten", "--exits-only", "--yes", "--data-dir", str(tmp_path)]) == 1
    assert "contradict" in capsys.readouterr().err


def test_another_version_can_be_paused_but_not_started(tmp_path, capsys):
    door = ScriptedDoor(flat_status())
    with engine(tmp_path, door, OTHER):
        assert main(["start", "--yes", "--data-dir", str(tmp_path)]) == 1
        assert "9.9.9" in capsys.readouterr().err
        assert main(["pause", "--yes", "--data-dir", str(tmp_path)]) == 0
    assert door.asked == [PauseRequested(BY)]


@pytest.mark.parametrize(
    "words", [["start"], ["pause"], ["resume"], ["clear-halt"], ["stop", "--flatten"], ["close", "1"]]
)
def test_without_an_engine_the_exit_code_is_3(tmp_path, capsys, words):
    assert main([*words, "--yes", "--json", "--data-dir", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"No engine is running for the data directory {tmp_path}.\n")


def test_the_data_directory_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENT_DATA_DIR", str(tmp_path))
    door = ScriptedDoor(flat_status())
    with engine(tmp_path, door):
        assert main(["pause", "--yes"]) == 0
    assert door.asked == [PauseRequested(BY)]
