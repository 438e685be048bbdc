"""Recorded candles as the local exchange's market: as they are, holes and end included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from agent.localexchange.book import BookKeeper
from agent.localexchange.interventions import NothingTradesError
from agent.localexchange.market_csv import CsvSource, UnreadableCandlesError, read_candles
from agent.localexchange.pairs import pair_named
from agent.localexchange.serve import Settings, open_market
from agent.localexchange.tape import Tape

ADA = pair_named("ADA/USDT")
FIRST = datetime(2023, 3, 16, 22, 15, tzinfo=UTC)
FIRST_MS = int(FIRST.timestamp()) * 1_000
QUARTER_MS = 900_000


def write(path: Path, bars: int, *, minutes: int = 15, without: tuple[int, ...] = ()) -> Path:
    lines = ["date,open,high,low,close,volume"]
    for n in range(bars):
        if n not in without:
            at = FIRST + timedelta(minutes=n * minutes)
            low = 0.3 + n / 10_000
            lines.append(
                f"{at},{low + 0.001:.4f},{low + 0.002:.4f},{low:.4f},{low + 0.0015:.4f},{n * 10}.5000000004"
            )
    path.write_text("\n".join(lines) + "\n")
    return path


def market(source: CsvSource) -> Tape:
    return Tape(source.pair, source, 1, source.first_minute * 60_000)


def test_candles_come_out_as_they_went_in(tmp_path: Path) -> None:
    source = read_candles(write(tmp_path / "c.csv", 1_500), ADA)
    tape = market(source)
    end_ms = FIRST_MS + 1_500 * QUARTER_MS
    assert tape.end_ms == end_ms
    bars = tape.klines("15m", FIRST_MS, None, 1_000, end_ms)
    bars += tape.klines("15m", bars[-1].open_ms + 1, None, 1_000, end_ms)
    assert [bar.open_ms for bar in bars] == [FIRST_MS + n * QUARTER_MS for n in range(1_500)]
    assert [(b.open, b.high, b.low, b.close) for b in bars] == [
        (3_010 + n, 3_020 + n, 3_000 + n, 3_015 + n) for n in range(1_500)
    ]
    assert [b.volume for b in bars] == [n * 100 + 5 for n in range(1_500)]
    assert tape.pair.price_text(bars[0].open) == "0.30100000"


def test_the_grid_is_read_off_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("date,open,high,low,close,volume\n2021-02-17,0.8699,0.87365,0.86684,0.8711,4812724.71\n")
    pair = read_candles(file, ADA).pair
    assert (pair.tick, pair.step) == (Decimal("0.00001"), Decimal("0.01"))


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    source = read_candles(write(tmp_path / "c.csv", 300, without=(100, 101, 102)), ADA)
    tape = market(source)
    in_hole = FIRST_MS + 101 * QUARTER_MS + 60_000
    assert tape.bar_at("15m", FIRST_MS + 101 * QUARTER_MS, in_hole) is None
    newest = tape.klines("15m", None, None, 3, in_hole)
    assert [(b.open_ms - FIRST_MS) // QUARTER_MS for b in newest] == [97, 98, 99]
    later = FIRST_MS + 200 * QUARTER_MS
    around = tape.klines("15m", FIRST_MS + 98 * QUARTER_MS, None, 4, later)
    assert [(b.open_ms - FIRST_MS) // QUARTER_MS for b in around] == [98, 99, 103, 104]
    assert len(tape.klines("15m", None, None, 150, later)) == 150, "a hole does not shorten an answer"
    last = tape.last_trade(in_hole)
    assert last is not None
    assert last.price == 3_015 + 99
    with pytest.raises(NothingTradesError):
        tape.move_to(5_000, in_hole)
    book = BookKeeper(tape, 1)
    book.advance(in_hole)
    assert book.top() is not None, "the book waits at the last price"


def test_after_the_end_nothing_trades(tmp_path: Path) -> None:
    source = read_candles(write(tmp_path / "c.csv", 100), ADA)
    tape = market(source)
    end_ms = FIRST_MS + 100 * QUARTER_MS
    later = end_ms + 10 * QUARTER_MS
    newest = tape.klines("15m", None, None, 2, later)
    assert [(b.open_ms - FIRST_MS) // QUARTER_MS for b in newest] == [98, 99]
    assert all(bar.closed for bar in newest)
    last = tape.last_trade(later)
    assert last is not None
    assert last.at_ms < end_ms
    book = BookKeeper(tape, 1)
    book.advance(later)
    before = (book.update_id, dict(book.bids))
    book.advance(later + 60_000)
    assert (book.update_id, book.bids) == before


def test_minutes_give_the_path_of_larger_bars(tmp_path: Path) -> None:
    source = read_candles(write(tmp_path / "c.csv", 60, minutes=1), ADA)
    tape = market(source)
    (bar,) = tape.klines("15m", FIRST_MS, None, 1, FIRST_MS + 3_600_000)
    assert (bar.open, bar.high, bar.low, bar.close) == (3_010, 3_034, 3_000, 3_029)


def test_a_bar_cut_by_a_hole_is_never_told_as_closed(tmp_path: Path) -> None:
    source = read_candles(write(tmp_path / "c.csv", 70, minutes=1, without=(20, 21, 22, 23, 24, 35)), ADA)
    tape = market(source)
    in_cut_bar = FIRST_MS + 17 * 60_000
    assert tape.bar_at("15m", FIRST_MS + QUARTER_MS, in_cut_bar) is not None, "still open, nobody knows yet"
    later = FIRST_MS + 3 * 3_600_000
    quarters = [(b.open_ms - FIRST_MS) // QUARTER_MS for b in tape.klines("15m", None, None, 10, later)]
    assert quarters == [0, 3], "1 and 2 have holes, 4 ends with the file"
    assert len(tape.klines("1m", None, None, 100, later)) == 64
    assert len(tape.klines("1d", None, None, 100, later)) == 1


@pytest.mark.parametrize(("bars", "minutes", "share"), [(3_000, 15, 0.6), (20_000, 15, None)])
def test_the_default_start_leaves_something_to_trade(
    tmp_path: Path, bars: int, minutes: int, share: float | None
) -> None:
    file = write(tmp_path / "c.csv", bars, minutes=minutes)
    opened = open_market(Settings(candles=file))
    expected = FIRST_MS + (7_768 if share is None else int(bars * share)) * QUARTER_MS
    assert opened.start_ms == expected
    assert opened.market.symbols == ["ADAUSDT", "BNBUSDT"]


def test_a_start_outside_the_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", 100)
    with pytest.raises(ValueError, match="2023-03-16T22:15"):
        open_market(Settings(candles=file, start_ms=FIRST_MS - 1))


def test_candles_of_no_interval_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCandlesError, match="7 minutes"):
        read_candles(write(tmp_path / "c.csv", 10, minutes=7), ADA)
