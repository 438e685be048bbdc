"""The line to Telegram's Bot API: posts out, updates in. The only file that knows python-telegram-bot.

The library is imported when a link is opened, never before. Stays true: no exception of the library leaves
this file, because some carry the bot's token in their text; what leaves are our own words. Below WARNING the
library and its HTTP client are silent, because they log addresses, and the token is part of every address. No
proxy of the environment is used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.alerts.courier import Delivery, NotSent, Sent, Silenced
from agent.alerts.gate import Facts
from agent.alerts.message import Post
from agent.config.secret import Secret

OFFICIAL: Final = "https://api.telegram.org"
#: How long the server holds a question for updates open, and how long we wait beyond that.
POLL_S: Final = 25
_BEYOND_S: Final = 10.0
_ANSWER_S: Final = 15.0
_WANTED: Final = ["message", "edited_message", "channel_post", "callback_query"]


@dataclass(frozen=True, slots=True)
class Updates:
    facts: tuple[Facts, ...]


@dataclass(frozen=True, slots=True)
class InConflict:
    """Somebody else asks for this bot's updates, or a webhook takes them."""

    webhook: bool


@dataclass(frozen=True, slots=True)
class Unreachable:
    """`rejected`: the token is not accepted; asking again will not help soon."""

    why: str
    rejected: bool = False
    wait_s: float = 0.0


class TelegramLink:
    """Open with `TelegramLink.open`. `chat_id` is where every post goes."""

    def __init__(self, bot: Any, requests: Sequence[Any], chat_id: int) -> None:
        self._bot = bot
        self._requests = requests
        self._chat_id = chat_id

    @classmethod
    def open(cls, token: Secret, chat_id: int, server: str = OFFICIAL) -> TelegramLink:
        """Nothing is sent yet. Raises ValueError, in words for the user, for a token that is none."""
        for talkative in ("httpcore", "httpx", "telegram"):
            log = logging.getLogger(talkative)
            log.setLevel(max(log.level, logging.WARNING))
        # The library's way of asking for times as timedelta, and of not warning about it.
        os.environ.setdefault("PTB_TIMEDELTA", "true")
        from telegram import Bot
        from telegram.error import TelegramError
        from telegram.request import HTTPXRequest

        straight = {"trust_env": False}
        out = HTTPXRequest(4, read_timeout=_ANSWER_S, connect_timeout=_ANSWER_S, httpx_kwargs=straight)
        asks = HTTPXRequest(1, read_timeout=_BEYOND_S, connect_timeout=_ANSWER_S, httpx_kwargs=straight)
        try:
            bot = Bot(token.reveal(), f"{server}/bot", request=out, get_updates_request=asks)
        except TelegramError:
            bot = None
        if bot is None:
            raise ValueError("TELEGRAM_BOT_TOKEN is not a token: copy it again from @BotFather")
        return cls(bot, (out, asks), chat_id)

    async def name(self) -> str | Unreachable:
        """The bot's user name, without @."""
        found = await _guarded(lambda: self._bot.get_me())
        if isinstance(found, _Refused | InConflict):
            return Unreachable("the server does not say who the bot is")
        return found if isinstance(found, Unreachable) else str(found.username)

    async def send(self, post: Post) -> Delivery:
        from telegram import InlineKeyboardButton, InlineKeyboardMarkup

        keys = [[InlineKeyboardButton(b.label, callback_data=b.data)] for b in post.buttons]
        markup = InlineKeyboardMarkup(keys) if keys else None
        done = await _guarded(lambda: self._bot.send_message(self._chat_id, post.text, reply_markup=markup))
        match done:
            case _Refused(why=why, chat=chat):
                return NotSent(why, for_good=not chat, rejected=chat)
            case Unreachable(wait_s=wait_s) if wait_s:
                return Silenced(wait_s * 1_000)
            case Unreachable(why=why, rejected=rejected):
                return NotSent(why, rejected=rejected)
            case InConflict():
                return NotSent("another program uses this bot")
        return Sent()

    async def acknowledge(self, press_id: str, text: str) -> None:
        """Tell who pressed a button what came of it. If that is lost, the answer is in the chat as well."""
        await _guarded(lambda: self._bot.answer_callback_query(press_id, text=text[:190]))

    async def updates(self, after: int, wait_s: int = POLL_S) -> Updates | InConflict | Unreachable:
        """What came after the update `after` (0: everything the server still has), waiting for it."""
        offset = after + 1 if after else None
        found = await _guarded(
            lambda: self._bot.get_updates(offset=offset, timeout=wait_s, allowed_updates=_WANTED)
        )
        if isinstance(found, _Refused):
            return Unreachable(found.why)
        if isinstance(found, InConflict | Unreachable):
            return found
        return Updates(tuple(facts_of(update) for update in found))

    async def close(self) -> None:
        for request in self._requests:
            await request.shutdown()


@dataclass(frozen=True, slots=True)
class _Refused:
    """This one request will never be accepted; `chat`: none will, before a person lets the bot in again."""

    why: str
    chat: bool = False


async def _guarded(ask: Callable[[], Any]) -> Any:
    """The answer, or what is wrong in words of ours: the library's may hold the token."""
    from telegram.error import (
        BadRequest,
        Conflict,
        Forbidden,
        InvalidToken,
        RetryAfter,
        TelegramError,
        TimedOut,
    )

    try:
        return await ask()
    except RetryAfter as error:
        wait = error.retry_after
        return Unreachable("flood control", wait_s=wait if isinstance(wait, int) else wait.total_seconds())
    except Conflict as error:
        return InConflict("webhook" in error.message.lower())
    except InvalidToken:
        return Unreachable("the token is not accepted: check TELEGRAM_BOT_TOKEN", rejected=True)
    except Forbidden:
        return _Refused("the bot may not write to the chat: open it in Telegram and press Start", chat=True)
    except BadRequest as error:
        return _Refused(f"the request is not accepted ({error.message[:80]}): check TELEGRAM_CHAT_ID")
    except TimedOut:
        return Unreachable("no answer in time")
    except TelegramError as error:
        return Unreachable(f"no connection, or no answer ({type(error.__cause__ or error).__name__})")
    except (AttributeError, KeyError, TypeError, ValueError):
        return Unreachable("the answer makes no sense")


def facts_of(update: Any) -> Facts:
    """What the gate needs to know of an update, with every doubt counting against it."""
    press = update.callback_query
    if press is not None:
        chat = press.message.chat if press.message is not None else None
        return Facts(
            update.update_id,
            is_message=False,
            chat_id=chat.id if chat is not None else None,
            user_id=press.from_user.id,
            pressed=press.data,
            press_id=press.id,
            is_impersonal=press.from_user.is_bot,
        )
    message = update.message or update.edited_message or update.channel_post or update.edited_channel_post
    if message is None:
        return Facts(update.update_id, is_message=False, chat_id=None, user_id=None)
    user = message.from_user
    return Facts(
        update.update_id,
        is_message=update.message is not None,
        chat_id=message.chat.id,
        user_id=user.id if user is not None else None,
        text=message.text,
        sent_s=message.date.timestamp(),
        is_edited=update.message is None or message.edit_date is not None,
        is_forwarded=message.forward_origin is not None or bool(message.is_automatic_forward),
        is_impersonal=user is None
        or user.is_bot
        or message.sender_chat is not None
        or message.via_bot is not None,
    )
