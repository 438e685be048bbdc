"""One of everything, written and rolled back: so that the first real order does not wait for it.

SQLAlchemy compiles a statement when it is first used, some 20 ms for all that an entry writes. The first
signal after a start would pay that between its decision and its order; `Ledger.open` pays it instead.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.exits import ExitParams, Levels
from agent.core.money import ONE, Price, Qty
from agent.core.order import Fill, Intent, Order, OrderStatus, OrderType, Purpose, Side
from agent.core.position import Plan, Position, PositionState
from agent.core.records import BalanceRow, Check, DecisionRow, EventRow, Outcome, VerdictRow
from agent.store.batch import Batch, Scope

_ID = "rehearsal"


def rehearsal(scope: Scope, *, several: bool = False) -> Batch:
    """A batch that touches every table of an entry. It must never be committed.

    `several`: instead, more than one row of the kinds that come in numbers, which is compiled by itself.
    """
    told = EventRow(0, "INFO", _ID, _ID)
    if several:
        return Batch(0, rows=(told, told), documents={_ID: 0, f"{_ID} too": 0})
    fill = Fill(_ID, _ID, Side.BUY, ONE, ONE, Decimal(0), scope.quote, 0)
    intent = Intent(
        client_id=_ID,
        position_id=0,
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        type=OrderType.MARKET,
        qty=Qty(ONE),
        price=None,
        stop_price=None,
        time_in_force=None,
        created_ms=0,
        reason=_ID,
    )
    exits = ExitParams(True, False, False, False, 1, 0, 1.0, 1.0, 1.0, 1, 0.0, 0.0, "target")
    levels = Levels(1.0, 0.5, False, None, None, None, 0.5, None)
    plan = Plan(0, 1.0, 1, exits, levels, Price(ONE), Qty(ONE), "stop_only", _ID, scope.mode, scope.venue)
    decision = DecisionRow(
        bar_open_ms=-1,
        decided_ms=0,
        close=1.0,
        ema_f=1.0,
        ema_s=1.0,
        atr=None,
        vol_z=None,
        tr_z=None,
        cloc=None,
        downtrend=False,
        exhaustion=False,
        borderline=False,
        outcome=Outcome.NO_SIGNAL,
        reason=_ID,
        closed_by=_ID,
    )
    rows = (
        decision,
        VerdictRow(0, 0, _ID, True, (Check(_ID, True, _ID),)),
        BalanceRow(0, ONE, ONE),
        told,
    )
    order = Order(intent, OrderStatus.FILLED, (fill,))
    position = Position(0, PositionState.ENTERING, plan, levels)
    return Batch(0, rows=rows, orders=(order,), positions=(position,), documents={_ID: 0})
