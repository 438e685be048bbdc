"""Files that are missing, unreadable, too long or no files: a report with exit code 2 or 1, never a hang."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from config_documents import EXAMPLE

from agent.config import ConfigRefused, check_file, load_config
from agent.config.plain_file import failure_text


def refused(path: Path) -> ConfigRefused:
    with pytest.raises(ConfigRefused) as caught:
        load_config(path)
    return caught.value


def test_a_link_to_the_configuration_is_followed(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(EXAMPLE)
    assert load_config(tmp_path / "config.json").config.mode == "paper"


def test_a_missing_file(tmp_path: Path) -> None:
    refusal = refused(tmp_path / "config.json")
    assert refusal.exit_code == 2
    assert "no such file" in str(refusal)
    assert str(refusal).startswith("config.json is refused")


def test_a_folder_and_a_device(tmp_path: Path) -> None:
    assert "is a folder" in str(refused(tmp_path))
    assert "not a regular file" in str(refused(Path("/dev/zero")))


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refusal = refused(tmp_path / "pipe")
    assert refusal.exit_code == 2
    assert "not a regular file" in str(refusal)


def test_a_dangling_link_and_a_circle(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "no such file" in str(refused(tmp_path / "dangling"))
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    refusal = refused(tmp_path / "circle")
    assert refusal.exit_code == 2
    assert "cannot be read" in str(refusal)


def test_names_no_file_can_have(tmp_path: Path) -> None:
    assert refused(tmp_path / "a\0b").exit_code == 2
    assert refused(tmp_path / ("x" * 5000)).exit_code == 2
    assert refused(EXAMPLE / "below-a-file").exit_code == 2


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", denied)
    refusal = refused(tmp_path / "config.json")
    assert refusal.exit_code == 2
    assert "permission denied" in str(refusal)


def test_failures_are_told_without_the_path() -> None:
    assert failure_text(PermissionError(13, "Permission denied", "/secret/path")) == "permission denied"
    assert failure_text(OSError("custom /secret/path")) == "OSError"


@pytest.mark.parametrize(
    ("content", "exit_code"),
    [
        (b"", 2),
        (b"\xff\xfe", 2),
        (b'{"a": "\xff"}', 2),
        (b"{", 2),
        (b'{"timeframe": "15m",}', 2),
        (b'{"seller_params": {"vol_z": NaN}}', 2),
        (b'{"seller_params": {"vol_z": 1e999}}', 1),
        (b'{"timeframe": "15m", "timeframe": "5m"}', 1),
        (b"[" * 21 + b"]" * 21, 1),
        (b" " * (1024 * 1024 + 1), 1),
        (b"[]", 1),
        (b'{"timeframe": "4h"}', 1),
        (b'{"unknown": 1}', 1),
        (b'{"strategy_name": "\\ud800"}', 1),
    ],
)
def test_exit_codes(tmp_path: Path, content: bytes, exit_code: int) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    report = check_file(path)
    assert report.exit_code == exit_code
    assert not report.valid
    assert report.errors
    assert refused(path).exit_code == exit_code


def test_a_flawed_value_is_reported_once_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        '{\n "timeframe": NaN,\n "seller_params": {"vol_z": "2"},\n "exchange": {"testnet": 1}\n}'
    )
    report = check_file(path)
    assert [(finding.key, finding.line) for finding in report.errors] == [
        ("timeframe", 2),
        ("seller_params.vol_z", 3),
        ("exchange.testnet", 4),
    ]
    assert report.exit_code == 2


def test_the_refusal_carries_every_finding(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"timeframe": "4h", "exchange": {"api_key": "hunter2"}}')
    refusal = refused(path)
    assert len(refusal.report.errors) == 2
    assert "timeframe" in str(refusal)
    assert "hunter2" not in str(refusal)
