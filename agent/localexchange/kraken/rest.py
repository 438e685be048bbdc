"""Kraken's REST over HTTP: every request recorded, and spoilt where a fault wants it."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults_http import answered
from agent.localexchange.kraken.answers import Answers, Question
from agent.localexchange.rest import json_response
from agent.localexchange.trading.standing import Standing


class KrakenRest:
    def __init__(self, exchange: Exchange, standing: Standing, answers: Answers) -> None:
        self._exchange = exchange
        self._standing = standing
        self._answers = answers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Execute one request and record it."""
        now_ms = self._exchange.clock.now_ms()
        body = await request.read()
        self._standing.passes(request.method, request.path)
        asked = Question(
            request.method,
            request.path,
            dict(request.query),
            body,
            request.headers.get("API-Key"),
            request.headers.get("API-Sign"),
        )
        response = await answered(
            self._exchange, request, partial(self._answer, asked), signed=asked.is_private
        )
        query = request.raw_path.partition("?")[2]
        text = "&".join(part for part in (query, body.decode("utf-8", "replace")) if part)
        self._exchange.requests.append(
            SeenRequest(request.method, request.path, text, now_ms, response.status)
        )
        return response

    async def _answer(self, asked: Question) -> web.Response:
        said = self._answers.answer(asked)
        return json_response(said.body, said.status, dict(said.headers))
