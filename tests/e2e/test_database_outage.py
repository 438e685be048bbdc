"""The database server dies under an open position: protected, left, kept here, caught up, to the last digit.

Real engines with real orders at the local exchange, a real PostgreSQL server that is killed like a crash.
"""

from __future__ import annotations

import signal
from contextlib import closing
from decimal import Decimal

from account_books import Theirs, compared
from agent_process import cli, rows_of
from configurations import WISH, changed, quick, written
from testnet_ground import TESTNET, credentials

from agent.store.batch import Selection
from agent.store.exports import EXPORTS, export_rows
from agent.store.reading import Reader
from tests.postgres_ground import PASSWORD

AWAY = "database away"


def rows(place, kind):
    with closing(Reader.open(place)) as reader:
        found = [dict(row) for row in export_rows(reader, kind, Selection())]
    for row in found:
        row.pop("intent_id", None)
    return found


def behind(state):
    return any(AWAY in why for why in state["entries_blocked_by"])


async def test_a_position_outlives_the_database_server_and_a_crash_without_it(house, tmp_path, postgres):
    """Beside another agent, which goes on trading and has nothing to do with it in the same database."""
    server = postgres.emptied("ada")
    theirs = tmp_path / "bea"
    written(theirs, changed(quick(), agent={"database_url": postgres.url(application_name="bea")}))
    url = postgres.url(application_name="ada")
    stop = {"backtest_params": {"use_stop_loss": True}}
    document = changed(quick(**TESTNET, **stop), agent={"database_url": url})
    written(tmp_path, document)
    market = await house.market(*credentials.options)
    env = credentials.environment(tmp_path)
    agent = await house.agent(tmp_path, *market.address, env=env)
    bea = await house.agent(theirs, *market.address)
    async with agent.watched() as watch, bea.watched() as beside:
        # Whoever holds a position lets the other's signal pass.
        (other,) = (await beside.enters(market, **WISH))["positions"]
        if not watch.latest.get("positions"):
            await watch.enters(market, **WISH)
        state = await watch.until("protected", lambda s: s["positions"][0]["protected_by"])
        (held,) = state["positions"]
        postgres.stop(signal.SIGQUIT)
        await watch.until("behind", behind)
        await watch.alerted(AWAY)
        # The stop goes on resting while everything is written here alone.
        assert (await watch.until("still protected", lambda s: True))["positions"][0]["protected_by"]
    await agent.kill()
    assert (await cli(theirs, "close", str(other["id"]), "--yes")).code == 0

    again = await house.agent(tmp_path, *market.address, env=env)
    try:
        async with again.watched() as watch:
            found = await watch.until("held again", lambda s: s["positions"] and behind(s))
            assert [p["id"] for p in found["positions"]] == [held["id"]]
            assert (await cli(tmp_path, "close", str(held["id"]), "--yes")).code == 0
            await watch.flat()
            assert behind(watch.latest)
            (trade,) = rows_of(tmp_path, "trades")
            assert trade["reason"] == "MANUAL"
            postgres.start()
            await watch.entries_allowed()
            async with bea.watched() as beside:
                await beside.until("sold, and nothing of the other", lambda s: not s["positions"])
                await beside.entries_allowed()
    finally:
        if not postgres.is_running:
            postgres.start()
    assert [await one.stopped() for one in (again, bea)] == [0, 0]

    assert compared(tmp_path, await Theirs.read(market)) == []
    for place, directory in ((server, tmp_path), (postgres.place("bea"), theirs)):
        kinds = [kind for kind in EXPORTS if kind != "costs"]
        assert [k for k in kinds if rows(place, k) != rows(directory / "trades.db", k)] == []
        assert [row["reason"] for row in rows(place, "trades")] == ["MANUAL"]
    assert {Decimal(r["quantity"]) for r in rows(server, "fills")} == {
        Decimal(r["quantity"]) for r in rows_of(tmp_path, "fills")
    }
    assert_hidden(tmp_path, agent, again, bea)
    assert postgres.execute(
        "SELECT count(*) FROM configs WHERE body LIKE '%canary%'", database="prepared"
    ) == [(0,)]


def assert_hidden(directory, *agents):
    """The password is where the user wrote it, and nowhere else."""
    for one in agents:
        assert PASSWORD not in one.said
    for path in directory.rglob("*"):
        if path.is_file() and path.name != "config.json":
            assert PASSWORD.encode() not in path.read_bytes(), path
