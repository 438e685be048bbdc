"""One closed bar, one decision: exits first, then the signal, then why or why not.

A bar is decided once, in order. A bar that comes late (back-filled after an outage) still moves the
exits of open positions, and its signal is recorded as late.
"""

from __future__ import annotations

from agent.core.commands import AlertLevel
from agent.core.daily import mark_from_bar
from agent.core.entering import keep_decision, open_signal
from agent.core.events import BarClosed, BarDiffered, ClosedBy
from agent.core.gate import entries_blocked_by
from agent.core.market import Candle
from agent.core.position import PositionState
from agent.core.records import Outcome
from agent.core.signal import Features
from agent.core.turn import Turn
from agent.core.watching import check_closed_bar


def on_bar_closed(turn: Turn, event: BarClosed) -> None:
    candle, state = event.candle, turn.state
    decided = state.durable.decided_open_ms
    mark_from_bar(turn, candle)
    check_closed_bar(turn, candle)
    if state.last_bar is None or candle.open_ms > state.last_bar.open_ms:
        if event.closed_by is ClosedBy.BACKFILL:
            turn.change(last_bar=candle)
        else:
            turn.change(last_bar=candle, last_price=candle.close)
    window = state.window
    if window is None or candle.open_ms <= window.last_open_ms:
        return
    window, features = window.push(candle)
    turn.change(window=window, last_features=features)
    if decided is not None and candle.open_ms <= decided:
        return
    outcome, reason = _judge(turn, features)
    if outcome is Outcome.ENTERED:
        # Decided when it is known what becomes of it: nothing is sent before, so a restart may judge again.
        open_signal(turn, features, event.closed_by.value)
        return
    keep_decision(turn, features, event.closed_by.value, outcome, reason)
    if features.exhaustion:
        turn.alert(AlertLevel.INFO, "signal", f"seller exhaustion, not entered ({outcome}): {reason}")


def _judge(turn: Turn, features: Features) -> tuple[Outcome, str]:
    """The outcome of a bar, as far as it is known before the book is asked for."""
    state, setup = turn.state, turn.state.setup
    if not features.exhaustion:
        return Outcome.NO_SIGNAL, _missing_conditions(turn, features)
    late_ms = turn.at_ms - (features.open_ms + setup.bar_ms)
    # `enter` takes what is late, not what is over: when the next bar has closed, the signal is history.
    allowed_ms = setup.late_after_ms
    if setup.late_signal == "enter":
        allowed_ms = max(allowed_ms, setup.bar_ms)
    if late_ms > allowed_ms:
        return Outcome.LATE, f"found {late_ms / 1000:.1f} s after the close, {allowed_ms // 1000} s allowed"
    # A position that is being sold at this very close makes room in a moment; the signal waits for it.
    holding = [p for p in state.open_positions() if p.state is not PositionState.EXITING]
    taken = len(holding) + len(state.in_flight())
    if taken >= setup.limits.max_open_positions:
        return (
            Outcome.IN_POSITION,
            f"{taken} of {setup.limits.max_open_positions} positions are open or in flight",
        )
    blocks = entries_blocked_by(state)
    if blocks:
        return Outcome.BLOCKED, "; ".join(blocks)
    if setup.exits.use_fib_exits and features.ladder is None:
        return Outcome.NO_LADDER, "no swing high above the signal's low, so no target"
    return Outcome.ENTERED, ""


def _missing_conditions(turn: Turn, features: Features) -> str:
    """Which of the four conditions failed, with value and threshold."""
    params = turn.state.setup.seller
    failed = []
    if not features.downtrend:
        failed.append(f"no downtrend (fast {features.ema_f:.6g}, slow {features.ema_s:.6g})")
    for name, value, threshold in (
        ("volume z", features.vol_z, params.vol_z),
        ("range z", features.tr_z, params.tr_z),
        ("close location", features.cloc, params.cloc_min),
    ):
        if value is None:
            failed.append(f"{name} undefined")
        elif value <= threshold:
            failed.append(f"{name} {value:.3f} not above {threshold:g}")
    return "; ".join(failed)


def on_bar_differed(turn: Turn, event: BarDiffered) -> None:
    decided, theirs = event.decided, event.theirs
    text = (
        f"bar {decided.open_ms} was decided on {_told(decided)}, REST now says {_told(theirs)};"
        " it is not decided again"
    )
    turn.alert(AlertLevel.WARNING, "candle differs", text)


def _told(candle: Candle) -> str:
    """Every digit, so that the decision can be computed again from what is written down."""
    return f"o={candle.open!r} h={candle.high!r} l={candle.low!r} c={candle.close!r} v={candle.volume!r}"
