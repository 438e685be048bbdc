"""The disasters of the drill: what is done to the agent, and what must hold afterwards.

Each one begins with an agent that is ready to trade. It returns what was seen, in a sentence, or raises
Failed. Nothing is taken from the agent's word alone where the exchange's own books can be asked.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from agent.core.instant import ms_of_iso
from agent.core.money import plain
from agent.drill.stage import PATIENCE_S, SPEED, Failed, Stage, State
from agent.exchange.weight_gate import ASKED_FOR_SILENCE

#: What may be left of a position: less than the exchange would sell.
_DUST: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Disaster:
    """`does` and `expects` are for the user: what happens, and what should."""

    name: str
    does: str
    expects: str
    play: Callable[[Stage], Awaitable[str]]
    runs_here: bool = True


async def _kill(stage: Stage) -> str:
    before = (await stage.engine.in_position(stage.market))["positions"][0]
    orders = len((await stage.market.ledger())["orders"])
    await stage.engine.kill()
    await stage.engine.start()
    after = (await stage.engine.until("the position's return", lambda s: bool(s["positions"])))["positions"][
        0
    ]
    for name in ("id", "size", "entry_price", "target", "stop"):
        _same(f"the position's {name}", before[name], after[name])
    await stage.engine.ready()
    _same("the number of orders at the exchange", orders, len((await stage.market.ledger())["orders"]))
    state = await stage.engine.past_entry_bar(stage.engine.latest)
    await _sold_at_target(stage, state)
    return f"position {after['id']} came back unchanged, no order was sent twice, it was sold at its target"


async def _stalled_socket(stage: Stage) -> str:
    await stage.market.fault("F22")
    held = await stage.engine.until("reading prices over REST", lambda s: s["feed"]["source"] == "rest")
    await stage.engine.until("fresh data over REST", lambda s: bool(s["feed"]["fresh"]))
    held = await stage.engine.in_position(stage.market)
    held = await stage.engine.past_entry_bar(held)
    await _sold_at_target(stage, held)
    await stage.market.cure()
    await stage.engine.until("going back to the socket", lambda s: s["feed"]["source"] == "websocket", 60)
    return "it noticed the silence, entered and sold by REST meanwhile, and went back to the socket"


async def _banned(stage: Stage) -> str:
    held = await stage.engine.in_position(stage.market)
    # One answer is enough: whoever goes on asking is asking for a longer ban. It falls on the candles: the
    # clock of a market that is faster than life asks for the time past the gate that hears of the ban.
    at = {"path": "/api/v3/klines"}
    await stage.market.fault("F7", count=1, match=at, params={"retry_after": 300})
    await _fired(stage, "F7")
    requests = await _requests(stage, lambda r: r["status"] == 418)
    until_ms = next(int(r["ts"]) for r in requests if r["status"] == 418) + 300_000
    # From its own log line on nothing is on its way any more: it has read the answer and shut its gate.
    await stage.engine.logs(ASKED_FOR_SILENCE)
    seen = len((await stage.market.ledger())["requests"])
    requests = await _requests(stage, lambda r: int(r["ts"]) >= until_ms)
    early = sent_during_ban(requests, seen, until_ms - SPEED * 100)
    if early:
        sent = "1 request was" if len(early) == 1 else f"{len(early)} requests were"
        raise Failed(f"{sent} sent during the ban, the first to {early[0]['path']}")
    await stage.engine.ready()
    _same("the position", held["positions"][0]["id"], stage.engine.latest["positions"][0]["id"])
    return "no request left during the ban, the position stayed, entries came back after it"


def sent_during_ban(
    requests: Sequence[Mapping[str, Any]], seen: int, until_ms: int
) -> list[Mapping[str, Any]]:
    """Requests before `until_ms` (venue time) that were sent although the ban was known.

    `requests` as the exchange recorded them; the first `seen` were there when the agent said that it knows.
    Of those, what came while the 418 was on its way back is not held against it, only what must have been
    sent after it was read: the same request again, over the connection that had brought the 418.
    """
    told: set[tuple[object, object]] = set()
    early = []
    for number, request in enumerate(requests):
        where = (request["connection"], request["path"])
        if int(request["ts"]) < until_ms and told and (number >= seen or where in told):
            early.append(request)
        if request["status"] == 418 and request["connection"]:
            told.add(where)
    return early


async def _lost_answer(stage: Stage) -> str:
    await stage.market.fault(
        "F2", count=1, match={"method": "POST", "path": "/api/v3/order"}, params={"variant": "reset"}
    )
    held = await stage.engine.in_position(stage.market)
    if not await stage.market.fired("F2"):
        raise Failed("the order was answered: the exchange never had the chance to lose an answer")
    entries = await stage.market.entries()
    if len(entries) != 1:
        raise Failed(f"{len(entries)} buy orders reached the exchange instead of one")
    await stage.engine.ready()
    held = await stage.engine.past_entry_bar(held)
    await _sold_at_target(stage, held)
    return "the order was looked up instead of sent again: one buy order, one position, sold at its target"


async def _half_filled(stage: Stage) -> str:
    await stage.market.fault(
        "F15", count=1, match={"method": "POST", "path": "/api/v3/order"}, params={"share": "0.5"}
    )
    held = await stage.engine.in_position(stage.market)
    (entry,) = await stage.market.entries()
    filled, asked = Decimal(entry["filled"]), Decimal(entry["quantity"])
    if not 0 < filled < asked:
        raise Failed(f"the exchange filled {plain(filled)} of {plain(asked)}: nothing half-filled happened")
    _same("the position's size", await stage.market.held(), Decimal(held["positions"][0]["size"]))
    held = await stage.engine.past_entry_bar(held)
    await _sold_at_target(stage, held)
    return f"the filled part ({plain(filled)} of {plain(asked)}) was the position, and all of it was sold"


async def _full_disk(stage: Stage) -> str:
    import resource

    _, hard = resource.prlimit(stage.engine.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stage.engine.pid, resource.RLIMIT_FSIZE, (4_096, hard))
    await stage.engine.until(
        "blocking entries while nothing can be written",
        lambda s: any("store failing" in reason for reason in s["entries_blocked_by"]),
    )
    orders = len((await stage.market.ledger())["orders"])
    forced = await stage.market.signal()
    await stage.engine.until("the signal's end", lambda s: _closed(s, int(forced["close_ms"])))
    _same("the number of orders at the exchange", orders, len((await stage.market.ledger())["orders"]))
    resource.prlimit(stage.engine.pid, resource.RLIMIT_FSIZE, (hard, hard))
    held = await stage.engine.in_position(stage.market)
    held = await stage.engine.past_entry_bar(held)
    await _sold_at_target(stage, held)
    return "no order left while nothing could be written; it traded again when the disk was back"


async def _sold_at_target(stage: Stage, state: State) -> None:
    await stage.market.raise_to(state["positions"][0]["target"])
    await stage.engine.flat()
    left = await stage.market.held()
    if left > _DUST:
        raise Failed(f"the agent says that it is flat, but the exchange still holds {plain(left)} ADA")


async def _requests(stage: Stage, one: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """All requests so far, once there is one like `one` among them."""
    for _ in range(int(PATIENCE_S * 10)):
        found = await stage.market.requests()
        if any(one(request) for request in found):
            return found
        await asyncio.sleep(0.1)
    raise Failed("the agent stopped asking the exchange, and never began again")


async def _fired(stage: Stage, name: str) -> None:
    for _ in range(int(PATIENCE_S * 10)):
        if await stage.market.fired(name):
            return
        await asyncio.sleep(0.1)
    raise Failed("no request came on which the disaster could happen")


def _closed(state: State, at_ms: int) -> bool:
    told = state["feed"]["last_closed_bar"]
    return told is not None and ms_of_iso(told) >= at_ms


def _same(what: str, before: Any, after: Any) -> None:
    if before != after:
        raise Failed(f"{what} was {before} before and is {after} now")


DISASTERS: Final = (
    Disaster(
        "kill",
        "The engine is killed while it holds a position, and started again.",
        "The position comes back as it was and no order is sent twice.",
        _kill,
    ),
    Disaster(
        "stalled-socket",
        "The market's socket stays open and says nothing any more.",
        "The agent notices, reads prices otherwise, and still sells at its target.",
        _stalled_socket,
    ),
    Disaster(
        "ban",
        "The exchange answers 418: no requests for five minutes.",
        "Not one request is sent until then, the position is kept, and trading goes on afterwards.",
        _banned,
    ),
    Disaster(
        "lost-answer",
        "The exchange executes an order, and its answer is lost on the way.",
        "The order is looked up, never sent again.",
        _lost_answer,
    ),
    Disaster(
        "half-filled",
        "An entry is filled by half, then it expires.",
        "The half is the position, and exactly it is sold.",
        _half_filled,
    ),
    Disaster(
        "full-disk",
        "Nothing can be written any more.",
        "No order leaves that is not written down; trading goes on when the disk is back.",
        _full_disk,
        runs_here=sys.platform == "linux",
    ),
)
