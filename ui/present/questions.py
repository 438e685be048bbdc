"""What is asked before something happens: the consequence in numbers, and verbs for answers.

Law: every question has a safe answer, and Escape gives it. None of them stops the trader from doing
something else meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ui.picture import Holding, Picture
from ui.present import numbers


@dataclass(frozen=True, slots=True)
class Choice:
    """`key` names what was chosen; `tone` is primary, danger, stop or empty."""

    key: str
    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """`choices` from left to right; `safe` is the text of the answer that does nothing.

    `typed`: what must be typed before any choice can be pressed; empty: nothing.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    choices: tuple[Choice, ...]
    safe: str
    danger: bool = False
    typed: str = ""


def sale(picture: Picture, holding: Holding) -> str:
    """`Sell 19,607.8 ADA at market, about 0.5101, PnL about +2.1 USDT`."""
    position = holding.position
    text = f"Sell {numbers.size(position.size)} {picture.base} at market"
    if picture.price.bid is not None:
        text += f", about {numbers.price(picture.price.bid, picture.tick)}"
    if position.unrealized_pnl is not None:
        text += f", PnL about {numbers.money(position.unrealized_pnl, picture.quote, signed=True)}"
    return text


def _in_all(picture: Picture) -> str:
    """`In all: 4,627.56 ADA, PnL about −74.15 USDT.`; without the PnL where one is not known."""
    held = [holding.position for holding in picture.holdings]
    text = f"In all: {numbers.size(sum((p.size for p in held), Decimal(0)))} {picture.base}"
    results = [p.unrealized_pnl for p in held if p.unrealized_pnl is not None]
    if len(results) == len(held):
        text += f", PnL about {numbers.money(sum(results, Decimal(0)), picture.quote, signed=True)}"
    return f"{text}."


def _where(picture: Picture) -> str:
    real = "LIVE" if picture.is_demo else "LIVE, real money"
    name = {"paper": "paper", "testnet": "testnet", "live": real}[picture.status.mode]
    return f"{picture.status.pair}, {'DEMO, ' if picture.is_demo else ''}{name}"


def close(picture: Picture, position_id: int) -> Question | None:
    """None when that position is not open any more."""
    holding = next((h for h in picture.holdings if h.position.id == position_id), None)
    if holding is None:
        return None
    after = "Its resting orders are canceled first. The agent goes on trading."
    return Question(
        key=f"close:{position_id}",
        title=f"Close position {position_id}? ({_where(picture)})",
        lines=(f"{sale(picture, holding)}.", after),
        choices=(Choice("close", f"Sell {numbers.size(holding.position.size)} {picture.base}", "danger"),),
        safe="Keep the position",
        danger=True,
    )


def emergency(picture: Picture | None) -> Question:
    choices = (Choice("emergency", "Stop now", "stop"),)
    if picture is None:
        unknown = "What is open is not known: no engine is attached."
        lines = [unknown, "Cancels the agent's orders, sells what it owns, and latches HALTED."]
        return Question("emergency", "EMERGENCY STOP", tuple(lines), choices, "Keep trading", danger=True)
    status = picture.status
    orders = numbers.counted(len(status.orders), "order")
    lines = [f"Cancels {orders} and latches HALTED: no entries until you clear it."]
    lines += [f"{sale(picture, holding)}." for holding in picture.holdings]
    if not picture.holdings:
        lines.append("Nothing is held, nothing is sold.")
    if len(picture.holdings) > 1:
        lines.append(_in_all(picture))
    if picture.foreign:
        lines.append("Holdings that are not the agent's stay untouched.")
    title = f"EMERGENCY STOP: {_where(picture)}"
    return Question("emergency", title, tuple(lines), choices, "Keep trading", danger=True)


def stop(picture: Picture) -> Question:
    if not picture.holdings:
        lines = ("Stops watching the market. Nothing is held.",)
        return Question(
            "stop", f"Stop trading? ({_where(picture)})", lines, (Choice("flat", "Stop"),), "Cancel"
        )
    return Question(
        "stop",
        f"Stop trading with {numbers.counted(len(picture.holdings), 'open position')}? ({_where(picture)})",
        (
            *(f"{sale(picture, holding)}." for holding in picture.holdings),
            *((_in_all(picture),) if len(picture.holdings) > 1 else ()),
            "Or make no entries and manage what is open to its exit.",
        ),
        (Choice("exits", "Manage to the exit", "primary"), Choice("flatten", "Sell and stop", "danger")),
        "Cancel",
    )


def clear_halt(picture: Picture) -> Question | None:
    halt = picture.status.halt
    if halt is None:
        return None
    why = "the emergency stop" if halt.reason == "emergency" else "the daily loss limit"
    lines = [
        f"Halted by {why} at {halt.at:%Y-%m-%d %H:%M:%S} UTC.",
        "The agent is STOPPED then; Start trades.",
    ]
    if halt.reason == "daily_loss":
        lines.append("Entries stay refused until the next UTC day.")
    return Question(
        "clear",
        f"Clear the halt? ({_where(picture)})",
        tuple(lines),
        (Choice("clear", "Clear halt"),),
        "Keep it",
    )


def start(picture: Picture) -> Question | None:
    """Paper starts without a question; money that is real, or a real exchange, does not."""
    status = picture.status
    if status.mode == "paper":
        return None
    balance = numbers.money(status.balance, status.quote)
    lines = [f"Balance {balance}. Entries are made as signals come, each sized by the risk limits."]
    typed = status.pair if status.mode == "live" else ""
    if typed:
        lines.append(f"This is real money. Type {typed} to confirm.")
    choice = Choice("start", "Trade with real money" if typed else "Start", "danger" if typed else "primary")
    title = f"Start trading? ({_where(picture)})"
    return Question("start", title, tuple(lines), (choice,), "Cancel", danger=bool(typed), typed=typed)


def leave(picture: Picture | None, *, attached: bool, ours: bool) -> Question | None:
    """Closing the window; None when there is nothing to decide. `ours`: this window started the engine."""
    if picture is None or not attached:
        return None
    goes_on = picture.status.state in ("RUNNING", "STARTING")
    words = (
        "Keep trading without the window"
        if goes_on
        else f"Leave it {picture.status.state}, without the window"
    )
    keep = Choice("keep", words, "primary")
    if picture.status.state in ("STOPPED", "HALTED") and not picture.holdings:
        if not ours:
            return None
        keep = Choice("keep", "Leave the engine running", "")
        end = Choice("end", "End the engine", "primary")
        lines: tuple[str, ...] = (f"The agent is {picture.status.state}; nothing is held.",)
        return Question("leave", "Close the window", lines, (end, keep), "Cancel")
    if not picture.holdings:
        lines = ("The engine goes on without the window, or stops now. Nothing is held.",)
        stop_now = Choice("flat", "Stop trading")
        return Question("leave", f"Close the window? ({_where(picture)})", lines, (keep, stop_now), "Cancel")
    held = sum((h.position.size for h in picture.holdings), Decimal(0))
    lines = (
        f"Open: {numbers.counted(len(picture.holdings), 'position')}, {numbers.size(held)} {picture.base}.",
        *(f"Sell and stop: {sale(picture, holding)[0].lower()}{sale(picture, holding)[1:]}."
          for holding in picture.holdings),
    )  # fmt: skip
    choices = (keep, Choice("exits", "Only manage to the exit"), Choice("flatten", "Sell and stop", "danger"))
    return Question("leave", f"Close the window? ({_where(picture)})", lines, choices, "Cancel")
