"""E-mail in Telegram's place, while Telegram cannot deliver. No input or output.

Belongs here: when e-mail takes over (at once when token or chat are refused, else when nothing was delivered,
or no command could be heard, for `TAKEOVER_MS`), what goes by it (all that Telegram would have been told, and
what still waited there), and when it goes back (with the first message Telegram takes again). Both turns are
told once by mail. Telegram's first message afterwards says since when it was out; until it is taken it is the
knock at Telegram's door.

Stays true: a message that e-mail carries by its own level is not carried twice. Answers to commands stay with
Telegram: nobody asked by mail. A message whose answer was lost may come by both ways, rather than by none.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.alerts.courier import Courier
from agent.alerts.message import Message
from agent.core.commands import AlertLevel
from agent.core.instant import iso_utc

LOG: Final = logging.getLogger("agent.alerts")
#: Machine time. Shorter outages are slept over: what waited is told as a digest afterwards.
TAKEOVER_MS: Final = 300_000.0
#: More messages than the two boxes hold.
_REMEMBERED: Final = 500


class Standby:
    """`now_ms` is venue time: messages carry it."""

    def __init__(self, telegram: Courier, mail: Courier, now_ms: Callable[[], int]) -> None:
        self._telegram = telegram
        self._mail = mail
        self._now_ms = now_ms
        self._mailed: deque[Message] = deque(maxlen=_REMEMBERED)
        #: Since when e-mail stands in (venue time); None while Telegram delivers.
        self.since_ms: int | None = None
        self._only_deaf = False
        self._is_excused = False
        telegram.relief = self

    def put(self, message: Message) -> None:
        """What Telegram should carry."""
        if self.since_ms is None or message.is_answer:
            self._telegram.put(message)
        else:
            self.put_by_mail(message)

    def put_by_mail(self, message: Message) -> None:
        """What e-mail should carry, once."""
        if not any(known is message for known in self._mailed):
            self._mailed.append(message)
            self._mail.put(message)

    # --- how Telegram fares -----------------------------------------------------------------------

    def failing(self, why: str, for_ms: float, rejected: bool) -> None:
        self._only_deaf = False
        if self.since_ms is None and (rejected or for_ms >= TAKEOVER_MS):
            self._take_over(why)

    def refused(self, messages: tuple[Message, ...], why: str) -> None:
        for message in messages:
            if not message.is_answer:
                self.put_by_mail(message)

    def deaf(self, why: str, for_ms: float, rejected: bool) -> None:
        if self._is_excused or self.since_ms is not None or not (rejected or for_ms >= TAKEOVER_MS):
            return
        self._only_deaf = True
        self._take_over(why)

    def hears(self) -> None:
        self._is_excused = False

    def delivered(self) -> None:
        if self.since_ms is None:
            return
        text = f"Telegram works again, alerts go there. By e-mail they went since {_at(self.since_ms)}."
        self.since_ms = None
        # Where only commands do not come through, alerts need nobody to stand in.
        self._is_excused, self._only_deaf = self._only_deaf, False
        LOG.warning("%s", text)
        self._note(text)

    def _take_over(self, why: str) -> None:
        self.since_ms = now_ms = self._now_ms()
        waiting = self._telegram.withdraw()
        LOG.warning("Telegram does not work (%s): alerts go by e-mail until it does", why)
        self._note(
            f"Telegram does not work: {why}. Until it does, alerts come by e-mail, and commands, also "
            "/emergency, may not reach this agent: use the command line or the window."
        )
        for message in waiting:
            self.put_by_mail(message)
        back = f"Telegram did not work since {_at(now_ms)} ({why}). What there was to tell went by e-mail."
        self._telegram.put(Message(back, now_ms, AlertLevel.WARNING))

    def _note(self, text: str) -> None:
        self._mail.put(Message(text, self._now_ms(), AlertLevel.WARNING, urgent=True))


def _at(at_ms: int) -> str:
    return f"{iso_utc(at_ms)[:16].replace('T', ' ')} UTC"
