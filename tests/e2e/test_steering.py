"""The command line over a running engine: what each command does, answers and refuses."""

from __future__ import annotations

import signal

from agent_process import cli, iso, rows_of
from configurations import WISH, quick, written

from agent.store.latch import Latch


async def refused(data_dir, **commands):
    """All commands end with code 1, nothing on standard output and the sentence given."""
    for words, sentence in commands.items():
        how = await cli(data_dir, *words.split())
        assert (how.code, how.out) == (1, ""), f"{words}: {how}"
        assert how.first_line.startswith(sentence), f"{words}: {how}"


async def done(data_dir, *words):
    """The document of a command that did it."""
    ended = await cli(data_dir, *words, "--json")
    assert ended.code == 0, ended
    return ended.document


def last_reason(data_dir):
    return rows_of(data_dir, "trades")[-1]["reason"]


async def test_an_operator_pauses_closes_and_stops(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.running()
        assert (await done(tmp_path, "pause", "--yes"))["state"] == "PAUSED"
        await watch.until("paused", lambda s: s["entries_blocked_by"] == ["the agent is PAUSED"])
        await refused(tmp_path, **{"resume": "This would happen: Allow entries again"})
        assert (await done(tmp_path, "resume", "--yes"))["state"] == "RUNNING"

        await watch.enters(market, **WISH)
        await refused(
            tmp_path,
            **{
                "stop --yes": "Something is held: position 1: ",
                "stop --flatten --exits-only --yes": "--flatten and --exits-only contradict each other.",
                "close --yes": "Say which position to close.",
                "close 99 --yes --json": "No open position has the id 99.",
                "close 1": "This would happen: Sell at market",
                "clear-halt --yes": "Nothing is halted.",
            },
        )
        assert (await done(tmp_path, "stop", "--exits-only", "--yes"))["state"] == "EXITS_ONLY"
        held = await watch.until("exits only", lambda s: s["state"] == "EXITS_ONLY")
        assert [p["id"] for p in held["positions"]] == [1], "the position is kept"
        assert (await done(tmp_path, "close", "1", "--yes"))["text"] == "selling 1 position at market"
        await watch.until("stopped", lambda s: s["state"] == "STOPPED" and not s["positions"])
        assert last_reason(tmp_path) == "MANUAL"

        await refused(
            tmp_path,
            **{"close --all --yes": "No position is open.", "pause --yes": "Nothing to pause while STOPPED."},
        )
        assert (await done(tmp_path, "start", "--yes"))["state"] == "RUNNING"
        await watch.enters(market, **WISH)
        await done(tmp_path, "stop", "--flatten", "--yes")
        await watch.until("stopped", lambda s: s["state"] == "STOPPED" and not s["positions"])
        assert last_reason(tmp_path) == "MANUAL"
    assert await agent.stopped() == 0
    states = [line.partition(" | ")[0] for line in agent.out.lines]
    assert states == [
        "STARTING", "RUNNING", "PAUSED", "RUNNING", "EXITS_ONLY", "STOPPED", "RUNNING", "EXITS_ONLY",
        "STOPPED",
    ]  # fmt: skip


async def test_an_emergency_sells_and_stays_latched_through_a_kill(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await refused(tmp_path, **{"emergency-stop": "This would happen: EMERGENCY STOP (Paper Trading"})
        stopped = await done(tmp_path, "emergency-stop", "--yes")
        assert (stopped["latched"], stopped["flat"], stopped["remaining"]) == (True, True, [])
        assert stopped["engine"] in ("acknowledged", "silent"), "silent: the machine was too busy to confirm"
        assert last_reason(tmp_path) == "EMERGENCY"
        again = await done(tmp_path, "emergency-stop", "--yes")
        assert again["flat"] is True
    await agent.kill()

    stored = await cli(tmp_path, "status", "--json")
    assert stored.code == 3
    assert stored.document["running"] is False
    assert stored.document["halt"]["reason"] == "emergency"

    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.until("warm", lambda s: s["feed"]["fresh"] and s["price"]["trusted"])
        assert state["state"] == "HALTED"
        assert state["halt"]["flat"] is True
        halted = "Halted: clear the halt first (clear-halt), then start."
        await refused(tmp_path, **{"start --yes": halted, "resume --yes": halted})
        forced = await market.signal(**WISH)
        await watch.until("past the signal", lambda s: s["feed"]["last_closed_bar"] >= iso(forced["open_ms"]))
        assert (await done(tmp_path, "clear-halt", "--yes"))["state"] == "STOPPED"
        assert Latch(tmp_path / "halt.latch").read() is None
        assert (await done(tmp_path, "start", "--yes"))["state"] == "RUNNING"
        decisions = {row["bar"]: row for row in rows_of(tmp_path, "decisions")}
        seen = decisions[iso(forced["open_ms"])]
        assert seen["exhaustion"] is True
        assert (seen["outcome"], seen["reason"].split(":")[0]) == ("blocked", "halted (emergency)")

        # The button and the service use the signal.
        await watch.enters(market, **WISH)
        agent.send(signal.SIGUSR1)
        state = await watch.until("halted", lambda s: s["halt"] and s["halt"]["flat"])
        assert state["halt"]["by"] == "signal"
        assert last_reason(tmp_path) == "EMERGENCY"
    assert await agent.stopped() == 0


async def test_a_halt_set_while_no_engine_ran_can_be_cleared(house, tmp_path):
    """Its time is this machine's, the market's is another: clearing must not wait for the one to reach it."""
    market = await house.market()
    written(tmp_path, quick())
    ended = await cli(tmp_path, "emergency-stop", "--yes", "--json")
    print(ended)
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.until("warm", lambda s: s["feed"]["fresh"] and s["price"]["trusted"])
        assert state["state"] == "HALTED"
        assert state["halt"]["at"] <= state["at"]
        assert (await done(tmp_path, "clear-halt", "--yes"))["state"] == "STOPPED"
    assert await agent.stopped() == 0


async def test_a_frozen_engine_is_ended_and_what_it_held_is_sold(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
    agent.send(signal.SIGSTOP)
    status = await cli(tmp_path, "status", "--json")
    assert status.code == 1
    assert f"The engine (process {agent.pid}) did not answer within 5 s." in status.first_line
    stop = await cli(tmp_path, "emergency-stop", "--yes", "--json", *market.address)
    assert stop.code == 0, stop
    assert (stop.document["latched"], stop.document["flat"]) == (True, True)
    assert (stop.document["engine"], stop.document["remaining"]) == ("silent", [])
    assert await agent.ended() == -signal.SIGKILL
    assert last_reason(tmp_path) == "EMERGENCY"
    assert Latch(tmp_path / "halt.latch").read() is not None

    again = await house.agent(tmp_path, *market.address)
    async with again.watched() as watch:
        state = await watch.until("halted", lambda s: s["state"] == "HALTED" and s["price"]["trusted"])
        assert state["halt"]["flat"] is True
    assert await again.stopped() == 0


async def test_a_termination_is_quick_and_names_what_stays_open(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.enters(market, **WISH)
        size = state["positions"][0]["size"]
    agent.stop()
    assert await agent.ended() == 0
    assert any(
        f"position 1 stays open: {size} ADA, NOT PROTECTED" in line and "[WARNING]" in line
        for line in agent.err.lines
    ), agent.said
    stored = await cli(tmp_path, "status", "--json")
    assert stored.code == 3
    assert [p["size"] for p in stored.document["positions"]] == [size]
