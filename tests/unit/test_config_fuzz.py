"""Whatever the file holds: a report comes out, soon, and no secret with it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from config_documents import example
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import Report, check_config
from agent.config.env_file import CredentialsRefused, read_env_file
from agent.config.findings import ConfigRefused
from agent.config.report import json_document, text
from agent.config.strict_json import read

CANARY = "q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E"
#: A document of this test's size takes milliseconds; the bound only catches what explodes.
LONGEST_S = 2.0

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        ["", "15m", "5%", "0,5", "ADA/USDT", "adausdt", "YOUR_API_KEY_HERE", "\ud800", "\x1b[0m", CANARY]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)


def paths_of(value: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the document, sections included."""
    found: list[tuple[str, ...]] = []
    for name, inner in value.items() if isinstance(value, dict) else ():
        found += [(*at, name), *paths_of(inner, (*at, name))]
    return found


FULL = example(
    agent={"telegram": {"level": "INFO"}, "email": {"level": "ERROR"}, "capital": 5, "fib_exit": "target"}
)
PATHS = paths_of(FULL)


def changed(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set a key as far as the path still exists after earlier changes."""
    for step in path[:-1]:
        inner = document.get(step)
        if not isinstance(inner, dict):
            return
        document = inner
    document[path[-1]] = value


def everything_said(report: Report) -> str:
    said = text(report) + json_document(report) + repr(report.errors) + repr(report.warnings)
    if report.config is None:
        refusal = ConfigRefused(report)
        return said + str(refusal) + repr(refusal)
    return said


def examined(content: str | bytes) -> Report:
    started = time.process_time()
    report = check_config(content, Path("config.json"))
    said = everything_said(report)
    assert time.process_time() - started < LONGEST_S
    assert report.exit_code in (0, 1, 2)
    for finding in (*report.errors, *report.warnings):
        assert finding.key
        assert finding.reason
        assert finding.fix
    assert said.isprintable() or set(said) - {"\n"} == {c for c in said if c.isprintable()}
    return report


SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(VALUES)
def test_any_json_document(value: Any) -> None:
    report = examined(json.dumps(value))
    assert CANARY not in everything_said(report)


@SETTINGS
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=6))
def test_any_change_of_the_example(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    document = json.loads(json.dumps(FULL))
    for path, value in changes:
        changed(document, path, value)
    report = examined(json.dumps(document))
    assert CANARY not in everything_said(report)


@SETTINGS
@given(
    st.sampled_from(PATHS),
    st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}, f"  {CANARY}", f"x {CANARY} y"]),
)
def test_a_secret_in_any_place(path: tuple[str, ...], value: Any) -> None:
    document = json.loads(json.dumps(FULL))
    changed(document, path, value)
    report = examined(json.dumps(document))
    assert CANARY not in everything_said(report)
    free_text = path[-1] in ("description", "strategy_name", "created_at")
    assert CANARY not in repr(report.config) or free_text or path[0] == "backtest_metrics"


@SETTINGS
@given(st.data())
def test_any_damage_to_the_text(data: st.DataObject) -> None:
    content = json.dumps(FULL, indent=1)
    at = data.draw(st.integers(0, len(content)))
    cut = data.draw(st.integers(0, 20))
    put = data.draw(
        st.text(max_size=8) | st.sampled_from(['"', "{", "}", ",", ":", "\\", "//", "/*", "NaN", "1e999"])
    )
    examined(content[:at] + put + content[at + cut :])


@SETTINGS
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_content(content: str | bytes) -> None:
    examined(content)


@SETTINGS
@given(st.text(alphabet='{}[]",:0123456789.eE+-\\utrfalsn /*#NI\n', max_size=60))
def test_the_reader_accepts_what_the_standard_reader_accepts(content: str) -> None:
    """Where the two differ, the strict one refuses: it never reads what is no JSON."""
    document = read(content)
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        assert document.flaws
    else:
        assert all("NaN" in flaw.reason for flaw in document.flaws if flaw.breaks_grammar)


@SETTINGS
@given(VALUES)
def test_the_reader_reads_the_same_values(value: Any) -> None:
    document = read(json.dumps(value, allow_nan=True))
    if not document.flaws:
        again = json.loads(json.dumps(value))
        assert json.loads(json.dumps(document.value, default=float)) == again


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=120)
    | st.text(max_size=80).map(lambda t: (t + f"\nX={CANARY}").encode("utf-8", "replace"))
)
def test_any_env_file(tmp_path_factory: Any, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.env"
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        said = repr(read_env_file(path))
    except CredentialsRefused as refused:
        said = str(refused) + repr(refused)
    assert CANARY not in said


@pytest.mark.no_cover
def test_the_worst_documents_of_full_size_are_quick() -> None:
    mebibyte = 1024 * 1024
    worst = [
        '{"a":[' + "[]," * ((mebibyte - 20) // 3) + "[]]}",
        "{" + ",".join(f'"k{i}":{i}' for i in range(70_000)) + "}",
        '{"' + "x" * (mebibyte - 10) + '":1}',
        '{"timeframe":"' + "x" * (mebibyte - 20) + '"}',
        '"' + "\\ud83d\\ude00" * (mebibyte // 12 - 1) + '"',
        '{"a":' + "9" * (mebibyte - 10) + "}",
        "/*" * (mebibyte // 2),
        "//\n" * (mebibyte // 3),
        "[" * mebibyte,
        '{"exchange":{"trading_pair":"' + "a_" * (mebibyte // 2 - 50) + '"}}',
        '{"exchange":{"exchange_name":"' + "-" * (mebibyte - 50) + '"}}',
        '{"risk_management":{"max_daily_trades":"' + "1" * (mebibyte - 60) + '"}}',
        '{"timeframe":"' + " " * (mebibyte - 20) + '"}',
    ]
    for content in worst:
        started = time.process_time()
        report = check_config(content[:mebibyte])
        everything_said(report)
        assert time.process_time() - started < 10, content[:40]
        assert not report.valid
