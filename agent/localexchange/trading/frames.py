"""The socket API's methods: from a frame to its answer.

Belongs here: the envelope {id, method, params}, general methods, subscriptions. Stays true: whatever a
frame asks, it gets exactly one answer with its id, unless a fault loses it; orders are answered by the same
functions as over REST.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from agent.core.value import Value
from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults import Fault
from agent.localexchange.parameters import RejectionError, missing
from agent.localexchange.trading.endpoints import METHODS, Endpoint
from agent.localexchange.trading.side import TradingSide
from agent.localexchange.trading.signed import raw_of_frame
from agent.localexchange.trading.user_streams import Listener, Subscription
from agent.localexchange.wire import Json

#: How faults know a frame: as a request with this method, its path ends in the frame's own method.
FRAME_METHOD: Final = "WS"
_PATH: Final = "/ws-api/v3/"
_SUBSCRIBE_WEIGHT: Final = 2


class BadFrameError(Exception):
    """A frame that is no request."""


class Request(Value, frozen=True):
    id: int | str | None
    method: str
    params: dict[str, str]

    @property
    def path(self) -> str:
        return _PATH + self.method


def read_request(text: str) -> Request:
    """Raises BadFrameError. Numbers keep the text they were sent with: it may have been signed."""
    try:
        frame = json.loads(text, parse_float=str, parse_int=str)
        ident = json.loads(text).get("id") if isinstance(frame, dict) else None
    except (ValueError, RecursionError):
        raise BadFrameError from None
    if not isinstance(frame, dict) or not isinstance(frame.get("params", {}), dict):
        raise BadFrameError
    if isinstance(ident, bool) or not (ident is None or isinstance(ident, int | str)):
        raise BadFrameError
    params = {str(name): _text(value) for name, value in frame.get("params", {}).items()}
    return Request(ident, str(frame.get("method", "")).removeprefix("v3/"), params)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


class Frames:
    """Answers the frames of all sockets."""

    def __init__(self, exchange: Exchange, trading: TradingSide) -> None:
        self._exchange = exchange
        self._trading = trading

    def lost(self, request: Request, kinds: tuple[str, ...]) -> Fault | None:
        """A fault that concerns this frame, counted as fired."""
        return self._exchange.faults.fire_on_request(kinds, FRAME_METHOD, request.path)

    def answer(self, request: Request, listener: Listener) -> Json:
        """Execute one frame."""
        tells_limits = request.params.get("returnRateLimits") != "false"
        endpoint = METHODS.get(request.method)
        self._trading.standing.passes(FRAME_METHOD, request.path)
        try:
            self._admit(_SUBSCRIBE_WEIGHT if endpoint is None else endpoint.weight(request.params))
            answer: Json = {
                "id": request.id,
                "status": 200,
                "result": self._result(request, endpoint, listener),
            }
        except RejectionError as rejection:
            answer = _refused(request, rejection, self._exchange.clock.now_ms())
        if tells_limits:
            answer["rateLimits"] = self._trading.rate_limits(endpoint)
        self.record(request, answer["status"])
        return answer

    def record(self, request: Request, status: int) -> None:
        """Frames stand beside requests of HTTP in the record."""
        text = "&".join(f"{name}={value}" for name, value in request.params.items())
        now_ms = self._exchange.clock.now_ms()
        self._exchange.requests.append(SeenRequest(FRAME_METHOD, request.path, text, now_ms, status))

    def _admit(self, weight: int) -> None:
        now_ms = self._exchange.clock.now_ms()
        refusal = self._exchange.limits.admit(weight, now_ms)
        if refusal is not None:
            raise RejectionError(-1003, refusal.text, refusal.status, retry_after_s=refusal.retry_after_s)
        if self._trading.standing.unavailable:
            raise RejectionError(-1016, "This service is no longer available.", 503)

    def _result(self, request: Request, endpoint: Endpoint | None, listener: Listener) -> object:
        match request.method:
            case "ping":
                return {}
            case "time":
                return {"serverTime": self._exchange.clock.now_ms()}
            case "session.status":
                listens = bool(self._trading.streams.ids_of(listener))
                return {
                    "apiKey": None,
                    "authorizedSince": None,
                    "connectedSince": None,
                    "userDataStream": listens,
                }
            case "session.subscriptions":
                return [{"subscriptionId": i} for i in self._trading.streams.ids_of(listener)]
            case "userDataStream.subscribe.signature":
                return self._subscribe(request, listener)
            case "userDataStream.unsubscribe":
                return self._unsubscribe(request.params, listener)
        if endpoint is None:
            raise RejectionError(-1130, "Data sent for parameter 'method' is not valid.")
        key, raw = _key(request.params), raw_of_frame(request.params)
        return self._trading.execute(endpoint, key, raw, FRAME_METHOD, request.path)

    def _subscribe(self, request: Request, listener: Listener) -> Json:
        self._trading.authorize(None, _key(request.params))
        self._trading.open(raw_of_frame(request.params)).nothing_else()
        if self._trading.streams.ids_of(listener):
            raise RejectionError(-2035, "User Data Stream subscription already active.")
        number = listener.next_subscription()
        self._exchange.desk.catch_up()
        self._trading.streams.subscribe(Subscription(listener, number))
        return {"subscriptionId": number}

    def _unsubscribe(self, params: Mapping[str, str], listener: Listener) -> Json:
        number = params.get("subscriptionId")
        if number is not None and not number.isdigit():
            raise RejectionError(-1130, "Data sent for parameter 'subscriptionId' is not valid.")
        wanted = None if number is None else int(number)
        if not self._trading.streams.unsubscribe(listener, wanted, self._exchange.clock.now_ms()):
            raise RejectionError(-2036, "User Data Stream subscription not active.")
        return {}


def _key(params: Mapping[str, str]) -> str:
    key = params.get("apiKey")
    if key is None:
        raise missing("apiKey")
    return key


def _refused(request: Request, rejection: RejectionError, now_ms: int) -> Json:
    error = rejection.body
    if rejection.retry_after_s is not None and "data" not in error:
        retry_ms = now_ms + rejection.retry_after_s * 1_000
        error["data"] = {"serverTime": now_ms, "retryAfter": retry_ms}
    return {"id": request.id, "status": rejection.status, "error": error}
