"""Comparing the exchange's view of the account with the ledger.

`compare` is pure arithmetic over the two; `on_account` acts on it. Fills are taken in first, so that
only what trades cannot explain is left: a difference seen twice in a row with nothing in flight is
either an external flow (cash) or a hole (our own coins are missing), never a synthetic fill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from agent.core.account import holdings_total
from agent.core.commands import AlertLevel, LookUpOrder, ReadAccount
from agent.core.events import AccountSeen, AccountUnreadable, FillsSeen, Impairment, OrderReported
from agent.core.fees import keep_fee_prices
from agent.core.impairing import heal, impair
from agent.core.leaving import drive
from agent.core.money import ZERO, plain
from agent.core.ordering import on_fills, on_report
from agent.core.records import EventRow
from agent.core.state import AgentState
from agent.core.turn import Turn
from agent.core.worth import balance

RECONCILE_EVERY_MS: Final = 60_000
#: A second look at a difference, and at an account that did not answer.
LOOK_AGAIN_MS: Final = 5_000
#: Own trades are read from this long before the last agreement, so that nothing falls between.
FILLS_OVERLAP_MS: Final = 300_000
#: Balances may lag this far behind our own trades; nothing is concluded from a difference before.
BALANCES_LAG_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Difference:
    """Exchange minus ledger: `cash` in quote currency, `missing_base` what is missing of our base, and
    open orders that carry our tag but are in no row of ours."""

    cash: Decimal
    missing_base: Decimal
    orphans: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        return self.cash == 0 and not self.is_hole

    @property
    def is_hole(self) -> bool:
        """Whether something is wrong that no deposit or withdrawal explains."""
        return self.missing_base > 0 or bool(self.orphans)


def compare(state: AgentState, seen: AccountSeen) -> Difference:
    """The ledger must know its cash. Foreign coins make more base than ours, which is no difference."""
    cash = state.durable.account.cash
    assert cash is not None, "the first reading sets the cash"
    ours = sum((p.held_qty for p in state.open_positions()), ZERO)
    base = holdings_total(seen.holdings, state.setup.base)
    tagged = (r.client_id for r in seen.open_orders if r.client_id.startswith(state.setup.tag))
    return Difference(
        cash=holdings_total(seen.holdings, state.setup.quote) - cash,
        missing_base=max(ZERO, ours - base),
        orphans=tuple(client_id for client_id in tagged if client_id not in state.orders),
    )


def ask_account(turn: Turn) -> None:
    """Read balances, open orders and own trades since shortly before the last agreement.

    Before the first agreement of a run, every order that is still known may have traded meanwhile.
    """
    agreed_ms = turn.state.reconciled_ms
    doubtful = (o for o in turn.state.orders.values() if agreed_ms is None or not o.is_settled)
    oldest = min((o.intent.created_ms for o in doubtful), default=turn.at_ms)
    since = min(oldest, turn.at_ms if agreed_ms is None else agreed_ms) - FILLS_OVERLAP_MS
    turn.change(account_asked_ms=turn.at_ms)
    turn.ask(ReadAccount(max(0, since)))


def on_account(turn: Turn, event: AccountSeen) -> None:
    asked = turn.state.account_asked_ms
    turn.change(account_asked_ms=None, account_seen_ms=turn.at_ms)
    heal(turn, Impairment.BALANCE_UNREADABLE)
    on_fills(turn, FillsSeen(event.fills))
    for report in event.open_orders:
        on_report(turn, OrderReported(report))
    _look_up_vanished(turn, event, asked or turn.at_ms)
    account = turn.state.durable.account
    if account.cash is None:
        cash = holdings_total(event.holdings, turn.state.setup.quote)
        turn.change_durable(account=replace(account, cash=cash))
    _note_foreign(turn, event)
    keep_fee_prices(turn, event.holdings)
    if not any(not o.is_settled and not o.is_working for o in turn.state.orders.values()):
        _settle_difference(turn, compare(turn.state, event))
    # Whatever a lost word left undone is done now at the latest.
    for position in turn.state.open_positions():
        drive(turn, position.id)


def _look_up_vanished(turn: Turn, event: AccountSeen, asked_ms: int) -> None:
    """An order that works in the ledger but not at the exchange has ended meanwhile."""
    open_ids = {report.client_id for report in event.open_orders}
    for order in turn.state.orders.values():
        known_before = order.is_working and order.intent.created_ms < asked_ms
        if known_before and order.intent.client_id not in open_ids:
            turn.ask(LookUpOrder(order.intent.client_id))


def _note_foreign(turn: Turn, event: AccountSeen) -> None:
    setup = turn.state.setup
    ours = sum((p.held_qty for p in turn.state.open_positions()), ZERO)
    foreign = {
        c: h.total for c, h in event.holdings.items() if c not in (setup.quote, setup.base) and h.total
    }
    spare = holdings_total(event.holdings, setup.base) - ours
    if spare > 0:
        foreign[setup.base] = spare
    if foreign != turn.state.durable.account.foreign:
        turn.change_durable(account=replace(turn.state.durable.account, foreign=foreign))


def _settle_difference(turn: Turn, difference: Difference) -> None:
    if difference.is_none:
        _note_agreement(turn)
        turn.change(reconciled_ms=turn.at_ms, doubted_cash=None)
        heal(turn, Impairment.LEDGER_DIFFERENCE)
        return
    doubted = turn.state.doubted_cash
    turn.change(doubted_cash=difference.cash)
    if turn.at_ms < _last_fill_ms(turn) + BALANCES_LAG_MS:
        return
    if difference.is_hole:
        impair(turn, Impairment.LEDGER_DIFFERENCE, _hole(turn, difference))
        return
    if doubted != difference.cash:
        return
    _book_flow(turn, difference.cash)
    turn.change(reconciled_ms=turn.at_ms, doubted_cash=None)
    kind = "deposit" if difference.cash > 0 else "withdrawal"
    amount = f"{plain(abs(difference.cash))} {turn.state.setup.quote}"
    turn.alert(AlertLevel.WARNING, "account", f"{kind} of {amount}: counted as a flow, not as profit")


def _note_agreement(turn: Turn) -> None:
    """The first agreement of a run, and the first after a time without one, are worth a row."""
    before_ms, state = turn.state.reconciled_ms, turn.state
    if before_ms is not None and turn.at_ms - before_ms <= 2 * RECONCILE_EVERY_MS:
        return
    working = sum(not o.is_settled for o in state.orders.values())
    text = f"account and ledger agree: {len(state.open_positions())} open positions, {working} open orders"
    turn.keep(EventRow(turn.at_ms, AlertLevel.INFO.value, "account", text))


def _last_fill_ms(turn: Turn) -> int:
    return max((p.last_fill_ms or 0 for p in turn.state.positions.values()), default=0)


def _hole(turn: Turn, difference: Difference) -> str:
    if difference.orphans:
        return f"open orders of ours that the ledger does not know: {', '.join(difference.orphans)}"
    missing = f"{plain(difference.missing_base)} {turn.state.setup.base}"
    return f"the exchange holds {missing} less than the ledger"


def _book_flow(turn: Turn, amount: Decimal) -> None:
    """Cash came or went from outside: the day's start moves by what that changes in our own balance.

    Under a configured `capital` that may be less than the amount, or nothing.
    """
    account, before = turn.state.durable.account, balance(turn.state)
    assert account.cash is not None, "a difference needs a known cash"
    assert before is not None
    turn.change_durable(account=replace(account, cash=account.cash + amount))
    after, day = balance(turn.state), turn.state.durable.day
    assert after is not None
    if day is not None and day.start_equity is not None:
        turn.change_durable(day=replace(day, flows=day.flows + after - before))


def on_account_unreadable(turn: Turn, event: AccountUnreadable) -> None:
    turn.change(account_asked_ms=None, account_seen_ms=turn.at_ms)
    impair(turn, Impairment.BALANCE_UNREADABLE, event.detail, permanent=event.permanent)


def account_due_ms(state: AgentState) -> int:
    """When the account should be read next."""
    if state.account_asked_ms is not None:
        return state.account_asked_ms + RECONCILE_EVERY_MS
    if state.account_seen_ms is None:
        return 0
    doubtful = {Impairment.BALANCE_UNREADABLE, Impairment.LEDGER_DIFFERENCE} & state.impairments.keys()
    if state.reconciled_ms is None or state.doubted_cash is not None or doubtful:
        return state.account_seen_ms + LOOK_AGAIN_MS
    return state.account_seen_ms + RECONCILE_EVERY_MS
