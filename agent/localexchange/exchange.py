"""The parts of one local exchange, joined.

Belongs here: what every connection shares: the clock, the market, the limits, the account, the record of
requests. Stays true: nothing here knows HTTP or sockets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agent.core.value import Value
from agent.localexchange.clock import VenueClock
from agent.localexchange.faults import FaultBoard
from agent.localexchange.faults_stream import FrameFaults
from agent.localexchange.limits import RequestLimits
from agent.localexchange.market import Market
from agent.localexchange.trading.desk import Desk

_REQUESTS_KEPT: Final = 200_000


class SeenRequest(Value, frozen=True):
    """One request as it came in; `query` is the raw text, `ts` venue time.

    `connection` tells apart the connections that are open at a time; 0 where that is not known.
    """

    method: str
    path: str
    query: str
    ts: int
    status: int
    connection: int = 0


@dataclass(slots=True)
class Exchange:
    clock: VenueClock
    market: Market
    desk: Desk
    key: str
    secret: str
    faults: FaultBoard
    frame_faults: FrameFaults
    limits: RequestLimits = field(default_factory=RequestLimits)
    requests: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=_REQUESTS_KEPT))
