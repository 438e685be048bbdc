"""Opening one WebSocket, to the address given and no other.

Belongs here: what can go wrong before the first frame, in words. Stays true: no redirect and no proxy of the
environment is followed, so that a connection never leaves the host it was made for; nothing is compressed and
no message larger than `LARGEST_FRAME` is accepted, so that a connection's memory is bounded.
"""

from __future__ import annotations

import logging
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from agent.core.value import Value

LARGEST_FRAME: Final = 256 * 1024
#: Frames that wait inside the connection before the network is told to wait.
_FRAMES_QUEUED: Final = 64
OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 1.0


class NotOpened(Value, frozen=True):
    """Why there is no connection, and for how long (machine time) the server asks not to try."""

    why: str
    retry_after_ms: float = 0.0


class _Straight(connect):
    """`connect` without redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(url: str, frame_log: logging.Logger | None = None) -> ClientConnection | NotOpened:
    """One attempt. Pings are the caller's, so that a pong counts as a sign of life.

    `frame_log` is where the library writes every frame at DEBUG level, by default its own logger.
    """
    try:
        return await _Straight(
            url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=None,
            compression=None,
            max_size=LARGEST_FRAME,
            max_queue=_FRAMES_QUEUED,
            proxy=None,
            user_agent_header=None,
            logger=frame_log,
        )
    except InvalidStatus as error:
        wait = error.response.headers.get("Retry-After", "")
        retry_after_ms = int(wait) * 1_000.0 if wait.isdecimal() else 0.0
        return NotOpened(f"the connection was refused with HTTP {error.response.status_code}", retry_after_ms)
    except InvalidHandshake as error:
        return NotOpened(f"what answered speaks no WebSocket ({error})")
    except TimeoutError:
        return NotOpened(f"no connection within {OPEN_TIMEOUT_S:g} s")
    except (OSError, EOFError) as error:
        return NotOpened(f"cannot connect ({error})")
