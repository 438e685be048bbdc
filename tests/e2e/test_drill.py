"""The fire drill as a user plays it: the command, its words, its exit code."""

from __future__ import annotations

import json

import pytest
from agent_process import command


@pytest.mark.parametrize("name", ["lost-answer", "full-disk"])
async def test_a_disaster_passes_and_leaves_nothing_behind(tmp_path, name):
    ended = await command("-m", "agent.cli", "drill", "--only", name, "--json", within_s=180, cwd=tmp_path)
    assert ended.code == 0, ended.err
    (played,) = json.loads(ended.out)["disasters"]
    assert (played["name"], played["verdict"]) == (name, "passed")
    assert list(tmp_path.iterdir()) == []
