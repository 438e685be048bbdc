"""A Bot API server on loopback: what python-telegram-bot asks, with the ways in which it fails.

`say` and `press` are what people do; `sent` is what the agent wrote. Trouble is a function of the method's
name that returns a response, or None for none.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

from aiohttp import web

TOKEN = "7654321:CANARY-token-never-to-be-seen"
CHAT, USER, BOT = 4711, 4711, "our_bot"


def failing(code: int, description: str, **parameters: Any) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return web.json_response(body, status=code)


CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


class TelegramStub:
    def __init__(self, *, longest_poll_s: float = 0.5) -> None:
        self.updates: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.acknowledged: list[dict[str, Any]] = []
        self.offsets: list[int | None] = []
        self.asked: list[str] = []
        self.trouble: dict[str, Any] = {}
        self.hangs: set[str] = set()
        self._ids = itertools.count(100)
        self._messages = itertools.count(1)
        self._longest_poll_s = longest_poll_s
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> TelegramStub:
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    # --- people ------------------------------------------------------------------------------------

    async def say(self, text: str, *, age_s: float = 0, **changes: Any) -> int:
        """The owner writes `text`, `age_s` ago."""
        message = {
            "message_id": next(self._messages),
            "date": int(time.time() - age_s),
            "chat": {"id": CHAT, "type": "private", "first_name": "O"},
            "from": {"id": USER, "is_bot": False, "first_name": "O"},
            "text": text,
            **changes.pop("message", {}),
        }
        return await self.update({"message": message, **changes})

    async def press(self, data: str, user: int = USER, chat: int = CHAT) -> int:
        query = {
            "id": f"press{next(self._messages)}",
            "from": {"id": user, "is_bot": False, "first_name": "O"},
            "chat_instance": "1",
            "data": data,
            "message": {
                "message_id": 1,
                "date": int(time.time()),
                "chat": {"id": chat, "type": "private", "first_name": "O"},
                "text": "?",
            },
        }
        return await self.update({"callback_query": query})

    async def update(self, body: dict[str, Any], update_id: int | None = None) -> int:
        number = next(self._ids) if update_id is None else update_id
        async with self._changed:
            self.updates.append({"update_id": number, **body})
            self._changed.notify_all()
        return number

    # --- what came of it ---------------------------------------------------------------------------

    async def until(self, condition: Any, within_s: float = 5.0) -> None:
        """Wait for something this server can see."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(condition)

    async def texts(self, count: int) -> list[str]:
        """What was written, once it is at least `count` messages."""
        await self.until(lambda: len(self.sent) >= count)
        return [message["text"] for message in self.sent]

    def buttons(self) -> list[dict[str, str]]:
        """Under the newest message that has some."""
        marked = [m for m in self.sent if "reply_markup" in m]
        keyboard = json.loads(marked[-1]["reply_markup"])["inline_keyboard"]
        return [button for row in keyboard for button in row]

    # --- the server --------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        fields = dict((await request.post()).items())
        async with self._changed:
            self.asked.append(method)
            self._changed.notify_all()
        if method in self.hangs or "*" in self.hangs:
            await asyncio.sleep(3600)
        trouble = self.trouble.get(method)
        if trouble is not None and (response := trouble()) is not None:
            return response
        result = await getattr(self, f"_{method}")(fields)
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, _: dict[str, Any]) -> Any:
        return {"id": 1, "is_bot": True, "first_name": "Bot", "username": BOT}

    async def _getUpdates(self, fields: dict[str, Any]) -> Any:
        offset = int(fields["offset"]) if "offset" in fields else None
        self.offsets.append(offset)
        if offset is not None:
            self.updates = [u for u in self.updates if u["update_id"] >= offset]
        async with self._changed:
            if not self.updates:
                try:
                    async with asyncio.timeout(self._longest_poll_s):
                        await self._changed.wait_for(lambda: bool(self.updates))
                except TimeoutError:
                    pass
            return list(self.updates)

    async def _sendMessage(self, fields: dict[str, Any]) -> Any:
        async with self._changed:
            self.sent.append(fields)
            self._changed.notify_all()
        chat = {"id": int(fields["chat_id"]), "type": "private"}
        return {"message_id": next(self._messages), "date": int(time.time()), "chat": chat, "text": "x"}

    async def _answerCallbackQuery(self, fields: dict[str, Any]) -> Any:
        async with self._changed:
            self.acknowledged.append(fields)
            self._changed.notify_all()
        return True
