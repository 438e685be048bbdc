"""The catalogue of faults this exchange can commit, and their parameters.

Belongs here: names, parameters and defaults; what they do is in `faults_http`, `faults_stream` and `trading`.
Stays true: the numbers are those of the catalogue that the agent's trials use; what is the machine's or the
operator's to commit (F28 to F36, F45 and later) is not in here. A parameter that is empty text means that
this is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: What a fault concerns: a request or a frame as it passes, or the venue from the moment it is set (with a
#: method or path to match, from the moment such a request comes).
Scope = Literal["passing", "standing"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault is called and which parameters it takes, each with its default.

    `lasting`: goes on until it is cleared. `venue_time`: its time is counted on the exchange's clock.
    """

    title: str
    defaults: Mapping[str, str | int | float | bool]
    variants: tuple[str, ...] = ()
    lasting: bool = False
    venue_time: bool = False
    scope: Scope = "passing"


MARKET_KINDS: Final[Mapping[str, Kind]] = {
    "F6": Kind("429 with Retry-After", {"retry_after": 5}, venue_time=True),
    "F7": Kind("418 ban", {"retry_after": 120}, venue_time=True),
    "F8": Kind("unreachable: connections are reset", {"drop": True}, lasting=True),
    "F9": Kind(
        "a broken answer",
        {"variant": "reset_mid_body", "status": 0},
        ("reset_mid_body", "truncated_json", "html", "wrong_content_type", "empty", "garbage", "error_500"),
    ),
    "F10": Kind(
        "a slow answer, or a request that arrives late: just inside or just outside its recvWindow",
        {"delay_ms": 6_000, "executed": True, "variant": "plain", "margin_ms": 100},
        ("plain", "inside", "outside"),
    ),
    "F22": Kind("silent socket: open, answers pings, sends no data", {"new_sockets": True}, lasting=True),
    "F23": Kind("a closed bar without its closing frame", {}),
    "F24": Kind(
        "a closed bar that differs from REST, or is corrected later",
        {"variant": "differs", "ticks": 7, "delay_ms": 3_000},
        ("differs", "late_copy"),
    ),
    "F25": Kind(
        "bars missing, doubled, swapped or empty",
        {"variant": "gap", "rest": False},
        ("gap", "duplicate", "out_of_order", "zero_volume"),
    ),
    "F26": Kind(
        "impossible numbers and unreadable frames",
        {"variant": "nan", "field": "close", "factor": 1.5},
        (
            "nan",
            "negative",
            "overflow",
            "spike",
            "high_below_low",
            "garbage",
            "unknown_event",
            "missing_field",
        ),
    ),
    "F27": Kind(
        "the end of a connection's life",
        {"variant": "disconnect", "grace_ms": 1_000, "code": 1001},
        ("disconnect", "abort", "shutdown", "refuse"),
    ),
}

_LOST: Final = ("reset", "silent")

TRADING_KINDS: Final[Mapping[str, Kind]] = {
    "F1": Kind("a request lost before the engine", {"variant": "reset", "hold_ms": 30_000}, _LOST),
    "F2": Kind("an answer lost after execution", {"variant": "reset", "hold_ms": 30_000}, _LOST),
    "F3": Kind("5xx without execution", {"status": 503, "variant": "text"}, ("text", "json", "html")),
    "F4": Kind("5xx after execution", {"status": 502, "variant": "text"}, ("text", "json", "html")),
    "F5": Kind(
        "an answer that leaves the outcome open (-1007, -1006 and the like), executed or not",
        {"variant": "-1007", "executed": True},
        ("-1007", "-1006", "-1000", "-1001", "-1008"),
    ),
    "F11": Kind("an event of the user stream doubled", {"times": 2}),
    "F12": Kind("an event of the user stream dropped", {}),
    "F13": Kind(
        "events of the user stream reordered",
        {"variant": "swap", "hold_ms": 500},
        ("swap", "fill_before_ack", "cancel_before_fill"),
    ),
    "F14": Kind("a cancel that races with a fill", {"share": "1"}),
    "F15": Kind("many tiny fills, then EXPIRED", {"share": "0.5", "pieces": 5}),
    "F16": Kind(
        "commissions: native, in BNB, BNB running out after some fills, none, another rate",
        {"variant": "native", "fills": 1, "rate": "0.002"},
        ("native", "bnb", "mixed", "free", "rate"),
    ),
    "F17": Kind("an order at the market expires half-filled", {"share": "0.5"}),
    "F18": Kind("a stop that would trigger immediately", {}),
    "F19": Kind(
        "rejected when its time comes: a pending leg, or the new order of a cancelReplace",
        {"variant": "pending"},
        ("pending", "replacing"),
    ),
    "F20": Kind("EXPIRED_IN_MATCH", {"share": "0"}),
    "F21": Kind(
        "an unknown status, field, execution type or event",
        {"variant": "status", "value": "FROZEN"},
        ("status", "field", "execution", "event"),
    ),
    "F37": Kind("a query answered from the past", {"age_ms": 30_000}),
    "F38": Kind(
        "maintenance, with every order expired by the exchange",
        {"variant": "unavailable", "expire_orders": True},
        ("unavailable", "closed"),
        lasting=True,
        venue_time=True,
        scope="standing",
    ),
    "F39": Kind(
        "a symbol that stops trading, or is delisted",
        {"variant": "HALT", "symbol": ""},
        ("HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY", "DELISTED"),
        lasting=True,
        venue_time=True,
        scope="standing",
    ),
    "F40": Kind(
        "filters change",
        {
            "symbol": "",
            **dict.fromkeys(
                (
                    "tick",
                    "step",
                    "min_price",
                    "max_price",
                    "min_qty",
                    "max_qty",
                    "market_max_qty",
                    "min_notional",
                    "max_notional",
                    "max_position",
                    "notional_filter",
                ),
                "",
            ),
            **dict.fromkeys(("max_orders", "max_algo_orders", "max_lists"), 0),
        },
        lasting=True,
        venue_time=True,
        scope="standing",
    ),
    "F41": Kind(
        "someone else on the account: an order, a deposit, a withdrawal, a cancel",
        {
            "variant": "order",
            "symbol": "",
            "side": "SELL",
            "type": "MARKET",
            "quantity": "",
            "price": "",
            "client_id": "",
            "asset": "",
            "amount": "",
        },
        ("order", "deposit", "withdraw", "cancel"),
        scope="standing",
    ),
    "F42": Kind("the account wiped, as on the testnet", {}, scope="standing"),
    "F43": Kind(
        "the key revoked, its permission to trade or its address lost",
        {"variant": "revoked", "terminate": True},
        ("revoked", "trading", "address"),
        lasting=True,
        venue_time=True,
        scope="standing",
    ),
    "F44": Kind(
        "ids that jump, one client id for two orders, a client id replaced by its cancel's",
        {"variant": "order_ids", "by": 1_000},
        ("order_ids", "trade_ids", "doubled", "renamed"),
    ),
}

KINDS: Final[Mapping[str, Kind]] = dict(
    sorted({**MARKET_KINDS, **TRADING_KINDS}.items(), key=lambda item: int(item[0][1:]))
)
CATALOGUE: Final = frozenset(f"F{n}" for n in range(1, 53))
