"""How long an emergency stop takes from outside, whatever became of the engine.

`python tests/e2e/emergency_timings.py` measures each case: from the start of the command to the latch on the
disk, to the first order request at the exchange, and to flat there (no coins, no open order). The exchange is
the local one at the speed of life, over real sockets; a stop and its replacement are on it. Not a test: it
asserts no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from agent_process import Agent, House, Market, command
from configurations import WISH, quick, written
from test_emergency_stop import STOP, fill
from testnet_ground import TESTNET, credentials

from agent.store.latch import Latch

CASES = ("engine alive", "engine frozen", "engine dead", "dead, disk full", "by SIGUSR1")
ORDER_PATHS = ("/api/v3/order", "/api/v3/order/cancelReplace", "/api/v3/orderList")


async def measured(case: str, directory: Path) -> dict[str, float]:
    house = House()
    try:
        market = await house.market(*credentials.options, speed=60)
        written(directory, quick(**TESTNET, **STOP))
        env = credentials.environment(directory.parent)
        agent = await house.agent(directory, *market.address, env=env)
        async with agent.watched() as watch:
            await watch.entries_allowed()
            await market.signal(**WISH)
            await watch.until("protected", lambda s: s["positions"] and s["positions"][0]["protected_by"])
        await market.control("clock", {"speed": 1})
        await asyncio.sleep(3)
        await _prepared(case, agent, directory)
        return await _stopped(case, market, agent, directory, env)
    finally:
        await house.clear()


async def _prepared(case: str, agent: Agent, directory: Path) -> None:
    if case == "engine frozen":
        agent.send(signal.SIGSTOP)
    elif case == "engine dead":
        await agent.kill()
    elif case == "dead, disk full":
        await agent.stopped()
        fill(directory)


async def _stopped(
    case: str, market: Market, agent: Agent, directory: Path, env: dict[str, str]
) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    seen = len((await market.control("ledger"))["requests"])
    began_s = loop.time()
    took: dict[str, float] = {}
    watching = asyncio.create_task(_watch(market, directory, seen, began_s, took))
    if case == "by SIGUSR1":
        agent.send(signal.SIGUSR1)
    else:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        before = used.ru_utime + used.ru_stime
        words = ["emergency-stop", "--yes", "--data-dir", str(directory), *market.address]
        ended = await command("-m", "agent.cli", *words, env=env, within_s=60)
        took["exit"] = loop.time() - began_s
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        took["of it processor"] = used.ru_utime + used.ru_stime - before
        assert ended.code == 0, ended.err
    await asyncio.wait_for(watching, 30)
    return took


async def _watch(market: Market, directory: Path, seen: int, began_s: float, took: dict[str, float]) -> None:
    latch = Latch(directory / "halt.latch")
    loop = asyncio.get_running_loop()
    while "flat" not in took:
        if "latch" not in took and latch.read() is not None:
            took["latch"] = loop.time() - began_s
        if "latch" in took:
            ledger: Any = await market.control("ledger")
            now_s = loop.time() - began_s
            sent = [r for r in ledger["requests"][seen:] if r["path"] in ORDER_PATHS and r["method"] != "GET"]
            if sent and "first order" not in took:
                took["first order"] = now_s
            coins = Decimal(ledger["balances"].get("ADA", {"free": "0", "locked": "0"})["free"])
            coins += Decimal(ledger["balances"].get("ADA", {"free": "0", "locked": "0"})["locked"])
            if coins < 1 and not [o for o in ledger["orders"] if o["status"] in ("NEW", "PENDING_NEW")]:
                took["flat"] = now_s
        await asyncio.sleep(0.002)


@contextlib.contextmanager
def _disk(case: str, folder: Path) -> Any:
    folder.mkdir()
    if case != "dead, disk full":
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def _all() -> None:
    for case in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as folder, _disk(case, Path(folder) / "data") as directory:
            took = await measured(case, directory)
        print(f"{case:16} " + "  ".join(f"{name} {s * 1000:6.0f} ms" for name, s in took.items()), flush=True)


if __name__ == "__main__":
    asyncio.run(_all())
