"""Parity from what is stored: decisions beside the whole history in `candles.db`, trades beside the bar form.

For workers: it loads pandas. Nothing is written; the caller keeps the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from math import nan
from pathlib import Path
from typing import Final

from sqlalchemy import select

from agent.config.model import Config
from agent.config.strategy import exit_params, seller_params
from agent.core.market import Candle
from agent.core.position import Position
from agent.core.records import DecisionRow
from agent.core.series import CandleSeries
from agent.insight.costs import CostRow, cost_row
from agent.insight.parity import Score, compare, rest_copies
from agent.insight.parity_history import recompute, with_rest_copies
from agent.store import reading_statistics as facts
from agent.store import schema
from agent.store.batch import Scope
from agent.store.candles import CandleReader, SeriesKey, older_venue
from agent.store.reading import Reader, decision_of, of_selection
from agent.store.reading_story import config_at

#: Decisions of one page: so many are held in memory at a time.
PAGE: Final = 20_000
#: A trade is followed this many bars at most in search of the bar form's end.
LONGEST_TRADE_BARS: Final = 20_000
#: History is read this many bars back: a seed has no weight any more long before.
LONGEST_HISTORY_BARS: Final = 400_000


def candle_key(candles: CandleReader, scope: Scope, config: Config) -> SeriesKey | None:
    """Whose candles the signals of `scope` were made of: its own venue's, else the same exchange's, or
    Polygon's where the configuration says so."""
    leads = config.data_feed.data_source == "polygon"
    exchange = "polygon" if leads else scope.venue.partition("@")[0]
    venues = candles.venues(scope.pair, config.timeframe)
    own = [v for v in venues if v == scope.venue and not leads]
    own = own or [v for v in venues if v.partition("@")[0] == exchange]
    return SeriesKey(own[0], scope.pair, config.timeframe) if own else None


def _older(candles: CandleReader, key: SeriesKey, history: CandleSeries) -> CandleSeries:
    """`history` behind what another source lent the averages, if it did; that has no volume here."""
    if len(history) == 0:
        return history
    lent = candles.read(
        SeriesKey(older_venue(key.venue), key.pair, key.timeframe), 0, int(history.open_ms[0])
    )
    if len(lent) == 0:
        return history
    return CandleSeries.of([*(replace(candle, volume=nan) for candle in lent), *history])


def check_parity(
    reader: Reader, candles_db: Path, scope: Scope, score: Score, *, pages: int | None = None
) -> Score:
    """`score` with every decision after `score.checked_to_ms` added, at most `pages` pages of them."""
    candles = CandleReader(candles_db)
    copies = rest_copies(facts.events_of(reader, scope.selection, ("candle differs",)))
    levels = _levels_by_signal(reader, scope)
    try:
        for _ in count() if pages is None else range(pages):
            page, before = _decisions_after(reader, scope, score.checked_to_ms), score.bars
            for config, rows in _by_config(reader, scope, page):
                key = candle_key(candles, scope, config)
                if key is not None:
                    score = _check(score, rows, config, candles, key, copies, levels)
            if page:
                score = _checked_to(score, page[-1].bar_open_ms)
                score = replace(score, skipped=score.skipped + len(page) - (score.bars - before))
            if len(page) < PAGE:
                break
        return score
    finally:
        candles.close()


def cost_rows(reader: Reader, candles_db: Path, scope: Scope) -> tuple[CostRow, ...]:
    """Every closed trade with its bar form, where its candles are still there."""
    candles = CandleReader(candles_db)
    try:
        rows = []
        for position in facts.positions(reader, scope.selection):
            config = config_at(reader, scope, position.opened_ms or 0)
            key = None if config is None else candle_key(candles, scope, config)
            if key is None:
                continue
            begin_ms = position.plan.signal_open_ms + position.plan.bar_ms
            bars = candles.read(key, begin_ms, begin_ms + LONGEST_TRADE_BARS * position.plan.bar_ms)
            row = cost_row(position, bars)
            if row is not None:
                rows.append(row)
        return tuple(rows)
    finally:
        candles.close()


def _decisions_after(reader: Reader, scope: Scope, after_ms: int) -> Sequence[DecisionRow]:
    table = schema.decisions
    wanted = select(table).where(*of_selection(table, scope.selection), table.c.bar_open_ms > after_ms)
    return [decision_of(row) for row in reader.rows(wanted.order_by(table.c.bar_open_ms).limit(PAGE))]


def _by_config(
    reader: Reader, scope: Scope, rows: Sequence[DecisionRow]
) -> list[tuple[Config, list[DecisionRow]]]:
    """Neighbouring decisions made under the same configuration."""
    table = schema.configs
    times = sorted(
        row.at_ms for row in reader.rows(select(table.c.at_ms).where(*of_selection(table, scope.selection)))
    )
    groups: list[tuple[Config, list[DecisionRow]]] = []
    since_ms: int | None = None
    for row in rows:
        begun_ms = max((at for at in times if at <= row.decided_ms), default=-1)
        if not groups or begun_ms != since_ms:
            config = config_at(reader, scope, row.decided_ms)
            if config is None:
                continue
            if not groups or config.config_hash != groups[-1][0].config_hash:
                groups.append((config, []))
            since_ms = begun_ms
        groups[-1][1].append(row)
    return groups


def _check(
    score: Score,
    rows: Sequence[DecisionRow],
    config: Config,
    candles: CandleReader,
    key: SeriesKey,
    copies: dict[int, Candle],
    levels: dict[int, Position],
) -> Score:
    bar_ms, seller, exits = config.bar_ms, seller_params(config), exit_params(config)
    last_ms = rows[-1].bar_open_ms
    history = candles.read(key, last_ms - LONGEST_HISTORY_BARS * bar_ms, last_ms + bar_ms)
    history = _older(candles, key, with_rest_copies(history, copies))
    whole = recompute(history, seller, exits, [row.bar_open_ms for row in rows], bar_ms)
    reach_ms = max(seller.ema_slow, seller.z_window + seller.atr_window, exits.fib_swing_lookback) * bar_ms
    for row in rows:
        found = whole.get(row.bar_open_ms)
        if found is None:
            continue
        differed = [at for at in copies if row.bar_open_ms - reach_ms <= at <= row.bar_open_ms]
        position = levels.get(row.bar_open_ms)
        plan = None if position is None else position.plan
        if plan is None:
            score = score.after(compare(row, found, exits, None, differed))
        else:
            score = score.after(compare(row, found, plan.exits, plan.levels, differed, plan.basis))
    return score


def _checked_to(score: Score, bar_open_ms: int) -> Score:
    return replace(score, checked_to_ms=max(score.checked_to_ms, bar_open_ms))


def _levels_by_signal(reader: Reader, scope: Scope) -> dict[int, Position]:
    """Positions by their signal bar."""
    return {p.plan.signal_open_ms: p for p in facts.positions(reader, scope.selection)}
