"""The end of a position: nothing is held any more but dust, and the trade is booked with why it left.

Stays true: what sold a position is why it left, whatever was decided meanwhile; dust has a row.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.adopting import FOUND
from agent.core.booking import position_booked
from agent.core.entering import release_waiting
from agent.core.exits import profit_hit
from agent.core.instrument import Instrument
from agent.core.money import ZERO
from agent.core.order import Purpose, Side
from agent.core.phase import PhaseEvent
from agent.core.position import EXTERNAL, TESTNET_RESET, Position, PositionEvent
from agent.core.records import DustRow
from agent.core.turn import Turn
from agent.core.value import replace

#: Why a position ended of which nothing could ever be sold.
DUST: Final = "DUST"


def stop_reason(position: Position) -> str:
    return "STOP" if position.plan.exits.policy == "target" else "stop"


def _sold_at_rest(turn: Turn, position: Position) -> Position:
    """What sold the position is why it left, whatever was decided meanwhile: what rested, if it did.

    Its last fill says in which bar; one at the very end of a bar belongs to that bar.
    """
    if position.exit_reason == TESTNET_RESET:
        return position
    sales = [o for o in turn.state.orders_of(position.id) if o.intent.side is Side.SELL and o.filled]
    if not sales:
        taken = EXTERNAL if position.external_qty > 0 else position.exit_reason or DUST
        return replace(position, exit_reason=taken)
    if any(not o.intent.rests for o in sales):
        # Why a sale that the ledger forgot was made, nobody knows any more.
        lost = "MANUAL" if all(o.intent.reason == FOUND for o in sales) else stop_reason(position)
        return replace(position, exit_reason=position.exit_reason or lost)
    entry_bar, sold_ms = position.entry_bar_open_ms, position.last_fill_ms
    assert entry_bar is not None, "a position that was bought has an entry bar"
    assert sold_ms is not None, "a position that was sold has fills"
    last = max(sales, key=lambda o: max(f.at_ms for f in o.fills))
    hit = profit_hit(position.levels, position.plan.exits)
    at_target = last.intent.purpose is Purpose.TARGET and hit is not None
    held = max(0, (sold_ms - 1 - entry_bar) // position.plan.bar_ms)
    sold = replace(
        position,
        exit_reason=hit.reason if at_target and hit else stop_reason(position),
        exit_level=hit.price if at_target and hit else position.levels.stop,
        seen_at_close=False,
        bars_held=held,
        notes=tuple(note for note in position.notes if note not in ("seen_at_close", "entry_bar_exit")),
    )
    if at_target:
        sold = sold.noted("resting_target")
    return sold.noted("entry_bar_exit") if held == 0 else sold


def close_out(turn: Turn, position: Position, instrument: Instrument) -> None:
    """Nothing is held any more but dust: the trade is over and booked."""
    position = _sold_at_rest(turn, position)
    left = position.held_qty
    if left > 0:
        turn.keep(DustRow(turn.at_ms, position.id, instrument.base, left))
        position = replace(position, dust_qty=position.dust_qty + left).noted("dust")
        _note_foreign_dust(turn, instrument.base, left)
    if position.unprotected_since_ms is not None:
        spent = position.unprotected_ms + turn.at_ms - position.unprotected_since_ms
        position = replace(position, unprotected_since_ms=None, unprotected_ms=spent)
    position = turn.put_position(replace(position, closed_ms=turn.at_ms).moved(PositionEvent.FLAT))
    turn.change(
        exit_retry_ms={k: v for k, v in turn.state.exit_retry_ms.items() if k != position.id},
        exit_attempts={k: v for k, v in turn.state.exit_attempts.items() if k != position.id},
        protect_retry_ms={k: v for k, v in turn.state.protect_retry_ms.items() if k != position.id},
        pair_retry_ms={k: v for k, v in turn.state.pair_retry_ms.items() if k != position.id},
        rest_due_ms={k: v for k, v in turn.state.rest_due_ms.items() if k != position.id},
    )
    position_booked(turn, position)
    now_flat(turn)


def _note_foreign_dust(turn: Turn, base: str, left: Decimal) -> None:
    """What no position holds any more is nobody's at once, not only with the next reading of the account."""
    account = turn.state.durable.account
    foreign = {**account.foreign, base: account.foreign.get(base, ZERO) + left}
    turn.change_durable(account=replace(account, foreign=foreign))


def now_flat(turn: Turn) -> None:
    """One position less: perhaps the last one, perhaps room for a signal that waits."""
    if not turn.state.open_positions() and not turn.state.in_flight():
        turn.phase_event(PhaseEvent.FLAT)
    release_waiting(turn)
