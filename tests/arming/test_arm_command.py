"""`arm` and `disarm` as an operator uses them, with wrong input too."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from agent.arming.checklist import Worth
from agent.arming.record import read_record
from agent.cli import main
from agent.command_line.terminal import Terminal
from agent.compose.account_worth import account_worth
from agent.compose.live import live_start
from agent.config import check_config
from agent.options import ExchangeAddress

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))
from local_ground import local_exchange

LIVE = {"exchange": {"paper_trading": False, "testnet": False}}
OVERRIDE = ("--override-phases", "a pilot with 20 USDT")


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("CREDENTIALS_DIRECTORY", "AGENT_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LIVE_TRADING_CONFIRM", "ADA/USDT")
    (tmp_path / "config.json").write_text(json.dumps(LIVE))


def typing(monkeypatch, answer):
    """A person at a terminal who types `answer`."""
    monkeypatch.setattr(Terminal, "can_ask", property(lambda self: True))
    monkeypatch.setattr(Terminal, "ask", lambda self, question: answer)


def test_closed_gates_are_named_with_their_numbers_and_nothing_is_asked(monkeypatch, tmp_path, capsys):
    typing(monkeypatch, "ADA/USDT")
    assert main(["arm"]) == 1
    told = capsys.readouterr()
    assert "passed  LIVE_TRADING_CONFIRM: equals the pair ADA/USDT" in told.out
    assert "CLOSED  paper phase: 0.0 of 7 days, 0 of 10 trades" in told.out
    assert "to do   emergency stop exercised: 0 times" in told.out
    assert "what the account is worth is not known: EXCHANGE_API_KEY" in told.out
    assert "CLOSED  launch list: 2 of 7 done; to do: emergency stop" in told.out
    assert "a gate is closed" in told.err
    assert read_record(tmp_path) is None


def test_typing_the_pair_arms_this_configuration_and_disarm_forgets_it(monkeypatch, tmp_path, capsys):
    typing(monkeypatch, "ADA/USDT")
    assert main(["arm", *OVERRIDE]) == 0
    record = read_record(tmp_path)
    assert (record.pair, record.how, record.override.reason) == ("ADA/USDT", "typed", "a pilot with 20 USDT")
    assert "REAL MONEY" in capsys.readouterr().err
    assert main(["disarm"]) == 0
    assert read_record(tmp_path) is None
    assert main(["disarm"]) == 0
    assert "Nothing was armed" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["", "y", "yes", "ada/usdt", "BTC/USDT"])
def test_anything_but_the_pair_arms_nothing(monkeypatch, tmp_path, answer):
    typing(monkeypatch, answer)
    assert main(["arm", *OVERRIDE]) == 1
    assert read_record(tmp_path) is None


def test_without_a_terminal_with_json_without_a_reason_and_with_a_bad_file(monkeypatch, tmp_path, capsys):
    assert main(["arm", *OVERRIDE]) == 1
    assert "nobody confirmed" in capsys.readouterr().err
    assert main(["arm", "--json", *OVERRIDE]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {gate["name"]: gate["passed"] for gate in document["gates"]}["paper phase"] is True
    typing(monkeypatch, "ADA/USDT")
    assert main(["arm", "--override-phases", "short"]) == 1
    assert main(["arm", "--config", "none.json"]) == 2
    (tmp_path / "config.json").write_text("{}")
    assert main(["arm", *OVERRIDE]) == 1
    assert "CLOSED  mode: the configuration's mode is paper" in capsys.readouterr().out
    assert read_record(tmp_path) is None


# --- what the account is worth ------------------------------------------------------------------------


async def test_the_exchange_is_asked_what_the_account_is_worth(monkeypatch, tmp_path):
    monkeypatch.setenv("EXCHANGE_API_KEY", "local-key")
    monkeypatch.setenv("EXCHANGE_API_SECRET", "local-secret")
    config = check_config(json.dumps(LIVE)).config
    async with local_exchange(paused=True) as ground:
        given = await ground.control("account", {"deposit": {"BNB": "2", "ADA": "1000", "LUNC": "5"}})
        assert given.status == 200, given.text
        replaced = ExchangeAddress(ground.running.rest, ground.running.ws)

        def asked():
            return asyncio.to_thread(account_worth, config, tmp_path / ".env", replaced)

        async def middle_or_bid(symbol, *, bid):
            top = (await ground.get(f"/api/v3/ticker/bookTicker?symbol={symbol}")).body
            prices = [Decimal(top["bidPrice"])] + ([] if bid else [Decimal(top["askPrice"])])
            return sum(prices) / len(prices)

        worth = await asked()
        money = Decimal((await ground.control("ledger")).body["balances"]["USDT"]["free"])
        ada, bnb = await middle_or_bid("ADAUSDT", bid=True), await middle_or_bid("BNBUSDT", bid=False)
        assert worth == Worth(money + 1_000 * ada + 2 * bnb, "USDT", ("LUNC",))
        monkeypatch.setenv("EXCHANGE_API_SECRET", "wrong")
        assert "does not show the account" in await asked()
    gone = await asked()
    assert gone.startswith(f"binance@{replaced.rest.partition('//')[2]}: "), gone


def test_a_start_with_live_asks_for_the_worth_only_when_nothing_else_is_closed(monkeypatch, tmp_path):
    minima = {"min_paper_days": 0, "min_testnet_days": 0, "min_phase_trades": 0, "capital": 50}
    config = check_config(json.dumps({**LIVE, "agent": minima})).config
    asked = []

    def worth():
        asked.append("worth")
        return Worth(Decimal(10_000), "USDT")

    def start(flag):
        env_path, database = tmp_path / ".env", tmp_path / "trades.db"
        return live_start(config, env_path, tmp_path, database, flag=flag, is_open=False, worth=worth)

    assert "nobody has confirmed" in start(flag=False).refusal
    monkeypatch.setenv("LIVE_TRADING_CONFIRM", "BTC/USDT")
    assert "does not equal the pair" in start(flag=True).refusal
    assert asked == []
    monkeypatch.setenv("LIVE_TRADING_CONFIRM", "ADA/USDT")
    refused = start(flag=True).refusal
    assert asked == ["worth"]
    assert "launch list: 3 of 7 done; to do: emergency stop exercised, restart exercised" in refused
    assert "start with less" not in refused
    assert read_record(tmp_path) is None
