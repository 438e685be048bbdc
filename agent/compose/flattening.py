"""From halted to flat, with an engine that does nothing else.

Stays true: only orders with our tag are canceled and only what the ledger owns is sold, both by the core as
in every other run; flat is believed when the account was read again behind the last sale and shows none of
our orders; orders of ours that no row knows are canceled too. Everything else on the account is named and
left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from agent.compose.errand import Site
from agent.core.commands import Command
from agent.core.events import AccountSeen, CancelFailed, EmergencyRequested
from agent.core.money import Price, Qty, plain
from agent.core.order import Intent, OrderReport, OrderType, Purpose, TimeInForce
from agent.core.records import EventRow
from agent.core.snapshot import snapshot
from agent.core.state import AgentState

LOG: Final = logging.getLogger("agent")
BY: Final = "emergency-stop process"
#: Own trades are of no interest to the last look.
_LOOK_AGAIN_MS: Final = 1_000.0


@dataclass(slots=True)
class Flattened:
    """What came of it. `remaining` a sentence each; `others` is what was there and is not ours."""

    reached: bool = False
    flat: bool = False
    remaining: tuple[str, ...] = ("nothing is known yet",)
    others: tuple[str, ...] = ()
    canceled: list[str] = field(default_factory=list)


class Flatten:
    """An `Errand`. `result` is true at every moment, also when the errand is cut short."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self.result = Flattened()

    async def __call__(self, site: Site) -> None:
        self.result.reached = True
        flat = asyncio.Event()

        def look(state: AgentState, commands: tuple[Command, ...]) -> None:
            self._take(state)
            if self.result.remaining:
                flat.clear()
            else:
                flat.set()

        site.runtime.observe(look)
        await site.runtime.ask(EmergencyRequested(BY))
        while True:
            await flat.wait()
            if await self._confirmed(site):
                break
            await site.clock.sleep_machine(_LOOK_AGAIN_MS)
        self.result.flat = True
        await self._leave_receipt(site)

    def _take(self, state: AgentState) -> None:
        halt = snapshot(state, "")["halt"]
        if halt is None:
            self.result.remaining = ("the halt itself",)
        elif halt["flat"]:
            self.result.remaining = ()
        else:
            self.result.remaining = tuple(halt["remaining"]) or ("an order on its way",)

    async def _confirmed(self, site: Site) -> bool:
        """Read the account once more: nothing of ours may stand on the book."""
        seen = await site.exchange.account(site.clock.now_ms())
        if not isinstance(seen, AccountSeen):
            LOG.warning("flat by the ledger, but the account cannot be read again: %s", seen.detail)
            return False
        ours = [report for report in seen.open_orders if report.client_id.startswith(self._tag)]
        for report in ours:
            await self._cancel(site, report)
        if ours or self.result.remaining:
            return False
        setup = site.runtime.state.setup
        holdings = {currency: holding.total for currency, holding in seen.holdings.items()}
        self.result.others = _others(holdings, setup.quote, seen.open_orders)
        return True

    async def _cancel(self, site: Site, report: OrderReport) -> None:
        """One of our orders that no row knows: only its id is needed to cancel it."""
        if report.client_id in site.runtime.state.orders:
            # The core knows it and works on it.
            return
        answer = await site.exchange.cancel(_intent_of(report))
        if isinstance(answer, CancelFailed):
            LOG.warning("order %s of ours could not be canceled: %s", report.client_id, answer.detail)
        else:
            self.result.canceled.append(report.client_id)
            LOG.warning("order %s had our mark and was in no row: canceled", report.client_id)

    async def _leave_receipt(self, site: Site) -> None:
        state = site.runtime.state
        others = f"; not ours and left alone: {', '.join(self.result.others)}" if self.result.others else ""
        text = f"{BY}: flat, no order of ours is open{others}"
        await site.journal.add(EventRow(state.now_ms, "CRITICAL", "emergency", text))


def _others(
    holdings: Mapping[str, Decimal], quote: str, open_orders: tuple[OrderReport, ...]
) -> tuple[str, ...]:
    """Coins besides the currency that is traded with, and orders; what is ours is sold by now."""
    held = [f"{plain(amount)} {currency}" for currency, amount in holdings.items() if amount]
    strangers = [f"order {report.client_id} ({report.side} {report.type})" for report in open_orders]
    return (*(text for text in held if not text.endswith(f" {quote}")), *strangers)


def _intent_of(report: OrderReport) -> Intent:
    price = Price(report.price) if report.price else None
    return Intent(
        client_id=report.client_id,
        position_id=0,
        purpose=Purpose.EXIT,
        side=report.side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        qty=Qty(report.qty),
        price=price,
        stop_price=None,
        time_in_force=None if price is None else TimeInForce.GTC,
        created_ms=report.at_ms,
        reason="found on the account",
    )
