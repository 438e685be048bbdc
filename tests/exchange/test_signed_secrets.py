"""Key and secret appear in the signed request and nowhere else: not in logs, errors, objects or events."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import traceback
from typing import Any

import pytest

from agent.core.events import AccountUnreadable
from tests.exchange.signed_faults import broken_answer, error, instead, lost_answer, lost_request, redirect
from tests.exchange.signed_ground import Ground, approved, ground, some_keys
from tests.exchange.signed_stub import KEY, SECRET

POST = "POST /api/v3/order"


def clean(text: str) -> bool:
    return "canary" not in text.lower() and KEY not in text and SECRET not in text


def reachable_text(root: object) -> list[str]:
    """Every text an object holds, however deep, except what a Secret guards."""
    from agent.config.secret import Secret

    seen, found, queue = set(), [], [root]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type | Secret) or callable(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            found.append(thing)
        elif isinstance(thing, dict):
            queue += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            queue += thing
        elif hasattr(thing, "__dict__"):
            queue.append(vars(thing))
    return found


async def everything(here: Ground) -> list[Any]:
    """One of each request, and one of each way to fail."""
    here.stub.fault(
        POST,
        lost_request,
        lost_answer,
        broken_answer,
        instead(500, "<html>"),
        error(401, -2015, "Invalid API-key"),
        error(400, -1022, "Signature for this request is not valid."),
        redirect("http://127.0.0.1:9/elsewhere"),
    )
    results: list[Any] = [await here.exchange.place(approved(here.intent())) for _ in range(8)]
    stop = here.stop()
    results.append(await here.exchange.place(approved(stop)))
    results.append(await here.exchange.look_up(stop))
    here.stub.fault("DELETE /api/v3/order", lost_answer)
    results.append(await here.exchange.cancel(stop))
    results.append(await here.exchange.account(here.clock.now_ms()))
    results.append(await here.exchange.fills_of(stop))
    results.append(await here.exchange.key_rights())
    await here.stub.drop_sockets()
    await asyncio.sleep(0.05)
    return results


async def test_no_log_line_at_any_level_holds_a_key(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setLevel(logging.NOTSET)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        async with ground() as here, here.running():
            results = await everything(here)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    ours = stream.getvalue().splitlines()
    assert ours, "nothing was logged at all, so nothing was tested"
    assert all(clean(line) for line in ours), [line for line in ours if not clean(line)]
    # Not the key alone: no request, no frame, no signature.
    assert not any(word in line for line in ours for word in ("signature", "TEXT", "X-MBX"))
    assert clean(repr(results))
    assert clean(repr(here.events))


async def test_no_object_of_the_connection_holds_a_key_in_the_open() -> None:
    async with ground() as here, here.running():
        results = await everything(here)
        for part in (
            here.exchange,
            here.exchange._client,
            here.exchange._client._ccxt,
            here.exchange._stream,
        ):
            assert clean(repr(part))
            texts = reachable_text(part)
            assert len(texts) > 10
            assert all(clean(text) for text in texts), [t for t in texts if not clean(t)]
        assert all(clean(text) for text in reachable_text(results))


async def test_no_error_of_our_own_holds_a_key() -> None:
    async with ground() as here:
        with pytest.raises(Exception, match="was stopped") as caught:
            await here.exchange._client._ccxt.private_get_ratelimit_order({})
        shown = "".join(traceback.format_exception(caught.value))
        assert clean(shown)
        assert "signature" not in shown


async def test_a_wrong_secret_ends_in_a_refusal_without_it() -> None:
    async with ground(keys=some_keys(KEY, SECRET[::-1])) as here:
        answer = await here.exchange.place(approved(here.intent()))
        assert clean(repr(answer))
        assert answer.code == -1022  # type: ignore[union-attr]
        gc.collect()


async def test_no_proxy_of_the_environment_sees_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with ground() as here:
        read = await here.exchange.account(here.clock.now_ms())
        assert not isinstance(read, AccountUnreadable)
