"""Comparing the exchange's view of the account with the ledger.

`compare` is pure arithmetic over the two; `on_account` acts on it. Fills are taken in first, so that only
what trades cannot explain is left, and it is never explained by a synthetic fill. A cash difference seen
twice in a row with nothing in flight is an external flow. Coins of ours that are missing are EXTERNAL once
that is proven: the same amount in every reading for `PROOF_MS`, with all our orders accounted for and the
trades since the positions were opened read along. Anything else pauses entries. Trades of ours that the
exchange denies are a reset on a testnet, proven the same way, and a difference for ever anywhere else.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.absence import PROOF_MS, is_searched_for, note_absent, search_due_ms
from agent.core.account import holdings_total
from agent.core.adopting import adopt_sales, bought_unknown, forgotten, is_somebody_elses
from agent.core.booking import book_flow
from agent.core.commands import AlertLevel, LookUpOrder, ReadAccount
from agent.core.events import AccountSeen, AccountUnreadable, FillsSeen, Impairment, OrderReported
from agent.core.fees import keep_fee_prices, warn_of_low_bnb
from agent.core.guard import selling_in
from agent.core.impairing import heal, impair
from agent.core.leaving import drive
from agent.core.money import ZERO, plain
from agent.core.order import Fill
from agent.core.ordering import on_fills, on_report
from agent.core.outside import accept_reset, give_up_missing, note_strangers
from agent.core.records import EventRow
from agent.core.state import AgentState, Missing
from agent.core.turn import Turn
from agent.core.value import Value, replace
from agent.core.worth import balance

RECONCILE_EVERY_MS: Final = 60_000
#: A second look at a difference, and at an account that did not answer.
LOOK_AGAIN_MS: Final = 5_000
#: Own trades are read from this long before the last agreement, so that nothing falls between.
FILLS_OVERLAP_MS: Final = 300_000
#: Balances may lag this far behind our own trades; nothing is concluded from a difference before.
BALANCES_LAG_MS: Final = 30_000
#: An answer to placing and a row of own trades may date the same trade differently.
_SAME_TRADE_MS: Final = 1_000


class Difference(Value, frozen=True):
    """Exchange minus ledger: `cash` in quote currency, `missing_base` what is missing of our base, open
    orders that carry our tag but are in no row of ours, and how many of our trades the exchange denies.
    `forgot_to_ms`: of our trades until then it knows not one, and all later ones. `lost_purchase`: base
    currency bought with our mark that the ledger never knew."""

    cash: Decimal
    missing_base: Decimal
    orphans: tuple[str, ...] = ()
    denied: int = 0
    forgot_to_ms: int | None = None
    lost_purchase: Decimal = ZERO

    @property
    def is_none(self) -> bool:
        return not (self.cash or self.missing_base or self.orphans or self.denied or self.lost_purchase)


def compare(state: AgentState, seen: AccountSeen) -> Difference:
    """The ledger must know its cash. Foreign coins make more base than ours, which is no difference."""
    cash = state.durable.account.cash
    assert cash is not None, "the first reading sets the cash"
    ours = sum((p.held_qty for p in state.open_positions()), ZERO)
    base = holdings_total(seen.holdings, state.setup.base)
    tagged = {r.client_id for r in seen.open_orders if r.client_id.startswith(state.setup.tag)}
    tagged |= {f.client_id for f in forgotten(state, seen.fills) if is_somebody_elses(state, f.client_id)}
    denied, forgot_to_ms = _denied(state, seen)
    return Difference(
        cash=holdings_total(seen.holdings, state.setup.quote) - cash,
        missing_base=max(ZERO, ours - base),
        orphans=tuple(sorted(client_id for client_id in tagged if client_id not in state.orders)),
        denied=denied,
        forgot_to_ms=forgot_to_ms,
        lost_purchase=bought_unknown(state, seen.fills),
    )


def _denied(state: AgentState, seen: AccountSeen) -> tuple[int, int | None]:
    """How many trades of ours the exchange denies, and until when it does so, if it knows all later ones."""
    told = {f.trade_id: f for f in seen.fills}
    since = max(seen.fills_since_ms + _SAME_TRADE_MS, state.durable.account.history_from_ms)
    known = [
        (f.at_ms, f.trade_id in told and _are_one(f, told[f.trade_id]))
        for o in state.orders.values()
        for f in o.fills
        if since <= f.at_ms <= state.now_ms - BALANCES_LAG_MS
    ]
    denied = [at_ms for at_ms, is_told in known if not is_told]
    if not denied:
        return 0, None
    to_ms = max(denied)
    return len(denied), None if any(is_told and at_ms <= to_ms for at_ms, is_told in known) else to_ms


def _are_one(ours: Fill, theirs: Fill) -> bool:
    """Numbers begin anew with a testnet, and a canceled order may change its name."""
    return ours.client_id == theirs.client_id or abs(ours.at_ms - theirs.at_ms) <= _SAME_TRADE_MS


def ask_account(turn: Turn) -> None:
    """Read balances, open orders and own trades, as far back as is needed to conclude anything."""
    since = _needed_from_ms(turn.state, turn.at_ms)
    turn.change(
        account_asked_ms=turn.at_ms, account_asked_from_ms=since, account_asked_in_doubt=_in_doubt(turn.state)
    )
    turn.ask(ReadAccount(since))


def _needed_from_ms(state: AgentState, at_ms: int) -> int:
    """Since when own trades must be read: since shortly before the last agreement.

    Before the first agreement of a run, every order that is still known may have traded meanwhile, and orders
    that the ledger does not know since its last decision. In doubt everything since the open positions began
    is read: it must prove what is concluded.
    """
    agreed_ms, in_doubt = state.reconciled_ms, _in_doubt(state)
    doubtful = [o.intent.created_ms for o in state.orders.values() if in_doubt or not o.is_settled]
    decided_ms = state.durable.decided_open_ms
    if agreed_ms is None and decided_ms is not None:
        # From where this ledger ends: it may be a copy, and what happened since then unknown to it.
        doubtful.append(decided_ms)
    oldest = min(doubtful, default=at_ms)
    return max(0, min(oldest, at_ms if agreed_ms is None else agreed_ms) - FILLS_OVERLAP_MS)


def _in_doubt(state: AgentState) -> bool:
    if state.reconciled_ms is None:
        return True
    if Impairment.LEDGER_DIFFERENCE in state.impairments or state.doubted_cash is not None:
        return True
    if state.missing_base is not None or state.lost_history_ms is not None:
        return True
    moving = state.moving_orders()
    return bool(moving) and any(o.not_found and o.is_working for o in moving)


def on_account(turn: Turn, event: AccountSeen) -> None:
    asked, agreed_ms = turn.state.account_asked_ms, turn.state.reconciled_ms
    settles = _settles(turn.state, event)
    if settles or (asked is not None and event.fills_since_ms <= turn.state.account_asked_from_ms):
        turn.change(account_asked_ms=None, account_seen_ms=turn.at_ms)
    heal(turn, Impairment.BALANCE_UNREADABLE)
    on_fills(turn, FillsSeen(event.fills))
    for report in event.open_orders:
        on_report(turn, OrderReported(report))
    if adopt_sales(turn, event):
        on_fills(turn, FillsSeen(event.fills))
    vanished = _look_up_vanished(turn, event, asked or turn.at_ms)
    account = turn.state.durable.account
    if account.cash is None:
        cash = holdings_total(event.holdings, turn.state.setup.quote)
        turn.change_durable(account=replace(account, cash=cash))
    if turn.state.missed_since_ms or any(map(is_searched_for, turn.state.moving_orders())):
        agrees = compare(turn.state, event).is_none
        note_absent(turn, event, agrees=agrees, overlap_ms=FILLS_OVERLAP_MS)
    _note_foreign(turn, event)
    _note_sellable(turn, event)
    note_strangers(turn, event)
    keep_fee_prices(turn, event.holdings)
    warn_of_low_bnb(turn, event.holdings)
    open_questions = any(not o.is_settled and not o.is_working for o in turn.state.orders.values())
    if settles and not open_questions and not vanished:
        _settle_difference(turn, compare(turn.state, event), event)
        # What was given up just now is not ours any more.
        _note_foreign(turn, event)
    if agreed_ms is None and turn.state.reconciled_ms is not None:
        # Sales that waited for just that.
        turn.change(exit_retry_ms={})
    # Whatever a lost word left undone is done now at the latest.
    for position in turn.state.open_positions():
        drive(turn, position.id)


def _settles(state: AgentState, event: AccountSeen) -> bool:
    """Whether a reading may be concluded from: the connection reads by itself after every gap, but not far
    back, so that in doubt it would show no trade denied and no cause of a difference."""
    if not _in_doubt(state):
        return True
    as_asked = state.account_asked_in_doubt and event.fills_since_ms <= state.account_asked_from_ms
    return as_asked or event.fills_since_ms <= _needed_from_ms(state, state.now_ms)


def _look_up_vanished(turn: Turn, event: AccountSeen, asked_ms: int) -> bool:
    """An order that works in the ledger but not at the exchange has ended meanwhile.

    Whether there is one that never rested: what it traded may be in the balances and not in the trades yet.
    """
    open_ids = {report.client_id for report in event.open_orders}
    vanished = False
    # What is at rest does not work.
    for order in turn.state.moving_orders():
        if not order.is_working or order.intent.client_id in open_ids:
            continue
        # One that rested brought coins here before: its sale would show as coins that are missing.
        vanished = vanished or not order.intent.rests
        if order.intent.created_ms < asked_ms:
            turn.ask(LookUpOrder(order.intent.client_id))
    return vanished


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


def _note_sellable(turn: Turn, event: AccountSeen) -> None:
    """A sale was refused for lack of coins: until the account has them, no more is sold than it has free."""
    if turn.state.sellable is None:
        return
    seen = event.holdings.get(turn.state.setup.base)
    free = seen.free if seen is not None else ZERO
    owned = sum((p.held_qty for p in turn.state.open_positions()), ZERO)
    in_orders = selling_in(turn.state.orders.values())
    turn.change(sellable=None if free + in_orders >= owned else free)


def _settle_difference(turn: Turn, difference: Difference, event: AccountSeen) -> None:
    if difference.is_none:
        _note_agreement(turn)
        turn.change(reconciled_ms=turn.at_ms, doubted_cash=None, missing_base=None, lost_history_ms=None)
        heal(turn, Impairment.LEDGER_DIFFERENCE)
        return
    doubted, since_ms = turn.state.doubted_cash, turn.state.doubted_since_ms
    if doubted != difference.cash or since_ms is None:
        since_ms = turn.at_ms
    turn.change(doubted_cash=difference.cash, doubted_since_ms=since_ms)
    if turn.at_ms < _last_fill_ms(turn) + BALANCES_LAG_MS or _reset(turn, difference, event):
        return
    if difference.denied or difference.orphans or difference.lost_purchase:
        impair(turn, Impairment.LEDGER_DIFFERENCE, _hole(turn, difference))
        return
    if difference.missing_base:
        impair(turn, Impairment.LEDGER_DIFFERENCE, _hole(turn, difference))
        _prove_missing(turn, difference.missing_base, event)
        return
    turn.change(missing_base=None, lost_history_ms=None)
    if doubted != difference.cash:
        return
    if _may_be_proceeds(turn.state, difference) and turn.at_ms < since_ms + PROOF_MS:
        return
    _book_flow(turn, difference.cash)
    turn.change(reconciled_ms=turn.at_ms, doubted_cash=None)
    heal(turn, Impairment.LEDGER_DIFFERENCE)
    kind = "deposit" if difference.cash > 0 else "withdrawal"
    amount = f"{plain(abs(difference.cash))} {turn.state.setup.quote}"
    turn.alert(AlertLevel.WARNING, "account", f"{kind} of {amount}: counted as a flow, not as profit")


def _may_be_proceeds(state: AgentState, difference: Difference) -> bool:
    """Whether more cash may be what an order of ours sold, whose trades are told later than the balances.

    Its coins would be missing, but those that lie beside hide that.
    """
    return difference.cash > 0 and selling_in(state.orders.values()) > 0


def _note_agreement(turn: Turn) -> None:
    """The first agreement of a run, and the first after a time without one, are worth a row."""
    before_ms, state = turn.state.reconciled_ms, turn.state
    if before_ms is not None and turn.at_ms - before_ms <= 2 * RECONCILE_EVERY_MS:
        return
    working = sum(not o.is_settled for o in state.orders.values())
    text = f"account and ledger agree: {len(state.open_positions())} open positions, {working} open orders"
    turn.keep(EventRow(turn.at_ms, AlertLevel.INFO.value, "account", text))


def _reset(turn: Turn, difference: Difference, event: AccountSeen) -> bool:
    """Whether this is, or may turn out to be, a testnet that began anew, also when it was traded on since.

    A past that only ends earlier than before, with coins and cash as they should be, is none.
    """
    to_ms = difference.forgot_to_ms
    same = not (difference.cash or difference.missing_base)
    if turn.state.setup.mode != "testnet" or to_ms is None or same or turn.state.instrument is None:
        turn.change(lost_history_ms=None)
        return False
    since = turn.state.lost_history_ms
    if since is None:
        turn.change(lost_history_ms=turn.at_ms)
        impair(turn, Impairment.LEDGER_DIFFERENCE, _hole(turn, difference))
    elif turn.at_ms >= since + PROOF_MS:
        accept_reset(turn, event, to_ms)
        turn.change(lost_history_ms=None, doubted_cash=None, missing_base=None, reconciled_ms=turn.at_ms)
        heal(turn, Impairment.LEDGER_DIFFERENCE)
    return True


def _prove_missing(turn: Turn, qty: Decimal, event: AccountSeen) -> None:
    """Give up what is gone once nothing else can explain it."""
    known, state = turn.state.missing_base, turn.state
    if known is None or known.qty != qty:
        turn.change(missing_base=Missing(qty, turn.at_ms))
        return
    opened = min((p.opened_ms for p in state.open_positions() if p.opened_ms is not None), default=0)
    open_ids = {report.client_id for report in event.open_orders}
    told = all(o.intent.client_id in open_ids for o in state.orders.values() if o.is_working)
    covered = event.fills_since_ms <= opened
    if turn.at_ms >= known.since_ms + PROOF_MS and told and covered and give_up_missing(turn, qty):
        turn.change(missing_base=None)


def _last_fill_ms(turn: Turn) -> int:
    return max((p.last_fill_ms or 0 for p in turn.state.positions.values()), default=0)


def _hole(turn: Turn, difference: Difference) -> str:
    if difference.denied:
        return f"the exchange does not know {difference.denied} trade(s) of ours"
    if difference.orphans:
        names = ", ".join(difference.orphans)
        return f"orders with our mark that the ledger does not know: {names}; is it in use twice?"
    base = turn.state.setup.base
    if difference.lost_purchase:
        bought = f"{plain(difference.lost_purchase)} {base} were bought with our mark and are in no row"
        return f"{bought}: no position manages them; look at the account, then restart the engine"
    missing = f"{plain(difference.missing_base)} {base}"
    return f"the exchange holds {missing} less than the ledger"


def _book_flow(turn: Turn, amount: Decimal) -> None:
    """Cash came or went from outside: the day's start moves by what that changes in our own balance.

    Under a configured `capital` that may be less than the amount, or nothing.
    """
    account, before = turn.state.durable.account, balance(turn.state)
    assert account.cash is not None, "a difference needs a known cash"
    turn.change_durable(account=replace(account, cash=account.cash + amount))
    book_flow(turn, before, balance(turn.state))


def on_account_unreadable(turn: Turn, event: AccountUnreadable) -> None:
    turn.change(account_asked_ms=None, account_seen_ms=turn.at_ms)
    impair(turn, Impairment.BALANCE_UNREADABLE, event.detail, permanent=event.permanent)


def account_due_ms(state: AgentState) -> int:
    """When the account should be read next."""
    if state.account_asked_ms is not None:
        return state.account_asked_ms + RECONCILE_EVERY_MS
    if state.account_seen_ms is None:
        return 0
    # A difference is in doubt as well.
    unreadable = Impairment.BALANCE_UNREADABLE in state.impairments
    if unreadable or _in_doubt(state) or _owes_clearing(state):
        return state.account_seen_ms + LOOK_AGAIN_MS
    usual, search = state.account_seen_ms + RECONCILE_EVERY_MS, search_due_ms(state, state.account_seen_ms)
    return usual if search is None else min(usual, search)


def _owes_clearing(state: AgentState) -> bool:
    """Halted and sold out, but not compared since: an operator who wants to go on waits for just that."""
    halted = state.durable.halt
    if halted is None or (state.reconciled_ms or 0) > halted.at_ms:
        return False
    return not state.open_positions() and all(o.is_settled for o in state.orders.values())
