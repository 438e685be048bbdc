"""The halt latch: set and cleared, on a full disk, and in doubt."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from agent.store.latch import NAME, SIZE, Halted, Latch
from agent.store.trouble import StoreTrouble
from tests.store_ground import T0


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch.create(tmp_path)


def test_a_new_latch_is_clear_private_and_has_its_final_size(latch: Latch, tmp_path: Path) -> None:
    assert latch.read() is None
    status = (tmp_path / NAME).stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (SIZE, 0o600)
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_set_is_seen_by_everybody_and_survives(latch: Latch, tmp_path: Path) -> None:
    latch.set("emergency", T0)
    assert latch.read() == Halted("emergency", T0)
    assert Latch.create(tmp_path).read() == Halted("emergency", T0)
    assert Latch(tmp_path / NAME).read() == Halted("emergency", T0)


def test_clear_opens_again_and_the_file_stays_the_same(latch: Latch, tmp_path: Path) -> None:
    inode = (tmp_path / NAME).stat().st_ino
    latch.set("daily_loss", T0)
    latch.clear()
    assert latch.read() is None
    assert (tmp_path / NAME).stat().st_ino == inode
    assert (tmp_path / NAME).stat().st_size == SIZE


@pytest.mark.parametrize("reason", ["", "a" * 5000, "ü\n\0\ud800" * 500, '","clear'])
def test_any_reason_fits(latch: Latch, tmp_path: Path, reason: str) -> None:
    latch.set(reason, T0)
    halted = latch.read()
    assert halted is not None
    assert halted.at_ms == T0
    assert reason.startswith(halted.reason)
    assert (tmp_path / NAME).stat().st_size == SIZE


def test_setting_needs_no_space_on_the_disk(latch: Latch, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, hard))
    try:
        with pytest.raises(OSError):
            (tmp_path / "other").write_bytes(b"x" * (SIZE + 1))
        latch.set("emergency", T0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert latch.read() == Halted("emergency", T0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * SIZE,
        b"x" * SIZE,
        b"[]".ljust(SIZE),
        b'["HALT-LATCH-1", "clear", "", 0] 00000000'.ljust(SIZE),
        b'["HALT-LATCH-1", "clear", "", 0] 5f5f5f5f'.ljust(SIZE - 1),
    ],
)
def test_damage_counts_as_halted_until_it_is_cleared(latch: Latch, tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    halted = Latch.create(tmp_path).read()
    assert halted is not None
    assert "is damaged; make sure that nothing is open, then clear the halt" in halted.reason
    latch.clear()
    assert latch.read() is None


def test_a_set_latch_with_any_byte_changed_never_reads_as_clear(latch: Latch, tmp_path: Path) -> None:
    latch.set("emergency", T0)
    whole = bytearray((tmp_path / NAME).read_bytes())
    for place in range(80):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (tmp_path / NAME).write_bytes(damaged)
        assert latch.read() is not None


def test_a_clear_latch_with_something_behind_it_is_damaged(latch: Latch, tmp_path: Path) -> None:
    with open(tmp_path / NAME, "ab") as file:
        file.write(b"more")
    assert latch.read() is not None
    latch.clear()
    assert latch.read() is None


def test_a_removed_latch_counts_as_halted_and_can_still_be_set(latch: Latch, tmp_path: Path) -> None:
    (tmp_path / NAME).unlink()
    halted = latch.read()
    assert halted is not None
    assert "cannot be read: No such file" in halted.reason
    latch.set("emergency", T0)
    assert latch.read() == Halted("emergency", T0)


def test_a_link_is_not_followed(latch: Latch, tmp_path: Path) -> None:
    (tmp_path / NAME).rename(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / NAME)
    again = Latch.create(tmp_path)
    assert again.read() is not None
    with pytest.raises(StoreTrouble, match="symbolic link, which is not followed"):
        again.set("emergency", T0)
    assert Latch(tmp_path / "real").read() is None


def test_a_pipe_in_its_place_neither_hangs_nor_opens(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    latch = Latch.create(tmp_path)
    halted = latch.read()
    assert halted is not None
    assert "not a plain file" in halted.reason
    with pytest.raises(StoreTrouble):
        latch.set("emergency", T0)


def test_creating_leaves_a_latch_that_another_process_has_just_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Latch.create(tmp_path).set("emergency", T0)
    # As if we had looked before theirs was there.
    monkeypatch.setattr("os.path.lexists", lambda path: False)
    assert Latch.create(tmp_path).read() == Halted("emergency", T0)


def test_a_directory_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match=r"creating the halt latch .* failed: there is no directory"):
        Latch.create(tmp_path / "gone")


@pytest.mark.parametrize("halted", [False, True])
def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, halted: bool
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    latch = Latch(tmp_path / NAME) if halted else Latch.create(tmp_path)
    if halted:
        latch.set("emergency", T0)
    assert latch.read() == (Halted("emergency", T0) if halted else None)
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_setting_what_another_process_has_just_made_overwrites_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was gone, we make a new one, and somebody is faster with a clear one."""
    clear, link = Latch.create(tmp_path).path.read_bytes(), os.link
    (tmp_path / NAME).unlink()
    latch = Latch(tmp_path / NAME)

    def overtaken(source: Path, target: Path) -> None:
        target.write_bytes(clear)
        link(source, target)

    monkeypatch.setattr("os.link", overtaken)
    latch.set("emergency", T0)
    assert latch.read() == Halted("emergency", T0)
