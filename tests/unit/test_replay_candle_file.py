"""Candle files as people have them, and what a bad one is told."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from agent.core.market import Candle
from agent.replay.candle_file import (
    CandleFileRefused,
    CandleFileUnreadable,
    RecordedCandles,
    bar_length_of,
    read_candles,
)
from agent.replay.dates import format_date, parse_date

QUARTER = 15 * 60_000
START = 1_613_520_000_000  # 2021-02-17 00:00:00 UTC
HEADER = "date,open,high,low,close,volume"


def written(tmp_path: Path, text: str | bytes, name: str = "candles.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(count: int = 3) -> list[str]:
    return [f"{format_date(START + i * QUARTER)},1.0,1.2,0.9,1.1,{100 + i}" for i in range(count)]


def read(path: Path) -> RecordedCandles:
    return read_candles(path, QUARTER)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(CandleFileRefused) as refused:
        read(written(tmp_path, text))
    return "\n".join(refused.value.complaints)


def test_a_plain_file(tmp_path: Path) -> None:
    found = read(written(tmp_path, "\n".join([HEADER, *rows()]) + "\n"))
    assert list(found.candles)[1] == Candle(START + QUARTER, 1.0, 1.2, 0.9, 1.1, 101.0)
    assert len(found.candles) == 3
    assert found.notices() == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_header_case_order_blanks_and_byte_order_mark(tmp_path: Path, delimiter: str) -> None:
    lines = [
        delimiter.join(["Volume", " CLOSE", "Low", "High", "Open", "Timestamp", "Symbol"]),
        delimiter.join(["7", "1.1", "0.9", "1.2", "1.0", '"2021-02-17T00:00:00Z"', "ADA"]),
        "",
        delimiter.join(["8", "1.1", "0.9", "1.2", " 1.0 ", "2021-02-17 00:15", "ADA"]),
    ]
    found = read(written(tmp_path, "\ufeff" + "\r\n".join(lines)))
    assert list(found.candles) == [
        Candle(START, 1.0, 1.2, 0.9, 1.1, 7.0),
        Candle(START + QUARTER, 1.0, 1.2, 0.9, 1.1, 8.0),
    ]
    assert found.notices() == ["ignored columns: symbol"]


def test_gzip_is_recognised_by_content_and_progress_reaches_the_end(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join([HEADER, *rows(500)]).encode())
    path = written(tmp_path, packed, "candles.txt")
    seen: list[tuple[int, int]] = []
    assert len(read_candles(path, QUARTER, lambda done, total: seen.append((done, total))).candles) == 500
    assert seen[-1] == (len(packed), len(packed))


@pytest.mark.parametrize(
    "text",
    [
        "2021-02-17 00:00:00+00:00",
        "2021-02-17T00:00:00Z",
        "2021-02-17 00:00",
        "2021-02-17",
        "2021-02-17 00:00:00 UTC",
        "2021-02-17 02:00:00+02:00",
        "2021/02/17 00:00:00",
        "2021-02-17 00:00:00.000",
        "1613520000",
        "1613520000.0",
        "1613520000000",
        "1613520000000000",
        "1613520000000000000",
    ],
)
def test_dates_that_are_understood(text: str) -> None:
    assert parse_date(text) == START


@pytest.mark.parametrize(
    "text",
    ["", "17.02.2021", "02/17/2021", "20210217", "16135200", "2021-02-30", "yesterday", "-1613520000", "²"],
)
def test_dates_that_would_be_guesses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_date(text)


def test_dates_are_written_as_the_backtester_does() -> None:
    assert format_date(START) == "2021-02-17 00:00:00+00:00"
    assert parse_date(format_date(-1000)) == -1000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense,1,2,0.5,1,1", ("date 'nonsense'", "2025-01-31 09:15:00+00:00")),
        ("{date},1.0,1.2,0.9,abc,1", ("close 'abc' is not a number", "plain number")),
        ('{date},"1,0",1.2,0.9,1.1,1', ("open '1,0' is not a number", "decimal point")),
        ("{date},1.0,1_2,0.9,1.1,1", ("high '1_2' is not a number",)),
        ("{date},1.0,nan,0.9,1.1,1", ("a number is not finite",)),
        ("{date},1.0,inf,0.9,1.1,1", ("a number is not finite",)),
        ("{date},1.0,0.8,0.9,1.0,1", ("high is below another price", "correct or delete the line")),
        ("{date},1.0,1.2,1.1,1.1,1", ("low is above another price",)),
        ("{date},0,1.2,0,1.1,1", ("a price is not positive",)),
        ("{date},1.0,1.2,0.9,1.1,-1", ("volume is negative",)),
        ("{date},1.0,1.2,0.9,1.1", ("has 5 fields where the first line names 6",)),
        ("{date},1.0,1.2,0.9,1.1,1,2", ("has 7 fields where the first line names 6",)),
        ("2021-02-17 00:31:00,1.0,1.2,0.9,1.1,1", ("off the grid", "open every 15 minutes")),
    ],
)
def test_a_bad_line_is_named_with_its_fix(tmp_path: Path, line: str, words: tuple[str, ...]) -> None:
    bad = line.format(date=format_date(START + 2 * QUARTER))
    found = refusal(tmp_path, "\n".join([HEADER, *rows(2), bad, *rows(5)[3:]]))
    assert "candles.csv: line 4: " in found
    for word in words:
        assert word in found
    assert found.count("\n") == 0, "one fault, one complaint"


def test_duplicates_and_disorder_name_both_lines(tmp_path: Path) -> None:
    first, second, third = rows()
    twice = refusal(tmp_path, "\n".join([HEADER, first, second, second, third]))
    assert "line 4: 2021-02-17 00:15:00+00:00 is there already, on line 3; delete one" in twice
    mixed = refusal(tmp_path, "\n".join([HEADER, first, third, second]))
    assert "line 4: 2021-02-17 00:15:00+00:00 comes after 2021-02-17 00:30:00+00:00 (line 3); sort" in mixed


def test_many_faults_stop_the_reading(tmp_path: Path) -> None:
    found = refusal(tmp_path, "\n".join([HEADER, *["x,1,1,1,1,1"] * 50]))
    assert len(found.splitlines()) == 11
    assert "stopped after 10 faults" in found


def test_gaps_are_reported_and_kept(tmp_path: Path) -> None:
    lines = rows(10)
    found = read(written(tmp_path, "\n".join([HEADER, *lines[:2], *lines[3:5], *lines[8:]])))
    assert [gap.missing for gap in found.gaps] == [1, 3]
    (notice,) = found.notices()
    assert "2 gaps (4 missing bars)" in notice
    assert "3 bars, between 2021-02-17 01:00:00+00:00 and 2021-02-17 02:00:00+00:00" in notice
    assert len(found.candles) == 6
    assert bar_length_of(found.candles) == QUARTER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: is empty"),
        ("\n" + HEADER, "line 1: is empty"),
        ("date,open,high,low,close\n", "no column volume"),
        ("2021-02-17,1,1,1,1,1\n", "no column date, open, high, low, close, volume"),
        ("date,open,open,high,low,close,volume\n", "names open more than once"),
        (HEADER + "\n", "holds no candles"),
        (HEADER + "\n\n  \n", "holds no candles"),
    ],
)
def test_a_bad_header_or_an_empty_file(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def unreadable(path: Path) -> str:
    with pytest.raises(CandleFileUnreadable) as found:
        read(path)
    return str(found.value)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "there is no such file" in unreadable(tmp_path / "missing.csv")
    assert "is a directory" in unreadable(tmp_path)
    packed = gzip.compress("\n".join([HEADER, *rows(2000)]).encode())
    assert "damaged gzip" in unreadable(written(tmp_path, packed[: len(packed) // 2]))
    assert "damaged gzip" in unreadable(written(tmp_path, packed[:20] + os.urandom(200)))
    assert "not UTF-8" in unreadable(written(tmp_path, (HEADER + "\n").encode() + b"\xff\xfe\x00"))
    assert "not CSV" in unreadable(written(tmp_path, HEADER + "\n" + "9" * 200_000 + ",1"))


def test_a_binary_file_is_told_what_is_missing(tmp_path: Path) -> None:
    assert "no column" in refusal(tmp_path, "PK\x03\x04" + "x" * 500_000)
