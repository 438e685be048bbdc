"""What Telegram and e-mail read like: answers to commands from the published picture of the agent. PURE.

The picture is the document of `status --json` (`agent.core.snapshot`); why and absences come
as the sentences of `agent.insight`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_AWAY_LINES: Final = 15
MODES: Final = {"paper": "Paper", "testnet": "Testnet", "live": "LIVE"}

HELP: Final = """/status: state, balance, today, what blocks entries
/positions: what is open, with levels and protection
/balance: balance and equity
/trades: the last trades (/trades 10 for more)
/why: why it did or did not trade on the last bars, and what happened while it was away
/pause: no entries; open positions keep their exits (at once)
/resume: allow entries again (asks)
/stop: stop; an open position is managed to its exit, a button sells it now
/emergency: cancel our orders, sell what is ours, no entries until cleared (at once)
A message older than a minute is not obeyed; /pause, /stop and /emergency count for ten minutes."""


@dataclass(frozen=True, slots=True)
class TradeLine:
    """One trade of the ledger. Money in quote currency; None while open."""

    id: int
    opened_at: str
    is_open: bool
    entry: Decimal | None
    exit: Decimal | None
    pnl_quote: Decimal | None
    r: Decimal | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """Sentences of `agent.insight`: the last decided bar, headlines of those before, an absence of today."""

    bar: Sequence[str]
    before: Sequence[str] = ()
    away: Sequence[str] = ()


def headline(seen: Mapping[str, Any]) -> str:
    """`RUNNING, LIVE, ADA/USDT 15m`."""
    return f"{seen['state']}, {MODES[seen['mode']]}, {seen['pair']} {seen['timeframe']}"


def status(seen: Mapping[str, Any]) -> str:
    lines = [f"{headline(seen)} (since {_moment(seen['state_since'])})"]
    lines.append(balance(seen))
    lines += [_position(p, seen) for p in seen["positions"]] or ["No open position"]
    feed, exchange = seen["feed"], seen["exchange"]
    latency = exchange["latency_ms"]
    lines.append(
        f"Feed {feed['source']}, {'fresh' if feed['fresh'] else 'NOT fresh'}; exchange "
        + ("answers" if exchange["reachable"] else "does NOT answer")
        + (f" in {latency:.0f} ms" if latency is not None else "")
    )
    halt = seen["halt"]
    if halt is not None:
        left = "flat" if halt["flat"] else "NOT FLAT: " + "; ".join(halt["remaining"])
        lines.append(f"HALTED ({halt['reason']}) since {_moment(halt['at'])} by {halt['by']}, {left}")
    blocked = seen["entries_blocked_by"]
    lines.append("Entries blocked: " + "; ".join(blocked) if blocked else "Entries allowed")
    return "\n".join(lines)


def positions(seen: Mapping[str, Any]) -> str:
    return "\n\n".join(_position_in_full(p, seen) for p in seen["positions"]) or "No open position"


def balance(seen: Mapping[str, Any]) -> str:
    money, day = seen["currency"], seen["day"]
    text = f"Balance {_amount(seen['balance'], money)}, equity {_amount(seen['equity'], money)}"
    if day["pnl"] is not None:
        text += f"\nToday {_amount(day['pnl'], money, signed=True)}, {_count(day['trades'], 'trade')}"
    return text


def trades(rows: Sequence[TradeLine], currency: str) -> str:
    if not rows:
        return "No trades yet"
    lines = []
    for row in rows:
        if row.is_open or row.pnl_quote is None:
            lines.append(f"#{row.id} {row.opened_at[:16]} in at {_short(row.entry)}, open")
            continue
        r = "" if row.r is None else f", {row.r:+.2f} R"
        lines.append(
            f"#{row.id} {row.opened_at[:16]} {_short(row.entry)} to {_short(row.exit)}, "
            f"{row.reason}, {row.pnl_quote:+,.2f} {currency}{r}"
        )
    return "\n".join(lines)


def why(told: Explained, blocked: Sequence[str]) -> str:
    """The last bar with its conditions and limits, the bars before it, what blocks entries, an absence."""
    lines = [*told.bar, *told.before]
    lines.append("Entries blocked: " + "; ".join(blocked) if blocked else "Entries allowed")
    if told.away:
        lines += ["", *told.away[:_AWAY_LINES]]
        if len(told.away) > _AWAY_LINES:
            lines.append(f"... and {len(told.away) - _AWAY_LINES} more lines: agent.cli away")
    return "\n".join(lines)


def _position(p: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    pnl = _amount(p["unrealized_pnl"], seen["currency"], signed=True)
    guard = "protected" if p["protected_by"] else "NOT protected by a resting order"
    base = seen["pair"].partition("/")[0]
    return f"Position {p['id']}: {p['size']} {base} at {p['entry_price']}, {pnl}, {guard}"


def _position_in_full(p: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    levels = [f"{name} {p[key]}" for name, key in _LEVELS if p[key] is not None]
    lines = [_position(p, seen), f"Opened {_moment(p['opened_at'])}, {_count(p['bars_held'], 'bar')} held"]
    lines.append(", ".join(levels) if levels else "No exit level is set")
    if p["protected_by"]:
        lines.append(f"Resting stop {p['protected_by']}")
    elif p["unprotected_since"]:
        lines.append(f"Unprotected since {_moment(p['unprotected_since'])}")
    if p["leaving"]:
        lines.append(f"Leaving: {p['leaving']}")
    return "\n".join(lines)


_LEVELS: Final = (("target", "target"), ("stop", "stop"), ("take-profit", "take_profit"))


def _amount(text: str | None, currency: str, *, signed: bool = False) -> str:
    if text is None:
        return "unknown"
    return f"{Decimal(text):{'+' if signed else ''},.2f} {currency}"


def _short(price: Decimal | None) -> str:
    return "?" if price is None else f"{price:.8f}".rstrip("0").rstrip(".")


def _moment(iso: str | None) -> str:
    return "unknown" if iso is None else f"{iso[:10]} {iso[11:19]} UTC"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
