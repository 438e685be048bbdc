"""Where a drill is played: an exchange and an engine as processes of their own, in a scratch directory.

Stays true: everything is on loopback and in the scratch directory, nothing outlives the stage, every wait has
an end. What does not happen in time is a Failed, in words for the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

import agent
from agent.config.env_file import without_credentials
from agent.control.client import ControlClient, ControlError, connect
from agent.control.messages import PROTOCOL, Notice, Versions
from agent.core.instant import ms_of_iso
from agent.store.data_dir import DataDir
from agent.store.revision import SCHEMA_REVISION

PROJECT: Final = Path(agent.__file__).parent.parent
SPEED: Final = 60
BAR_MS: Final = 60_000
PATIENCE_S: Final = 45.0
KEY: Final = "drill-key"
SECRET: Final = "drill-secret"

#: Windows so short that ten hours of one-minute bars are enough, and a volume that no bar has by chance.
_WINDOWS: Final = {"ema_fast": 24, "ema_slow": 48, "z_window": 48, "atr_window": 12}
_QUICK: Final = {**_WINDOWS, "vol_z": 5.0, "tr_z": 1.2, "cloc_min": 0.6}
#: A signal after which the market stands still, so that a position stays until the drill moves the price.
_WISH: Final = {**_QUICK, "interval": "1m", "bounce": "0.05", "bounce_bars": 2_000}

State = Mapping[str, Any]


class Failed(Exception):  # noqa: N818 - a result, told to the user
    """The agent did not do what it should; the text says what, in plain words."""


class Market:
    """The built-in exchange."""

    def __init__(self, process: Process, where: Mapping[str, str]) -> None:
        self._process = process
        self.rest, self.ws = where["rest"], where["ws"]

    @classmethod
    async def start(cls) -> Self:
        words = ("-m", "agent.localexchange", "--seed", "7", "--speed", str(SPEED), "--port", "0")
        process = await _spawn(*words, "--key", KEY, "--secret", SECRET, "--attached", stdin=PIPE)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await process.stdout.readline()
            return cls(process, json.loads(line))
        except (TimeoutError, ValueError):
            await _end(process)
            raise Failed("the built-in exchange did not start") from None

    async def control(self, path: str, wish: object = None) -> Any:
        method = "GET" if wish is None else "POST"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.rest}/control/{path}", json=wish) as answer,
        ):
            if answer.status != 200:
                raise Failed(f"the built-in exchange refused {path}: {await answer.text()}")
            return await answer.json()

    async def fault(self, name: str, **more: Any) -> None:
        await self.control("faults", {"add": [{"id": name, "fault": name, **more}]})

    async def cure(self) -> None:
        await self.control("faults", {"clear": ["all"]})

    async def fired(self, name: str) -> int:
        found = (await self.control("faults"))["faults"]
        return next(int(fault["fired"]) for fault in found if fault["id"] == name)

    async def signal(self) -> Mapping[str, Any]:
        forced: Mapping[str, Any] = await self.control("market", {"signal": _WISH})
        return forced

    async def raise_to(self, level: object) -> None:
        """The price, one percent above `level`."""
        price = (Decimal(str(level)) * Decimal("1.01")).quantize(Decimal("0.0001"))
        await self.control("market", {"price": str(price)})

    async def ledger(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self.control("ledger")
        return found

    async def requests(self) -> list[dict[str, Any]]:
        """All requests so far, each with the `connection` that it came by."""
        requests = (await self.ledger())["requests"]
        connections = (await self.control("connections"))["connections"]
        return [{**seen, "connection": by} for seen, by in zip(requests, connections, strict=False)]

    async def held(self) -> Decimal:
        """Base currency of the account."""
        holding = (await self.ledger())["balances"].get("ADA", {"free": "0", "locked": "0"})
        return Decimal(holding["free"]) + Decimal(holding["locked"])

    async def entries(self) -> list[Mapping[str, Any]]:
        return [order for order in (await self.ledger())["orders"] if order["side"] == "BUY"]

    async def close(self) -> None:
        await _end(self._process)


class Engine:
    """The agent without a window, in `directory`, trading with real orders at the built-in exchange."""

    def __init__(self, directory: Path, market: Market) -> None:
        self.directory = directory
        self._market = market
        self._process: Process | None = None
        self._client: ControlClient | None = None
        self._following: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.latest: State = {}
        self.alerts: list[str] = []

    async def start(self) -> None:
        """Begin, or begin again."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        config = self.directory / "config.json"
        config.write_text(json.dumps(_configuration(), indent=1), encoding="utf-8")
        self.latest = {}
        self._process = await _spawn(
            *("-m", "agent.main", "--headless", "--start", "--config", str(config)),
            *("--data-dir", str(self.directory), "--clock", "exchange"),
            *("--exchange-url", self._market.rest, "--exchange-ws-url", self._market.ws),
            stdout=DEVNULL,
            EXCHANGE_API_KEY=KEY,
            EXCHANGE_API_SECRET=SECRET,
            XDG_STATE_HOME=str(self.directory / "state"),
        )
        self._client = await self._attached()
        self._following = asyncio.create_task(self._follow(self._client))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """No goodbye."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        await self._detach()

    async def close(self) -> None:
        await self._detach()
        if self._process is not None:
            await _end(self._process)

    async def until(self, what: str, holds: Callable[[State], bool], within_s: float = PATIENCE_S) -> State:
        """The first state that fulfils `holds`; `what` is what the user hears when it does not come."""
        try:
            async with asyncio.timeout(within_s), self._news:
                while not self.latest or not holds(self.latest):
                    await self._news.wait()
                return self.latest
        except TimeoutError:
            blocked = "; ".join(self.latest.get("entries_blocked_by", ()))
            raise Failed(
                f"{what} did not happen within {within_s:g} s"
                + (f" (entries blocked: {blocked})" if blocked else "")
            ) from None

    async def logs(self, words: str) -> None:
        """Wait until the log holds `words`."""
        log = DataDir(self.directory).log_file
        for _ in range(int(PATIENCE_S * 50)):
            if log.exists() and words in log.read_text(encoding="utf-8", errors="replace"):
                return
            await asyncio.sleep(0.02)
        raise Failed(f'the agent never wrote into its log that "{words}"')

    async def ready(self) -> State:
        return await self.until("being ready to trade", lambda s: not s["entries_blocked_by"], 90)

    async def in_position(self, market: Market) -> State:
        """A position, from a signal that the market is made to give."""
        for _ in range(4):
            await self.ready()
            forced = await market.signal()
            past_ms = int(forced["close_ms"]) + 1
            found = await self.until("an entry", partial(_decided, past_ms))
            if found["positions"]:
                return await self.until("the end of the entry", _holds)
        raise Failed("four signals in a row were not entered")

    async def flat(self, within_s: float = PATIENCE_S) -> State:
        return await self.until("being flat", lambda s: not s["positions"] and not s["orders"], within_s)

    async def past_entry_bar(self, state: State) -> State:
        """The target counts from the bar after the entry's."""
        opened_ms = ms_of_iso(state["positions"][0]["opened_at"])
        return await self.until(
            "the end of the entry bar",
            lambda s: bool(s["positions"]) and _closed_ms(s) >= opened_ms // BAR_MS * BAR_MS,
        )

    async def _follow(self, client: ControlClient) -> None:
        with contextlib.suppress(ControlError):
            async for push in client.pushes():
                async with self._news:
                    if isinstance(push, Notice):
                        self.alerts.append(str(push.body.get("text", "")))
                    else:
                        self.latest = push.state
                    self._news.notify_all()

    async def _attached(self) -> ControlClient:
        versions = Versions(PROTOCOL, agent.__version__, SCHEMA_REVISION)
        process = self._process
        assert process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while process.returncode is None:
                    try:
                        return await connect(self.directory, versions, "drill")
                    except ControlError:
                        await asyncio.sleep(0.1)
        raise Failed("the engine did not start; its log is in the scratch directory (see --keep)")

    async def _detach(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(ControlError, OSError):
                await self._client.close()
        self._client = self._following = None


class Stage:
    """`async with Stage(directory) as stage`: an exchange, and an engine that is ready to trade."""

    market: Market
    engine: Engine

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __aenter__(self) -> Self:
        self.market = await Market.start()
        self.engine = Engine(self._directory, self.market)
        try:
            await self.engine.start()
            await self.engine.ready()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self.engine.close()
        await self.market.close()


def _configuration() -> dict[str, Any]:
    return {
        "version": "2.1.0",
        "description": "fire drill",
        "timeframe": "1m",
        "seller_params": _QUICK,
        "exchange": {"paper_trading": False, "testnet": True},
        "agent": {"late_after_seconds": 300, "fib_exit": "target"},
    }


def _decided(past_ms: int, state: State) -> bool:
    """The signal's bar was entered, or is over."""
    return bool(state["positions"]) or _closed_ms(state) >= past_ms


def _holds(state: State) -> bool:
    return bool(state["positions"]) and not any(order["side"] == "BUY" for order in state["orders"])


def _closed_ms(state: State) -> int:
    """When the newest closed bar opened."""
    told = state["feed"]["last_closed_bar"]
    return -1 if told is None else ms_of_iso(told)


async def _spawn(*words: str, stdin: int = DEVNULL, stdout: int = PIPE, **environment: str) -> Process:
    # Neither the user's keys nor who is told of trouble: a drill alarms nobody.
    ours = {"AGENT_DATA_DIR", "EXCHANGE_URL", "EXCHANGE_WS_URL", "CREDENTIALS_DIRECTORY"}
    inherited = {k: v for k, v in without_credentials(os.environ).items() if k not in ours}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdin=stdin,
        stdout=stdout,
        stderr=DEVNULL,
        cwd=PROJECT,
        env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
    )


async def _end(process: Process) -> None:
    """Asked first, made to after five seconds."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT) if hasattr(signal, "SIGCONT") else None
        process.terminate()
    try:
        async with asyncio.timeout(7):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
