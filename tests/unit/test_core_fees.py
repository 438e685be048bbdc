"""Fees in BNB: valued at its own price, now or when that becomes known, and never in anybody's way."""

from __future__ import annotations

from dataclasses import replace

from agent.core import events as e
from agent.core.commands import ReadFeePrice
from agent.core.order import Fact
from agent.core.worth import day_pnl
from tests.playbook import MINUTE, D, Playbook, PositionState

PRICE = D(600)


def bought(play: Playbook, *currencies: str) -> None:
    """An entry filled in as many parts as currencies are named."""
    play.signal()
    play.book()
    entry = play.entry()
    part = play.instrument.qty(entry.qty / len(currencies))
    for n, currency in enumerate(currencies):
        last = n == len(currencies) - 1
        qty = entry.qty - part * n if last else part
        fact = Fact.FULLY_FILLED if last else Fact.PART_FILLED
        fill = play.fill(entry, "0.4981", str(qty), fee_currency=currency)
        if currency == "BNB":
            fill = replace(fill, fee=D("0.001"))
        executed = sum((f.qty for f in play.order(entry).fills), D(0)) + qty
        play.learn(e.OrderReported(play.make_report(entry, fact, executed, (fill,))))


def knows_bnb(play: Playbook) -> None:
    play.learn(e.FeePriceSeen("BNB", PRICE))


def test_a_fee_in_bnb_is_valued_at_its_own_price() -> None:
    play = Playbook().ready()
    knows_bnb(play)
    bought(play, "BNB")
    position = play.position()
    assert position.fees_quote == D("0.6")
    assert position.base_fees == 0
    assert not position.unvalued_fees
    assert "fee_in_BNB" in position.notes
    assert play.order(play.entry()).fee_values == {"1": D("0.6")}


def test_without_a_price_nothing_waits_and_the_price_is_asked_for() -> None:
    play = Playbook().ready()
    bought(play, "BNB")
    position = play.position()
    assert position.state is PositionState.IN_POSITION
    assert position.fees_quote == 0
    assert position.unvalued_fees == {"BNB": D("0.001")}
    assert ReadFeePrice("BNB") in play.commands
    assert play.stop(), "protected all the same"


def test_a_price_that_comes_later_counts_what_was_charged() -> None:
    play = Playbook().ready()
    bought(play, "BNB")
    knows_bnb(play)
    assert play.position().fees_quote == D("0.6")
    assert not play.position().unvalued_fees
    assert play.order(play.entry()).fee_values == {"1": D("0.6")}
    knows_bnb(play)
    assert play.position().fees_quote == D("0.6"), "once"


def test_a_closed_trade_is_booked_again_by_the_difference() -> None:
    play = Playbook().ready()
    bought(play, "BNB")
    play.works(play.stop())
    play.learn(e.CloseRequested("test", None))
    play.leave()
    before = play.state.durable.account.realized_pnl
    knows_bnb(play)
    assert play.state.durable.account.realized_pnl == before - D("0.6")
    assert play.position().booked_pnl == play.position().pnl_quote
    day = play.state.durable.day
    assert day is not None
    assert day.wins + day.losses == 1, "counted once"


def test_bnb_that_runs_out_leaves_fees_of_both_kinds_in_one_order() -> None:
    play = Playbook().ready()
    knows_bnb(play)
    bought(play, "BNB", "ADA")
    position = play.position()
    fills = play.order(play.entry()).fills
    assert [f.fee_currency for f in fills] == ["BNB", "ADA"]
    assert position.base_fees == fills[1].fee
    assert position.held_qty == play.entry().qty - fills[1].fee
    assert position.fees_quote == D("0.6") + fills[1].fee * fills[1].price


def test_fees_in_bnb_do_not_touch_the_cash() -> None:
    play = Playbook().ready()
    knows_bnb(play)
    cash = play.cash
    bought(play, "BNB")
    assert play.cash == cash - play.entry().qty * D("0.4981")
    assert day_pnl(play.state) is not None


def test_an_old_price_is_not_used() -> None:
    play = Playbook().ready()
    knows_bnb(play)
    for _ in range(3):
        play.quiet_bar()
    play.quote(play.last_bar.close)
    bought(play, "BNB")
    assert play.position().unvalued_fees == {"BNB": D("0.001")}


def test_where_bnb_is_held_its_price_is_kept_fresh_without_asking_all_the_time() -> None:
    play = Playbook().ready()
    play.account(USDT=str(play.cash), BNB="0.5")
    assert play.asked(ReadFeePrice) == [ReadFeePrice("BNB")]
    knows_bnb(play)
    play.account(USDT=str(play.cash), BNB="0.5")
    assert not play.asked(ReadFeePrice)
    play.at(play.now_ms + 6 * MINUTE)
    play.account(USDT=str(play.cash), BNB="0.5")
    assert play.asked(ReadFeePrice)


def test_without_bnb_nobody_asks() -> None:
    play = Playbook().ready()
    play.account_agrees()
    assert ReadFeePrice("BNB") not in play.commands


def test_what_is_unvalued_survives_a_restart_and_is_asked_for_again() -> None:
    play = Playbook().ready()
    bought(play, "BNB")
    play.restart().come_back()
    assert play.position().unvalued_fees == {"BNB": D("0.001")}
    play.account(USDT=str(play.cash), ADA=str(play.position().held_qty))
    assert ReadFeePrice("BNB") in play.last
    knows_bnb(play)
    assert play.position().fees_quote == D("0.6")


def test_few_bnb_left_are_told_once_and_again_after_some_were_bought() -> None:
    play = Playbook().ready()
    knows_bnb(play)
    assert not [text for text in play.alerts(play.account_agrees(BNB="0.001")) if "BNB left" in text]
    bought(play, "BNB")
    told = [text for text in play.alerts(play.account_agrees(BNB="0.0099")) if "BNB left" in text]
    assert told == [
        "WARNING low BNB: 0.0099 BNB left, less than 10 times the largest fee lately (0.001): "
        "buy some, or fees come out of what is traded"
    ]
    assert not [text for text in play.alerts(play.account_agrees(BNB="0.0098")) if "BNB left" in text]
    play.account_agrees(BNB="0.01")
    assert [text for text in play.alerts(play.account_agrees(BNB="0.002")) if "BNB left" in text]
