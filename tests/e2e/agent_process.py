"""The product from outside: the engine and the exchange as processes, the command line as a command.

Belongs here: starting and ending processes, asking the command line, following the published state. Stays
true: only processes started here are ended, each by its own id; nothing waits by sleeping, every wait is for
something the processes say and has a deadline, after which the test fails with what they said.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from forked import Forked, can_be_forked

from agent.command_line.place import our_versions
from agent.control.client import ControlClient, ControlError, NotAnswering, connect
from agent.control.messages import Notice, NoticeKind
from agent.store.exports import EXPORTS, export_rows, write_rows
from agent.store.reading import Reader

ROOT: Final = Path(__file__).parents[2]
#: How long a machine with other work to do may take for anything that takes an idle one a second.
PATIENCE_S: Final = 90.0
#: So often a signal may meet an agent that cannot enter at that very moment, on a machine that stumbles.
_SIGNALS: Final = 8
#: Between two attempts to attach to an engine that is still starting.
_ATTACH_AGAIN_S: Final = 0.02
#: Between two looks at what an exchange can only be asked for.
_LOOK_AGAIN_S: Final = 0.05
#: An answer about the time that took longer says too little about it.
_TIMELY_S: Final = 0.2
_LONGEST_LINE: Final = 2**20

Condition = Callable[[Mapping[str, Any]], bool]


def iso(at_ms: int) -> str:
    """As the product writes times: `2025-01-15T14:32:05.123Z`."""
    moment = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms(text: str) -> int:
    """The other way round."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would lead the product elsewhere."""
    ours = {"AGENT_DATA_DIR", "EXCHANGE_URL", "EXCHANGE_WS_URL", "LIVE_TRADING_CONFIRM"}
    return {name: value for name, value in os.environ.items() if name not in ours} | more


class _Lines:
    """What a process writes to one stream, line by line as it comes."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._over = False
        self._reading = asyncio.create_task(self._read(stream))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            async with self._news:
                self.lines.append(line.decode().rstrip("\n"))
                self._news.notify_all()
        async with self._news:
            self._over = True
            self._news.notify_all()

    async def until(self, text: str, since: int = 0) -> str:
        """The first line from number `since` on that contains `text`."""
        async with self._news:
            seen = since
            while True:
                for line in self.lines[seen:]:
                    if text in line:
                        return line
                seen = max(seen, len(self.lines))
                assert not self._over, f"the process ended without saying {text!r}"
                await self._news.wait()

    async def end(self) -> None:
        await self._reading


class _Child:
    """A process of ours with its two streams."""

    def __init__(self, process: Process | Forked) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.out = _Lines(process.stdout)
        self.err = _Lines(process.stderr)

    @classmethod
    async def spawn(
        cls, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, fresh: bool = False
    ) -> Self:
        """`python words...`; unless `fresh`, forked where that makes no difference (see `forked`)."""
        env = environment(PYTHONPATH=str(ROOT)) | dict(env or {})
        if not fresh and can_be_forked(words, env):
            return cls(await Forked.start(words, env, cwd or ROOT, _LONGEST_LINE))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            env=env, cwd=cwd or ROOT, limit=_LONGEST_LINE,
        )  # fmt: skip
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        return "\n".join(["--- stdout", *self.out.lines[-60:], "--- stderr", *self.err.lines[-60:]])

    def send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """The exit code, once the process is gone and everything it said was read."""
        try:
            async with asyncio.timeout(within_s):
                code = await self._process.wait()
                await self.out.end()
                await self.err.end()
        except TimeoutError:
            raise AssertionError(f"process {self.pid} did not end in {within_s:g} s\n{self.said}") from None
        return code

    async def kill(self) -> int:
        """SIGKILL: no goodbye."""
        self.send(signal.SIGKILL)
        return await self.ended()

    async def says(self, text: str, within_s: float = PATIENCE_S, since: int = 0) -> str:
        """The first line on standard output with `text`."""
        return await self._until(self.out, text, within_s, since)

    async def complains(self, text: str, within_s: float = PATIENCE_S, since: int = 0) -> str:
        """The first line on standard error, where the log goes, with `text`."""
        return await self._until(self.err, text, within_s, since)

    async def _until(self, lines: _Lines, text: str, within_s: float, since: int) -> str:
        try:
            async with asyncio.timeout(within_s):
                return await lines.until(text, since)
        except (TimeoutError, AssertionError):
            raise AssertionError(f"waited {within_s:g} s for {text!r}\n{self.said}") from None


class Market(_Child):
    """The local exchange as a process."""

    rest: str
    ws: str

    @classmethod
    async def start(cls, *options: str, seed: int = 7, speed: float = 60, port: int = 0) -> Self:
        words = ["--seed", str(seed), "--speed", f"{speed:g}", "--port", str(port), *options]
        market = await cls.spawn("-m", "agent.localexchange", *words)
        ready = json.loads(await market.says('"rest"'))
        market.rest, market.ws = ready["rest"], ready["ws"]
        return market

    @property
    def port(self) -> int:
        return int(self.rest.rpartition(":")[2])

    @property
    def address(self) -> tuple[str, ...]:
        """The options that lead an engine here."""
        return ("--exchange-url", self.rest, "--exchange-ws-url", self.ws)

    async def control(self, path: str, body: object = None) -> Any:
        """POST `body`, or GET without one; what was refused fails the test."""
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.rest}/control/{path}", json=body) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, f"{path} {body}: {text}"
            return json.loads(text)

    async def get(self, path: str) -> Any:
        """An answer of the exchange itself."""
        async with aiohttp.ClientSession() as session, session.get(self.rest + path) as answer:
            return await answer.json()

    async def now_ms(self) -> int:
        return int((await self.control("clock"))["now_ms"])

    async def signal(self, **wish: Any) -> dict[str, Any]:
        """Make the market give a signal; says on which bar."""
        forced: dict[str, Any] = await self.control("market", {"signal": wish or True})
        return forced

    async def price(self, price: object) -> None:
        await self.control("market", {"price": str(price)})

    async def hold(self) -> None:
        """Venue time stands still."""
        await self.control("clock", {"pause": True})

    async def go_on(self) -> None:
        await self.control("clock", {"pause": False})

    async def skip_to(self, venue_ms: int) -> None:
        """Venue time jumps; it never goes back."""
        await self.control("clock", {"advance_ms": max(0, venue_ms - await self.now_ms())})

    async def keep_step(self, ahead_s: float = 0.0) -> None:
        """Set an exchange at the speed of life, begun in the past, to this machine's time and `ahead_s`.

        A start takes as long as the machine likes, so its own `--start` cannot be the time of now.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                asked_s = time.time()
                there_ms, here_s = await self.now_ms(), time.time()
                if here_s - asked_s < _TIMELY_S:
                    break
        await self.control("clock", {"advance_ms": round((here_s + ahead_s) * 1_000) - there_ms})

    async def fault(self, name: str, **more: Any) -> None:
        await self.control("faults", {"add": [{"id": name, "fault": name, **more}]})

    async def cure(self, ident: str = "all") -> None:
        await self.control("faults", {"clear": [ident]})

    async def fires(self, ident: str) -> None:
        """The fault `ident` has done something at least once."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if await self.fired(ident):
                    return
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def fired(self, ident: str) -> int:
        faults = (await self.control("faults"))["faults"]
        return next(int(fault["fired"]) for fault in faults if fault["id"] == ident)

    async def stop(self) -> int:
        self.send(signal.SIGTERM)
        return await self.ended()


class Agent(_Child):
    """The engine as a process, and its published state."""

    data_dir: Path

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *options: str,
        config: Path | None = None,
        clock: str = "exchange",
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Self:
        """`options`: at least where the exchange is, as `Market.address`."""
        words = ["--headless", "--config", str(config or data_dir / "config.json")]
        words += ["--data-dir", str(data_dir), "--clock", clock, *options]
        agent = await cls.spawn("-m", "agent.main", *words, env=env, fresh=fresh)
        agent.data_dir = data_dir
        return agent

    @contextlib.asynccontextmanager
    async def watched(self, within_s: float = PATIENCE_S) -> AsyncIterator[Watch]:
        """Attach to the control channel and follow the state."""
        client = await self._attached(within_s)
        watch = Watch(self)
        following = asyncio.create_task(self._followed(watch, client))
        try:
            yield watch
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _followed(self, watch: Watch, client: ControlClient) -> None:
        """A machine that stumbles may cost the connection: as long as the engine lives, attach again."""
        while True:
            try:
                await watch.follow(client)
            finally:
                await client.close()
            if self._process.returncode is not None:
                return
            with contextlib.suppress(AssertionError):
                client = await self._attached(PATIENCE_S)

    async def _attached(self, within_s: float) -> ControlClient:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    assert self._process.returncode is None, f"the engine ended\n{self.said}"
                    try:
                        return await connect(self.data_dir, our_versions(), "test")
                    except ControlError:
                        await asyncio.sleep(_ATTACH_AGAIN_S)
        except TimeoutError:
            raise AssertionError(f"nothing to attach to in {within_s:g} s\n{self.said}") from None

    def stop(self) -> None:
        self.send(signal.SIGTERM)

    async def stopped(self) -> int:
        """Stopped by SIGTERM; the exit code."""
        self.stop()
        return await self.ended()

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """The engine's published state as it changes, and the alerts it raised while watched."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._news = asyncio.Condition()
        self.latest: Mapping[str, Any] = {}
        self.alerts: list[str] = []

    async def follow(self, client: ControlClient) -> None:
        with contextlib.suppress(NotAnswering):
            async for push in client.pushes():
                async with self._news:
                    if isinstance(push, Notice):
                        if push.kind is NoticeKind.ALERT:
                            self.alerts.append(f"{push.body['level']} {push.body['text']}")
                    else:
                        self.latest = push.state
                    self._news.notify_all()

    async def until(self, what: str, condition: Condition, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """The first state from now on that fulfils `condition`; `what` names it when it does not come."""
        try:
            async with asyncio.timeout(within_s), self._news:
                while not self.latest or not condition(self.latest):
                    await self._news.wait()
                return self.latest
        except TimeoutError:
            shown = json.dumps(self.latest, indent=1)
            raise AssertionError(f"not {what} in {within_s:g} s\n{shown}\n{self._agent.said}") from None

    async def alerted(self, text: str, within_s: float = PATIENCE_S) -> str:
        try:
            async with asyncio.timeout(within_s), self._news:
                while True:
                    for alert in self.alerts:
                        if text in alert:
                            return alert
                    await self._news.wait()
        except TimeoutError:
            said = "\n".join(self.alerts)
            raise AssertionError(f"no alert {text!r} in {within_s:g} s\n{said}\n{self._agent.said}") from None

    async def running(self, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        return await self.until("running", lambda s: s["state"] == "RUNNING", within_s)

    async def entries_allowed(self, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        return await self.until("free to enter", lambda s: not s["entries_blocked_by"], within_s)

    async def in_position(self, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """An open position whose entry is over; a stop may rest under it."""
        return await self.until("in position", _holds, within_s)

    async def enters(self, market: Market, **wish: Any) -> Mapping[str, Any]:
        """Give signals until one is entered, and the state with the open position.

        A market faster than life gives an agent that the machine kept waiting good reasons not to enter.
        """
        for _ in range(_SIGNALS):
            await self.entries_allowed()
            forced = await market.signal(**wish)
            seen = iso(forced["open_ms"])
            state = await self.until(
                "entered, or past the signal",
                lambda s, bar=seen: s["positions"] or (_has_decided(s, bar) and _is_idle(s)),
            )
            if state["positions"]:
                return await self.in_position()
        raise AssertionError(f"{_SIGNALS} signals were not entered\n{self._agent.said}")

    async def flat(self, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        return await self.until("flat", lambda s: not s["positions"] and not s["orders"], within_s)


def _has_decided(state: Mapping[str, Any], bar: str) -> bool:
    return (state["feed"]["last_closed_bar"] or "") >= bar


def _is_idle(state: Mapping[str, Any]) -> bool:
    """No entry is being examined or on its way."""
    return state["watch"] == "MONITORING" and not state["orders"]


def _holds(state: Mapping[str, Any]) -> bool:
    return bool(state["positions"]) and not any(order["side"] == "BUY" for order in state["orders"])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def first_line(self) -> str:
        """The first line of what it says to a person."""
        return (self.err or self.out).partition("\n")[0]


async def command(
    *words: str,
    within_s: float = PATIENCE_S,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Ended:
    """Run `python words...` to its end."""
    child = await _Child.spawn(*words, cwd=cwd, env=env, fresh=fresh)
    try:
        code = await child.ended(within_s)
    finally:
        child.send(signal.SIGKILL)
    return Ended(
        code, *("".join(f"{line}\n" for line in lines) for lines in (child.out.lines, child.err.lines))
    )


async def cli(data_dir: Path, *words: str, within_s: float = PATIENCE_S) -> Ended:
    """`python -m agent.cli words... --data-dir data_dir`."""
    return await command("-m", "agent.cli", *words, "--data-dir", str(data_dir), within_s=within_s)


def rows_of(data_dir: Path, what: str) -> list[dict[str, Any]]:
    """The rows of an export, without a process for it."""
    reader = Reader.open(data_dir / "trades.db")
    try:
        scope = reader.scopes()[0]
        text = io.StringIO()
        write_rows(export_rows(reader, what, scope.selection), EXPORTS[what].columns, "json", text)
    finally:
        reader.close()
    rows: list[dict[str, Any]] = json.loads(text.getvalue())
    return rows


async def exported(data_dir: Path, what: str) -> list[dict[str, Any]]:
    """The rows of an export, as the command writes them."""
    ended = await cli(data_dir, "export", what, "--format", "json")
    assert ended.code == 0, ended.err
    rows: list[dict[str, Any]] = ended.document
    return rows


class House:
    """Starts processes and sees to it that none outlives the test."""

    def __init__(self) -> None:
        self._children: list[_Child] = []

    async def market(self, *options: str, **settings: Any) -> Market:
        market = await Market.start(*options, **settings)
        self._children.append(market)
        return market

    async def agent(self, data_dir: Path, *options: str, **settings: Any) -> Agent:
        agent = await Agent.start(data_dir, *options, **settings)
        self._children.append(agent)
        return agent

    async def command(self, *words: str, **settings: Any) -> _Child:
        """`python words...`, left to itself."""
        child = await _Child.spawn(*words, **settings)
        self._children.append(child)
        return child

    async def clear(self) -> None:
        for child in self._children:
            # A stopped process does not act on any other signal.
            child.send(signal.SIGKILL)
        await asyncio.gather(*(child.ended() for child in self._children))
