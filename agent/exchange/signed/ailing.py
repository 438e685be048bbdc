"""Two things that no repetition cures: a key that is refused, and a word of the exchange nobody knows.

Belongs here: CREDENTIALS_REFUSED and NOT_UNDERSTOOD, and when each is over. Stays true: a key that may read
and may not trade is refused until a trading request gets past it, however many readings succeed; a status
that is not understood stands until the same order was heard of in words that are.
"""

from __future__ import annotations

from typing import Final

from agent.core.events import Impairment
from agent.exchange.ailments import Ailments
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Partly, Refused
from agent.exchange.signed.client import Outcome
from agent.exchange.signed.endpoints import (
    CANCEL,
    KEY_RIGHTS,
    PLACE,
    PLACE_PAIR,
    REPLACE,
    SERVER_TIME,
    Endpoint,
)
from agent.exchange.signed.order_words import NotUnderstood

_TRADING: Final = frozenset({PLACE, PLACE_PAIR, CANCEL, REPLACE})
#: Answers of what lies behind the check of the key.
_PAST_THE_KEY: Final = frozenset({-1013, -2010, -2011, -2013})


def _past_the_key(outcome: Outcome) -> bool:
    if isinstance(outcome, Refused):
        return outcome.code in _PAST_THE_KEY
    return isinstance(outcome, Accepted | Partly)


class KeyWatch:
    """Judges the key by what becomes of requests."""

    def __init__(self, ailments: Ailments) -> None:
        self._ailments = ailments
        self._refused: set[str] = set()

    def saw(self, endpoint: Endpoint, outcome: Outcome) -> None:
        if endpoint in (SERVER_TIME, KEY_RIGHTS):
            return
        kind = "trading" if endpoint in _TRADING else "reading"
        if isinstance(outcome, Refused) and outcome.code in KEY_REFUSED:
            self.refused(kind, f"{endpoint.what}: {outcome.message} ({outcome.code})")
        elif _past_the_key(outcome):
            self._accepted(kind)

    def refused(self, kind: str, detail: str) -> None:
        self._refused.add(kind)
        self._ailments.found(Impairment.CREDENTIALS_REFUSED, detail, permanent=True)

    def subscribed(self) -> None:
        """The user stream took the key."""
        self._accepted("stream")

    def _accepted(self, kind: str) -> None:
        if kind in self._refused:
            self._refused.discard(kind)
            if not self._refused:
                self._ailments.gone(Impairment.CREDENTIALS_REFUSED)


class WordWatch:
    """Keeps the orders whose last word was not understood."""

    def __init__(self, ailments: Ailments) -> None:
        self._ailments = ailments
        self._orders: set[str] = set()

    def not_understood(self, word: NotUnderstood) -> None:
        self._orders.add(word.client_id)
        self._ailments.found(Impairment.NOT_UNDERSTOOD, word.detail)

    def understood(self, client_id: str) -> None:
        if client_id in self._orders:
            self._orders.discard(client_id)
            if not self._orders:
                self._ailments.gone(Impairment.NOT_UNDERSTOOD)
