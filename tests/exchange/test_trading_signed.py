"""What every signed request must carry, over REST and over the socket API, and how strictly it is read."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from local_ground import frame
from trading_ground import FORM, KEY, Account, Stream, account, signature

ORDER = {"symbol": "ADAUSDT", "side": "BUY", "type": "MARKET", "quantity": "20"}


async def test_the_signature_is_over_the_bytes_as_sent() -> None:
    async with account() as a:
        # Neither sorted nor encoded as a library would: what counts is what was signed.
        query = f"recvWindow=5000&symbol=ADA%55SDT&side=BUY&type=MARKET&quantity=20&timestamp={a.now_ms}"
        assert (await a.send("POST", "/api/v3/order", f"{query}&signature={signature(query)}")).status == 200
        upper = f"{query}&signature={signature(query).upper()}"
        assert (await a.send("POST", "/api/v3/order", upper)).status == 200, "hexadecimal in any case"
        other = f"{query.replace('%55', 'U')}&signature={signature(query)}"
        assert (await a.send("POST", "/api/v3/order", other)).body["code"] == -1022


async def test_parameters_may_be_in_query_and_form_together() -> None:
    async with account() as a:
        query, form = "symbol=ADAUSDT&side=BUY", f"type=MARKET&quantity=20&timestamp={a.now_ms}"
        body = f"{form}&signature={signature(query + form)}"
        url = f"{a.running.rest}/api/v3/order?{query}"
        headers = {"X-MBX-APIKEY": KEY, "Content-Type": FORM}
        async with a.session.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.text()
        both = f"quantity=30&{form}"
        url = f"{a.running.rest}/api/v3/order?{query}"
        signed = f"{both}&signature={signature(query + both)}"
        async with a.session.post(url, data=signed, headers=headers) as response:
            assert (await response.json())["code"] == -1101, "twice in one place is once too often"


async def test_a_changed_request_is_not_signed() -> None:
    async with account() as a:
        whole = a.signed(ORDER)
        assert (await a.send("POST", "/api/v3/order", whole.replace("quantity=20", "quantity=21"))).body == {
            "code": -1022,
            "msg": "Signature for this request is not valid.",
        }
        assert (await a.ledger())["orders"] == []


@pytest.mark.parametrize(
    ("key", "status", "code"), [(None, 401, -2014), ("", 401, -2014), ("other", 401, -2015)]
)
async def test_keys(key: str | None, status: int, code: int) -> None:
    async with account() as a:
        answer = await a.send("GET", "/api/v3/account", a.signed({}), key)
        assert (answer.status, answer.body["code"]) == (status, code)


@pytest.mark.parametrize(
    ("off_ms", "window", "says"),
    [
        (0, None, None),
        (-5_000, None, None),
        (-5_001, None, "outside of the recvWindow"),
        (-60_000, 60_000, None),
        (-101, "100.5", "outside of the recvWindow"),
        (-100, "100.5", None),
        (999, None, None),
        (1_000, None, "1000ms ahead"),
    ],
)
async def test_time_at_normal_speed(off_ms: int, window: object, says: str | None) -> None:
    async with account() as a:
        params = {"timestamp": a.now_ms + off_ms} | ({} if window is None else {"recvWindow": window})
        answer = await a.ask("GET", "account", **params)
        if says is None:
            assert answer.status == 200
        else:
            assert (answer.status, answer.body["code"]) == (400, -1021)
            assert says in answer.body["msg"]


@pytest.mark.parametrize(
    ("off_ms", "fits"), [(-300_000, True), (-300_001, False), (59_999, True), (60_000, False)]
)
async def test_time_at_sixty_times_the_speed(off_ms: int, fits: bool) -> None:
    """A client's network does not become faster: the window is as long in machine time."""
    async with account(speed=60) as a:
        answer = await a.ask("GET", "account", timestamp=a.now_ms + off_ms)
        assert answer.status == (200 if fits else 400)


async def test_time_in_microseconds() -> None:
    async with account() as a:
        assert (await a.ask("GET", "account", timestamp=a.now_ms * 1_000)).status == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("recvWindow=5000", -1102),
        ("timestamp={now}", -1102),
        ("signature=abc", -1102),
        ("timestamp=&signature=abc", -1105),
        ("timestamp=now&signature=abc", -1100),
        ("timestamp={now}&recvWindow=60001&signature=abc", -1131),
        ("timestamp={now}&recvWindow=-1&signature=abc", -1100),
        ("timestamp={now}&recvWindow=5000.1234&signature=abc", -1100),
        ("timestamp={now}&signature=abc", -1022),
        ("timestamp={now}&timestamp={now}&signature=abc", -1101),
    ],
)
async def test_what_is_missing_or_malformed(query: str, code: int) -> None:
    async with account() as a:
        answer = await a.send("GET", "/api/v3/account", query.format(now=a.now_ms))
        assert (answer.status, answer.body["code"]) == (400, code)


LIMIT = {
    "symbol": "ADAUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "20",
    "price": "0.5",
    "timeInForce": "GTC",
}
STOP = {"symbol": "ADAUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "20", "stopPrice": "0.4"}


def without(params: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in params.items() if key != name}


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        (without(LIMIT, "symbol"), -1102, "'symbol'"),
        (without(LIMIT, "side"), -1102, "'side'"),
        (without(LIMIT, "type"), -1102, "'type'"),
        (without(LIMIT, "quantity"), -1102, "'quantity'"),
        (without(LIMIT, "price"), -1102, "'price'"),
        (without(LIMIT, "timeInForce"), -1102, "'timeInForce'"),
        (without(STOP, "stopPrice"), -1102, "'stopPrice'"),
        (without(ORDER, "quantity"), -1102, "'quantity' or 'quoteOrderQty'"),
        ({**LIMIT, "symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({**LIMIT, "symbol": "ada/usdt"}, -1100, "'symbol'"),
        ({**LIMIT, "side": "HOLD"}, -1117, "Invalid side."),
        ({**LIMIT, "type": "WISH"}, -1116, "Invalid orderType."),
        ({**LIMIT, "timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({**LIMIT, "stopPrice": "0.4"}, -1106, "'stopPrice' sent when not required"),
        ({**ORDER, "price": "0.4"}, -1106, "'price' sent when not required"),
        ({**ORDER, "timeInForce": "GTC"}, -1106, "'timeInForce' sent when not required"),
        ({**ORDER, "icebergQty": "5"}, -1106, "'icebergQty' sent when not required"),
        ({**LIMIT, "quoteOrderQty": "20"}, -1106, "'quoteOrderQty' sent when not required"),
        ({**ORDER, "quoteOrderQty": "20"}, -1128, "Combination"),
        ({**LIMIT, "icebergQty": "5", "timeInForce": "IOC"}, -1014, "Unsupported order combination."),
        ({**LIMIT, "quantity": "20.000000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({**LIMIT, "price": "0.500000001"}, -1111, "Parameter 'price' has too much precision."),
        ({**LIMIT, "quantity": "1e3"}, -1100, r"'^([0-9]{1,20})(\.[0-9]{1,20})?$'"),
        ({**LIMIT, "quantity": "-20"}, -1100, "'quantity'"),
        ({**LIMIT, "quantity": "NaN"}, -1100, "'quantity'"),
        ({**LIMIT, "quantity": " 20"}, -1100, "'quantity'"),
        ({**LIMIT, "quantity": ""}, -1105, "Parameter 'quantity' was empty."),
        ({**LIMIT, "quantity": "0"}, -1013, "Invalid quantity."),
        ({**LIMIT, "price": "0"}, -1013, "Invalid price."),
        ({**LIMIT, "newClientOrderId": "with space"}, -1100, "'newClientOrderId'"),
        ({**LIMIT, "newClientOrderId": "x" * 37}, -1100, "^[a-zA-Z0-9-_]{1,36}$"),
        ({**LIMIT, "newClientOrderId": ""}, -1105, "'newClientOrderId' was empty"),
        ({**LIMIT, "newOrderRespType": "NEWS"}, -1130, "'newOrderRespType'"),
        ({**LIMIT, "strategyType": "999999"}, -1134, "1000000"),
        ({**LIMIT, "selfTradePreventionMode": "NONE"}, -1013, "does not allow the specified"),
        ({**LIMIT, "selfTradePreventionMode": "MAYBE"}, -1130, "'selfTradePreventionMode'"),
        ({**STOP, "trailingDelta": "100"}, -2010, "Trailing stop orders are not supported"),
        ({**LIMIT, "pegPriceType": "PRIMARY_PEG"}, -2010, "Pegged orders are not supported"),
        (
            {**LIMIT, "takeProfit": "{'triggerPrice': 1}"},
            -1104,
            "Not all sent parameters were read; read '8'",
        ),
        ({**LIMIT, "clientOrderId": "mine"}, -1104, "but was sent '9'"),
    ],
)
async def test_orders_are_read_strictly(params: dict[str, Any], code: int, says: str) -> None:
    async with account() as a:
        status, told, text = await a.refused("POST", "order", **params)
        assert (status, told) == (400, code), text
        assert says in text
        assert (await a.ledger())["orders"] == []


async def test_a_test_order_is_checked_and_not_placed() -> None:
    async with account() as a:
        assert await a.want("POST", "order/test", **LIMIT) == {}
        assert (await a.refused("POST", "order/test", **{**LIMIT, "quantity": "0.05"}))[1] == -1013
        rates = await a.want("POST", "order/test", **LIMIT, computeCommissionRates="true")
        assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
        assert (await a.ledger())["orders"] == []


async def _frame(a: Account, **params: Any) -> Any:
    async with a.socket("/ws-api/v3") as socket:
        return await Stream(socket).signed("order.place", a.now_ms, **{**ORDER, **params})


async def test_frames_are_signed_over_sorted_plain_text() -> None:
    async with account() as a:
        placed = await _frame(a, returnRateLimits=False, newClientOrderId="a_b-C")
        assert placed["status"] == 200, placed
        assert placed["result"]["clientOrderId"] == "a_b-C"
        assert "rateLimits" not in placed
        assert (await _frame(a, takeProfit="x"))["error"]["code"] == -1104
        assert (await _frame(a, timestamp=a.now_ms - 6_000))["error"]["code"] == -1021


async def test_numbers_in_frames_keep_their_text() -> None:
    async with account() as a, a.socket("/ws-api/v3") as socket:
        params = {**ORDER, "apiKey": KEY, "timestamp": a.now_ms, "quantity": "20.50"}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        quoted = ",".join(f'"{name}":"{value}"' for name, value in params.items() if name != "quantity")
        await socket.send(
            f'{{"id":1,"method":"order.place","params":{{{quoted},"quantity":20.50,'
            f'"signature":"{signature(payload)}"}}}}'
        )
        answer = await frame(socket)
        assert (answer["id"], answer["status"]) == (1, 200), answer
        assert answer["result"]["origQty"] == "20.50000000"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
async def test_keys_of_two_halves(kind: str) -> None:
    private: Any = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65_537, 2_048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(payload: str) -> str:
        raw = payload.encode()
        made = private.sign(raw) if kind == "ed25519" else private.sign(raw, PKCS1v15(), hashes.SHA256())
        return base64.b64encode(made).decode()

    async with account(secret=pem) as a:
        query = urlencode({"timestamp": a.now_ms})
        good = f"{query}&{urlencode({'signature': sign(query)})}"
        assert (await a.send("GET", "/api/v3/account", good)).status == 200
        for bad in (sign("other"), "no base64!", ""):
            answer = await a.send("GET", "/api/v3/account", f"{query}&{urlencode({'signature': bad})}")
            assert answer.body["code"] in (-1022, -1105)
