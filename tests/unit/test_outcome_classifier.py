"""The whole table of what an answer to a request proves, row by row."""

from __future__ import annotations

import json

import pytest

from agent.exchange.signed.classify import (
    PROVES_NOTHING,
    REFUSALS,
    REFUSALS_OF_EXISTING,
    Accepted,
    Partly,
    Refused,
    Unknown,
    classify,
    read_halves,
)


def said(code: object, msg: str = "words") -> str:
    return json.dumps({"code": code, "msg": msg})


HTML = "<html><head><title>403 Forbidden</title></head><body>WAF</body></html>"

#: What must never be taken for a refusal, whatever stands beside it.
UNKNOWN_ROWS = [
    pytest.param(403, HTML, id="403 of the firewall"),
    pytest.param(403, said(-2010), id="403 with a refusal's code"),
    pytest.param(500, "Internal Server Error", id="500 text"),
    pytest.param(500, said(-2010), id="500 with a refusal's code"),
    pytest.param(502, "<html>Bad Gateway</html>", id="502"),
    pytest.param(503, "Service Unavailable", id="503"),
    pytest.param(503, said(-1021), id="503 with a refusal's code"),
    pytest.param(504, "", id="504"),
    pytest.param(400, said(-1000), id="-1000"),
    pytest.param(400, said(-1001), id="-1001"),
    pytest.param(503, said(-1004), id="-1004"),
    pytest.param(400, said(-1006), id="-1006"),
    pytest.param(504, said(-1007), id="-1007"),
    pytest.param(400, said(-1007), id="-1007 as 400"),
    pytest.param(429, said(-1007), id="-1007 as 429"),
    pytest.param(503, said(-1008), id="-1008"),
    pytest.param(400, said(-1008), id="-1008 as 400"),
    pytest.param(400, said(-1010, "Market is closed."), id="-1010"),
    pytest.param(400, said(-1016), id="-1016"),
    pytest.param(400, said(-2010, "Duplicate order sent."), id="-2010 duplicate"),
    pytest.param(400, said(-2010, "DUPLICATE ORDER SENT"), id="-2010 duplicate in capitals"),
    pytest.param(400, said(-9999), id="a code nobody listed"),
    pytest.param(400, said("-2010"), id="a code as text"),
    pytest.param(400, said(-2010.0), id="a code as float"),
    pytest.param(400, said(True), id="a code as flag"),
    pytest.param(400, said(2010), id="a positive code"),
    pytest.param(400, said(None), id="no code"),
    pytest.param(400, json.dumps([{"code": -2010, "msg": "x"}]), id="an error in a list"),
    pytest.param(400, '{"code": -2010, "msg": "Acc', id="a truncated error"),
    pytest.param(400, "", id="400 empty"),
    pytest.param(400, "null", id="400 null"),
    pytest.param(404, HTML, id="404 html"),
    pytest.param(408, "", id="408"),
    pytest.param(301, "", id="301"),
    pytest.param(307, said(-2010), id="307 with a refusal's code"),
    pytest.param(200, "", id="200 empty"),
    pytest.param(200, HTML, id="200 html"),
    pytest.param(200, '{"orderId": 12, "clie', id="200 truncated"),
    pytest.param(200, "12", id="200 a number"),
    pytest.param(200, "null", id="200 null"),
    pytest.param(200, said(-2010), id="200 with a refusal's code"),
    pytest.param(200, said(-1007), id="200 with an unknown's code"),
    pytest.param(200, "[" * 5_000, id="200 nested without end"),
    pytest.param(200, '{"code": -2010, "code": 0', id="200 broken twice"),
    pytest.param(400, '{"code": -' + "9" * 5_000 + "}", id="a code without end"),
]


@pytest.mark.parametrize(("status", "body"), UNKNOWN_ROWS)
@pytest.mark.parametrize("places", [True, False])
def test_what_proves_nothing_is_unknown(status: int, body: str, places: bool) -> None:
    verdict = classify(status, body, places=places)
    assert isinstance(verdict, Unknown)
    assert verdict.why
    assert len(verdict.why) < 300
    assert "<" not in verdict.why


REFUSED_ROWS = [
    pytest.param(400, -1021, "Timestamp for this request is outside of the recvWindow.", id="-1021 late"),
    pytest.param(400, -1021, "Timestamp for this request was 1000ms ahead", id="-1021 early"),
    pytest.param(400, -1022, "Signature for this request is not valid.", id="-1022"),
    pytest.param(401, -2014, "API-key format invalid.", id="-2014"),
    pytest.param(401, -2015, "Invalid API-key, IP, or permissions for action.", id="-2015 first"),
    pytest.param(400, -2015, "Invalid API-key, IP, or permissions for action.", id="-2015 as 400"),
    pytest.param(400, -1102, "Mandatory parameter 'price' was not sent", id="-1102"),
    pytest.param(400, -1104, "Not all sent parameters were read", id="-1104"),
    pytest.param(400, -1111, "Parameter 'price' has too much precision.", id="-1111"),
    pytest.param(400, -1121, "Invalid symbol.", id="-1121"),
    *(
        pytest.param(400, -1013, f"Filter failure: {name}", id=f"-1013 {name}")
        for name in (
            "LOT_SIZE",
            "MARKET_LOT_SIZE",
            "PRICE_FILTER",
            "PERCENT_PRICE_BY_SIDE",
            "NOTIONAL",
            "MIN_NOTIONAL",
            "MAX_NUM_ORDERS",
            "MAX_NUM_ALGO_ORDERS",
            "MAX_POSITION",
        )
    ),
    pytest.param(400, -2010, "Account has insufficient balance for requested action.", id="-2010 balance"),
    pytest.param(400, -2010, "Order would immediately match and take.", id="-2010 match"),
    pytest.param(400, -2010, "Stop price would trigger immediately.", id="-2010 trigger"),
    pytest.param(400, -2010, "This symbol is not permitted for this account.", id="-2010 not permitted"),
    pytest.param(400, -2010, "This action is disabled on this account.", id="-2010 disabled"),
    pytest.param(400, -2010, "Market is closed.", id="-2010 closed"),
    pytest.param(429, -1015, "Too many new orders.", id="-1015"),
    pytest.param(400, -1015, "Too many new orders.", id="-1015 as 400"),
    pytest.param(429, -1003, "Too much request weight used", id="-1003 as 429"),
    pytest.param(418, -1003, "IP banned until 1750000000000.", id="-1003 as 418"),
]


@pytest.mark.parametrize(("status", "code", "msg"), REFUSED_ROWS)
def test_a_listed_code_is_a_refusal(status: int, code: int, msg: str) -> None:
    assert classify(status, said(code, msg), places=True) == Refused(code, msg)


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize("body", ["", "<html>Too Many</html>", "[]", said(-9999)])
def test_the_limiter_refuses_whatever_it_says(status: int, body: str) -> None:
    verdict = classify(status, body, places=True)
    assert isinstance(verdict, Refused)
    assert verdict.code == (-9999 if "9999" in body else status)


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("places", [True, False])
def test_every_listed_refusal_holds_for_every_request(code: int, places: bool) -> None:
    assert classify(400, said(code), places=places) == Refused(code, "words")


@pytest.mark.parametrize("code", sorted(REFUSALS_OF_EXISTING))
def test_what_is_said_of_an_existing_order_proves_nothing_about_a_new_one(code: int) -> None:
    assert classify(400, said(code), places=False) == Refused(code, "words")
    assert isinstance(classify(400, said(code), places=True), Unknown)


def test_no_code_outside_the_tables_is_a_refusal() -> None:
    for code in range(-9_999, 0):
        listed = code in REFUSALS or code in REFUSALS_OF_EXISTING
        assert isinstance(classify(400, said(code), places=False), Refused) == listed, code
        assert not (listed and code in PROVES_NOTHING), code


def test_an_acceptance_is_the_body() -> None:
    assert classify(200, '{"orderId": 7}', places=True) == Accepted({"orderId": 7})
    assert classify(200, "[]", places=False) == Accepted([])


# --- cancelReplace -------------------------------------------------------------------------------------

FAILED = {"code": -2011, "msg": "Unknown order sent."}


@pytest.mark.parametrize(("status", "code"), [(409, -2021), (400, -2022), (429, -2021)])
def test_a_half_failed_replacement_is_neither(status: int, code: int) -> None:
    data = {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "cancelResponse": FAILED}
    verdict = classify(status, json.dumps({"code": code, "msg": "m", "data": data}), places=True)
    assert verdict == Partly(code, "m", data)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, said(-2021)),
        (400, said(-2022)),
        (409, '{"code": -2021, "msg": "m", "data": 7}'),
        (500, '{"code": -2021, "msg": "m", "data": {}}'),
        (200, '{"code": -2022, "msg": "m", "data": {}}'),
    ],
)
def test_a_half_failed_replacement_without_its_halves_is_unknown(status: int, body: str) -> None:
    assert isinstance(classify(status, body, places=True), Unknown)


def test_each_half_has_its_own_verdict() -> None:
    order = {"orderId": 1}
    done = {"cancelResult": "SUCCESS", "cancelResponse": order}
    assert read_halves(
        {"cancelResult": "FAILURE", "cancelResponse": FAILED, "newOrderResult": "NOT_ATTEMPTED"}
    ) == (Refused(-2011, "Unknown order sent."), None)
    assert read_halves({**done, "newOrderResult": "SUCCESS", "newOrderResponse": order}) == (
        Accepted(order),
        Accepted(order),
    )
    refused = {"code": -1015, "msg": "Too many new orders."}
    assert read_halves({**done, "newOrderResult": "FAILURE", "newOrderResponse": refused}) == (
        Accepted(order),
        Refused(-1015, "Too many new orders."),
    )
    duplicate = {"code": -2010, "msg": "Duplicate order sent."}
    canceled, placed = read_halves({**done, "newOrderResult": "FAILURE", "newOrderResponse": duplicate})
    assert canceled == Accepted(order)
    assert isinstance(placed, Unknown)


@pytest.mark.parametrize("data", [None, [], {}, {"cancelResult": "MAYBE"}, {"cancelResult": "FAILURE"}])
def test_halves_that_make_no_sense_are_unknown(data: object) -> None:
    canceled, placed = read_halves(data)
    assert isinstance(canceled, Unknown)
    assert isinstance(placed, Unknown)
