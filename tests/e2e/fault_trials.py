"""Real orders while the exchange misbehaves: what was done to it, what became of each order, who agrees.

One trial is a trade from signal to flat at an exchange of its own, over real sockets, 60 times as fast as
life, with one fault set at a stated moment. At the end the fault is lifted and both ledgers are compared to
the last digit. `python tests/e2e/fault_trials.py` tries them all and prints the table; the tests try a few.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from account_books import Theirs, compared
from agent_process import House, Market, Watch, cli
from configurations import BAR_MS, WISH, quick, written
from testnet_ground import TESTNET, credentials

PLACING: Final = {"method": "POST", "path": "/api/v3/order"}
LEAVING: Final = {"method": "POST", "path": "/api/v3/order/cancelReplace"}
LISTING: Final = {"method": "POST", "path": "/api/v3/orderList/oco"}
FILLS: Final = {"stream": "executionReport.TRADE.*"}
STOP: Final = {"backtest_params": {"use_stop_loss": True, "atr_stop_mult": 5.0}}
START: Final = {"USDT": Decimal(10_000), "BNB": Decimal(1)}


@dataclass(frozen=True, slots=True)
class Trial:
    """`at`: entry, held or exit. `by`: leaves by target or close. `ends`: flat, or what else is right.
    `once`: the order arrives after all, so no second signal is given for it."""

    fault: str
    at: str
    more: Mapping[str, Any] = field(default_factory=dict)
    by: str = "close"
    stop: bool = False
    lift: bool = False
    once: bool = False
    ends: str = "flat"
    note: str = ""

    @property
    def name(self) -> str:
        variant = self.more.get("params", {}).get("variant", "")
        return f"{self.fault} {variant}".strip() + f" at {self.at}{' under a stop' if self.stop else ''}"


def _t(fault: str, at: str, match: Any = None, **more: Any) -> Trial:
    named = {key: more.pop(key) for key in ("by", "stop", "lift", "once", "ends", "note") if key in more}
    if match is not None:
        more["match"] = match
    return Trial(fault, at, more, **named)


TRIALS: Final = (
    _t("F1", "entry", PLACING, ends="nothing", note="never placed, proven after 18 s of venue time"),
    _t("F1", "exit", PLACING),
    _t("F1", "exit", LEAVING, stop=True),
    _t("F2", "entry", PLACING),
    _t("F2", "exit", PLACING),
    _t("F2", "exit", LEAVING, stop=True),
    _t("F2", "held", LISTING, stop=True),
    _t("F3", "entry", PLACING, ends="nothing"),
    _t("F3", "exit", PLACING, params={"variant": "html"}),
    _t("F4", "entry", PLACING),
    _t("F4", "exit", PLACING),
    _t("F5", "entry", PLACING, params={"variant": "-1007"}),
    _t("F5", "exit", PLACING, params={"variant": "-1006", "executed": False}),
    _t("F6", "exit", PLACING),
    _t("F7", "exit", PLACING, params={"retry_after": 30}),
    _t("F8", "exit", lift=True),
    _t("F9", "entry", PLACING, params={"variant": "truncated_json"}),
    _t("F9", "exit", PLACING, params={"variant": "garbage"}),
    _t("F10", "entry", PLACING, params={"variant": "inside"}, once=True, note="given up before it arrives"),
    _t("F10", "exit", PLACING, params={"variant": "outside"}),
    _t("F11", "entry", FILLS),
    _t("F12", "entry", FILLS),
    _t("F12", "exit", FILLS),
    _t("F13", "entry", params={"variant": "fill_before_ack"}),
    _t("F14", "exit", LEAVING, stop=True, note="the stop is quicker than its replacement"),
    _t("F15", "entry", PLACING),
    _t("F15", "exit", PLACING),
    _t("F16", "entry", PLACING, params={"variant": "bnb"}),
    _t("F16", "exit", PLACING, params={"variant": "mixed"}),
    _t("F17", "exit", PLACING),
    _t("F18", "entry", PLACING, stop=True, note="the stop is reached before it rests"),
    _t("F20", "entry", PLACING, params={"share": "0.4"}),
    _t("F20", "exit", PLACING, params={"share": "0.4"}),
    _t("F37", "exit", {"method": "GET", "path": "/api/v3/account"}, count=3),
    _t("F38", "held", stop=True, lift=True),
    _t("F39", "held", params={"variant": "HALT"}, lift=True),
    _t("F40", "held", params={"step": "1"}),
    _t("F41", "held", params={"variant": "deposit", "asset": "USDT", "amount": "500"}),
    _t("F41", "held", params={"variant": "order", "side": "BUY", "quantity": "50"}),
    _t("F42", "held", ends="reset", note="the account is wiped"),
    _t("F43", "exit", lift=True, params={"variant": "revoked"}),
    _t("F44", "entry", params={"variant": "order_ids"}),
    _t("F44", "exit", LEAVING, stop=True, params={"variant": "renamed"}),
    _t("F19", "exit", LEAVING, stop=True, params={"variant": "replacing"}, note="canceled, and not replaced"),
)
DAY_IS_FULL: Final = "the daily limit is used up"
#: Those the tests try: one of every kind of harm.
_FIRED: Final[dict[int, int]] = {}
TELLING: Final = ("F2 at exit", "F12 at entry", "F15 at exit", "F40 at held")


@dataclass(frozen=True, slots=True)
class Tried:
    trial: Trial
    fired: int
    orders: tuple[str, ...]
    outcome: str
    differences: tuple[str, ...]
    took_s: float

    @property
    def is_good(self) -> bool:
        return self.fired > 0 and self.outcome == self.trial.ends and not self.differences


@asynccontextmanager
async def _trading(house: House, directory: Path, trial: Trial) -> Any:
    balances = ("--balance", "USDT=10000", "--balance", "BNB=1")
    market = await house.market(*credentials.options, *balances, speed=60)
    sections = {**TESTNET, **(STOP if trial.stop else {})}
    # One trade a day: a second one, entered at once, would hide that the first has left.
    written(
        directory, quick(**sections, risk_management={"max_daily_loss_percent": 20, "max_daily_trades": 1})
    )
    agent = await house.agent(directory, *market.address, env=credentials.environment(directory))
    async with agent.watched() as watch:
        await watch.entries_allowed()
        yield market, watch
    await agent.stopped()


async def tried(house: House, directory: Path, trial: Trial) -> Tried:
    """One trial from start to comparison."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    outcome = "?"
    async with _trading(house, directory, trial) as (market, watch):
        try:
            outcome = await _traded(market, watch, directory, trial)
        except AssertionError as error:
            outcome = str(error).partition("\n")[0]
        fired = await _lifted(market, trial)
        if outcome in ("flat", "reset"):
            with suppress(AssertionError):
                await watch.until("reconciled", lambda s: _has_settled(s) or s["halt"])
    theirs = await Theirs.read(market)
    await market.stop()
    differences = () if trial.fault == "F42" else tuple(compared(directory, theirs, _initial(trial)))
    strangers = trial.fault == "F41"
    if strangers:
        differences = tuple(d for d in differences if not d.startswith(("USDT", "ADA", "BNB")))
    return Tried(trial, fired, _orders(directory), outcome, differences, loop.time() - began_s)


def _has_settled(state: Mapping[str, Any]) -> bool:
    """Nothing but the day's number of trades keeps it from the next entry."""
    return all(DAY_IS_FULL in reason for reason in state["entries_blocked_by"])


async def _traded(market: Market, watch: Watch, directory: Path, trial: Trial) -> str:
    if trial.at == "entry":
        await _set(market, trial)
    if trial.ends == "nothing":
        await market.signal(**WISH)
        await watch.until("tried", lambda s: s["orders"])
        await watch.until("nothing", lambda s: not s["orders"] and not s["positions"])
        return "nothing"
    if trial.once:
        await market.signal(**WISH)
        held = await watch.until("in position", lambda s: s["positions"])
    else:
        held = await watch.enters(market, **WISH)
    if trial.stop and trial.fault != "F18" and trial.at != "entry":
        await watch.until("protected", lambda s: s["positions"] and s["positions"][0]["protected_by"])
    if trial.at != "entry":
        await _set(market, trial)
    if trial.at == "held":
        await market.control("clock", {"advance_ms": 2 * BAR_MS})
        await market.fires(trial.fault)
    if trial.ends == "reset":
        await watch.until("reset", lambda s: not s["positions"])
        return "reset"
    if trial.lift and trial.at == "held":
        await _lifted(market, trial)
    await _leave(market, watch, directory, trial, held)
    return "flat"


async def _leave(
    market: Market, watch: Watch, directory: Path, trial: Trial, held: Mapping[str, Any]
) -> None:
    if trial.by == "target":
        (position,) = held["positions"]
        price = Decimal(position["target"]) * Decimal("1.01")
        await market.price(price.quantize(Decimal("0.0001")))
    else:
        await cli(directory, "close", "--all", "--yes")
    if trial.lift and trial.at == "exit":
        await asyncio.sleep(3)
        await _lifted(market, trial)
    await watch.flat()


async def _lifted(market: Market, trial: Trial) -> int:
    """End the fault; says how often it fired, also when it was ended before."""
    faults = (await market.control("faults"))["faults"]
    if faults:
        _FIRED[id(trial)] = int(faults[0]["fired"])
        await market.cure()
    return _FIRED.get(id(trial), 0)


async def _set(market: Market, trial: Trial) -> None:
    await market.fault(trial.fault, **trial.more)


def _initial(trial: Trial) -> dict[str, Decimal]:
    return dict(START)


def _orders(directory: Path) -> tuple[str, ...]:
    import sqlite3
    from contextlib import closing

    wanted = (
        "SELECT i.purpose, i.type, o.status, o.filled FROM orders o JOIN intents i ON i.id = o.intent_id "
        "ORDER BY o.id"
    )
    with closing(sqlite3.connect(directory / "trades.db")) as database:
        return tuple(f"{p} {t} {s} {f}" for p, t, s, f in database.execute(wanted))


async def _try_all(wanted: list[str]) -> int:
    bad = 0
    for trial in TRIALS:
        if wanted and not any(name == trial.fault or name == trial.name for name in wanted):
            continue
        house = House()
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = await tried(house, Path(folder) / "data", trial)
            finally:
                await house.clear()
        bad += not row.is_good
        print(
            f"{'ok ' if row.is_good else 'BAD'} {trial.name:42} fired {row.fired}  {row.outcome:10} "
            f"{row.took_s:5.1f} s  {'; '.join(row.orders)}"
            + "".join(f"\n      DIFFERENCE {line}" for line in row.differences),
            flush=True,
        )
    print(f"{bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_try_all(sys.argv[1:])))
