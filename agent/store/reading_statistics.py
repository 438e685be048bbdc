"""The facts behind the figures, read beside a running engine: pages and short statements, nothing is written.

Every function is a few statements, each a transaction of its own. One year of one-minute account rows is
folded by the database to one point an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Double, and_, case, cast, distinct, func, select

from agent.core.order import Purpose
from agent.core.position import Position
from agent.core.records import EventRow, Outcome
from agent.insight.account import flows_in
from agent.insight.facts import (
    OUTSIDE_METRICS,
    ClosedTrade,
    EquityPoint,
    Execution,
    Flow,
    ScopeRun,
    SignalCounts,
)
from agent.insight.uptime import ENGINE_KIND, SILENCE_MS, TELLING_KINDS
from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS, Selection
from agent.store.codec import decode, from_text
from agent.store.reading import Reader, of_selection

HOUR_MS: Final = 3_600_000
_ROUNDING: Final = Decimal("1e-9")
_DAILY_LOSS: Final = "daily_loss"
_EMERGENCY: Final = "emergency"


def closed_trades(reader: Reader, of: Selection) -> tuple[ClosedTrade, ...]:
    """Every trade that bought and sold something, in the order in which they closed."""
    table = schema.trades
    wanted = select(table).where(~table.c.is_open, table.c.exit_ms.is_not(None))
    found = [
        ClosedTrade(
            id=row.position_id,
            signal_ms=row.signal_ms,
            opened_ms=row.opened_ms,
            exit_ms=row.exit_ms,
            entry=row.entry,
            exit=row.exit,
            size=row.size,
            pnl_quote=row.pnl_quote,
            fees_quote=row.fees_quote,
            pnl=float(row.pnl),
            r=float(row.r),
            reason=row.reason or "",
            bars_held=row.bars_held,
            notes=row.notes,
        )
        for row in reader.stream(wanted, table, of)
        if row.opened_ms is not None and row.exit is not None
    ]
    return tuple(sorted(found, key=lambda trade: (trade.exit_ms, trade.id)))


def opened_times(reader: Reader, of: Selection, since_ms: int) -> tuple[int, ...]:
    """When trades had their first fill, from `since_ms` on, open ones too."""
    at = schema.trades.c.opened_ms
    wanted = select(at).where(*of_selection(schema.trades, of), at >= since_ms)
    return tuple(row.opened_ms for row in reader.rows(wanted))


def equity_curve(reader: Reader, of: Selection, bucket_ms: int = HOUR_MS) -> tuple[EquityPoint, ...]:
    """The account's equity, one point per `bucket_ms` with the last, the lowest and the highest of it."""
    table = schema.balances
    bucket = table.c.at_ms - table.c.at_ms % bucket_ms
    worth = cast(table.c.equity, Double)
    wanted = (
        select(
            func.max(table.c.id).label("last"),
            func.min(worth).label("low"),
            func.max(worth).label("high"),
        )
        .where(*of_selection(table, of))
        .group_by(bucket)
        .subquery()
    )
    rows = reader.rows(
        select(table.c.at_ms, table.c.equity, wanted.c.low, wanted.c.high)
        .join(wanted, wanted.c.last == table.c.id)
        .order_by(table.c.at_ms)
    )
    return tuple(
        EquityPoint(row.at_ms, row.equity, _seen(row.low, row.equity), _seen(row.high, row.equity))
        for row in rows
    )


def _seen(value: float, last: Decimal) -> Decimal:
    """The database compares as float; what that rounds away must not make a fall that never was."""
    exact = Decimal(repr(value))
    return last if abs(exact - last) <= _ROUNDING * abs(last) else exact


def flows(reader: Reader, of: Selection) -> tuple[Flow, ...]:
    return flows_in(events_of(reader, of, ("account",)))


def events_of(reader: Reader, of: Selection, kinds: Sequence[str], since_ms: int = 0) -> tuple[EventRow, ...]:
    """Events of these kinds, oldest first."""
    table = schema.events
    wanted = (
        select(table)
        .where(*of_selection(table, of), table.c.kind.in_(kinds), table.c.at_ms >= since_ms)
        .order_by(table.c.at_ms, table.c.id)
    )
    return tuple(EventRow(row.at_ms, row.level, row.kind, row.text) for row in reader.rows(wanted))


def signal_counts(reader: Reader, of: Selection, since_ms: int) -> SignalCounts:
    """Signal bars by outcome, and entries that bought something."""
    decisions, trades = schema.decisions, schema.trades
    rows = reader.rows(
        select(decisions.c.outcome, func.count().label("n"))
        .where(*of_selection(decisions, of), decisions.c.exhaustion, decisions.c.bar_open_ms >= since_ms)
        .group_by(decisions.c.outcome)
    )
    same = and_(*(trades.c[name] == decisions.c[name] for name in SCOPE_COLUMNS))
    filled = reader.rows(
        select(func.count().label("n"))
        .select_from(decisions.join(trades, and_(same, trades.c.position_id == decisions.c.position_id)))
        .where(
            *of_selection(decisions, of),
            decisions.c.bar_open_ms >= since_ms,
            decisions.c.outcome == Outcome.ENTERED.value,
            trades.c.opened_ms.is_not(None),
        )
    )
    return SignalCounts({row.outcome: row.n for row in rows}, filled[0].n)


def signal_latencies(reader: Reader, of: Selection, bar_ms: int, since_ms: int) -> tuple[int, ...]:
    """From the close of a bar to its decision, ms, of every bar that was decided as it closed."""
    table = schema.decisions
    late = table.c.decided_ms - table.c.bar_open_ms - bar_ms
    rows = reader.rows(
        select(late.label("late")).where(
            *of_selection(table, of), table.c.bar_open_ms >= since_ms, table.c.closed_by != "backfill"
        )
    )
    return tuple(max(0, row.late) for row in rows)


def fill_times(reader: Reader, of: Selection, since_ms: int) -> tuple[int, ...]:
    """From the intent of an entry or exit to its last fill, ms."""
    intents, fills = schema.intents, schema.fills
    same = and_(*(fills.c[name] == intents.c[name] for name in SCOPE_COLUMNS))
    rows = reader.rows(
        select((func.max(fills.c.at_ms) - func.min(intents.c.created_ms)).label("taken"))
        .select_from(intents.join(fills, and_(same, fills.c.client_id == intents.c.client_id)))
        .where(
            *of_selection(intents, of),
            intents.c.created_ms >= since_ms,
            intents.c.purpose != Purpose.PROTECT.value,
        )
        .group_by(intents.c.id)
    )
    return tuple(max(0, row.taken) for row in rows)


def positions(reader: Reader, of: Selection, since_ms: int = 0) -> tuple[Position, ...]:
    """Positions that bought something, as they were last stored, oldest first."""
    table = schema.trades
    wanted = select(table.c.id, table.c.record).where(table.c.opened_ms >= since_ms)
    return tuple(decode(Position, from_text(row.record)) for row in reader.stream(wanted, table, of))


def executions(held: Sequence[Position]) -> tuple[Execution, ...]:
    """Entries against the price the book promised, exits against the level they left at."""
    found = []
    for position in held:
        entry, left = position.entry_price, position.exit_price
        if entry is not None:
            found.append(Execution(position.id, True, position.plan.expected_entry, entry))
        if left is not None and position.closed_ms is not None:
            level = position.exit_level
            expected = None if level is None or position.seen_at_close else Decimal(repr(level))
            found.append(Execution(position.id, False, expected, left))
    return tuple(found)


def silences(reader: Reader, of: Selection, since_ms: int, now_ms: int) -> tuple[tuple[int, int], ...]:
    """Stretches between `since_ms` and now without a row of the account for longer than SILENCE_MS, and those
    before a start of the engine whatever their length.

    The first row at all is where life began: nothing before it is a silence.
    """
    table = schema.balances
    scoped = of_selection(table, of)
    begin_ms = _last_row_ms(reader, of, since_ms)
    before = func.lag(table.c.at_ms).over(order_by=(table.c.at_ms, table.c.id)).label("before")
    pairs = select(table.c.at_ms, before).where(*scoped, table.c.at_ms >= (begin_ms or since_ms)).subquery()
    rows = reader.rows(select(pairs).where(pairs.c.at_ms - pairs.c.before > SILENCE_MS))
    found = [(row.before, row.at_ms) for row in rows]
    last_ms = _last_row_ms(reader, of, now_ms)
    if last_ms is not None and now_ms - last_ms > SILENCE_MS:
        found.append((last_ms, now_ms))
    for event in events_of(reader, of, (ENGINE_KIND,), since_ms):
        known_ms = _last_row_ms(reader, of, event.at_ms) if event.text.startswith("started") else None
        if known_ms is not None:
            found.append((known_ms, event.at_ms))
    return tuple(sorted(found))


def _last_row_ms(reader: Reader, of: Selection, until_ms: int) -> int | None:
    table = schema.balances
    wanted = select(func.max(table.c.at_ms).label("at"))
    rows = reader.rows(wanted.where(*of_selection(table, of), table.c.at_ms <= until_ms))
    at_ms: int | None = rows[0].at
    return at_ms


def first_life_ms(reader: Reader, of: Selection) -> int | None:
    """The first row of the account."""
    table = schema.balances
    rows = reader.rows(select(func.min(table.c.at_ms).label("at")).where(*of_selection(table, of)))
    at_ms: int | None = rows[0].at
    return at_ms


def telling_events(reader: Reader, of: Selection) -> tuple[EventRow, ...]:
    """What uptime is counted from: all of it, since what began before may last until now."""
    return events_of(reader, of, TELLING_KINDS)


def scope_runs(reader: Reader, of: Selection) -> tuple[ScopeRun, ...]:
    """Every scope of `of` with what it has behind it."""
    return tuple(_run(reader, scope.selection, scope) for scope in reader.scopes() if _within(scope, of))


def _within(scope: Any, of: Selection) -> bool:
    return all(getattr(scope, name) == value for name, value in of.columns().items())


def _run(reader: Reader, of: Selection, scope: Any) -> ScopeRun:
    balances, events, trades = schema.balances, schema.events, schema.trades
    minute = balances.c.at_ms - balances.c.at_ms % 60_000
    life = reader.rows(
        select(
            func.min(balances.c.at_ms).label("first"), func.count(distinct(minute)).label("minutes")
        ).where(*of_selection(balances, of))
    )[0]
    won = case((cast(trades.c.pnl_quote, Double) > 0, 1), else_=0)
    manual = case((trades.c.reason == "MANUAL", 1), else_=0)
    traded = reader.rows(
        select(func.count().label("n"), func.sum(won).label("wins"), func.sum(manual).label("manual")).where(
            *of_selection(trades, of),
            trades.c.exit_ms.is_not(None),
            trades.c.reason.not_in(sorted(OUTSIDE_METRICS)),
        )
    )[0]
    told = reader.rows(
        select(events.c.level, events.c.kind, func.count().label("n"))
        .where(*of_selection(events, of), (events.c.level == "CRITICAL") | (events.c.kind == ENGINE_KIND))
        .group_by(events.c.level, events.c.kind)
    )
    critical = {row.kind: row.n for row in told if row.level == "CRITICAL"}
    begun = reader.rows(
        select(func.count().label("n")).where(
            *of_selection(events, of), events.c.kind == ENGINE_KIND, events.c.text.like("started%")
        )
    )[0]
    return ScopeRun(
        venue=scope.venue,
        mode=scope.mode,
        pair=scope.pair,
        first_ms=life.first,
        minutes=life.minutes,
        trades=traded.n,
        wins=traded.wins or 0,
        criticals=sum(n for kind, n in critical.items() if kind not in (_EMERGENCY, _DAILY_LOSS)),
        emergencies=critical.get(_EMERGENCY, 0),
        daily_losses=critical.get(_DAILY_LOSS, 0),
        manual_closes=traded.manual or 0,
        starts=begun.n,
    )
