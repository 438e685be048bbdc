"""The key's rights as a gate of the running engine: at the start, every day, closed while nobody knows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agent.compose.order_desk import SignedDesk, rights_verdict
from agent.core.events import Healed, Impaired, Impairment, Scrutinized
from agent.core.market import DAY_MS
from agent.exchange.signed.permissions import KeyRightsUnreadable, NoKeyRights, read_key_rights
from tests.clocks import ManualClock
from tests.doctor.test_judging import RIGHTS

GOOD = read_key_rights(RIGHTS, 0)
BAD = read_key_rights({**RIGHTS, "enableWithdrawals": True}, 0)
WORSE = read_key_rights({**RIGHTS, "enableFutures": True}, 0)
UNKNOWN = KeyRightsUnreadable("HTTP 500")


def test_only_rights_that_are_known_and_harmless_let_entries_through():
    assert rights_verdict(GOOD) == Healed(Impairment.KEY_RIGHTS)
    assert rights_verdict(read_key_rights({**RIGHTS, "ipRestrict": False}, 0)) == Healed(
        Impairment.KEY_RIGHTS
    )
    for rights in (BAD, UNKNOWN, NoKeyRights(), read_key_rights({}, 0), read_key_rights("nonsense", 0)):
        assert isinstance(rights_verdict(rights), Impaired), rights


@pytest.mark.parametrize(
    "more", ["enableWithdrawals", "permitsUniversalTransfer", "enableMargin", "enableSomethingNew"]
)
def test_every_right_too_much_is_named(more):
    verdict = rights_verdict(read_key_rights({**RIGHTS, more: True}, 0))
    assert isinstance(verdict, Impaired)
    assert "key" in verdict.detail


class Signed:
    """An account that says what the key may do, one answer after another."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def key_rights(self):
        return self.answers.pop(0)

    async def run(self, sink):
        await asyncio.Event().wait()


class Supervisor:
    def __init__(self):
        self.tasks = {}

    def keep(self, name, work):
        self.tasks[name] = asyncio.ensure_future(work())


def desk(clock, signed, arming):
    one = object.__new__(SignedDesk)
    one._clock, one._signed, one._arming = clock, signed, arming
    return one


async def watched(arming, *answers, days):
    clock, supervisor, told = ManualClock(), Supervisor(), []
    desk(clock, Signed(*answers), arming).start(supervisor, told.append)
    await clock.advance(0)
    for _ in range(days):
        await clock.advance(DAY_MS)
    for task in supervisor.tasks.values():
        task.cancel()
    await asyncio.gather(*supervisor.tasks.values(), return_exceptions=True)
    return told


async def test_live_is_closed_until_known_looked_at_daily_and_closed_again():
    arming = SimpleNamespace(notice="real money")
    told = await watched(arming, GOOD, GOOD, BAD, WORSE, GOOD, GOOD, days=4)
    assert told[0] == Scrutinized("WARNING", "arming", "real money")
    assert told[1] == Impaired(Impairment.KEY_RIGHTS, "what the key may do is not known yet", expected=True)
    assert told[2:] == [
        rights_verdict(GOOD),
        Healed(Impairment.KEY_RIGHTS),
        rights_verdict(BAD),
        Healed(Impairment.KEY_RIGHTS),
        rights_verdict(WORSE),
        Healed(Impairment.KEY_RIGHTS),
        rights_verdict(GOOD),
    ]


async def test_testnet_is_told_in_the_log_and_never_closed(caplog):
    assert await watched(None, BAD, BAD, days=0) == []
    assert "the key may do more than it should" in caplog.text
