"""The command `validate-config`: its text, its JSON, its exit codes."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from config_documents import EXAMPLE, example

from agent.config.report import validate_config_command

CANARY = "q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E"
ALONE = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backends.null import Keyring

    monkeypatch.setattr(keyring, "get_password", Keyring().get_password)


def written(folder: Path, **sections: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(example(**sections), indent=2))
    return path


def test_the_example_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_config_command(EXAMPLE, as_json=False) == 0
    out, err = capsys.readouterr()
    assert out.endswith("Configuration valid\n2 warnings (review)\n")
    assert err == ""
    for words in (
        "WARNING backtest_params.use_stop_loss  (line ",
        "  value:  false",
        "  reason: ",
        "  fix:    ",
    ):
        assert words in out


def test_a_valid_file_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, timeframe="30m", seller_params={"ema_fast_minutes": 150})
    assert validate_config_command(path, as_json=False) == 0
    out, _ = capsys.readouterr()
    assert "  mode:    paper (exchange.testnet has no effect)\n" in out
    assert "  market:  ADA/USDT 30m on binance\n" in out
    assert "  windows: ema_fast 10, ema_slow 672, z_window 672, atr_window 96 bars\n" in out


def test_every_finding_has_key_value_reason_and_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, timeframe="15 min", exchange={"api_key": CANARY, "trading_pair": "ADAUSDT"})
    assert validate_config_command(path, as_json=False) == 1
    out, _ = capsys.readouterr()
    assert "ERROR timeframe  (line " in out
    assert '  value:  "15 min"' in out
    assert '  fix:    write "15m"' in out
    assert "ERROR exchange.api_key" in out
    assert CANARY not in out
    assert out.endswith("Configuration invalid: 3 errors\n2 warnings (review)\n")
    assert "Configuration valid" not in out
    for part in ("value", "reason", "fix"):
        assert len(re.findall(f"^  {part}: ", out, re.MULTILINE)) == 5


def test_json_is_one_document_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(
        tmp_path,
        exchange={"api_key": CANARY},
        risk_management={
            "risk_per_trade_percent": 50,
            "max_daily_trades": "10",
            "max_daily_loss_percent": 12.5,
        },
    )
    assert validate_config_command(path, as_json=True) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert set(document) == {"valid", "errors", "warnings"}
    assert document["valid"] is False
    assert all(set(finding) == {"key", "value", "reason", "fix"} for finding in document["errors"])
    values = {finding["key"]: finding["value"] for finding in document["errors"]}
    assert values == {
        "exchange.api_key": None,
        "risk_management.risk_per_trade_percent": 50,
        "risk_management.max_daily_trades": "10",
    }
    warned = {finding["key"]: finding["value"] for finding in document["warnings"]}
    assert warned["risk_management.max_daily_loss_percent"] == 12.5
    assert CANARY not in out


def test_json_of_a_valid_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate_config_command(EXAMPLE, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is True
    assert document["errors"] == []
    assert len(document["warnings"]) == 2


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("content", "exit_code"),
    [(None, 2), (b"", 2), (b"\xff", 2), (b"{,}", 2), (b"[]", 1), (b'{"a": 1}', 1), (b"{}", 0)],
)
def test_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool, content: bytes | None, exit_code: int
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    assert validate_config_command(path, as_json=as_json) == exit_code
    out, _ = capsys.readouterr()
    if as_json:
        assert json.loads(out)["valid"] is (exit_code == 0)
    elif exit_code:
        assert re.search(r"Configuration invalid: \d+ error", out)
    else:
        assert "Configuration valid\n" in out


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        ('{"version": "2.1.0",}', []),
        (
            '{"timeframe": "1m", "risk_management": {"risk_per_trade_percent": 3},}',
            ["timeframe", "risk_manag"],
        ),
        ('{"version": "2.1.0"', []),
    ],
)
def test_a_broken_file_is_not_judged_by_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, warned: list[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    assert validate_config_command(path, as_json=False) == 2
    found = re.findall("^WARNING ([a-z_]{1,10})", capsys.readouterr().out, re.MULTILINE)
    assert found == warned


def test_missing_credentials_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, exchange={"paper_trading": False})
    assert validate_config_command(path, as_json=False, environment=ALONE) == 0
    out, _ = capsys.readouterr()
    assert "WARNING EXCHANGE_API_KEY" in out
    assert "WARNING EXCHANGE_API_SECRET" in out
    assert out.endswith("Configuration valid\n4 warnings (review)\n")

    keys = tmp_path / ".env"
    keys.write_text(f"EXCHANGE_API_KEY={CANARY}\nEXCHANGE_API_SECRET={CANARY}\n")
    keys.chmod(0o600)
    assert validate_config_command(path, as_json=False, environment=ALONE) == 0
    out, _ = capsys.readouterr()
    assert out.endswith("2 warnings (review)\n")
    assert CANARY not in out


def test_another_env_file_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, exchange={"paper_trading": False})
    (tmp_path / ".env").write_text(f"EXCHANGE_API_KEY={CANARY}\nEXCHANGE_API_SECRET={CANARY}\n")
    (tmp_path / ".env").chmod(0o600)
    other = tmp_path / "other.env"
    assert validate_config_command(path, as_json=True, env_file=other, environment=ALONE) == 0
    document = json.loads(capsys.readouterr().out)
    assert [f["key"] for f in document["warnings"] if f["key"].startswith("EXCHANGE")] == [
        "EXCHANGE_API_KEY",
        "EXCHANGE_API_SECRET",
    ]


def test_in_paper_an_open_env_file_is_not_even_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    (tmp_path / ".env").write_text(CANARY)
    (tmp_path / ".env").chmod(0o666)
    assert validate_config_command(path, as_json=False) == 0
    assert ".env" not in capsys.readouterr().out


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert validate_config_command(written(tmp_path, timeframe="für 15m"), as_json=False) == 1
    assert b"f\\xfcr 15m" in raw.getvalue()


def test_hostile_names_and_values_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, timeframe="\x1b[2J15m", exchange={"\x1b]0;x\x07": 1, "\u202ename": 2})
    assert validate_config_command(path, as_json=False) == 1
    out, _ = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
