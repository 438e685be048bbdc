"""Where the keys of the last start lie is found again from any folder; a missing note costs nothing."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from agent.compose.env_file_note import NAME, note_env_file, noted_env_file


def test_the_path_of_the_last_start_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    note_env_file(tmp_path, Path("here/.env"))
    assert noted_env_file(tmp_path) == tmp_path / "here/.env"
    note_env_file(tmp_path, tmp_path / "there/.env")
    assert noted_env_file(tmp_path) == tmp_path / "there/.env"
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"relative/.env\n", b"\xff\xfe"])
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert noted_env_file(tmp_path) is None


def test_no_note_is_none(tmp_path: Path) -> None:
    assert noted_env_file(tmp_path) is None


def test_a_note_that_cannot_be_written_is_said_and_a_link_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / NAME).symlink_to(victim)
    with caplog.at_level(logging.WARNING):
        note_env_file(tmp_path, tmp_path / ".env")
    assert victim.read_text() == "precious"
    assert "--env-file" in caplog.text
