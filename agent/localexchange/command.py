"""`demo-market`: the local exchange as a program of its own.

Belongs here: arguments, the ready line, signals, the parent's end, exit codes. Stays true: exactly one line
of JSON goes to standard output, when the exchange answers; every refusal is a sentence on standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson

from agent.core.money import forbid_float_money, money
from agent.localexchange.market_csv import UnreadableCandlesError
from agent.localexchange.serve import HOST, Settings, serve


def demo_market_command(
    port: int = 0,
    seed: int = 1,
    candles: Path | None = None,
    start: str | None = None,
    speed: float = 1.0,
    pair: str = "ADA/USDT",
    key: str = "local-key",
    secret: str = "local-secret",
    balances: Mapping[str, Decimal] | None = None,
    attached: bool = False,
) -> int:
    """Run the exchange until SIGINT or SIGTERM; when `attached`, until standard input ends, too.

    `start` is ISO 8601 (UTC unless it says otherwise). Returns the exit code: 0 stopped as asked, 1 refused
    (a port in use, a setting that makes no sense), 2 the candles cannot be read.
    """
    try:
        settings = Settings(
            port=port,
            seed=seed,
            candles=candles,
            start_ms=None if start is None else instant_ms(start),
            speed=speed,
            pair=pair,
            key=key,
            secret=secret,
            balances={"USDT": Decimal(10_000)} if balances is None else balances,
        )
        return _run(settings, attached)
    except UnreadableCandlesError as error:
        return _refuse(str(error), 2)
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(
            f"port {port} on {HOST} cannot be listened on ({error.strerror}); choose another with --port"
        )


def _refuse(sentence: str, code: int = 1) -> int:
    print(sentence, file=sys.stderr)
    return code


def _run(settings: Settings, attached: bool) -> int:
    forbid_float_money()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_until_signalled(settings, attached))
    else:
        uvloop.run(_until_signalled(settings, attached))
    return 0


async def _until_signalled(settings: Settings, attached: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            break
    if attached:
        watch = threading.Thread(target=_await_parent, args=(loop, stop), daemon=True)
        watch.start()
    running = await serve(settings)
    print(orjson.dumps(running.ready_line).decode(), flush=True)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopped, running.streaming}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        await running.close()


def _await_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Standard input is a pipe that the parent holds and never writes to: it ends with it, kill -9 or not."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before
        loop.call_soon_threadsafe(stop.set)


def instant_ms(text: str) -> int:
    """ISO 8601 to milliseconds UTC; raises ValueError with a sentence."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"the start {text!r} is not a date of ISO 8601, for example 2025-06-02T12:00:00Z"
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def balance_of(text: str) -> tuple[str, Decimal]:
    """`USDT=10000` to asset and amount; raises ValueError with a sentence."""
    asset, equals, amount = text.partition("=")
    if not (asset.isalnum() and equals):
        raise ValueError(f"the balance {text!r} is not of the form ASSET=AMOUNT, for example USDT=10000")
    value = money(amount)
    if value < 0:
        raise ValueError(f"the balance {text!r} is negative")
    return asset.upper(), value


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m agent.localexchange`."""
    parser = ArgumentParser(prog="python -m agent.localexchange", description="An exchange on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--candles", type=Path)
    parser.add_argument("--start")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--pair", default="ADA/USDT")
    parser.add_argument("--key", default="local-key")
    parser.add_argument("--secret", default="local-secret")
    parser.add_argument("--balance", action="append", default=[])
    parser.add_argument("--attached", action="store_true", help="end when standard input ends")
    asked = parser.parse_args(arguments)
    try:
        balances = dict(balance_of(text) for text in asked.balance) or None
    except ValueError as error:
        return _refuse(str(error))
    return demo_market_command(
        asked.port,
        asked.seed,
        asked.candles,
        asked.start,
        asked.speed,
        asked.pair,
        asked.key,
        asked.secret,
        balances,
        asked.attached,
    )
