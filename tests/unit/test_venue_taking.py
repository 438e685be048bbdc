"""Orders that trade when they arrive: what they take, what they cost, what becomes of the rest."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.localexchange.venue.words import Prevention
from tests.venue_ground import desk, levels

D = Decimal


def test_a_purchase_at_the_market_walks_the_book_and_pays_in_what_it_buys() -> None:
    d = desk()
    placed = d.place("BUY", "MARKET", "1500")
    order = placed.order
    assert (order.status, order.filled, order.quote_filled) == ("FILLED", D(1500), D("750.2"))
    assert [(t.price, t.qty, t.fee, t.fee_asset, t.maker) for t in placed.trades] == [
        (D("0.5001"), D(1000), D(1), "ADA", False),
        (D("0.5002"), D(500), D("0.5"), "ADA", False),
    ]
    assert d.free("USDT") == D("249.8")
    assert d.free("ADA") == D("2498.5")
    assert d.told() == ["NEW c1", "TRADE c1 1000@0.5001", "TRADE c1 500@0.5002", "USDT ADA"]
    assert d.book.asks == levels(("0.5002", "1500")), "what is taken is gone"


def test_a_sale_at_the_market_pays_in_what_it_brings() -> None:
    d = desk()
    placed = d.place("SELL", "MARKET", "100")
    assert [(t.fee, t.fee_asset) for t in placed.trades] == [(D("0.04999"), "USDT")]
    assert (d.free("ADA"), d.free("USDT")) == (D(900), D("1049.94001"))


def test_a_market_order_that_finds_no_more_expires() -> None:
    d = desk(asks=[("0.5001", "300.5")])
    placed = d.place("BUY", "MARKET", "1000")
    assert (placed.order.status, placed.order.expiry) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
    assert placed.order.filled == D("300.5")
    assert d.told()[-2:] == ["EXPIRED c1 INSUFFICIENT_LIQUIDITY", "USDT ADA"]
    assert d.place("BUY", "MARKET", "1000").order.filled == 0


def test_an_order_in_quote_currency_buys_what_that_pays() -> None:
    d = desk()
    order = d.place("BUY", "MARKET", quote_qty="600").order
    # 1,000 at 0.5001 leave 99.9 USDT, which buy 199.7 at 0.5002 and leave less than a step costs.
    assert (order.status, order.qty, order.filled) == ("FILLED", D("1199.7"), D("1199.7"))
    assert order.quote_filled == D("500.1") + D("99.88994")
    sale = d.place("SELL", "MARKET", quote_qty="50").order
    assert (sale.status, sale.filled) == ("FILLED", D("100"))


def test_an_order_in_quote_currency_that_finds_no_more_expires() -> None:
    d = desk(asks=[("0.5", "100")])
    order = d.place("BUY", "MARKET", quote_qty="200").order
    assert (order.status, order.filled, order.qty) == ("EXPIRED", D(100), D(400))
    assert d.refused("BUY", "MARKET", quote_qty="200") == (
        "-2010 Order book liquidity is less than symbol minimum quantity."
    )


def test_too_little_money_or_coin_is_refused() -> None:
    short = "-2010 Account has insufficient balance for requested action."
    d = desk(asks=[("0.5", "9000")])
    assert d.refused("BUY", "MARKET", "2000.1") == short
    assert d.refused("SELL", "MARKET", "1000.1") == short
    assert d.refused("BUY", "LIMIT", "2000.1", price="0.5") == short
    assert d.refused("SELL", "LIMIT", "1000.1", price="0.6") == short
    assert d.refused("SELL", "STOP_LOSS", "1000.1", stop="0.4") == short
    assert d.refused("BUY", "MARKET", quote_qty="1000.1") == short
    assert d.place("BUY", "MARKET", "2000").order.status == "FILLED"
    assert d.free("USDT") == 0


def test_a_limit_takes_up_to_its_price_and_rests() -> None:
    d = desk()
    placed = d.place("BUY", "LIMIT", "1500", price="0.5001")
    assert (placed.order.status, placed.order.filled) == ("PARTIALLY_FILLED", D(1000))
    assert d.locked("USDT") == D("250.05")
    assert d.free("USDT") == D("1000") - D("500.1") - D("250.05")
    assert placed.order.resting


def test_a_better_price_frees_what_the_limit_had_set_aside() -> None:
    d = desk()
    placed = d.place("BUY", "LIMIT", "1000", price="0.55")
    assert placed.order.quote_filled == D("500.1")
    assert (d.locked("USDT"), d.free("USDT")) == (D(0), D("499.9"))


@pytest.mark.parametrize(
    ("force", "filled", "status", "why"),
    [
        ("IOC", "1000", "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("FOK", "0", "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED"),
        ("GTC", "1000", "PARTIALLY_FILLED", None),
    ],
)
def test_time_in_force(force: str, filled: str, status: str, why: str | None) -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "1500", price="0.5001", force=force).order
    assert (order.filled, order.status, order.expiry) == (D(filled), status, why)
    assert d.locked("USDT") == (D("250.05") if force == "GTC" else 0)


def test_fill_or_kill_fills_when_it_can() -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "1500", price="0.5002", force="FOK").order
    assert (order.filled, order.status) == (D(1500), "FILLED")


def test_a_maker_must_not_take() -> None:
    d = desk()
    says = "-2010 Order would immediately match and take."
    assert d.refused("BUY", "LIMIT_MAKER", "100", price="0.5001") == says
    assert d.refused("SELL", "LIMIT_MAKER", "100", price="0.4999") == says
    assert d.place("BUY", "LIMIT_MAKER", "100", price="0.5").order.status == "NEW"
    assert d.refused("SELL", "LIMIT_MAKER", "100", price="0.5") == says, "its own order stands there"


@pytest.mark.parametrize(
    ("prevention", "taker", "maker", "filled"),
    [
        ("EXPIRE_MAKER", "FILLED", "EXPIRED_IN_MATCH", "1000"),
        ("EXPIRE_TAKER", "EXPIRED_IN_MATCH", "NEW", "0"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH", "0"),
    ],
)
def test_an_account_does_not_trade_with_itself(prevention: str, taker: str, maker: str, filled: str) -> None:
    d = desk()
    own = d.place("SELL", "LIMIT_MAKER", "500", price="0.5").order
    order = d.place("BUY", "LIMIT", "1000", price="0.5001", prevention=Prevention(prevention)).order
    assert (order.status, d.now(own).status, order.filled) == (taker, maker, D(filled))
    assert d.locked("ADA") == (D(500) if maker == "NEW" else 0)
    assert d.locked("USDT") == 0


def test_prevention_between_the_levels_lets_the_better_ones_trade_first() -> None:
    d = desk()
    own = d.place("SELL", "LIMIT_MAKER", "500", price="0.5002").order
    order = d.place("BUY", "MARKET", "1500", prevention=Prevention.EXPIRE_TAKER).order
    assert (order.status, order.filled, order.prevented) == ("EXPIRED_IN_MATCH", D(1000), D(500))
    assert d.now(own).open
    lonely = desk(asks=[])
    own = lonely.place("SELL", "LIMIT_MAKER", "500", price="0.5").order
    order = lonely.place("BUY", "LIMIT", "100", price="0.5").order
    assert (order.status, lonely.now(own).status) == ("NEW", "EXPIRED_IN_MATCH")


def test_a_commission_in_bnb_is_a_quarter_cheaper_while_there_is_bnb() -> None:
    d = desk(funds={"USDT": "1000", "ADA": "1000", "BNB": "0.0007"}, asks=[("0.5", "1000"), ("0.51", "900")])
    first, second = d.place("BUY", "MARKET", "1800").trades
    # 1,000 ADA are 500 USDT; 0.1 % less a quarter of that at 600 USDT are 0.000625 BNB.
    assert (first.fee, first.fee_asset) == (D("0.00062500"), "BNB")
    # What is left does not pay the second one, so all of it comes out of what was bought.
    assert (second.fee, second.fee_asset) == (D("0.8"), "ADA")
    assert (d.free("BNB"), d.free("ADA")) == (D("0.000075"), D("2799.2"))


def test_bnb_is_left_alone_when_its_price_is_unknown_or_the_account_does_not_want_it() -> None:
    d = desk(funds={"USDT": "1000", "BNB": "1"})
    d.book.bnb_price = None
    assert d.place("BUY", "MARKET", "100").trades[0].fee_asset == "ADA"
    d.book.bnb_price = D(600)
    d.venue.set_rates(type(d.venue.rates)(in_bnb=False))
    assert d.place("BUY", "MARKET", "100").trades[0].fee_asset == "ADA"
    assert d.free("BNB") == 1


def test_trade_and_order_ids_rise() -> None:
    d = desk()
    first, second = d.place("BUY", "MARKET", "1500"), d.place("SELL", "MARKET", "100")
    assert second.order.id == first.order.id + 1
    assert [t.id for t in (*first.trades, *second.trades)] == [1, 2, 3]
    d.venue.jump(orders=500, trades=70)
    third = d.place("SELL", "MARKET", "100")
    assert (third.order.id, third.trades[0].id) == (second.order.id + 501, 74)


def test_an_empty_book_of_the_other_side_fills_nothing() -> None:
    d = desk(bids=[])
    order = d.place("SELL", "MARKET", "100").order
    assert (order.status, order.filled) == ("EXPIRED", D(0))
    assert d.free("ADA") == 1000
