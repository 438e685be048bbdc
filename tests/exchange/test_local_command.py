"""`demo-market` as a program: ready line, signals, exit codes, recorded candles."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

HEADER = "date,open,high,low,close,volume\n"


@contextlib.asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.localexchange",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = orjson.loads(await process.stdout.readline())
    return line


async def answer(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.json()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_ready_line_then_a_clean_end(number: int) -> None:
    began = time.monotonic()
    async with program(
        "--seed", "7", "--speed", "60", "--balance", "USDT=5000", "--balance", "BNB=1"
    ) as process:
        line = await ready(process)
        took_s = time.monotonic() - began
        assert set(line) == {"rest", "ws", "control", "key", "secret", "start"}
        assert took_s < 5, "bounded generously: the machine may be busy"
        assert (await answer(f"{line['rest']}/api/v3/time"))["serverTime"] > 0
        balances = (await answer(f"{line['control']}/ledger"))["balances"]
        assert {asset: b["free"] for asset, b in balances.items()} == {"USDT": "5000", "BNB": "1"}
        process.send_signal(number)
        assert await process.wait() == 0
        assert process.stdout is not None
        assert await process.stdout.read() == b"", "nothing but the ready line"


async def test_the_start_can_be_told() -> None:
    async with program("--start", "2025-03-01T12:00:00Z", "--key", "K", "--secret", "S") as process:
        line = await ready(process)
        assert (line["start"], line["key"], line["secret"]) == ("2025-03-01T12:00:00+00:00", "K", "S")
        assert 0 <= (await answer(f"{line['rest']}/api/v3/time"))["serverTime"] - 1_740_830_400_000 < 10_000


async def test_recorded_candles_are_the_market(tmp_path: Path) -> None:
    quarters = [f"2023-03-16 {n // 4:02}:{n % 4 * 15:02}:00+00:00" for n in range(40)]
    rows = [
        f"{at},0.3{n:02}1,0.3{n:02}5,0.3{n:02}0,0.3{n:02}2,{n + 1}00.5\n" for n, at in enumerate(quarters)
    ]
    file = tmp_path / "candles.csv.gz"
    file.write_bytes(gzip.compress((HEADER + "".join(rows)).encode()))
    async with program("--candles", str(file)) as process:
        line = await ready(process)
        assert line["start"] == "2023-03-16T06:00:00+00:00", "six tenths are history"
        klines = await answer(f"{line['rest']}/api/v3/klines?symbol=ADAUSDT&interval=15m")
        assert len(klines) == 25
        assert [float(v) for v in klines[5][1:6]] == [0.3051, 0.3055, 0.3050, 0.3052, 600.5]


async def test_a_port_in_use_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with program("--port", str(port)) as process:
            out, err = await process.communicate()
            assert (process.returncode, out) == (1, b"")
            assert str(port).encode() in err
            assert b"--port" in err
            assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--speed", "3000"], b"speed"),
        (["--speed", "0"], b"speed"),
        (["--start", "yesterday"], b"yesterday"),
        (["--port", "70000"], b"65535"),
        (["--pair", "ADAUSDT"], b"BASE/QUOTE"),
        (["--balance", "USDT:5"], b"ASSET=AMOUNT"),
        (["--balance", "USDT=-5"], b"negative"),
    ],
)
async def test_settings_that_make_no_sense(arguments: list[str], says: bytes) -> None:
    async with program(*arguments) as process:
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert says in err
        assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, b"cannot be read"),
        (b"", b"empty"),
        (b"\xff\xfe\x00", b"UTF-8"),
        (b"\x1f\x8bbroken", b"cannot be read"),
        (b"when,open,high,low,close,volume\n", b"no column 'date'"),
        (HEADER.encode(), b"no candle"),
        (HEADER.encode() + b"2023-01-01,1,2,0.5,1\n", b"line 2"),
        (HEADER.encode() + b"soon,1,2,0.5,1,1\n", b"'soon'"),
        (HEADER.encode() + b"2023-01-01,1,2,0.5,nan,1\n", b"close"),
        (HEADER.encode() + b"2023-01-01,1,2,0.5,3,1\n", b"high"),
        (HEADER.encode() + b"2023-01-01,1,2,1.5,1,1\n", b"low"),
        (HEADER.encode() + b"2023-01-01,-1,2,-1,1,1\n", b"not positive"),
        (HEADER.encode() + b"2023-01-01,1,2,0.5,1,-1\n", b"negative volume"),
        (HEADER.encode() + b"2023-01-02,1,1,1,1,1\n2023-01-01,1,1,1,1,1\n", b"line 3"),
        (HEADER.encode() + b"2023-01-01 00:00:30,1,1,1,1,1\n", b"full minute"),
    ],
)
def test_bad_candles_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: bytes
) -> None:
    from agent.localexchange.command import main

    file = tmp_path / "bad.csv"
    if content is not None:
        file.write_bytes(content)
    assert main(["--candles", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says.decode() in err
    assert str(file) in err


async def test_the_market_of_a_demo_that_is_killed_ends_with_it(tmp_path: Path) -> None:
    """The demo kills itself once its market is there; what that inherits stays open while it lives."""
    end = "d._engine = lambda *_: os.kill(os.getpid(), 9)"
    killed = f"import os, sys, agent.demo as d; {end}; d.main(sys.argv[1:])"
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", killed, "--no-window", "--data-dir", str(tmp_path / "demo")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, said = await demo.communicate()
    assert (demo.returncode, said) == (-signal.SIGKILL, b"")
