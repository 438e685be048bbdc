"""One client's socket of the WebSocket API.

Belongs here: frames in, answers and events out, and the faults that lose or delay a frame. Stays true:
answers and events leave in the order in which they came about; a fault that loses an answer says whether
the frame was executed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import WSMessage, WSMsgType, web

from agent.localexchange.channels import Frame
from agent.localexchange.faults import Fault
from agent.localexchange.faults_http import UNKNOWN_TEXTS
from agent.localexchange.line import Line, Pulse
from agent.localexchange.trading.event_faults import STREAM
from agent.localexchange.trading.frames import BadFrameError, Frames, Request, read_request
from agent.localexchange.trading.user_streams import UserStreams
from agent.localexchange.wire import Json

#: What the record says of a frame that was lost.
_NOT_EXECUTED: Final = 499
_FAULTS: Final = ("F1", "F2", "F3", "F4", "F5")


class ApiConnection(Line):
    """Lives as long as its socket; `serve` returns when that is closed."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        frames: Frames,
        streams: UserStreams,
        *,
        tells_limits: bool,
        pulse: Pulse,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(socket, transport, pulse, monotonic)
        self._frames = frames
        self._streams = streams
        self._tells_limits = tells_limits
        self._numbers = itertools.count()
        self._silenced: Callable[[Frame], bool] | None = None

    # -- as the user streams and the faults see it ---------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The streams it is subscribed to."""
        return [STREAM] if self._streams.ids_of(self) else []

    def push_event(self, frame: Json) -> None:
        data = orjson.dumps(frame)
        if self._silenced is None or not self._silenced(Frame(STREAM, data)):
            self.write(data)

    def announce(self, event: Json) -> None:
        self._tell({"event": event})

    def next_subscription(self) -> int:
        return next(self._numbers)

    def silence(self, withheld: Callable[[Frame], bool]) -> None:
        """Withhold the events for which `withheld` says so; answers go on."""
        self._silenced = withheld

    # -- life ----------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Answer until either side closes."""
        try:
            await self.carry(self._receive)
        finally:
            self._streams.leave(self)

    def _receive(self, message: WSMessage) -> None:
        if message.type is not WSMsgType.TEXT:
            return
        try:
            request = read_request(message.data)
        except BadFrameError:
            error = {"code": -1135, "msg": "Invalid JSON Request"}
            self._tell({"id": None, "status": 400, "error": error})
            return
        if not self._tells_limits:
            request.params.setdefault("returnRateLimits", "false")
        fault = self._frames.lost(request, _FAULTS)
        if fault is None:
            self._tell(self._frames.answer(request, self))
        else:
            self._spoil(fault, request)

    def _tell(self, frame: Json) -> None:
        self.write(orjson.dumps(frame))

    def _spoil(self, fault: Fault, request: Request) -> None:
        executed = fault.kind in ("F2", "F4") or (fault.kind == "F5" and fault.params["executed"])
        if executed:
            self._frames.answer(request, self)
        else:
            self._frames.record(request, _NOT_EXECUTED)
        if fault.kind in ("F1", "F2"):
            if fault.variant == "reset":
                self.abort()
            return
        if fault.kind == "F5":
            error = {"code": int(fault.variant), "msg": UNKNOWN_TEXTS[fault.variant]}
            self._tell({"id": request.id, "status": 500, "error": error})
            return
        error = {"code": -1000, "msg": UNKNOWN_TEXTS["-1000"]}
        self._tell({"id": request.id, "status": int(fault.params["status"]), "error": error})
