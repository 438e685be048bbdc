"""A store that cannot be used at the start: final for a supervisor only while nothing is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.compose import headless
from agent.store.data_dir import DataDir
from agent.store.trouble import StoreTrouble


@pytest.mark.parametrize(("holds", "code"), [(False, headless.REFUSED), (True, headless.BROKEN)])
def test_with_something_open_it_is_no_refusal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    holds: bool,
    code: int,
) -> None:
    monkeypatch.setattr(headless, "_holds", lambda directory: holds)
    assert headless._unusable(DataDir(tmp_path), StoreTrouble("the disk is full")) == code
    said = capsys.readouterr().err
    assert "the disk is full." in said
    assert ("nobody manages it" in said) is holds
