"""What /why answers: the sentences of the command line, from the ledger, with the last absence of today."""

from __future__ import annotations

from pathlib import Path

from agent.alerts.wording import Explained, why
from agent.compose.alert_records import LedgerRecords
from agent.core.market import DAY_MS
from agent.core.records import Outcome
from agent.store.batch import Batch
from tests.store_ground import BAR_MS, SCOPE, T0, Store, balance, decision

FIRST = T0 // BAR_MS


async def test_the_last_bars_are_explained_and_a_silence_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ledger = store.ledger()
    for n in range(4):
        row = decision(FIRST + n, Outcome.LATE if n == 2 else Outcome.NO_SIGNAL)
        ledger.commit(Batch(row.decided_ms, rows=(row,)))
    for minute in (*range(10), *range(55, 75)):
        ledger.commit(Batch(FIRST * BAR_MS, rows=(balance(FIRST * BAR_MS + minute * 60_000),)))
    store.close()
    now_ms = (FIRST + 5) * BAR_MS
    told = await LedgerRecords(store.path, SCOPE).explained(now_ms)
    assert "no signal" in told.bar[0]
    assert any("volume, z-score" in line and "2.5" in line for line in told.bar)
    assert len(told.before) == 2
    assert "signal found too late" in told.before[0]
    assert "engine off" in told.away[0]
    assert "3 bars closed meanwhile" in told.away[1]
    later = await LedgerRecords(store.path, SCOPE).explained(now_ms + 2 * DAY_MS)
    assert not any("3 bars closed" in line for line in later.away), "yesterday's is no news"


async def test_before_the_first_bar_it_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    told = await LedgerRecords(store.path, SCOPE).explained(T0)
    assert told == Explained(("No bar was decided yet.",))


def test_a_long_absence_is_cut_and_says_where_the_rest_is() -> None:
    text = why(Explained(("bar",), ("earlier",), [f"line {n}" for n in range(40)]), ["paused"])
    assert text.startswith("bar\nearlier\nEntries blocked: paused\n\nline 0\n")
    assert text.endswith("... and 25 more lines: agent.cli away")
