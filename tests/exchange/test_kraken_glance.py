"""Before anything is armed: what a Kraken key may do and what its account is worth, read and nothing else."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from agent.arming.checklist import Worth
from agent.compose.account_worth import _asked
from agent.config.check import check_config
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.exchange.addresses import Addresses
from agent.exchange.glance import reader_for
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable
from agent.exchange.signed.rights_reader import AccountGlance
from agent.options import ExchangeAddress
from agent.shell.clock import SystemClock
from agent.simulation.terms import BASE
from tests.exchange.kraken_ground import KEY, SECRET, kraken
from tests.exchange.unified_ground import unified

KEYS = ExchangeKeys(Secret(KEY), Secret(SECRET), None)
BALANCES = {"USDT": Decimal("500.5"), "ADA": Decimal(200), "BNB": Decimal(2), "BTC": Decimal(1)}


async def test_the_account_is_valued_in_quote_currency_and_nothing_else_is_asked() -> None:
    body = json.loads(BASE)
    body["exchange"] |= {"exchange_name": "kraken", "paper_trading": False, "testnet": False}
    config = check_config(json.dumps(body)).config
    assert config is not None
    async with kraken(balances=BALANCES, paused=True) as (client, running):
        worth = await _asked(config, KEYS, ExchangeAddress(running.rest, running.ws))
        assert isinstance(worth, Worth), worth
        ada, bnb = [(await client.fetch_order_book(pair))["bids"][0][0] for pair in ("ADA/USDT", "BNB/USDT")]
        expected = Decimal("500.5") + 200 * Decimal(str(ada)) + 2 * Decimal(str(bnb))
        assert worth.amount == expected
        assert worth.unpriced == ("BTC",)
        private = {r.path for r in running.exchange.requests if r.path.startswith("/0/private")}
        assert private == {"/0/private/BalanceEx"}


async def test_rights_and_balances_are_read_with_the_key_alone() -> None:
    async with kraken() as (_, running):
        reader = reader_for(Addresses.replaced("kraken", running.rest, None), KEYS, SystemClock())
        assert await reader.rights() == KeyRights(())
        seen = await reader.account()
        assert isinstance(seen, AccountGlance)
        assert seen.totals["USDT"] == 10_000
        wrong = ExchangeKeys(Secret("another"), Secret(SECRET), None)
        other = reader_for(Addresses.replaced("kraken", running.rest, None), wrong, SystemClock())
        assert await other.account() == "HTTP 200 EAPI:Invalid key"
        assert isinstance(await other.rights(), KeyRightsUnreadable)


def test_a_secret_that_cannot_sign_is_said_so() -> None:
    keys = ExchangeKeys(Secret(KEY), Secret("not base64!"), None)
    with pytest.raises(ValueError, match="base64"):
        reader_for(Addresses.replaced("kraken", "http://127.0.0.1:9", None), keys, SystemClock())


async def test_a_running_account_reads_the_rights_of_its_key() -> None:
    async with unified() as ground:
        assert await ground.exchange.key_rights() == KeyRights(())
        permissions = ground.running._kraken.answers._permissions
        permissions.set({"enableWithdrawals": True, "ipRestrict": False})
        rights = await ground.exchange.key_rights()
        assert isinstance(rights, KeyRights)
        assert rights.refuse_live
        assert {finding.right for finding in rights.findings} == {"withdraw-funds", "ipAllowlist"}
        permissions.set({"enableSpotAndMarginTrading": False})
        (first, *_) = (await ground.exchange.key_rights()).findings
        assert first.right == "modify-trades"
