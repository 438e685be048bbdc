"""The paper broker's account kept in the ledger's database, through the ledger's one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from agent.core.order import Fill
from agent.core.ports import Clock
from agent.exchange.paper.state import PaperOrder, PaperState
from agent.exchange.paper.store import PaperStoreError
from agent.store.batch import Batch, PaperChange
from agent.store.batch import PaperOrder as PaperOrderRow
from agent.store.codec import decode, encode
from agent.store.paper_rows import PaperRows
from agent.store.trouble import StoreTrouble
from agent.store.writer import LedgerBroken, Writer

T = TypeVar("T")


class LedgerPaperStore:
    """`PaperStore` over the ledger: a save is a batch of its own, durable before it returns."""

    def __init__(self, rows: PaperRows, writer: Writer, clock: Clock) -> None:
        self._rows = rows
        self._writer = writer
        self._clock = clock

    async def load(self) -> PaperState | None:
        body = await self._read(self._rows.account)
        return None if body is None else decode(PaperState, body)

    async def save(self, state: PaperState, orders: Sequence[PaperOrder], fills: Sequence[Fill]) -> None:
        change = PaperChange(encode(state), tuple(_row(o) for o in orders), tuple(fills))
        future: Future[None] = self._writer.submit(Batch(self._clock.now_ms(), paper=change))
        try:
            await asyncio.wrap_future(future)
        except (StoreTrouble, LedgerBroken) as error:
            raise PaperStoreError(str(error)) from None

    async def order(self, client_id: str) -> PaperOrder | None:
        body = await self._read(lambda: self._rows.order(client_id))
        return None if body is None else decode(PaperOrder, body)

    async def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        return await self._read(lambda: self._rows.fills_of(client_id))

    async def fills_since(self, since_ms: int) -> tuple[Fill, ...]:
        return await self._read(lambda: self._rows.fills_since(since_ms))

    async def _read(self, read: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(read)
        except StoreTrouble as error:
            raise PaperStoreError(str(error)) from None


def _row(order: PaperOrder) -> PaperOrderRow:
    ticket = order.ticket
    return PaperOrderRow(
        client_id=ticket.client_id,
        exchange_order_id=str(order.order_id),
        side=ticket.side.value,
        type=ticket.type.value,
        status=order.status.value,
        qty=ticket.qty,
        price=ticket.price if ticket.price is not None else ticket.stop_price,
        executed_qty=order.executed_qty,
        at_ms=order.updated_ms,
        detail=encode(order),
    )
