"""The copy that an emergency stop works in when the data directory cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.compose import rescue
from agent.store.data_dir import DataDir
from agent.store.trouble import StoreTrouble


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place that counts as another file system."""
    place = Path("/dev/shm") / f"rescue-test-{os.getpid()}"
    if not place.parent.is_dir() or place.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    place.mkdir()
    monkeypatch.setattr(rescue, "_places", lambda: iter((tmp_path, place)))
    yield place
    for folder in place.iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    place.rmdir()


def stored(tmp_path: Path, tag: str = "abc") -> DataDir:
    directory = DataDir(tmp_path / "data")
    directory.path.mkdir(exist_ok=True)
    (directory.path / "install-tag").write_text(tag)
    (directory.path / ".env").write_text("EXCHANGE_API_SECRET=not-to-be-copied")
    directory.candles_db.write_bytes(b"rebuilt from the exchange")
    return directory


def test_who_comes_later_goes_on_in_the_same_copy(tmp_path: Path, elsewhere: Path) -> None:
    directory = stored(tmp_path)
    first = rescue.copy_of(directory)
    assert first.path.parent == elsewhere
    assert sorted(f.name for f in first.path.iterdir()) == ["install-tag", "whole"]
    assert first.path.stat().st_mode & 0o077 == 0
    (first.path / "install-tag").write_text("what was done")
    assert rescue.copy_of(directory) == first
    assert (first.path / "install-tag").read_text() == "what was done"


def test_what_was_stored_since_is_copied_anew_and_the_old_copy_kept(tmp_path: Path, elsewhere: Path) -> None:
    directory = stored(tmp_path)
    first = rescue.copy_of(directory)
    Path(f"{directory.trades_db}-wal").write_bytes(b"a position more")
    again = rescue.copy_of(directory)
    assert again == first
    assert Path(f"{again.trades_db}-wal").read_bytes() == b"a position more"
    assert len([*elsewhere.iterdir()]) == 2


def test_a_copy_that_was_not_finished_is_made_again(tmp_path: Path, elsewhere: Path) -> None:
    directory = stored(tmp_path)
    first = rescue.copy_of(directory)
    (first.path / "whole").unlink()
    stored(tmp_path, "newer")
    assert (rescue.copy_of(directory).path / "install-tag").read_text() == "newer"


def test_a_folder_that_others_may_read_is_not_used(tmp_path: Path, elsewhere: Path) -> None:
    directory = stored(tmp_path)
    folder = rescue.copy_of(directory).path
    folder.chmod(0o755)
    with pytest.raises(StoreTrouble, match="close what is open at the exchange"):
        rescue.copy_of(directory)
