"""A ledger kept twice: what a server gets, in which order, how often, and what happens while it is away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.core.order import Fact, OrderStatus, Side
from agent.core.records import EventRow
from agent.store import schema
from agent.store.batch import AcceptedConfig, Batch, Scope, Selection
from agent.store.courier import Courier, Road
from agent.store.database import open_engine
from agent.store.exports import EXPORTS, export_rows
from agent.store.far_ledger import Claimed, FarLedger
from agent.store.ledger import Ledger
from agent.store.meeting import Standing, compare
from agent.store.reading import Reader
from agent.store.server import Server
from agent.store.spool import Copy, begin_copy, end_copy, leave_out_a_number
from agent.store.trouble import StoreTrouble
from tests.postgres_ground import PostgresServer
from tests.store_ground import SCOPE, T0, Store, bar_batch, fill, order, position
from tests.tcp_proxy import TcpProxy

LONG_S = 30.0


class Told:
    """What the courier's watcher is told, and a way to wait for it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._changed = threading.Condition()

    @property
    def road(self) -> Road:
        return Road(
            away=lambda reason, final: self._say(f"away: {reason}"), in_step=lambda: self._say("in step")
        )

    def _say(self, text: str) -> None:
        with self._changed:
            self.said.append(text)
            self._changed.notify_all()

    def wait(self, beginning: str, times: int = 1) -> str:
        def found() -> list[str]:
            return [text for text in self.said if text.startswith(beginning)]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= times, LONG_S), self.said
        return found()[-1]


class Twice:
    """A file in `directory` and the server it is kept on too."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.path = Store(directory).path
        self.server = server
        self._opened: list[Ledger | Courier] = []

    def ledger(self, scope: Scope = SCOPE) -> Ledger:
        begin_copy(self.path, self.server.agent_id)
        ledger = Ledger.open(self.path, scope)
        self._opened.append(ledger)
        return ledger

    def courier(self, ledger: Ledger, told: Told, server: Server | None = None) -> Courier:
        assert ledger.spool is not None
        far = FarLedger(server or self.server)
        courier = Courier(far, ledger.spool, self.path, told.road, pauses_s=(0.02,), look_every_s=0.2)
        courier.start()
        self._opened.insert(0, courier)
        return courier

    def differences(self) -> list[str]:
        """Exports that are not the same in both places, to the last digit."""
        here, there = Reader.open(self.path), Reader.open(self.server)
        try:
            return [kind for kind in EXPORTS if kind != "costs" and _rows(here, kind) != _rows(there, kind)]
        finally:
            here.close()
            there.close()

    def close(self) -> None:
        for one in self._opened:
            one.close()


def _rows(reader: Reader, kind: str) -> list[dict[str, object]]:
    rows = [dict(row) for row in export_rows(reader, kind, Selection())]
    for row in rows:
        row.pop("intent_id", None)  # a number of the database itself
    return rows


@pytest.fixture
def twice(tmp_path: Path, postgres: PostgresServer) -> Iterator[Twice]:
    with closing(Twice(tmp_path, postgres.emptied("ada"))) as made:
        yield made


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[TcpProxy]:
    with closing(TcpProxy(postgres.port)) as made:
        yield made


def through(proxy: TcpProxy, postgres: PostgresServer, patience_s: float = 6.0) -> Server:
    return postgres.place("ada", port=proxy.port, patience_s=patience_s)


def a_trade(ledger: Ledger) -> None:
    """Bought and sold, in the steps in which it happens."""
    asked = order()
    bought = (
        asked.with_fact(Fact.WORKING).with_fill(fill("1")).with_fill(fill("2", qty="60", fee_currency="BNB"))
    )
    held = position()
    for one in bought.fills:
        held = held.with_fill(one, base="ADA", fee_in_quote=Decimal("0.01"))
    leaving = order("sell1", OrderStatus.UNKNOWN, side=Side.SELL)
    ledger.commit(Batch(T0, positions=(position(),), orders=(asked,), config=AcceptedConfig("c0", "{}", T0)))
    ledger.commit(
        Batch(T0 + 1, positions=(held,), orders=(bought, leaving), documents={"agent": {"n": [1.5]}})
    )
    ledger.commit(
        Batch(T0 + 2, orders=(bought,), fee_values={("buy1", "2"): Decimal("0.0123456789012345678")})
    )


def test_everything_arrives_once_and_in_order(twice: Twice) -> None:
    ledger, told = twice.ledger(), Told()
    courier = twice.courier(ledger, told)
    a_trade(ledger)
    ledger.commit(*(bar_batch(number) for number in range(1, 150)))
    courier.arrived().result(LONG_S)
    assert twice.differences() == []
    assert courier.kept == 0
    with closing(Reader.open(twice.server)) as reader, pytest.raises(StoreTrouble, match="need the candles"):
        list(export_rows(reader, "costs", Selection()))
    there = Ledger.open(twice.server, replace(SCOPE, agent_id="ada"), read_only=True)
    here = ledger.load()
    with closing(there):
        assert there.load() == here, "a restart from the server would find the same"


def test_a_file_that_was_alone_is_copied_whole_at_the_first_meeting(twice: Twice) -> None:
    alone = Ledger.open(twice.path, SCOPE)
    a_trade(alone)
    alone.commit(*(bar_batch(number) for number in range(1, 30)))
    alone.close()
    ledger = twice.ledger()
    courier = twice.courier(ledger, Told())
    ledger.commit(bar_batch(40))
    courier.arrived().result(LONG_S)
    assert twice.differences() == []


def test_while_the_server_is_away_changes_are_kept_and_sent_when_it_is_back(
    twice: Twice, postgres: PostgresServer
) -> None:
    ledger, told = twice.ledger(), Told()
    courier = twice.courier(ledger, told)
    ledger.commit(bar_batch(1))
    courier.arrived().result(LONG_S)
    told.wait("in step")
    postgres.stop(signal.SIGQUIT)
    try:
        told.wait("away: ")
        a_trade(ledger)
        with pytest.raises(StoreTrouble, match="cannot be reached"):
            courier.arrived().result(LONG_S)
        assert courier.kept == 3
    finally:
        postgres.start()
    told.wait("in step", times=2)
    assert twice.differences() == []
    assert len(told.said) == len(set(told.said)) + 1, "said once, and not at every try"


def test_what_is_kept_survives_a_restart_and_is_sent_then(twice: Twice) -> None:
    first = twice.ledger()
    a_trade(first)
    first.close()
    again = twice.ledger()
    courier = twice.courier(again, Told())
    courier.arrived().result(LONG_S)
    assert twice.differences() == []


@pytest.mark.parametrize("delivered", [True, False])
def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_doubled(
    twice: Twice, postgres: PostgresServer, proxy: TcpProxy, delivered: bool
) -> None:
    ledger, told = twice.ledger(), Told()
    courier = twice.courier(ledger, told, through(proxy, postgres))
    ledger.commit(bar_batch(1))
    courier.arrived().result(LONG_S)
    told.wait("in step")
    if delivered:
        proxy.cut_after = b"COMMIT"
    else:
        proxy.cut_after = b"UPDATE copies"
    # Events and balances have no key that could hide a second copy.
    ledger.commit(replace(bar_batch(2), rows=(*bar_batch(2).rows, EventRow(T0, "INFO", "told", "once"))))
    told.wait("in step", times=2)
    assert proxy.cut_after is None
    assert twice.differences() == []


def test_a_network_that_swallows_answers_is_given_up_in_time(
    twice: Twice, postgres: PostgresServer, proxy: TcpProxy
) -> None:
    ledger, told = twice.ledger(), Told()
    courier = twice.courier(ledger, told, through(proxy, postgres, patience_s=0.5))
    courier.arrived().result(LONG_S)
    told.wait("in step")
    proxy.swallows = True
    a_trade(ledger)
    assert "no answer" in told.wait("away: ")
    proxy.swallows = False
    proxy.reset()
    told.wait("in step", times=2)
    assert twice.differences() == []


def test_agents_in_one_database_never_see_each_others_rows(
    twice: Twice, postgres: PostgresServer, tmp_path: Path
) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    with closing(Twice(other_folder, postgres.place("btc"))) as other:
        one, two = twice.ledger(), other.ledger()
        couriers = twice.courier(one, Told()), other.courier(two, Told())
        a_trade(one)
        a_trade(two)
        two.commit(bar_batch(7), Batch(T0, documents={"agent": {"halt": "daily_loss"}}))
        for courier in couriers:
            courier.arrived().result(LONG_S)
        assert twice.differences() == []
        assert other.differences() == []
        with closing(Reader.open(twice.server)) as reader:
            assert {scope.agent_id for scope in reader.scopes() + reader.exposed_scopes()} == {"ada"}
            assert reader.decisions(Selection(), limit=9) == ()
            with pytest.raises(AssertionError, match="another agent's rows"):
                reader.trades(Selection(agent_id="btc"), limit=9)
        mine = Ledger.open(twice.server, replace(SCOPE, agent_id="ada"), read_only=True)
        with closing(mine):
            assert mine.load().documents == {"agent": {"n": [1.5]}}


def test_one_engine_for_a_name_wherever_it_runs(twice: Twice, postgres: PostgresServer) -> None:
    first, second = FarLedger(twice.server), FarLedger(postgres.place("ada"))
    first.connect()
    with pytest.raises(
        Claimed, match=r"another engine works for agent ada in .* \(a session from 127.0.0.1 since "
    ) as told:
        second.connect()
    assert told.value.by_namesake
    FarLedger(postgres.place("btc")).connect()
    first.claim("account u1 ADA/USDT", "ADA/USDT on account u1")
    third = FarLedger(postgres.place("eth"))
    third.connect()
    with pytest.raises(Claimed, match="works for ADA/USDT on account u1") as told:
        third.claim("account u1 ADA/USDT", "ADA/USDT on account u1")
    assert not told.value.by_namesake
    first.hang_up()
    second.connect()
    third.claim("account u1 ADA/USDT", "ADA/USDT on account u1")
    for one in (second, third):
        one.hang_up()


def test_rows_of_another_file_under_our_name_are_left_alone(
    twice: Twice, postgres: PostgresServer, tmp_path: Path
) -> None:
    courier = twice.courier(twice.ledger(), Told())
    courier.arrived().result(LONG_S)
    courier.close()
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    with closing(Twice(other_folder, twice.server)) as other:
        told = Told()
        ledger = other.ledger()
        a_trade(ledger)
        other.courier(ledger, told)
        assert "were written from another data directory" in told.wait("away: ")
    with closing(Reader.open(twice.server)) as reader:
        assert reader.trades(Selection(), limit=9) == ()


def test_a_server_that_was_left_out_for_a_while_gets_what_it_missed(twice: Twice) -> None:
    ledger = twice.ledger()
    courier = twice.courier(ledger, Told())
    ledger.commit(bar_batch(1))
    courier.arrived().result(LONG_S)
    courier.close()
    ledger.close()
    end_copy(twice.path)
    alone = Ledger.open(twice.path, SCOPE)
    assert alone.spool is None
    a_trade(alone)
    alone.close()
    courier = twice.courier(twice.ledger(), Told())
    courier.arrived().result(LONG_S)
    assert twice.differences() == []


def test_rows_that_contradict_ours_are_made_anew(twice: Twice, postgres: PostgresServer) -> None:
    ledger, told = twice.ledger(), Told()
    courier = twice.courier(ledger, told)
    ledger.commit(bar_batch(1))
    courier.arrived().result(LONG_S)
    told.wait("in step")
    postgres.execute(
        "UPDATE decisions SET bar_open_ms = 1800000 WHERE bar_open_ms = 900000", database="prepared"
    )
    ledger.commit(bar_batch(2))
    told.wait("in step", times=2)
    assert "contradicts" in told.wait("away: ")
    assert twice.differences() == []


def test_a_schema_of_a_newer_program_is_never_written(twice: Twice, postgres: PostgresServer) -> None:
    postgres.execute("UPDATE alembic_version SET version_num = '0999'", database="prepared")
    try:
        with pytest.raises(StoreTrouble, match="newer version of this program"):
            FarLedger(twice.server).connect()
    finally:
        postgres.execute(
            f"UPDATE alembic_version SET version_num = '{schema.SCHEMA_REVISION}'", database="prepared"
        )


def test_two_agents_that_start_at_once_make_the_schema_once(postgres: PostgresServer) -> None:
    database = postgres.new_database()
    broken: list[BaseException] = []

    def start(name: str) -> None:
        try:
            far = FarLedger(postgres.place(name, database=database))
            far.connect()
            far.hang_up()
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            broken.append(error)

    threads = [threading.Thread(target=start, args=(name,)) for name in ("ada", "btc")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(LONG_S)
    assert broken == []
    engine = open_engine(postgres.place(database=database), read_only=True)
    with engine.connect() as connection:
        assert connection.execute(select(schema.copies)).all() == []


OURS = Copy("ada", "f1", 9)


@pytest.mark.parametrize(
    ("oldest", "theirs", "standing"),
    [
        (None, None, Standing.ANEW),
        (None, Copy("ada", "f1", 9), Standing.IN_STEP),
        (5, Copy("ada", "f1", 4), Standing.IN_STEP),
        (5, Copy("ada", "f1", 7), Standing.IN_STEP),
        (5, Copy("ada", "f1", 3), Standing.ANEW),
        (None, Copy("ada", "f1", 8), Standing.ANEW),
        (None, Copy("ada", "f1", 10), Standing.AHEAD),
        (5, Copy("ada", "f2", 4), Standing.STRANGE),
    ],
)
def test_how_two_copies_stand(oldest: int | None, theirs: Copy | None, standing: Standing) -> None:
    assert compare(OURS, oldest, theirs) is standing


def test_a_file_changed_in_another_way_asks_for_a_new_copy(tmp_path: Path) -> None:
    path = Store(tmp_path).path
    leave_out_a_number(path)
    begun = begin_copy(path, "ada")
    leave_out_a_number(path)
    assert begin_copy(path, "ada") == replace(begun, seq=begun.seq + 1)
    assert begin_copy(path, "btc").seq == begun.seq + 2, "another name has no copy yet"
