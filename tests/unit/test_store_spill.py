"""What a full disk kept from the ledger: written in place, torn records ignored, imported exactly once."""

from __future__ import annotations

import zlib

import pytest
from stored_agents import PAPER, open_position, order, positions_batch, store

from agent.core.order import OrderStatus, Side
from agent.core.records import EventRow
from agent.store.batch import Batch, PaperChange, PaperOrder
from agent.store.importing import import_spilled
from agent.store.ledger import Ledger
from agent.store.reading import Reader
from agent.store.spill import NAME, SIZE, SpillFile
from agent.store.trouble import StoreTrouble


def batch(text, **more):
    return Batch(7, rows=(EventRow(7, "CRITICAL", "emergency", text),), **more)


def events(directory):
    reader = Reader.open(directory / "trades.db")
    try:
        return [row.text for row in reader.events(PAPER.selection, limit=100)]
    finally:
        reader.close()


def test_batches_come_back_as_they_were(tmp_path):
    file = SpillFile(tmp_path)
    file.allocate()
    sold = order(1, "sold1", Side.SELL, "5", OrderStatus.FILLED)
    paper = PaperChange(
        {"balances": {"USDT": "1.50"}},
        (PaperOrder("sold1", "9", "SELL", "MARKET", "FILLED", sold.intent.qty, None, sold.intent.qty, 7),),
    )
    batches = (batch("one", orders=(sold,), documents={"agent": {"a": 1}}), batch("two", paper=paper))
    file.append(PAPER, *batches)
    file.append(PAPER, *positions_batch_of())
    found, mark = file.read(PAPER)
    assert found == (*batches, *positions_batch_of())
    assert mark
    assert file.path.stat().st_size == SIZE, "it never grows"


def positions_batch_of():
    return (positions_batch(open_position()),)


def test_a_torn_record_ends_the_file_and_the_next_takes_its_place(tmp_path):
    file = SpillFile(tmp_path)
    file.allocate()
    file.append(PAPER, batch("one"))
    first = file.read(PAPER)[0]
    file.append(PAPER, batch("two"))
    content = bytearray(file.path.read_bytes())
    content[len(bytes(content).rstrip(b"\0")) - 3] ^= 0xFF
    file.path.write_bytes(content)
    assert file.read(PAPER)[0] == first
    file.append(PAPER, batch("three"))
    assert [b.rows[0].text for b in file.read(PAPER)[0]] == ["one", "three"]


def test_an_import_happens_once_also_when_it_was_interrupted(tmp_path):
    store(tmp_path, positions_batch(open_position()))
    file = SpillFile(tmp_path)
    file.append(PAPER, batch("sold"))
    kept = file.path.read_bytes()
    assert import_spilled(tmp_path, tmp_path / "trades.db") == (PAPER,)
    assert events(tmp_path).count("sold") == 1
    assert file.scopes() == ()
    # Killed between the commit and the clearing of the file.
    file.path.write_bytes(kept)
    assert import_spilled(tmp_path, tmp_path / "trades.db") == ()
    assert events(tmp_path).count("sold") == 1
    assert file.scopes() == ()


def test_without_a_file_there_is_nothing_to_import(tmp_path):
    store(tmp_path, positions_batch(open_position()))
    assert import_spilled(tmp_path, tmp_path / "trades.db") == ()


def test_a_record_of_another_version_is_kept_and_said(tmp_path):
    store(tmp_path, positions_batch(open_position()))
    file = SpillFile(tmp_path)
    file.append(PAPER, batch("sold"))
    changed = file.path.read_bytes().replace(b'"rows"', b'"ROWS"')
    body = changed[16:].rstrip(b"\0")
    file.path.write_bytes(b"%08x%08x" % (len(body), zlib.crc32(body)) + body)
    with pytest.raises(StoreTrouble, match=NAME):
        import_spilled(tmp_path, tmp_path / "trades.db")
    assert file.path.read_bytes()[16:] == body


def test_what_the_ledger_never_saw_is_there_after_the_import(tmp_path):
    store(tmp_path, positions_batch(open_position()))
    sold = order(1, "sold1", Side.SELL, "1000", OrderStatus.FILLED)
    SpillFile(tmp_path).append(PAPER, batch("sold", orders=(sold,)))
    import_spilled(tmp_path, tmp_path / "trades.db")
    ledger = Ledger.open(tmp_path / "trades.db", PAPER, read_only=True)
    try:
        assert "sold1" in {o.intent.client_id for o in ledger.load().orders}
    finally:
        ledger.close()
