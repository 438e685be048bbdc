"""From numbers to lights, at both sides of every threshold."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from agent.arming.phases import Gate
from agent.config import check_config
from agent.core.market import Candle
from agent.doctor import judging
from agent.doctor.result import Diagnosis, Light, green, red, yellow
from agent.exchange.signed.permissions import KeyRightsUnreadable, NoKeyRights, read_key_rights
from tests.playbook import make_instrument

D = Decimal
GREEN, YELLOW, RED = Light.GREEN, Light.YELLOW, Light.RED


def config(**sections):
    report = check_config(json.dumps(sections))
    assert report.config is not None, report.errors
    return report.config


@pytest.mark.parametrize(
    ("offset", "trip", "light"),
    [
        (0, 10, GREEN),
        (250, 0, GREEN),
        (-251, 0, YELLOW),
        (500, 0, YELLOW),
        (501, 0, RED),
        (-900, 1_000, YELLOW),
    ],
)
def test_clock(offset, trip, light):
    assert judging.clock(offset, trip).light is light


@pytest.mark.parametrize(("ms", "light"), [(500, GREEN), (501, YELLOW), (3_000, YELLOW), (3_001, RED)])
def test_latency(ms, light):
    assert judging.latency(ms).light is light


@pytest.mark.parametrize(("free", "light"), [(2_048, GREEN), (2_047, YELLOW), (200, YELLOW), (199, RED)])
def test_disk(free, light):
    assert judging.disk(free * judging.MIB).light is light


@pytest.mark.parametrize(("assumed", "rate", "light"), [(10, "0.001", GREEN), (5, "0.001", YELLOW)])
def test_fee(assumed, rate, light):
    assert judging.fee(assumed, D(rate), "taker").light is light


def test_a_pair_that_does_not_trade_is_red():
    assert judging.pair(make_instrument()).light is GREEN
    assert judging.pair(make_instrument(trading=False)).light is RED


def found(equity, **risk):
    chosen, instrument = config(risk_management=risk), make_instrument()
    size = judging.sized(chosen, instrument, D("0.5"), D(equity), D("0.005"))
    return judging.tradable(chosen, instrument, size, D(equity), D("0.001")), size


def test_would_the_configured_risk_produce_a_tradable_size():
    well, size = found("10000")
    assert well.light is GREEN
    # By risk 100 / 0.0085, by cap 1000 / 0.5: the cap is the smaller.
    assert (size.qty, size.stop) == (D("2000.0"), D("0.4915"))
    assert well.text == "a signal now would buy 2000 ADA, about 1000.00 of 10000.00 USDT"
    assert found("80")[0].light is YELLOW
    small = found("40")[0]
    assert small.light is RED
    assert "order value 4 USDT is below the minimum 5" in small.text
    # At exactly the minimum it could be bought, and after the fee and a stop not be sold.
    held = found("50.1")[0]
    assert held.light is RED
    assert "could not be sold" in held.text


def test_the_equity_that_is_named_is_enough():
    needed = D(found("40")[0].fix.split("about ")[1].split()[0])
    assert found(str(needed + 1))[0].light is GREEN
    assert found(str(needed / 2))[0].light is not GREEN


def test_mean_true_range():
    bars = [
        Candle(0, 1, 1.2, 0.9, 1.0, 1),
        Candle(1, 1.0, 1.1, 1.0, 1.1, 1),
        Candle(2, 2.0, 2.0, 2.0, 2.0, 1),
    ]
    assert judging.mean_true_range(bars) == pytest.approx(D("0.4333"), abs=D("0.001"))


def test_gates_are_red_only_where_live_is_wanted():
    closed = [Gate("paper phase", False, "0 of 7 days", "wait")]
    assert judging.live_gates(config(), closed)[0].light is YELLOW
    live = config(exchange={"paper_trading": False, "testnet": False})
    assert judging.live_gates(live, closed)[0].light is RED
    assert judging.live_gates(live, [Gate("paper phase", True, "")])[0].light is GREEN


RIGHTS = {
    "enableReading": True, "enableSpotAndMarginTrading": True, "ipRestrict": True, "enableWithdrawals": False,
    "enableInternalTransfer": False, "permitsUniversalTransfer": False, "enableMargin": False,
    "enableFutures": False, "enableVanillaOptions": False, "enablePortfolioMarginTrading": False,
}  # fmt: skip


@pytest.mark.parametrize("right", [name for name in RIGHTS if name != "ipRestrict"])
def test_every_over_powerful_flag_is_red_in_live(right):
    rights = read_key_rights({**RIGHTS, right: not RIGHTS[right]}, 0)
    assert judging.key_rights(rights, "live")[0].light is RED
    assert judging.key_rights(rights, "testnet")[0].light is YELLOW


def test_a_good_key_no_address_and_no_answer():
    assert [f.light for f in judging.key_rights(read_key_rights(RIGHTS, 0), "live")] == [GREEN]
    open_key = read_key_rights({**RIGHTS, "ipRestrict": False}, 0)
    assert [f.light for f in judging.key_rights(open_key, "live")] == [YELLOW]
    assert judging.key_rights(KeyRightsUnreadable("HTTP 500"), "live")[0].light is RED
    assert judging.key_rights(NoKeyRights(), "testnet")[0].light is GREEN


def test_a_diagnosis_ends_with_its_worst_and_comes_back_from_its_document():
    one = Diagnosis((green("a", "1"), yellow("b", "2", "f"), red("c", "3", "g")))
    assert (one.light, one.exit_code) == (RED, 1)
    assert Diagnosis(one.findings[:2]).exit_code == 0
    assert Diagnosis(()).light is GREEN
    assert Diagnosis.read(json.loads(json.dumps(one.document()))) == one
