"""Real orders through a second protocol: the agent, armed, at an exchange that speaks Kraken's.

Kraken has no sandbox for its spot market, so there is no testnet: what trades with a key there is live,
behind every gate of it. At an address on this machine that is a rehearsal, and counts as none.
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal

from account_books import Theirs
from agent_process import rows_of
from configurations import WISH, quick, written
from ledgers import Books
from testnet_ground import Credentials

import agent as program
from agent.arming.record import ArmingRecord, Override, write_record
from agent.config import check_config
from agent.exchange.unified.client_ids import from_hex
from agent.localexchange.kraken.names import trade_id

INITIAL = Decimal(10_000)
credentials = Credentials(
    "kraken-canary-key-7f3a9b2c4d", base64.b64encode(b"kraken canary secret " * 3).decode()
)
LIVE = {
    "exchange": {"exchange_name": "kraken", "paper_trading": False, "testnet": False},
    "backtest_params": {"use_stop_loss": True, "atr_stop_mult": 30.0},
    # Half a minute of venue time is half a second here.
    "risk_management": {"order_timeout_seconds": 300},
}


def armed(directory, document):
    """As `arm --override-phases` writes it."""
    config = check_config(json.dumps(document)).config
    override = Override("a rehearsal on the local exchange", "2026-01-01T00:00:00.000Z")
    record = ArmingRecord(
        config.config_hash, program.__version__, "ADA/USDT", "2026-01-01", "typed", override
    )
    write_record(directory, record)


async def test_signal_order_stop_exit_flat_and_both_ledgers_agree(house, tmp_path):
    market = await house.market(*credentials.options, speed=60)
    document = quick(**LIVE)
    written(tmp_path, document)
    armed(tmp_path, document)
    env = credentials.environment(tmp_path) | {"LIVE_TRADING_CONFIRM": "ADA/USDT"}
    agent = await house.agent(tmp_path, *market.address, "--live", env=env)
    async with agent.watched() as watch:
        await watch.entries_allowed()
        assert await agent.says("RUNNING | LIVE TRADING | ADA/USDT 1m")
        await watch.enters(market, **WISH)
        status = await watch.until("protected", lambda s: any(p["protected_by"] for p in s["positions"]))
        (position,) = status["positions"]
        await market.price((Decimal(position["target"]) * Decimal("1.01")).quantize(Decimal("0.0001")))
        await watch.flat()
        final = await watch.until("booked", lambda s: s["day"]["wins"] + s["day"]["losses"] == 1)
    assert await agent.stopped() == 0
    theirs = await Theirs.read(market)
    books = Books.read(tmp_path)
    ours = {(f[0], f[1], f[2], *map(Decimal, f[3:6]), f[6]) for f in books.fills}
    assert ours == {(from_hex(f[0]), trade_id(int(f[1])), *f[2:7]) for f in theirs.fills}
    assert {from_hex(client_id) for client_id in theirs.orders} == set(books.orders)
    assert sorted(order["type"] for order in theirs.orders.values()) == ["LIMIT", "MARKET", "STOP_LOSS"]
    (trade,) = rows_of(tmp_path, "trades")
    assert (trade["reason"], trade["mode"]) == ("FIB_61.8", "live")
    assert Decimal(final["balance"]) == INITIAL + Decimal(trade["pnl_quote"]) == theirs.total("USDT")
