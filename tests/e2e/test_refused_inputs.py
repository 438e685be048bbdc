"""Whatever a user can get wrong is answered by an exit code and a sentence, and starts nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from agent_process import Ended, cli, command, iso, ms, rows_of
from configurations import changed, example, quick, written

BAR = timedelta(minutes=1)
CANARY = "cAnArY5ecret"
NOWHERE = ("--exchange-url", "http://127.0.0.1:9", "--exchange-ws-url", "ws://127.0.0.1:9")


def document(**sections):
    return json.dumps(changed(example(), **sections)).encode()


#: What stands in config.json, the exit code, and words of the answer.
CONFIGURATIONS = {
    "a comma too many": (b'{"timeframe": "15m",}', 2, "a comma before the closing }"),
    "cut off": (document()[:400], 2, "the file ends inside"),
    "empty": (b"", 2, "the file is empty"),
    "binary garbage": (b"\x7fELF" + bytes(range(128, 256)), 2, "is not UTF-8"),
    "not a number": (document().replace(b"10000.0", b"NaN"), 2, "NaN and Infinity are no numbers"),
    "a list": (b"[]", 1, "the file must hold one object"),
    "a key twice": (b'{"timeframe": "15m", "timeframe": "1m"}', 1, "the key stands twice"),
    "nested deep": (b"[" * 50_000, 1, "nested deeper than 20 levels"),
    "two mebibytes": (b'{"a":"' + b"x" * 2**21 + b'"}', 1, "a configuration has at most 1,048,576"),
    "a number for text": (document(timeframe=15), 1, 'write "15m"'),
    "text for a number": (document(risk_management={"max_daily_trades": "10"}), 1, "write 10 without quotes"),
    "out of range": (document(risk_management={"risk_per_trade_percent": 50}), 1, "from 0.1 to 10"),
    "an unknown key": (document(exchange={"paper_tradin": True}), 1, 'did you mean "paper_trading"?'),
    "a later format": (document(version="3.0.0"), 1, "this agent reads up to 2"),
    "keys": (document(exchange={"api_key": CANARY, "api_secret": CANARY}), 1, "EXCHANGE_API_SECRET="),
    "a pair that disagrees": (document(exchange={"trading_pair": "ADA/XXX"}), 1, "does not agree with"),
    "an unknown exchange": (document(exchange={"exchange_name": "nonesuch"}), 1, "that ccxt knows"),
    "another file": (document(agent={"database_url": "sqlite:///x.db"}), 1, "SQLite is where the"),
}  # fmt: skip

#: Options of the engine with a good configuration.
OPTIONS = {
    "--exchange-ws-url ws://127.0.0.1:9": "--exchange-ws-url is given without --exchange-url",
    "--exchange-url 127.0.0.1:9": "does not begin with http:// and a host",
    "--exchange-url http://127.0.0.1:9/api": "has something behind the port",
    "--exchange-url http://u:p@127.0.0.1:9": "holds a user name or password",
    "--clock sundial": "invalid choice: 'sundial'",
    "--frobnicate": "unrecognized arguments: --frobnicate",
    "--live": "the configuration's mode is paper",
    "--start --no-start": "not allowed with argument --start",
}


#: One interpreter that calls `main` of a module again and again: what is loaded is loaded once.
MANY_STARTS = """
import contextlib, importlib, io, json, sys
main = importlib.import_module(sys.argv[1]).main
for words in json.load(open(sys.argv[2])):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def start(directory, *options, config=None, where=NOWHERE):
    """The words of a start; a refusal needs no exchange."""
    words = ["--headless", "--config", str(config or directory / "config.json")]
    return [*words, "--data-dir", str(directory / "data"), *where, *options]


async def engine(directory, *options, **more):
    return await command("-m", "agent.main", *start(directory, *options, **more))


async def many(tmp_path, module, starts):
    """How each of `starts` ended."""
    wishes = tmp_path / "wishes.json"
    wishes.write_text(json.dumps(starts))
    ended = await command("-c", MANY_STARTS, module, str(wishes))
    assert ended.code == 0, ended
    wishes.unlink()
    endings = [Ended(*json.loads(line)) for line in ended.out.splitlines()]
    assert len(endings) == len(starts)
    return endings


def refused(ended, code, words, name=""):
    assert ended.code == code, f"{name}: {ended}"
    assert ended.out == "", f"{name}: {ended}"
    assert words in ended.err, f"{name}: {ended}"
    assert "Traceback" not in ended.err, f"{name}: {ended}"


async def test_configurations_that_cannot_be_used(tmp_path):
    folders = []
    for number, (text, _, _) in enumerate(CONFIGURATIONS.values()):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        (folders[-1] / "config.json").write_bytes(text)
    endings = await many(tmp_path, "agent.main", [start(folder) for folder in folders])
    for (name, (_, code, words)), folder, ended in zip(CONFIGURATIONS.items(), folders, endings, strict=True):
        refused(ended, code, words, name)
        assert CANARY not in ended.err
        assert sorted(path.name for path in folder.rglob("*")) == ["config.json"], "nothing was started"


async def test_modes_that_need_more_than_a_configuration(tmp_path):
    wishes = {
        True: "EXCHANGE_API_KEY and EXCHANGE_API_SECRET missing, and needed for testnet trading",
        False: "live trading is refused",
    }
    for testnet in wishes:
        folder = tmp_path / str(testnet)
        folder.mkdir()
        exchange = {"paper_trading": False, "testnet": testnet}
        (folder / "config.json").write_bytes(document(exchange=exchange))
    endings = await many(tmp_path, "agent.main", [start(tmp_path / str(testnet)) for testnet in wishes])
    for ended, sentence in zip(endings, wishes.values(), strict=True):
        refused(ended, 1, sentence)


async def test_files_that_are_none(tmp_path):
    (tmp_path / "config.json").mkdir()
    starts = [start(tmp_path, config=tmp_path / "missing.json"), start(tmp_path)]
    missing, folder = await many(tmp_path, "agent.main", starts)
    refused(missing, 2, "there is no such file")
    refused(folder, 2, "is a folder")


async def test_options_that_make_no_sense(tmp_path):
    written(tmp_path, example())
    starts = [start(tmp_path, *words.split(), where=()) for words in OPTIONS]
    endings = await many(tmp_path, "agent.main", starts)
    for (words, sentence), ended in zip(OPTIONS.items(), endings, strict=True):
        refused(ended, 1, sentence, words)
    without = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    windowed = await command("-m", "agent.main", "--config", str(tmp_path / "config.json"), env=without)
    refused(windowed, 1, "There is no display for the window. Run the engine alone with --headless")


async def test_a_pair_the_exchange_does_not_have(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick(exchange={"trading_pair": "ADA/XXX", "quote_currency": "XXX"}))
    ended = await engine(tmp_path, "--clock", "exchange", where=market.address)
    assert ended.code == 1
    assert "the rules of ADA/XXX" in ended.err
    assert "Check exchange.trading_pair and exchange.exchange_name." in ended.err
    assert [line.partition(" |")[0] for line in ended.out.splitlines()] == ["STARTING"]


async def test_markets_that_cannot_be_opened(house, tmp_path):
    market = await house.market()
    broken = tmp_path / "broken.csv"
    broken.write_text("date,open,high,low,close,volume\n2025-01-01 00:00:00,1,0.5,2,1,10\n")
    wishes = {
        f"--port {market.port}": (1, "address already in use); choose another with --port"),
        "--port 99999": (1, "less than or equal to 65535"),
        "--candles /missing.csv": (2, "No such file or directory"),
        f"--candles {broken}": (2, "line 2: the candle has a high below another price"),
        "--speed 5000": (1, "speed must be between 1 and 2000"),
        "--start yesterday": (1, "is not a date of ISO 8601"),
        "--pair ADA": (1, "is not of the form BASE/QUOTE"),
        "--balance USDT": (1, "is not of the form ASSET=AMOUNT"),
    }
    endings = await many(tmp_path, "agent.cli", [["demo-market", *words.split()] for words in wishes])
    for (words, (code, sentence)), ended in zip(wishes.items(), endings, strict=True):
        refused(ended, code, sentence, words)


async def test_a_second_instance_is_kept_out_and_the_first_goes_on(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path / "data", *market.address, config=tmp_path / "config.json")
    async with agent.watched() as watch:
        await watch.running()
        second, reset = await asyncio.gather(
            engine(tmp_path, "--clock", "exchange", where=market.address),
            cli(tmp_path / "data", "paper-reset", "--yes"),
        )
        refused(second, 4, f"process {agent.pid} ")
        refused(reset, 4, f"rocess {agent.pid} ")
        assert watch.latest["state"] == "RUNNING"
    assert await agent.stopped() == 0


async def test_a_market_started_again_from_its_beginning_is_not_taken_for_the_one_before(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path / "data", *market.address, config=tmp_path / "config.json")
    async with agent.watched() as watch:
        await watch.running()
        before = await watch.until("a bar later", lambda s: rows_of(tmp_path / "data", "decisions"))
    assert await agent.stopped() == 0
    await market.stop()
    stored = rows_of(tmp_path / "data", "decisions")
    again = await house.market("--start", iso(ms(before["at"]) - 3_600_000), port=market.port)
    ended = await engine(tmp_path, "--clock", "exchange", where=again.address)
    refused(ended, 1, "it was started again from the beginning. Use another --data-dir")
    assert rows_of(tmp_path / "data", "decisions") == stored


async def test_data_directories_that_cannot_be_used(tmp_path):
    written(tmp_path, quick())
    (tmp_path / "data").write_text("a file")
    garbage = tmp_path / "garbage"
    garbage.mkdir(mode=0o700)
    (garbage / "trades.db").write_bytes(os.urandom(5_000))
    wishes = {
        "data": "a file is where a directory should be",
        "garbage": "the file is damaged or no SQLite database",
        "/proc/none": "creating the data directory /proc/none failed",
    }
    starts = [start(tmp_path, "--data-dir", str(tmp_path / name)) for name in wishes]
    for ended, (name, sentence) in zip(
        await many(tmp_path, "agent.main", starts), wishes.items(), strict=True
    ):
        refused(ended, 1, sentence, name)


@pytest.fixture
def little_disk(tmp_path):
    """A file system of its own, four mebibytes small."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(place)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=False)
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_read_only_disk_is_named(little_disk, tmp_path):
    config = written(tmp_path, quick())
    remounted = await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", str(little_disk))
    assert await remounted.wait() == 0
    ended = await command(
        "-m", "agent.main", "--headless", "--config", str(config), "--data-dir", str(little_disk), *NOWHERE
    )
    refused(ended, 1, "that file system is read-only; remount it writable or choose another --data-dir")


def blocked_by(words):
    return lambda s: any(words in reason for reason in s["entries_blocked_by"])


@pytest.mark.parametrize("seconds", [5, -5])
async def test_a_clock_that_is_off_blocks_entries(house, tmp_path, seconds):
    before = datetime.now(UTC) - timedelta(minutes=10)
    market = await house.market("--start", before.isoformat(), speed=1)
    await market.keep_step(ahead_s=seconds)
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address, clock="system")
    side = "behind" if seconds > 0 else "ahead of"
    async with agent.watched() as watch:
        state = await watch.until(
            "blocked", lambda s: any(b.startswith("clock offset") for b in s["entries_blocked_by"])
        )
        reason = next(b for b in state["entries_blocked_by"] if b.startswith("clock offset"))
        assert f"s {side} the exchange's: set it by NTP" in reason
    assert await agent.stopped() == 0


async def test_bars_the_exchange_does_not_have_are_left_out_once_that_is_proven(house, tmp_path):
    candles = tmp_path / "candles.csv"
    first = datetime(2025, 1, 1, tzinfo=UTC)
    missing = {*range(300, 305), *range(700, 710)}
    rows = ["date,open,high,low,close,volume"]
    for number in range(1_000):
        price = 0.5 + (number * 7919 % 13) / 1_300
        prices = f"{price:.4f},{price * 1.004:.4f},{price * 0.996:.4f},{price:.4f}"
        if number not in missing:
            rows.append(f"{first + number * BAR:%Y-%m-%d %H:%M:%S},{prices},{1_000 + number}")
    candles.write_text("\n".join(rows))
    begin = (first + 692 * BAR).isoformat()
    market = await house.market("--candles", str(candles), "--start", begin)
    # However long a start takes, the gap is still to come.
    await market.hold()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await agent.complains("the exchange's history has 1 holes")
        await watch.running()
        await market.go_on()
        await watch.until("blocked", blocked_by("bars are missing, more than 3"))
        await agent.complains("the exchange has no bars for 10 bar lengths")
        state = await watch.until("free", lambda s: not s["entries_blocked_by"])
    assert await agent.stopped() == 0
    bars = [datetime.fromisoformat(row["bar"]) for row in rows_of(tmp_path, "decisions")]
    steps = [later - earlier for earlier, later in pairwise(bars)]
    assert steps.count(11 * BAR) == 1
    assert {*steps, BAR} == {BAR, 11 * BAR}
    assert state["day"]["trades"] == 0
