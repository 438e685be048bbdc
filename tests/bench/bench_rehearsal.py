"""Recorded candles as the local exchange's market at several speeds: is the agent where the backtester was?

`python -m tests.bench rehearsal`, or with speeds: `python -m tests.bench.bench_rehearsal 60 600`, or
`whole 2000` for everything after the warm-up. For each speed one engine trades on paper, and every trade of
the backtester is looked for among its decisions. What differs has a name (SPEC 4) or is printed as
unexplained. Nothing is asserted; the candles and the answers are read in place, beside the project.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

SHARED = ROOT.parent / "shared"
CANDLES = SHARED / "data" / "ada_usdt_1m_2023-03-16_2023-05-01.csv.gz"
GOLDEN = SHARED / "golden" / "real" / "ada15m_2023_loose"
SPEEDS = (60, 120, 300, 600, 1_000, 2_000)
#: From, to, and the highest speed: all of it takes a quarter of an hour at 2,000 times the speed of life, and
#: half a day of it twelve minutes at 60. All begin where the averages are warm.
SPANS = (
    ("2023-04-23T14:00:00.000Z", "2023-04-24T01:30:00.000Z", 300),
    ("2023-04-23T14:00:00.000Z", "2023-04-25T21:00:00.000Z", 2_000),
)
WHOLE = ("2023-04-12T00:00:00.000Z", "2023-05-01T20:30:00.000Z")
#: Reasons to leave out or to add a trade that SPEC 4 gives; late and blocked are the machine's.
NAMED = ("entered", "no_room", "no_ladder", "in_position")
COLUMNS = ("load", "bars", "signals", "golden", *NAMED, "late", "blocked", "extra", "same_exit")


def run() -> Iterator[str]:
    yield from table(SPEEDS)


def table(speeds: tuple[int, ...], *, whole: bool = False) -> Iterator[str]:
    if not (CANDLES.exists() and GOLDEN.exists()):
        yield "rehearsal: the recorded candles are not beside the project"
        return
    yield " ".join([f"{'rehearsal':>10}", *COLUMNS])
    for speed in speeds:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as directory:
            span = WHOLE if whole else next((a, b) for a, b, most in SPANS if speed <= most)
            decisions, trades = asyncio.run(lived(speed, Path(directory), *span))
        yield from compared(speed, load, decisions, trades)


async def lived(
    speed: int, data_dir: Path, start: str, end: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Decisions and trades of one engine between two times."""
    from agent_process import House, ms, rows_of
    from configurations import changed, example, written

    params = json.loads((GOLDEN / "params.json").read_text())
    sections = {name: params[name] for name in ("timeframe", "seller_params", "backtest_params")}
    document = changed(example(), **sections, backtest_metrics=None)
    document["risk_management"] |= {"max_daily_trades": 100, "max_daily_loss_percent": 20.0}
    written(data_dir, document)
    house = House()
    try:
        market = await house.market("--candles", str(CANDLES), "--start", start, speed=speed)
        agent = await house.agent(data_dir, *market.address)
        async with agent.watched() as watch:
            await watch.running()
            patience_s = (ms(end) - ms(start)) / 1_000 / speed + 60
            await watch.until(
                "at the end", lambda s: (s["feed"]["last_closed_bar"] or "") >= end, within_s=patience_s
            )
        assert await agent.stopped() == 0
        return rows_of(data_dir, "decisions"), rows_of(data_dir, "trades")
    finally:
        await house.clear()


def compared(
    speed: int, load: float, decisions: list[dict[str, Any]], trades: list[dict[str, Any]]
) -> Iterator[str]:
    ours = {row["bar"]: row for row in decisions}
    first, last = min(ours), max(ours)
    golden = {when: row for when, row in answers().items() if first <= when <= last}
    signals = {bar: row for bar, row in ours.items() if row["exhaustion"]}
    on_golden = Counter(ours[when]["outcome"] if when in ours else "no bar" for when in golden)
    extra = [bar for bar, row in signals.items() if row["outcome"] == "entered" and bar not in golden]
    entered = {trade["signal_ts"]: trade for trade in trades}
    exits = {when: entered[when] for when in golden if when in entered and entered[when]["reason"]}
    same = [w for w, t in exits.items() if (t["reason"], t["bars_held"]) == wanted(golden[w])]
    figures = [f"{load:.1f}", len(ours), len(signals), len(golden)]
    figures += [on_golden[name] for name in (*NAMED, "late", "blocked")]
    figures += [len(extra), f"{len(same)}/{len(exits)}"]
    yield " ".join(
        [f"{speed:>9}x", *(f"{figure:>{len(name)}}" for figure, name in zip(figures, COLUMNS, strict=True))]
    )
    for when in golden:
        outcome = ours[when]["outcome"] if when in ours else "no bar"
        if outcome not in NAMED:
            yield f"{'':11}{when}: {outcome}, {ours[when]['reason'] if when in ours else 'not decided'}"
    for when, trade in exits.items():
        if when not in same:
            theirs = golden[when]
            notes = trade["notes"] or "no note"
            yield (
                f"{'':11}{when}: left by {trade['reason']} after {trade['bars_held']} bars ({notes}),"
                f" the backtester by {theirs['reason']} after {theirs['bars_held']}"
            )
    for when in extra:
        yield f"{'':11}{when}: entered here alone; {why_alone(when)}"


def why_alone(when: str) -> str:
    """Why the backtester has no trade from this signal on."""
    trades = answers().values()
    if any(trade["from"] < when < trade["to"] for trade in trades):
        return "the backtester held a position then"
    if all(trade["to"] <= when for trade in trades):
        return "the backtester held it when its candles ended, which makes no trade"
    return "UNEXPLAINED"


def wanted(theirs: Mapping[str, str]) -> tuple[str, int]:
    return theirs["reason"], int(theirs["bars_held"])


def answers() -> dict[str, dict[str, str]]:
    """The backtester's trades by signal bar, times written as the product writes them."""
    from agent_process import iso, ms

    path = GOLDEN / "trades_target.csv"
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["from"], row["to"] = iso(ms(row["entry_ts"])), iso(ms(row["exit_ts"]))
    return {row["from"]: row for row in rows}


if __name__ == "__main__":
    whole, *rest = sys.argv[1:] if sys.argv[1:2] == ["whole"] else ["", *sys.argv[1:]]
    for line in table(tuple(int(word) for word in rest) or SPEEDS, whole=bool(whole)):
        print(line, flush=True)
