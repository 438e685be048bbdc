"""What Telegram and e-mail read like: answers to commands from the published picture of the agent. PURE.

The picture is the document of `status --json` (`agent.core.snapshot`); rows come as the core's own types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from agent.core.records import DecisionRow

MODES: Final = {"paper": "Paper", "testnet": "Testnet", "live": "LIVE"}

HELP: Final = """/status: state, balance, today, what blocks entries
/positions: what is open, with levels and protection
/balance: balance and equity
/trades: the last trades (/trades 10 for more)
/why: why it did or did not trade on the last bars
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
class Thresholds:
    vol_z: float
    tr_z: float
    cloc: float


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


def why(rows: Sequence[DecisionRow], limits: Thresholds, blocked: Sequence[str]) -> str:
    """The last bars, newest first: each condition with its value and whether it held."""
    from agent.core.instant import iso_utc

    lines = [
        f"{iso_utc(row.bar_open_ms)[:16].replace('T', ' ')} {row.outcome.value}"
        + (f" ({row.reason})" if row.reason and row.outcome.value != "no_signal" else "")
        + f"\n  downtrend {_yes(row.downtrend)}, volume z {_held(row.vol_z, limits.vol_z)}, "
        f"range z {_held(row.tr_z, limits.tr_z)}, close location {_held(row.cloc, limits.cloc)}"
        for row in rows
    ]
    lines.append("Entries blocked: " + "; ".join(blocked) if blocked else "Entries allowed")
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


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _held(value: float | None, limit: float) -> str:
    if value is None:
        return "undefined"
    return f"{value:.2f} {'>' if value > limit else 'not above'} {limit:g}"
