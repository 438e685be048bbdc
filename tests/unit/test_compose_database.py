"""The server at a start: gone on from, compared, waited for, and never in the way of what is open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from config_documents import accepted

from agent.compose.database import open_database
from agent.compose.install_tag import install_tag
from agent.config.model import Config
from agent.core.position import PositionState
from agent.doctor.database_checks import database_server
from agent.store.batch import Batch, Selection
from agent.store.courier import Courier, Road
from agent.store.data_dir import DataDir
from agent.store.database import Place
from agent.store.exports import EXPORTS, export_rows
from agent.store.far_ledger import Claimed, FarLedger
from agent.store.ledger import Ledger
from agent.store.prepare import prepare
from agent.store.reading import Reader
from agent.store.spool import begin_copy, leave_out_a_number
from agent.store.trouble import StoreTrouble
from tests.postgres_ground import PASSWORD, PostgresServer
from tests.store_ground import SCOPE, T0, Store, bar_batch, order, position

NOWHERE = "postgresql://trader@127.0.0.1:9/x"


def asking_for(url: str | None) -> Config:
    return accepted(agent={"database_url": url})


class Machines:
    """Data directories that follow one database."""

    def __init__(self, root: Path, postgres: PostgresServer) -> None:
        self.root = root
        self.place = postgres.emptied("ada")
        self.config = asking_for(postgres.url(application_name="ada"))
        self._opened: list[FarLedger] = []

    def directory(self, name: str) -> DataDir:
        directory = DataDir(self.root / name)
        if not directory.path.exists():
            directory.create()
            prepare(directory.trades_db)
        return directory

    def start(self, name: str) -> FarLedger:
        database = open_database(self.config, self.directory(name), SCOPE.agent_id)
        assert database is not None
        assert database.far is not None
        assert database.trouble is None
        self._opened.append(database.far)
        return database.far

    def live(self, name: str, *batches: Batch, sent: bool = True) -> None:
        """One run that writes `batches`; `sent` False: the server gets nothing of it."""
        far = self.start(name)
        ledger = Ledger.open(self.directory(name).trades_db, SCOPE)
        assert ledger.spool is not None
        courier = Courier(far, ledger.spool, self.directory(name).trades_db, Road())
        if sent:
            courier.start()
        ledger.commit(*batches)
        if sent:
            courier.arrived().result(30)
        courier.close()
        ledger.close()
        far.hang_up()

    def rows(self, name: str) -> dict[str, list[object]]:
        return everything(self.directory(name).trades_db)

    def close(self) -> None:
        for one in self._opened:
            one.hang_up()


def everything(place: Place) -> dict[str, list[object]]:
    with closing(Reader.open(place)) as reader:
        rows = {kind: list(export_rows(reader, kind, Selection())) for kind in EXPORTS if kind != "costs"}
    return {kind: [{**row, "intent_id": 0} for row in found] for kind, found in rows.items()}


@pytest.fixture
def machines(tmp_path: Path, postgres: PostgresServer) -> Iterator[Machines]:
    with closing(Machines(tmp_path, postgres)) as made:
        yield made


def test_without_an_address_there_is_no_server(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    prepare(directory.trades_db)
    begin_copy(directory.trades_db, "ada")
    assert open_database(asking_for(None), directory, SCOPE.agent_id) is None
    assert Ledger.open(directory.trades_db, SCOPE).spool is None, "nothing is kept for a server any more"


def test_a_new_machine_goes_on_where_the_lost_one_ended(machines: Machines) -> None:
    state = {"agent": {"n": 1}}
    bought = order("sq7z1buy1", position_id=1)
    held = Batch(
        T0, positions=(position(state=PositionState.IN_POSITION),), orders=(bought,), documents=state
    )
    machines.live("lost", held, *(bar_batch(n) for n in range(1, 9)))
    machines.start("new")
    assert machines.rows("new") == machines.rows("lost")
    with closing(Ledger.open(machines.directory("new").trades_db, SCOPE)) as ledger:
        stored = ledger.load()
    assert (stored.documents, [p.id for p in stored.positions]) == (state, [1])
    assert install_tag(machines.directory("new").path) == "sq7z1", "orders that no row knows are known by it"


def test_a_ledger_that_was_restored_without_its_mark_brings_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with closing(store.ledger()) as ledger:
        ledger.commit(Batch(T0, orders=(order("sq7z1buy1"),)))
        ledger.commit(Batch(T0, orders=(order("salr8buy2"),)))
    assert install_tag(tmp_path) == install_tag(tmp_path) == "salr8"
    (tmp_path / "install-tag").write_text("sours\n")
    assert install_tag(tmp_path) == "sours", "a file that is there counts"


def test_without_a_ledger_the_mark_is_new_and_stays(tmp_path: Path) -> None:
    made = install_tag(tmp_path)
    assert (len(made), made[0]) == (5, "s")
    assert install_tag(tmp_path) == made
    assert (tmp_path / "install-tag").stat().st_mode & 0o777 == 0o600


def test_a_link_in_place_of_the_mark_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "install-tag").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        install_tag(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_the_machine_that_comes_back_flat_goes_on_too_and_keeps_what_it_had(machines: Machines) -> None:
    machines.live("first", bar_batch(1))
    machines.live("second", bar_batch(2))
    machines.live("first", bar_batch(3))
    assert [r["bar"] for r in machines.rows("first")["decisions"]] == [
        "1970-01-01T00:15:00.000Z",
        "1970-01-01T00:30:00.000Z",
        "1970-01-01T00:45:00.000Z",
    ]
    assert list(machines.directory("first").path.glob("trades-replaced-*.db"))


def test_what_only_the_machine_that_comes_back_knows_is_never_thrown_away(machines: Machines) -> None:
    machines.live("first", bar_batch(1))
    machines.live("first", bar_batch(2), sent=False)
    machines.live("second", bar_batch(5))
    with pytest.raises(StoreTrouble, match="written from another data directory"):
        machines.start("first")
    assert len(machines.rows("first")["decisions"]) == 2


def test_a_restored_ledger_counts_and_the_server_gets_its_rows_anew(machines: Machines) -> None:
    machines.live("here", bar_batch(1))
    database = machines.directory("here").trades_db
    shutil.copy(database, machines.root / "backup.db")
    machines.live("here", bar_batch(2))
    replaced = 2
    shutil.copy(machines.root / "backup.db", database)
    leave_out_a_number(database, replaced)
    machines.live("here", bar_batch(3))
    assert everything(machines.place) == machines.rows("here")
    assert len(machines.rows("here")["decisions"]) == 2


def test_a_server_away_refuses_a_first_start_and_no_later_one(machines: Machines, tmp_path: Path) -> None:
    nowhere = asking_for(NOWHERE)
    with pytest.raises(StoreTrouble, match="first start with a database must reach it"):
        open_database(nowhere, machines.directory("new"), SCOPE.agent_id)
    machines.live("known", bar_batch(1))
    later = open_database(nowhere, machines.directory("known"), SCOPE.agent_id)
    assert later is not None
    assert "cannot be reached" in str(later.trouble)


def test_a_server_away_or_an_address_that_is_wrong_never_stops_what_is_open(machines: Machines) -> None:
    machines.live("open", Batch(T0, positions=(position(state=PositionState.IN_POSITION),)))
    wrong = asking_for(str(machines.config.agent.database_url.reveal()).replace(PASSWORD, "wrong"))  # type: ignore[union-attr]
    for config in (asking_for(NOWHERE), wrong):
        database = open_database(config, machines.directory("open"), SCOPE.agent_id)
        assert database is not None
        assert database.far is not None
        assert not database.far.is_connected, "what is open does not wait for an answer"
    nonsense = asking_for("postgresql://trader:p@ss/w@127.0.0.1/x")
    unusable = open_database(nonsense, machines.directory("open"), SCOPE.agent_id)
    assert unusable is not None
    assert unusable.far is None
    assert "no address that can be used" in str(unusable.trouble)
    with pytest.raises(StoreTrouble, match="refuses this user"):
        open_database(wrong, machines.directory("flat"), SCOPE.agent_id)


def test_another_engine_of_the_name_keeps_a_flat_start_out(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.compose.database._GHOST_ENDS_WITHIN_S", 0.0)
    machines.live("open", Batch(T0, positions=(position(state=PositionState.IN_POSITION),)))
    other = FarLedger(machines.place)
    other.connect()
    try:
        with pytest.raises(Claimed, match="another engine works for agent ada"):
            machines.start("flat")
        assert not machines.start("open").is_connected
    finally:
        other.hang_up()


def test_the_password_is_no_part_of_what_is_stored(machines: Machines) -> None:
    assert machines.config.agent.database_url is not None
    assert PASSWORD in machines.config.agent.database_url.reveal()
    assert PASSWORD not in machines.config.canonical
    assert "127.0.0.1" in machines.config.canonical
    other = asking_for(machines.config.agent.database_url.reveal().replace(PASSWORD, "another"))
    assert other.config_hash == machines.config.config_hash


async def test_the_doctor_looks_at_the_server_and_claims_nothing(machines: Machines) -> None:
    machines.live("here", bar_batch(1))
    running = machines.start("here")
    found = await database_server(machines.config, machines.directory("here"))
    assert [f.light.value for f in found] == ["green", "green"]
    assert "syncs every commit" in found[0].text
    assert "has every change" in found[1].text
    running.hang_up()
    (away,) = await database_server(asking_for(NOWHERE), machines.directory("here"))
    assert (away.light.value, "cannot be reached" in away.text) == ("red", True)
