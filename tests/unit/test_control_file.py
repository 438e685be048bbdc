"""control.json: written whole, readable by its owner only, believed only when it can be trusted."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from agent.control.control_file import (
    NAME,
    ControlFile,
    ControlFileRefused,
    new_token,
    process_is_gone,
    read_control_file,
    remove_control_file,
    write_control_file,
)

HERE = ControlFile(port=4711, token="secret", pid=4242, started_ms=1_700_000_000_000, protocol=1)


def test_what_was_written_is_read(tmp_path):
    write_control_file(tmp_path, HERE)
    assert read_control_file(tmp_path) == HERE
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert json.loads((tmp_path / NAME).read_text()) == {
        "port": 4711,
        "token": "secret",
        "pid": 4242,
        "started_ms": 1_700_000_000_000,
        "protocol": 1,
    }
    assert [entry.name for entry in tmp_path.iterdir()] == [NAME]


def test_the_mode_does_not_depend_on_the_umask(tmp_path):
    before = os.umask(0)
    try:
        write_control_file(tmp_path, HERE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_planted_link_is_replaced_and_its_target_untouched(tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep")
    (tmp_path / NAME).symlink_to(target)
    with pytest.raises(ControlFileRefused):
        read_control_file(tmp_path)
    write_control_file(tmp_path, HERE)
    assert target.read_text() == "keep"
    assert read_control_file(tmp_path) == HERE


def test_no_file_is_no_engine(tmp_path):
    assert read_control_file(tmp_path) is None
    assert read_control_file(tmp_path / "nowhere") is None


def test_a_file_that_others_can_read_is_refused(tmp_path):
    write_control_file(tmp_path, HERE)
    (tmp_path / NAME).chmod(0o640)
    with pytest.raises(ControlFileRefused, match="0640"):
        read_control_file(tmp_path)


def test_a_pipe_in_its_place_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / NAME, 0o600)
    with pytest.raises(ControlFileRefused, match="not a plain file"):
        read_control_file(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 4000,
        b" " * 5000,
        json.dumps({"port": "4711", "token": "t", "pid": 1, "started_ms": 1, "protocol": 1}).encode(),
        json.dumps({"port": 70000, "token": "t", "pid": 1, "started_ms": 1, "protocol": 1}).encode(),
        json.dumps({"port": 1, "token": 5, "pid": 1, "started_ms": 1, "protocol": 1}).encode(),
        json.dumps({"port": 1, "token": "t", "pid": 0, "started_ms": 1, "protocol": 1}).encode(),
        json.dumps({"port": 1, "token": "t", "pid": True, "started_ms": 1, "protocol": 1}).encode(),
    ],
)
def test_anything_else_is_refused_with_a_sentence(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    (tmp_path / NAME).chmod(0o600)
    with pytest.raises(ControlFileRefused, match="not what an engine writes"):
        read_control_file(tmp_path)


def test_only_the_own_file_is_removed(tmp_path):
    write_control_file(tmp_path, HERE)
    remove_control_file(tmp_path, "another token")
    assert read_control_file(tmp_path) == HERE
    remove_control_file(tmp_path, "secret")
    assert read_control_file(tmp_path) is None
    remove_control_file(tmp_path, "secret")


def test_a_directory_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(OSError):
        write_control_file(tmp_path / "nowhere", HERE)
    assert list(Path(tmp_path).iterdir()) == []


def test_tokens_are_long_and_different():
    assert len(new_token()) >= 43
    assert new_token() != new_token()


def test_processes_that_run_and_that_do_not():
    assert not process_is_gone(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert process_is_gone(child)
    assert not process_is_gone(1)
