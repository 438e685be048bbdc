"""What an answer of each exchange proves, by its own codes: a table of answers, and what is never guessed."""

from __future__ import annotations

import random

import orjson
import pytest

from agent.core.order import client_order_id
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Refused, Unknown
from agent.exchange.unified.client_ids import as_hex, from_hex
from agent.exchange.unified.refusals import BYBIT, COINBASE, JUDGES, KRAKEN, OKX, Kind


def kraken(*errors: str, **more: object) -> str:
    return orjson.dumps({"error": list(errors), **more}).decode()


def bybit(code: object, text: str = "", **result: object) -> str:
    return orjson.dumps({"retCode": code, "retMsg": text, "result": result}).decode()


def okx(code: str, *rows: dict[str, str], msg: str = "") -> str:
    return orjson.dumps({"code": code, "data": list(rows), "msg": msg}).decode()


def coinbase(**answer: object) -> str:
    return orjson.dumps(answer).decode()


def order_error(word: str, **more: str) -> str:
    return coinbase(success=False, error_response={"error": word, **more})


ACCEPTED = [
    ("kraken", kraken(result={"txid": ["OABCDE-FGHIJ-KLMNOP"]})),
    ("kraken", kraken("WGeneral:Danger", result={"txid": ["OABCDE-FGHIJ-KLMNOP"]})),
    ("bybit", bybit(0, "OK", orderId="1", orderLinkId="a")),
    ("okx", okx("0", {"ordId": "1", "sCode": "0", "sMsg": ""})),
    ("okx", okx("0")),
    ("coinbase", coinbase(success=True, success_response={"order_id": "x"})),
    ("coinbase", coinbase(results=[{"success": True, "order_id": "x"}])),
    ("coinbase", coinbase(orders=[])),
]
REFUSED = [
    ("kraken", kraken("EOrder:Insufficient funds"), Kind.FUNDS),
    ("kraken", kraken("EOrder:Insufficient funds (insufficient user funds)"), Kind.FUNDS),
    ("kraken", kraken("EGeneral:Invalid arguments:volume"), Kind.RULES),
    ("kraken", kraken("EGeneral:Invalid arguments:oflags"), Kind.REQUEST),
    ("kraken", kraken("EAPI:Invalid nonce"), Kind.TIME),
    ("kraken", kraken("EService:Deadline elapsed"), Kind.TIME),
    ("kraken", kraken("EAPI:Invalid key"), Kind.KEY),
    ("kraken", kraken("EOrder:Unknown order"), Kind.NO_ORDER),
    ("kraken", kraken("EOrder:Rate limit exceeded"), Kind.LIMIT),
    ("bybit", bybit(170131, "Balance insufficient"), Kind.FUNDS),
    ("bybit", bybit(170140, "Transaction amount lower than the minimum."), Kind.RULES),
    ("bybit", bybit(10003, "API key is invalid."), Kind.KEY),
    ("bybit", bybit(10006, "Too many visits!"), Kind.LIMIT),
    ("bybit", bybit(170213, "Order does not exist."), Kind.NO_ORDER),
    ("okx", okx("1", {"sCode": "51008", "sMsg": "Insufficient balance"}), Kind.FUNDS),
    ("okx", okx("1", {"sCode": "51020", "sMsg": "too small"}), Kind.RULES),
    ("okx", okx("50113", msg="Invalid Sign"), Kind.KEY),
    ("okx", okx("51603", msg="Order does not exist"), Kind.NO_ORDER),
    ("coinbase", order_error("INSUFFICIENT_FUND"), Kind.FUNDS),
    (
        "coinbase",
        order_error("UNKNOWN_FAILURE_REASON", preview_failure_reason="PREVIEW_INSUFFICIENT_FUND"),
        Kind.FUNDS,
    ),
    ("coinbase", order_error("INVALID_SIZE_PRECISION"), Kind.RULES),
    (
        "coinbase",
        coinbase(results=[{"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER"}]),
        Kind.NO_ORDER,
    ),
    ("coinbase", coinbase(error="PERMISSION_DENIED", message="no"), Kind.KEY),
]
UNKNOWN = [
    # "I do not know" of the exchange, or something between it and us.
    ("kraken", 200, kraken("EGeneral:Internal error")),
    ("kraken", 200, kraken("EService:Unavailable")),
    ("kraken", 200, kraken("EService:Busy")),
    ("kraken", 200, kraken("EDatabase:Internal error")),
    ("kraken", 200, kraken("EOrder:Something new")),
    ("kraken", 200, kraken("EOrder:Insufficient funds", "EOrder:Something new")),
    ("kraken", 200, kraken()),
    ("kraken", 200, '{"error": "text", "result": {}}'),
    ("kraken", 520, "<html>520</html>"),
    ("bybit", 200, bybit(10016, "Server error")),
    ("bybit", 200, bybit(10000, "Server Timeout")),
    ("bybit", 200, bybit("0", "OK")),
    ("bybit", 200, bybit(999_999, "new")),
    (
        "okx",
        200,
        okx("50004", msg="API endpoint request timeout (does not mean that the request was failed)"),
    ),
    ("okx", 200, okx("50001", msg="Service temporarily unavailable")),
    ("okx", 200, okx("1", {"sCode": "59999", "sMsg": "new"})),
    ("coinbase", 200, order_error("UNKNOWN_FAILURE_REASON")),
    ("coinbase", 500, coinbase(error="INTERNAL")),
    ("coinbase", 200, coinbase(error="something new")),
    # A client id that was there before proves that an earlier send worked.
    ("kraken", 200, kraken("EGeneral:Invalid arguments:cl_ord_id")),
    ("bybit", 200, bybit(170141, "Duplicate clientOrderId")),
    ("okx", 200, okx("1", {"sCode": "51016", "sMsg": "Client order ID already exists."})),
]


@pytest.mark.parametrize(("exchange", "body"), ACCEPTED)
def test_accepted(exchange: str, body: str) -> None:
    assert JUDGES[exchange](200, body) == Accepted(orjson.loads(body))


@pytest.mark.parametrize(("exchange", "body", "kind"), REFUSED)
def test_refused_with_its_kind_and_the_exchanges_words(exchange: str, body: str, kind: Kind) -> None:
    verdict = JUDGES[exchange](200, body)
    assert isinstance(verdict, Refused)
    assert verdict.code == kind
    assert (kind is Kind.FUNDS) == verdict.message.startswith("insufficient balance: ")


@pytest.mark.parametrize(("exchange", "status", "body"), UNKNOWN)
def test_what_proves_nothing_stays_unknown(exchange: str, status: int, body: str) -> None:
    assert isinstance(JUDGES[exchange](status, body), Unknown)


@pytest.mark.parametrize("exchange", sorted(JUDGES))
def test_whatever_comes_nothing_is_an_acceptance_by_accident(exchange: str) -> None:
    judge = JUDGES[exchange]
    for body in ("", "null", "[]", "0", '"ok"', "<html>Bad Gateway</html>", "{", '{"result"'):
        assert isinstance(judge(200, body), Unknown)
    for status in (500, 502, 503, 504, 520, 599):
        for kind, good in ACCEPTED:
            if kind == exchange:
                assert isinstance(judge(status, good), Unknown), "a server error is no acceptance"
    for status in (418, 429):
        assert judge(status, "anything") == Refused(Kind.LIMIT, f"too many requests (HTTP {status})")


def test_every_code_of_the_tables_is_a_refusal() -> None:
    for words, kind in KRAKEN.items():
        assert JUDGES["kraken"](200, kraken(words)).code == kind  # type: ignore[union-attr]
    for code, kind in BYBIT.items():
        assert JUDGES["bybit"](200, bybit(code)).code == kind  # type: ignore[union-attr]
    for code, kind in OKX.items():
        assert JUDGES["okx"](200, okx("1", {"sCode": str(code)})).code == kind  # type: ignore[union-attr]
    for word, kind in COINBASE.items():
        assert JUDGES["coinbase"](200, order_error(word)).code == kind  # type: ignore[union-attr]


def test_a_refused_key_is_known_as_one() -> None:
    assert Kind.KEY in KEY_REFUSED


# --- client order ids ---------------------------------------------------------------------------------


def test_our_ids_survive_krakens_form() -> None:
    chance = random.Random(5)
    for _ in range(2_000):
        ours = client_order_id(
            "s" + "".join(chance.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=4)),
            chance.randrange(1_500_000_000_000, 2_800_000_000_000),
            chance.getrandbits(64),
            chance.randrange(1_296),
        )
        wire = as_hex(ours)
        assert len(wire) == 32
        assert int(wire, 16) >= 0
        assert from_hex(wire) == ours
    assert from_hex(as_hex("s" + "0" * 24)) == "s" + "0" * 24
    assert from_hex(as_hex("s" + "z" * 24)) == "s" + "z" * 24


@pytest.mark.parametrize("stranger", ["", "hello", "da8e4ad59b78481c93e589746b0cf91f", "a" * 31, "A" * 32])
def test_strangers_ids_stay_as_they_are(stranger: str) -> None:
    assert from_hex(stranger) == stranger


@pytest.mark.parametrize("other", ["", "x" * 25, "s123", "s" + "A" * 24])
def test_only_ids_of_ours_are_written_so(other: str) -> None:
    with pytest.raises(ValueError, match="no client order id"):
        as_hex(other)
