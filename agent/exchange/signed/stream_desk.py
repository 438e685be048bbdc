"""What answers and events of the account teach, in one place, and what follows from each.

Belongs here: the listener of the user stream. Stays true: an event is delivered at once, trusted or not,
because fills cannot be told too early or too often; whatever may hide another event makes the account be
read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.core.events import OrderReported
from agent.core.order import OrderReport
from agent.core.ports import Sink
from agent.exchange.signed.ailing import KeyWatch, WordWatch
from agent.exchange.signed.awaited_events import AwaitedEvents
from agent.exchange.signed.catch_up import CatchUp
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.order_words import NotUnderstood, OrderWord, Unreadable


class StreamDesk:
    """`catch_up` is set once, before the stream runs. `trades_heard` only grows."""

    catch_up: CatchUp

    def __init__(
        self,
        tell: Sink,
        key_watch: KeyWatch,
        words: WordWatch,
        resync: Callable[[], Awaitable[None]],
        silent_order_ms: float,
    ) -> None:
        self._tell = tell
        self._key_watch = key_watch
        self._words = words
        self._resync = resync
        self.ids = OrderIds()
        self.awaited = AwaitedEvents(silent_order_ms)
        self.trades_heard = 0
        self._was_subscribed = False

    def learned(self, word: OrderWord) -> OrderReport | str:
        """The report, remembered, or why there is none."""
        if isinstance(word, NotUnderstood):
            self._words.not_understood(word)
            return word.detail
        if isinstance(word, Unreadable):
            return f"the answer makes no sense: {word.detail}"
        self._learn(word)
        return word

    # --- StreamListener ------------------------------------------------------------------------------

    def stream_subscribed(self, *, renewed: bool) -> None:
        self._key_watch.subscribed()
        if renewed:
            self.catch_up.demand()
            return
        self.awaited.forget()
        again = "subscribed again" if self._was_subscribed else "subscribed"
        self.catch_up.gap(f"{again}, the account is being read", expected=not self._was_subscribed)
        self._was_subscribed = True
        self.catch_up.subscribed()

    def stream_down(self, why: str, *, key_refused: bool) -> None:
        self.awaited.forget()
        self.catch_up.down(why)
        if key_refused:
            self._key_watch.refused("stream", why)

    async def stream_time_refused(self) -> None:
        await self._resync()

    def stream_order(self, report: OrderReport) -> None:
        self.trades_heard += len(report.fills)
        self.awaited.heard(report)
        self._learn(report)
        self._tell(OrderReported(report))

    def stream_not_understood(self, word: NotUnderstood) -> None:
        self._words.not_understood(word)
        self.catch_up.gap(word.detail)

    def stream_unreadable(self, frame: Unreadable) -> None:
        self.catch_up.gap(f"a frame could not be read: {frame.detail}")

    def stream_balances_moved(self) -> None:
        self.catch_up.refresh()

    def _learn(self, report: OrderReport) -> None:
        for fill in report.fills:
            self.ids.traded(int(fill.trade_id), fill.at_ms)
        self.ids.learn(report.client_id, report.exchange_order_id)
        self._words.understood(report.client_id)
