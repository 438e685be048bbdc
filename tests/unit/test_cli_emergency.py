"""emergency-stop: the latch first, the engine's confirmation, and what is left, told and counted."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace

from control_fakes import OTHER
from engine_threads import ScriptedDoor, engine
from status_documents import HALT, flat_status, full_status
from stored_agents import PAPER, closed_position, open_position, order, positions_batch, store

from agent.cli import main
from agent.control.control_file import ControlFile, write_control_file
from agent.core.order import OrderStatus, Side
from agent.store.batch import Batch
from agent.store.instance_lock import InstanceLock
from agent.store.latch import Latch

#: Nothing listens there.
NOWHERE = "http://127.0.0.1:9"
FLAT = {**HALT, "flat": True, "remaining": []}


def latch(data_dir):
    return Latch(data_dir / "halt.latch").read()


def stop(data_dir, *words):
    return main(["emergency-stop", "--yes", "--data-dir", str(data_dir), *words])


def test_the_running_engine_is_told_and_watched_until_flat(tmp_path, capsys):
    door = ScriptedDoor(full_status(), full_status(halt=HALT), flat_status(halt=FLAT))
    with engine(tmp_path, door):
        assert stop(tmp_path) == 0
    assert door.emergencies == ["command line"]
    told = capsys.readouterr()
    assert "The engine confirmed" in told.err
    assert "still open: position 3: 1234.5 ADA" in told.err
    assert told.out == "Halted and flat. To trade again: clear-halt, then start.\n"
    assert latch(tmp_path).reason == "emergency"
    assert latch(tmp_path).at_ms > 0


def test_the_latch_is_on_disk_before_the_engine_is_asked(tmp_path):
    seen = []

    class Watching(ScriptedDoor):
        async def emergency(self, by):
            seen.append(latch(tmp_path))
            return await super().emergency(by)

    with engine(tmp_path, Watching(flat_status(halt=FLAT))):
        assert stop(tmp_path) == 0
    assert seen[0].at_ms > 0


def test_not_yet_flat_is_exit_6_and_says_what_is_left(tmp_path, capsys):
    with engine(tmp_path, ScriptedDoor(full_status(halt=HALT))):
        assert stop(tmp_path, "--wait", "0") == 6
    told = capsys.readouterr().err
    assert "The engine goes on closing it." in told
    assert "Halted, not yet flat. Still open: position 3: 1234.5 ADA." in told


def test_json_says_what_happened(tmp_path, capsys):
    with engine(tmp_path, ScriptedDoor(full_status(halt=HALT))):
        assert stop(tmp_path, "--wait", "0", "--json") == 6
    assert json.loads(capsys.readouterr().out) == {
        "latched": True,
        "flat": False,
        "remaining": ["position 3: 1234.5 ADA"],
        "engine": "acknowledged",
        "others": [],
    }


def test_it_works_between_versions(tmp_path):
    door = ScriptedDoor(flat_status(halt=FLAT))
    with engine(tmp_path, door, OTHER):
        assert stop(tmp_path) == 0
    assert door.emergencies == ["command line"]


def test_an_emergency_that_is_set_keeps_its_time_and_overrides_a_daily_loss(tmp_path):
    Latch.create(tmp_path).set("emergency", 4711)
    assert stop(tmp_path) == 0
    assert (latch(tmp_path).reason, latch(tmp_path).at_ms) == ("emergency", 4711)
    Latch.create(tmp_path).set("daily_loss", 4711)
    assert stop(tmp_path) == 0
    assert latch(tmp_path).reason == "emergency"


def test_without_an_engine_the_next_start_is_halted_and_flat_is_exit_0(tmp_path, capsys):
    store(tmp_path, positions_batch(closed_position()))
    assert stop(tmp_path) == 0
    assert latch(tmp_path).reason == "emergency"
    told = capsys.readouterr()
    assert "Nothing is stored as open." in told.err
    assert "Halted and flat" in told.out


def test_without_engine_and_exchange_what_is_open_is_named_and_exit_is_5(tmp_path, capsys):
    unknown = order(2, "lost2", Side.BUY, "500", OrderStatus.UNKNOWN)
    there = replace(PAPER, venue=f"binance@{NOWHERE.partition('//')[2]}")
    store(tmp_path, positions_batch(open_position()), Batch(at_ms=1, orders=(unknown,)), scope=there)
    (tmp_path / "config.json").write_text("{}")
    told = ("--config", str(tmp_path / "config.json"), "--exchange-url", NOWHERE)
    assert stop(tmp_path, "--json", "--wait", "0.2", *told) == 5
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["engine"] == "none"
    assert document["remaining"] == [
        f"position 1: 1000 ADA (paper, ADA/USDT on {there.venue})",
        f"order lost2: BUY 500 ADA, UNKNOWN (paper, ADA/USDT on {there.venue})",
    ]
    assert "Halted, but the exchange cannot be reached." in told.err
    assert latch(tmp_path).at_ms > 0


def test_without_any_configuration_it_says_so_and_exit_is_6(tmp_path, capsys):
    store(tmp_path, positions_batch(open_position()))
    assert stop(tmp_path, "--json") == 6
    why, held = json.loads(capsys.readouterr().out)["remaining"]
    assert "its configuration cannot be read, name one with --config" in why
    assert held == f"position 1: 1000 ADA (paper, ADA/USDT on {PAPER.venue})"


def test_an_engine_that_does_not_answer_within_a_second_is_named(tmp_path, capsys):
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        write_control_file(tmp_path, ControlFile(frozen.getsockname()[1], "t", os.getpid(), 1, 1))
        with InstanceLock.take(tmp_path / "agent.lock", at_ms=1):
            assert stop(tmp_path) == 6
    told = capsys.readouterr().err
    assert f"(process {os.getpid()}) did not answer within 1 s" in told
    assert "this very process holds the lock" in told
    assert latch(tmp_path).at_ms > 0


def test_an_engine_that_holds_the_lock_but_does_not_listen_is_not_called_absent(tmp_path, capsys):
    store(tmp_path, positions_batch(closed_position()))
    with InstanceLock.take(tmp_path / "agent.lock", at_ms=1):
        assert stop(tmp_path) == 6
        assert main(["pause", "--yes", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.count(f"Process {os.getpid()} works in {tmp_path} but does not listen") == 2
    assert latch(tmp_path).at_ms > 0


def test_a_store_that_cannot_be_read_is_not_called_flat(tmp_path, capsys):
    (tmp_path / "trades.db").write_bytes(b"not a database at all" * 100)
    assert stop(tmp_path) == 6
    assert "the store cannot be read" in capsys.readouterr().err


def test_a_wrong_directory_is_refused_rather_than_called_safe(tmp_path, capsys):
    assert stop(tmp_path / "typo") == 1
    assert "nothing was stopped" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


def test_a_latch_that_cannot_be_written_is_said_aloud(tmp_path, capsys):
    (tmp_path / "halt.latch").mkdir()
    assert stop(tmp_path, "--json") == 6
    told = capsys.readouterr()
    assert json.loads(told.out)["latched"] is False
    assert "NOT LATCHED" in told.err


def test_the_engine_halts_even_when_the_latch_file_cannot_be_written(tmp_path, capsys):
    (tmp_path / "halt.latch").mkdir()
    with engine(tmp_path, ScriptedDoor(flat_status(halt=FLAT))):
        assert stop(tmp_path) == 0
    assert "The latch file could not be written" in capsys.readouterr().err


def test_without_yes_and_terminal_it_only_says_what_would_happen(tmp_path, capsys):
    door = ScriptedDoor(full_status())
    with engine(tmp_path, door):
        assert main(["emergency-stop", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "cancel 1 order, sell 1 position at market (1,234.5 ADA" in told
    assert door.emergencies == []
    assert not (tmp_path / "halt.latch").exists()


def test_addresses_are_checked_before_anything_is_done(tmp_path, capsys):
    assert stop(tmp_path, "--exchange-url", "ftp://somewhere") == 1
    assert not (tmp_path / "halt.latch").exists()
    assert "--exchange-url" in capsys.readouterr().err


def test_the_folder_of_the_configuration_is_the_default_directory(tmp_path):
    assert main(["emergency-stop", "--yes", "--config", str(tmp_path / "config.json")]) == 0
    assert latch(tmp_path).at_ms > 0
