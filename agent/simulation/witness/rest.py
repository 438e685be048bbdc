"""At the end, healed and settled: the two ledgers, and the decisions beside the whole history.

Belongs here: invariants 1 to 5, 10, 11, 19 and 25 of a world at rest.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.config.strategy import seller_params
from agent.core.indicators import features
from agent.core.money import ZERO
from agent.core.series import CandleSeries
from agent.simulation.witness.violation import Violation

if TYPE_CHECKING:
    from agent.simulation.world import World


def check_ledgers(world: World, bought: Decimal) -> None:
    """The two ledgers are equal. `bought` and not sold again is what the venue's own trades say."""
    registry, own_id = world.venue.desk.venue.registry, world.rules.own_id
    read = world.disk.read
    known = {row[0] for row in read("SELECT client_id FROM orders")}
    since_ms = world.wiped_ms or 0
    rows = read(
        f"SELECT client_id, trade_id, price, qty, fee, fee_currency FROM fills WHERE at_ms >= {since_ms}"
    )
    ours = {(c, t, Decimal(p), Decimal(q), Decimal(f), a) for c, t, p, q, f, a in rows}
    dust = sum((Decimal(r[0]) for r in read("SELECT qty FROM dust")), ZERO)
    entries = read("SELECT client_id, position_id FROM intents WHERE purpose = 'entry'")
    tagged = [o for o in registry.all_orders() if world.is_ours(o.terms.client_id)]
    # Of what left beside a failing disk only what traded is found again: the rest is over and did nothing.
    at_work = {o.terms.client_id for o in registry.open_orders()}
    idle = {o.terms.client_id for o in tagged if not o.filled} - at_work if world.disk_failed else set()
    forgotten = {own_id(client_id) for client_id in idle}
    if orphans := {own_id(o.terms.client_id) for o in tagged} - known - forgotten:
        raise Violation(1, f"orders at the venue that are in no row: {sorted(orphans)[:3]}")
    ids = [own_id(o.terms.client_id) for o in tagged]
    if len(ids) != len(set(ids)):
        raise Violation(2, "one client id, two orders at the venue")
    refused = {row[0] for row in read("SELECT client_id FROM orders WHERE status = 'REJECTED'")}
    if wrong := refused & set(ids):
        raise Violation(5, f"called refused, but at the venue: {sorted(wrong)[:3]}")
    theirs = {
        (own_id(t.client_id), world.rules.trade_id(t.id), t.price, t.qty, t.fee, t.fee_asset)
        for t in registry.trades if world.is_ours(t.client_id)
    }  # fmt: skip
    if ours != theirs or len(rows) != len(theirs):
        missing, extra = theirs - ours, ours - theirs
        raise Violation(3, f"fills differ: missing {sorted(missing)[:2]}, not theirs {sorted(extra)[:2]}")
    positions: dict[int, set[str]] = {}
    for client_id, position_id in entries:
        if any(t[0] == client_id for t in theirs):
            positions.setdefault(position_id, set()).add(client_id)
    if twice := {k: v for k, v in positions.items() if len(v) > 1}:
        raise Violation(2, f"a signal was entered twice: {twice}")
    firsts: dict[str, int] = {}
    for trade in registry.trades:
        if trade.side == "BUY" and world.is_ours(trade.client_id):
            firsts.setdefault(trade.client_id, trade.at_ms // 86_400_000)
    most = world.config.config.risk_management.max_daily_trades
    for day in set(firsts.values()):
        if (count := sum(1 for at in firsts.values() if at == day)) > most:
            raise Violation(10, f"{count} trades on one day, {most} are allowed")
    unjudged = read("SELECT client_id FROM intents EXCEPT SELECT client_id FROM verdicts WHERE approved")
    if unjudged:
        raise Violation(25, f"orders without an accepted verdict: {sorted(unjudged)[:3]}")
    homeless = read(
        "SELECT client_id FROM fills WHERE order_id NOT IN (SELECT o.id FROM orders o JOIN intents i "
        "ON o.intent_id = i.id JOIN trades t ON t.position_id = i.position_id)"
    )
    if homeless:
        raise Violation(25, f"fills that lead to no intent and no trade: {sorted(homeless)[:3]}")
    _check_balances(world, bought, dust)


def _check_balances(world: World, bought: Decimal, dust: Decimal) -> None:
    state = world.process.state if world.process else None
    assert state is not None
    for client_id, order in state.orders.items():
        if order.is_settled and order.next_lookup_ms is not None:
            raise Violation(19, f"{client_id} is settled and is asked about for ever")
    balances = world.venue.desk.venue.ledger.balances()
    cash = balances["USDT"].free + balances["USDT"].locked
    if state.durable.account.cash != cash:
        raise Violation(4, f"cash is {state.durable.account.cash} in the ledger, {cash} at the venue")
    base = balances["ADA"].free + balances["ADA"].locked if "ADA" in balances else ZERO
    held = sum((p.held_qty for p in state.open_positions()), ZERO)
    foreign = state.durable.account.foreign.get("ADA", ZERO)
    if held + foreign != base:
        raise Violation(4, f"{held} ADA held + {foreign} foreign in the ledger, {base} at the venue")
    if not world.touched_base and held + dust != bought:
        raise Violation(4, f"{held} ADA held + {dust} dust in the ledger, {bought} bought at the venue")


def check_decisions(world: World) -> None:
    """Each bar was decided once, in order, and as the whole history says."""
    rows = world.disk.read("SELECT bar_open_ms, exhaustion, close, ema_s FROM decisions ORDER BY id")
    opens = sorted(row[0] for row in rows)
    if len(opens) != len(set(opens)):
        raise Violation(11, "a bar was decided twice")
    for before, after in pairwise(opens):
        if after - before != world.bar_ms:
            raise Violation(11, f"bars between {before} and {after} were never decided")
    if not rows:
        return
    expected = _batch_features(world, opens[0], opens[-1])
    for at, exhaustion, close, ema_s in rows:
        row = expected[at]
        if bool(exhaustion) != row[0] or abs(close - row[1]) > 1e-9 or abs(ema_s - row[2]) > 1e-7:
            raise Violation(11, f"bar {at}: decided {(exhaustion, close, ema_s)}, whole history {row}")


def _batch_features(world: World, first_ms: int, last_ms: int) -> dict[int, tuple[bool, float, float]]:
    """What the whole history says of each bar: signal, close, slow average."""
    opens = range(world.venue.path.start_ms, last_ms + 1, world.bar_ms)
    series = CandleSeries.of([world.venue.candle(at) for at in opens])
    table = features(series, seller_params(world.config.config))
    rows = zip(table["open_ms"], table["exhaustion"], series.close, table["ema_s"], strict=True)
    return {int(at): (bool(x), float(c), float(s)) for at, x, c, s in rows if at >= first_ms}
