"""Live trading over the product of its gates: possible in exactly the cases it should be."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from agent.arming.checklist import Worth, checklist, launch_gate
from agent.arming.decision import GATES, Armed, Confirmed, Evidence, NotArmed, decide
from agent.arming.phases import Gate, Rehearsals, phase_gates, rehearsals_of
from agent.arming.record import ArmingRecord, Override, forget_record, read_record, write_record
from agent.config.model import AgentSection
from agent.exchange.signed.arming import LiveArming
from agent.insight.facts import ScopeRun
from agent.insight.phases import phase_progress

HASH, OTHER = "a" * 64, "b" * 64
OVERRIDE = Override("a pilot with 20 USDT", "2026-11-29T00:00:00.000Z")
RECORDS = {
    "none": None,
    "this": ArmingRecord(HASH, "1.0", "ADA/USDT", "2026-11-28", "typed"),
    "another config": ArmingRecord(OTHER, "1.0", "ADA/USDT", "2026-11-28", "typed", OVERRIDE),
    "another version": ArmingRecord(HASH, "0.9", "ADA/USDT", "2026-11-28", "typed"),
    "this, overridden": ArmingRecord(HASH, "1.0", "ADA/USDT", "2026-11-28", "typed", OVERRIDE),
}
CONFIRMS = {"right": "ADA/USDT", "wrong": "BTC/USDT", "lower": "ada/usdt", "none": None, "empty": ""}


def evidence(**changes):
    told = {
        "mode": "live",
        "pair": "ADA/USDT",
        "config_hash": HASH,
        "version": "1.0",
        "env_confirm": "ADA/USDT",
        "confirmed": Confirmed.NOT,
        "record": RECORDS["this"],
        "phases": (Gate("paper phase", True, ""), Gate("testnet phase", True, "")),
        "launch": Gate("launch list", True, ""),
    }
    return Evidence(**{**told, **changes})


def test_entries_need_every_gate_in_the_whole_product():
    looked_at = armed = 0
    product = itertools.product(
        ("paper", "testnet", "live"), CONFIRMS, Confirmed, RECORDS,
        (False, True), (False, True), (False, True), (None, OVERRIDE), (False, True),
    )  # fmt: skip
    for mode, confirm, confirmed, record, paper, testnet, launch, override, is_open in product:
        looked_at += 1
        decision = decide(
            evidence(
                mode=mode,
                env_confirm=CONFIRMS[confirm],
                confirmed=confirmed,
                record=RECORDS[record],
                phases=(Gate("paper phase", paper, "p"), Gate("testnet phase", testnet, "t")),
                launch=Gate("launch list", launch, "l"),
                override=override,
                is_open=is_open,
            )
        )
        overridden = override is not None or record == "this, overridden"
        confirmation = confirmed is Confirmed.TYPED or (
            record in ("this", "this, overridden", "another version")
            or (record == "none" and confirmed is Confirmed.FLAG)
        )
        version = confirmed is Confirmed.TYPED or record != "another version"
        # Once a configuration is armed, its launch list is not asked again.
        listed = launch or (
            confirmed is not Confirmed.TYPED and record in ("this", "this, overridden", "another version")
        )
        tried = (paper and testnet and listed) or overridden
        manages = mode == "live" and confirm == "right" and confirmation and tried
        enters = manages and version
        assert enters == (isinstance(decision, Armed) and decision.entries_refused_because is None)
        # Orders without entries: only another version of the program, or something that is open.
        assert isinstance(decision, Armed) == (manages or (mode == "live" and is_open))
        armed += enters
        if isinstance(decision, NotArmed):
            assert decision.why
    assert looked_at == 3 * 5 * 3 * 5 * 2 * 2 * 2 * 2 * 2
    assert 0 < armed < looked_at / 15


@pytest.mark.parametrize("missing", GATES)
def test_an_armed_without_a_gate_cannot_be_made(missing):
    gates = tuple(Gate(name, name != missing, "") for name in GATES)
    with pytest.raises(AssertionError):
        Armed(HASH, "1.0", gates, None, None)
    with pytest.raises(AssertionError):
        Armed(HASH, "1.0", tuple(g for g in gates if g.name != missing), None, None)
    assert LiveArming(Armed(HASH, "1.0", gates, "because", None)).config_hash == HASH


# --- phases -----------------------------------------------------------------------------------------


def run(venue, mode, *, days=0.0, trades=0, criticals=0, pair="ADA/USDT"):
    return ScopeRun(venue, mode, pair, 0, int(days * 1_440), trades, 0, criticals, 0, 0, 0, 1)


REAL, SANDBOX, LOCAL = "binance@api.binance.com", "binance@testnet.binance.vision", "binance@127.0.0.1:8090"


def gates(*runs, has_sandbox=True, **wanted):
    section = AgentSection(**wanted)
    progress = phase_progress(
        runs, exchange="binance", pair="ADA/USDT",
        needed={"paper": (float(section.min_paper_days), section.min_phase_trades)},
    )  # fmt: skip
    rehearsals = rehearsals_of(runs, "binance", "ADA/USDT")
    return [g.passed for g in phase_gates(progress, rehearsals, section, has_sandbox=has_sandbox)]


def test_days_and_trades_are_both_needed_and_only_real_hosts_count():
    enough = run(REAL, "paper", days=7, trades=10)
    assert gates(enough) == [True, False]
    assert gates(run(REAL, "paper", days=6.9, trades=10)) == [False, False]
    assert gates(run(REAL, "paper", days=70, trades=9)) == [False, False]
    assert gates(enough, run(SANDBOX, "testnet", days=7, trades=10)) == [True, True]
    assert gates(enough, run(LOCAL, "testnet", days=700, trades=1_000)) == [True, False]
    assert gates(run(REAL, "paper", days=7, trades=10, pair="BTC/USDT")) == [False, False]
    assert gates(run("kraken@production", "paper", days=7, trades=10)) == [False, False]


def test_a_rehearsal_stands_in_for_paper_alone_and_must_be_clean():
    assert gates(run(LOCAL, "paper", trades=10)) == [True, False]
    assert gates(run(LOCAL, "testnet", trades=10)) == [True, False]
    assert gates(run(LOCAL, "paper", trades=9)) == [False, False]
    assert gates(run(LOCAL, "paper", trades=10, criticals=1)) == [False, False]
    clean = run("binance@127.0.0.1:9", "paper", trades=10)
    assert gates(run(LOCAL, "paper", trades=50, criticals=1), clean) == [True, False]


def test_the_minima_are_the_configuration_s():
    few = run(REAL, "paper", days=1, trades=2), run(SANDBOX, "testnet", days=2, trades=2)
    assert gates(*few, min_paper_days=1, min_testnet_days=2, min_phase_trades=2) == [True, True]
    assert gates(*few, min_paper_days=1, min_testnet_days=3, min_phase_trades=2) == [True, False]


def test_without_a_sandbox_paper_lasts_as_long_as_both():
    assert gates(run(REAL, "paper", days=7, trades=10), has_sandbox=False) == [False, True]
    assert gates(run(REAL, "paper", days=14, trades=20), has_sandbox=False) == [True, True]
    assert gates(run(LOCAL, "paper", trades=50), has_sandbox=False) == [False, True]


def test_the_list_before_launch_says_what_was_tried():
    nothing = checklist((), 0.56, None, "no answer")
    assert [gate.passed for gate in nothing] == [False, True, False, False, False, False, False]
    assert "no answer" in nothing[-1].numbers
    assert launch_gate(nothing).numbers.startswith("1 of 7 done; to do: win rate near the backtest's, ")
    progress = phase_progress(
        [ScopeRun(REAL, "paper", "ADA/USDT", 0, 1, 10, 5, 0, 1, 1, 1, 2)],
        exchange="binance", pair="ADA/USDT", needed={},
    )  # fmt: skip

    def small(capital, account):
        return checklist(progress, 0.56, capital, account)[-1]

    worth = Worth(Decimal(10_000), "USDT", ("LUNC",))
    done = checklist(progress, 0.56, Decimal(50), worth)
    assert all(gate.passed for gate in done)
    assert launch_gate(done) == Gate("launch list", True, "7 of 7 done")
    assert done[-1].numbers == "agent.capital is 50, the account 10,000.00 USDT (without LUNC), 0.5% of it"
    assert not small(Decimal(100), worth).passed
    assert small(Decimal(100), worth).fix == "set agent.capital below 100.00 USDT"
    assert not small(None, worth).passed
    assert not small(Decimal(1), Worth(Decimal(0), "USDT")).passed
    assert not small(Decimal(1), "the key is missing").passed
    assert done[0].numbers == "50% of 10 trades, the backtest 56%"
    assert not checklist(progress, 0.61, None, worth)[0].passed
    started = phase_progress(
        [ScopeRun(REAL, "live", "ADA/USDT", 0, 1, 10, 5, 0, 1, 1, 1, 2)],
        exchange="binance", pair="ADA/USDT", needed={},
    )  # fmt: skip
    assert checklist(started, None, None, worth)[-1].passed, "who has started need not start small"
    assert Rehearsals(10, 0).passed(10)


# --- the record ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [r for r in RECORDS.values() if r])
def test_the_record_comes_back_and_is_ours_alone(tmp_path, record):
    assert read_record(tmp_path) is None
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert (tmp_path / "arming.json").stat().st_mode & 0o777 == 0o600
    assert forget_record(tmp_path)
    assert not forget_record(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"config_hash": 1}', '{"config_hash":"a","version":"1","pair":"p","at":"t"}',
     '{"config_hash":"a","version":"1","pair":"p","at":"t","how":"typed","override":{"reason":""}}',
     '{"config_hash":"a","version":"1","pair":"p","at":"t","how":"typed","override":"yes"}', "x" * 100_000],
)  # fmt: skip
def test_a_record_that_cannot_be_understood_is_none(tmp_path, content):
    (tmp_path / "arming.json").write_text(content)
    assert read_record(tmp_path) is None


def test_a_link_is_no_record(tmp_path):
    (tmp_path / "real").mkdir()
    write_record(tmp_path / "real", RECORDS["this"])
    (tmp_path / "arming.json").symlink_to(tmp_path / "real" / "arming.json")
    assert read_record(tmp_path) is None
