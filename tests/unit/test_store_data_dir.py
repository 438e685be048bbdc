"""Where things live, who may work there, and what is said when that is impossible."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.store.data_dir import DataDir
from agent.store.instance_lock import Holder, InstanceLock, LockHeld, holder_of, process_birth
from agent.store.trouble import StoreTrouble, file_trouble
from tests.store_ground import T0

NOBODY = 65534


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Without root's power to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A directory that may be entered and read but not written."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o555)
    yield directory
    directory.chmod(0o700)
    directory.rmdir()


def test_the_option_wins_over_the_environment_over_the_configs_folder(tmp_path: Path) -> None:
    config, environ = tmp_path / "conf" / "config.json", {"AGENT_DATA_DIR": str(tmp_path / "env")}
    assert DataDir.resolve(str(tmp_path / "option"), environ, config).path == tmp_path / "option"
    assert DataDir.resolve(None, environ, config).path == tmp_path / "env"
    assert DataDir.resolve(None, {}, config).path == tmp_path / "conf"
    assert DataDir.resolve(None, {"AGENT_DATA_DIR": ""}, None).path == Path.cwd()


def test_a_home_directory_is_understood_and_paths_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/trader")
    assert DataDir.resolve("~/agent", {}, None).path == Path("/home/trader/agent")
    assert DataDir.resolve("data", {}, None).path == Path.cwd() / "data"


def test_the_names_in_it_are_fixed(tmp_path: Path) -> None:
    place = DataDir(tmp_path)
    names = [place.trades_db, place.candles_db, place.lock_file, place.log_file, place.backups]
    assert [str(p.relative_to(tmp_path)) for p in names] == [
        "trades.db",
        "candles.db",
        "agent.lock",
        "logs/agent.log",
        "backups",
    ]


def test_it_is_made_for_its_owner_alone_and_left_empty(tmp_path: Path) -> None:
    place = DataDir(tmp_path / "a" / "b")
    place.create()
    place.create()
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o700
    assert list(place.path.iterdir()) == []


def test_an_existing_directory_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    DataDir(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_a_directory_that_may_not_be_written_is_a_sentence(forbidden: Path) -> None:
    sentence = (
        r"writing .* failed: this user may not write there; correct the owner and permissions, or choose"
    )
    with as_somebody_else(), pytest.raises(StoreTrouble, match=sentence):
        DataDir(forbidden).create()
    with (
        as_somebody_else(),
        pytest.raises(StoreTrouble, match=r"creating the data directory .* may not write"),
    ):
        DataDir(forbidden / "new").create()
    with (
        as_somebody_else(),
        pytest.raises(StoreTrouble, match=r"opening the lock file .* may not write there"),
    ):
        InstanceLock.take(forbidden / "agent.lock", at_ms=T0)


def test_a_file_in_the_directorys_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreTrouble, match="a file is where a directory should be; choose another --data-dir"
    ):
        DataDir(tmp_path / "file").create()
    with pytest.raises(StoreTrouble, match="a file is where a directory should be"):
        DataDir(tmp_path / "file" / "below").create()


def test_a_full_disk_is_noticed_before_anything_is_traded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreTrouble, match=r"is full; free some space and try again"):
        DataDir(tmp_path).create()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "full; free some space"),
        (errno.EDQUOT, "full; free some space"),
        (errno.EROFS, "read-only; remount it writable"),
        (errno.EACCES, "may not write there"),
        (errno.EIO, "I/O error; check the disk"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_every_error_of_a_file_says_where_why_and_what_to_do(number: int, words: str) -> None:
    told = str(file_trouble(OSError(number, os.strerror(number)), Path("/data/x"), "writing"))
    assert told.startswith("writing /data/x failed: ")
    assert words in told


# --- the lock ------------------------------------------------------------------------------------


def test_one_holds_it_the_next_is_told_who(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    assert holder_of(path) is None
    with InstanceLock.take(path, at_ms=T0):
        me = Holder(os.getpid(), T0, process_birth(os.getpid()))
        assert holder_of(path) == me
        assert me.is_alive
        with pytest.raises(
            LockHeld, match=rf"process {os.getpid()} \(since 2025-01-15T14:32:05.000Z\)"
        ) as held:
            InstanceLock.take(path, at_ms=T0 + 1)
        assert held.value.holder == me
    assert holder_of(path) is None
    with InstanceLock.take(path, at_ms=T0 + 2):
        pass


def test_the_lock_file_is_private_and_not_followed_through_a_link(tmp_path: Path) -> None:
    with InstanceLock.take(tmp_path / "agent.lock", at_ms=T0):
        assert stat.S_IMODE((tmp_path / "agent.lock").stat().st_mode) == 0o600
    (tmp_path / "target").write_text("precious")
    os.symlink(tmp_path / "target", tmp_path / "link.lock")
    with pytest.raises(StoreTrouble, match="symbolic link"):
        InstanceLock.take(tmp_path / "link.lock", at_ms=T0)
    assert (tmp_path / "target").read_text() == "precious"


def test_release_twice_is_harmless(tmp_path: Path) -> None:
    lock = InstanceLock.take(tmp_path / "agent.lock", at_ms=T0)
    lock.release()
    lock.release()


def test_what_a_killed_holder_left_behind_names_nobody(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    path.write_text(json.dumps({"pid": os.getpid(), "taken_ms": T0, "birth": "another boot:1"}))
    assert holder_of(path) is None
    with InstanceLock.take(path, at_ms=T0):
        assert holder_of(path) is not None


def test_who_queues_is_the_next_to_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "agent.lock"
    first = InstanceLock.take(path, at_ms=1)
    next_one = InstanceLock.queue(path)
    with pytest.raises(LockHeld):
        InstanceLock.take(path, at_ms=2)
    first.release()
    while holder_of(path) is None:
        pass
    with pytest.raises(LockHeld):
        InstanceLock.take(path, at_ms=3)
    next_one.release()
    InstanceLock.take(path, at_ms=4).release()


def test_a_process_that_lives_or_is_gone_is_not_doomed() -> None:
    me = os.getpid()
    assert not Holder(me, 0, process_birth(me)).is_doomed
    with subprocess.Popen(["sleep", "60"]) as other:
        stopped = Holder(other.pid, 0, process_birth(other.pid))
        other.send_signal(signal.SIGSTOP)
        assert not stopped.is_doomed
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not stopped.is_doomed, "nothing of it is left that could hold a lock"
    assert not stopped.is_doomed


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x"}', "[]", "\0\0"])
def test_a_holder_that_does_not_say_its_name_still_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda pause: None)
    path = tmp_path / "agent.lock"
    with InstanceLock.take(path, at_ms=T0):
        path.write_text(content)
        assert holder_of(path) == Holder(0, 0, "")
        with pytest.raises(LockHeld, match="another process already runs") as held:
            InstanceLock.take(path, at_ms=T0)
        assert held.value.holder is None


def test_somebody_who_only_asks_does_not_keep_an_engine_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agent.lock"
    path.touch()
    asking = InstanceLock.take(path, at_ms=T0)
    path.write_text("")
    monkeypatch.setattr("time.sleep", lambda pause: asking.release())
    with InstanceLock.take(path, at_ms=T0 + 1):
        named = holder_of(path)
    assert named is not None
    assert named.taken_ms == T0 + 1


def test_processes_are_told_apart_by_their_birth() -> None:
    assert process_birth(os.getpid())
    assert process_birth(os.getpid()) != process_birth(1)
    assert process_birth(2**22 + 1) == ""
    assert not Holder(os.getpid(), T0, "").is_alive
