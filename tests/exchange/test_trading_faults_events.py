"""Events of the user stream doubled, dropped, swapped and spoilt; silent and ended streams."""

from __future__ import annotations

from typing import Any

from local_ground import frame, until_closed
from trading_ground import Account, account

ADA = {"symbol": "ADAUSDT"}


def words(events: list[Any]) -> list[str]:
    return [e.get("x", e["e"]) for e in events]


async def _sell(a: Account) -> Any:
    return await a.order("SELL", "MARKET", "30")


async def test_f11_doubled() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F11", match={"stream": "executionReport.TRADE*"})
        await _sell(a)
        events = await stream.until("outboundAccountPosition")
        assert words(events) == ["NEW", "TRADE", "TRADE", "outboundAccountPosition"]
        assert events[1] == events[2]
        assert await a.fired("F11") == 1


async def test_f12_dropped() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F12", match={"stream": "executionReport.*"}, count=2)
        await a.fault("F11", match={"stream": "listStatus"})
        await _sell(a)
        await _sell(a)
        events = [await stream.event() for _ in range(4)]
        assert words(events) == ["outboundAccountPosition", "NEW", "TRADE", "outboundAccountPosition"]
        assert (await a.fired("F12"), await a.fired("F11")) == (2, 0)


async def test_f13_swapped_with_the_next() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F13", match={"stream": "executionReport.TRADE.*"})
        await _sell(a)
        assert words([await stream.event() for _ in range(3)]) == ["NEW", "outboundAccountPosition", "TRADE"]


async def test_f13_the_fill_before_the_acknowledgement() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F13", params={"variant": "fill_before_ack"})
        await _sell(a)
        assert words([await stream.event() for _ in range(3)]) == ["TRADE", "NEW", "outboundAccountPosition"]


async def test_f13_the_cancel_before_the_fill() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F13", params={"variant": "cancel_before_fill", "hold_ms": 10_000})
        await a.fault("F14", params={"share": "0.5"})
        order = await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC")
        await a.want("DELETE", "order", **ADA, orderId=order["orderId"])
        events = [await stream.event() for _ in range(5)]
        told = [word for word in words(events) if word != "outboundAccountPosition"]
        assert told == ["NEW", "CANCELED", "TRADE"]
        assert next(e for e in events if e.get("x") == "CANCELED")["z"] == "50.00000000"


async def test_f13_does_not_hold_back_for_ever() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F13", match={"stream": "outboundAccountPosition"}, params={"hold_ms": 50})
        await _sell(a)
        assert words(await stream.until("outboundAccountPosition")) == [
            "NEW",
            "TRADE",
            "outboundAccountPosition",
        ]


async def test_f21_unheard_of_events() -> None:
    async with account() as a, a.stream() as stream:
        for variant in ("status", "execution", "field", "event"):
            entry = {
                "fault": "F21",
                "match": {"stream": "executionReport.NEW*"},
                "params": {"variant": variant},
            }
            await a.control("faults", {"add": [entry]})
            await _sell(a)
            strange = (await stream.until("outboundAccountPosition"))[0]
            match variant:
                case "status":
                    assert (strange["X"], strange["x"]) == ("FROZEN", "NEW")
                case "execution":
                    assert (strange["X"], strange["x"]) == ("NEW", "FROZEN")
                case "field":
                    assert strange["newThing"]
                case _:
                    assert strange["e"] == "FROZEN"


async def test_f22_silence_while_answers_go_on() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F22", match={"stream": "userDataStream"}, params={"new_sockets": False})
        await _sell(a)
        assert await stream.silent()
        assert await a.fired("F22") == 3
        async with a.stream() as another:
            await _sell(a)
            assert words([await another.event()]) == ["NEW"], "who comes anew is not concerned"


async def test_f22_silence_for_everybody() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F22", match={"stream": "userDataStream"})
        await _sell(a)
        assert await stream.silent()
        async with a.stream() as another:
            await _sell(a)
            assert await another.silent()
        await a.control("faults", {"clear": "all"})
        await _sell(a)
        assert words([await stream.event()]) == ["NEW"]


async def test_f27_the_end_of_a_stream() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault(
            "F27", match={"stream": "userDataStream"}, params={"variant": "shutdown", "grace_ms": 20}
        )
        assert (await frame(stream.socket))["event"]["e"] == "serverShutdown"
        assert (await until_closed(stream.socket)).rcvd is not None
    async with account() as a, a.stream() as stream, a.socket("/ws/adausdt@trade") as market:
        await a.fault("F27", match={"stream": "userDataStream"}, params={"variant": "abort"})
        assert (await until_closed(stream.socket)).rcvd is None
        await a.advance(2_000)
        assert (await frame(market))["e"] == "trade", "market streams are not concerned"
