"""Client and server of the control channel over real loopback sockets, with a fake engine."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from control_fakes import OTHER, OURS, FakeDoor, serving, until
from websockets.asyncio.client import connect as raw_connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from agent.control import session as session_module
from agent.control.client import ControlClient, NoEngine, NotAnswering, RequestFailed, connect
from agent.control.control_file import NAME, ControlFile, read_control_file, write_control_file
from agent.control.door import NotDone
from agent.control.messages import (
    COMMAND_LINE,
    PROTOCOL,
    CommandName,
    Hello,
    Notice,
    NoticeKind,
    Request,
    Snapshot,
    encode,
)
from agent.control.session import IN_FLIGHT_LIMIT, OUTBOX_LIMIT, REQUEST_BURST
from agent.core.events import CloseRequested, PauseRequested, StopRequested


async def attach(data_dir: Path, versions=OURS, name=COMMAND_LINE) -> ControlClient:
    return await connect(data_dir, versions, name, timeout_s=5)


def address(data_dir: Path) -> ControlFile:
    found = read_control_file(data_dir)
    assert found is not None
    return found


def headers(data_dir: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {address(data_dir).token}"}


def url(data_dir: Path) -> str:
    return f"ws://127.0.0.1:{address(data_dir).port}/"


async def test_a_request_reaches_the_engine_and_its_answer_comes_back(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        assert client.matched
        assert client.pid == os.getpid()
        result = await client.request(CommandName.PAUSE)
        assert result == {"state": "PAUSED", "text": "The agent is PAUSED."}
        assert door.asked == [PauseRequested(by="command line")]
        assert (await client.request(CommandName.STATUS))["state"] == "PAUSED"


async def test_arguments_arrive_whole_or_not_at_all(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        await client.request(CommandName.STOP, {"flatten": True})
        await client.request(CommandName.CLOSE, {"position_id": 7})
        await client.request(CommandName.CLOSE, {"position_id": None})
        assert door.asked == [
            StopRequested("command line", flatten=True),
            CloseRequested("command line", 7),
            CloseRequested("command line", None),
        ]
        for command, args in [
            (CommandName.STOP, {}),
            (CommandName.STOP, {"flatten": "yes"}),
            (CommandName.STOP, {"flatten": True, "now": True}),
            (CommandName.CLOSE, {}),
            (CommandName.CLOSE, {"position_id": True}),
            (CommandName.CLOSE, {"position_id": "7"}),
            (CommandName.PAUSE, {"for": "ever"}),
        ]:
            with pytest.raises(RequestFailed) as refused:
                await client.request(command, args)
            assert refused.value.code == "bad_arguments"
        assert len(door.asked) == 3


async def test_a_refusal_carries_the_engines_words(tmp_path):
    door = FakeDoor()
    door.refusal = NotDone("not_flat", "position 3 is still open", "close it first")
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        with pytest.raises(RequestFailed) as refused:
            await client.request(CommandName.CLEAR_HALT)
    assert (refused.value.code, refused.value.text, refused.value.fix) == (
        "not_flat",
        "position 3 is still open",
        "close it first",
    )


async def test_an_emergency_overtakes_everything_that_waits(tmp_path):
    door = FakeDoor()
    door.hold = True
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        stuck = [asyncio.create_task(client.request(CommandName.PAUSE, None, 20)) for _ in range(8)]
        await until(lambda: len(door.asked) == IN_FLIGHT_LIMIT)
        with pytest.raises(RequestFailed) as refused:
            await client.request(CommandName.RESUME)
        assert refused.value.code == "busy"
        result = await client.request(CommandName.EMERGENCY_STOP)
        assert result["state"] == "HALTED"
        assert door.emergencies == ["command line"]
        door.release.set()
        await asyncio.gather(*stuck)


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", "Basic abc", "Bearer \xe9"])
async def test_without_the_token_nobody_enters(tmp_path, given):
    door = FakeDoor()
    async with serving(tmp_path, door):
        sent = {} if given is None else {"Authorization": given}
        with pytest.raises(InvalidStatus) as refused:
            await raw_connect(url(tmp_path), additional_headers=sent)
        assert refused.value.response.status_code == 401
    assert door.asked == []


async def test_a_browser_is_refused_even_with_the_token(tmp_path):
    async with serving(tmp_path, FakeDoor()):
        for origin in ("https://example.com", "null", f"http://127.0.0.1:{address(tmp_path).port}"):
            with pytest.raises(InvalidStatus) as refused:
                await raw_connect(url(tmp_path), additional_headers=headers(tmp_path), origin=origin)
            assert refused.value.response.status_code == 403


async def test_it_listens_on_the_loopback_interface_only(tmp_path):
    async with serving(tmp_path, FakeDoor()):
        port = address(tmp_path).port
        with socket.socket() as other:
            other.settimeout(0.2)
            with pytest.raises(OSError):
                other.connect(("127.0.0.2", port))


async def test_between_versions_only_status_pause_and_emergency_stop_work(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door), await attach(tmp_path, OTHER) as client:
        assert not client.matched
        assert client.welcome.versions == OURS
        assert (await client.request(CommandName.STATUS))["state"] == "RUNNING"
        assert (await client.request(CommandName.PAUSE))["state"] == "PAUSED"
        for command in set(CommandName) - {
            CommandName.STATUS,
            CommandName.PAUSE,
            CommandName.EMERGENCY_STOP,
        }:
            with pytest.raises(RequestFailed) as refused:
                await client.request(command)
            assert refused.value.code == "version_mismatch"
            assert "0.1.0" in refused.value.text
            assert "9.9.9" in refused.value.text
        assert (await client.request(CommandName.EMERGENCY_STOP))["state"] == "HALTED"
        assert door.asked == [PauseRequested("command line")]


@pytest.mark.parametrize(
    "first",
    [
        "hello",
        "[]",
        "{}",
        '{"type":"hello","client":"x"}',
        '{"type":"hello","client":"x","protocol":true,"program":"1","schema":"1"}',
        '{"type":"hello","client":"a\\u0007b","protocol":1,"program":"1","schema":"1"}',
        b"\xff\xfe",
        "[" * 5000,
    ],
)
async def test_whoever_does_not_say_hello_is_sent_away(tmp_path, first):
    async with (
        serving(tmp_path, FakeDoor()) as server,
        raw_connect(url(tmp_path), additional_headers=headers(tmp_path)) as stranger,
    ):
        await stranger.send(first)
        with pytest.raises(ConnectionClosed) as closed:
            await stranger.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
        assert server.clients == 0


@pytest.mark.parametrize(
    "frame",
    [
        "pause",
        '{"type":"request","id":1,"command":"pause"}',
        '{"type":"request","id":-1,"command":"pause","args":{}}',
        '{"type":"request","id":NaN,"command":"pause","args":{}}',
        '{"type":"request","id":1,"command":"pause","args":[]}',
        '{"type":"hello","id":1,"command":"pause","args":{}}',
    ],
)
async def test_a_malformed_request_ends_the_connection_and_does_nothing(tmp_path, frame):
    door = FakeDoor()
    async with (
        serving(tmp_path, door),
        raw_connect(url(tmp_path), additional_headers=headers(tmp_path)) as stranger,
    ):
        await stranger.send(encode(Hello("x", OURS)))
        await stranger.recv()
        await stranger.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await stranger.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
    assert door.asked == []


async def test_an_oversized_message_ends_the_connection(tmp_path):
    async with (
        serving(tmp_path, FakeDoor()),
        raw_connect(url(tmp_path), additional_headers=headers(tmp_path)) as stranger,
    ):
        await stranger.send(encode(Hello("x", OURS)))
        await stranger.recv()
        await stranger.send("x" * 17_000)
        with pytest.raises(ConnectionClosed) as closed:
            await stranger.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_an_unknown_command_is_answered_with_what_is_known(tmp_path):
    async with (
        serving(tmp_path, FakeDoor()),
        raw_connect(url(tmp_path), additional_headers=headers(tmp_path)) as stranger,
    ):
        await stranger.send(encode(Hello("x", OURS)))
        await stranger.recv()
        await stranger.send('{"type":"request","id":4,"command":"withdraw","args":{}}')
        answer = await stranger.recv()
        assert '"unknown_command"' in answer
        assert "emergency-stop" in answer


async def test_a_subscriber_gets_the_whole_state_then_only_changes(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door) as server, await attach(tmp_path) as client:
        pushes = client.pushes()
        first = await anext(pushes)
        assert isinstance(first, Snapshot)
        assert first.state == {"state": "RUNNING"}
        server.changed()  # nothing is different: nothing is sent
        door.state["balance"] = "10000.00"
        server.changed()
        second = await anext(pushes)
        assert isinstance(second, Snapshot)
        assert second.state == {"state": "RUNNING", "balance": "10000.00"}
        assert second.seq > first.seq


async def test_a_state_is_shown_and_told_when_it_is_on_disk(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door) as server, await attach(tmp_path) as client:
        pushes = client.pushes()
        first = await anext(pushes)
        assert isinstance(first, Snapshot)
        assert first.state == {"state": "RUNNING"}
        door.on_disk.clear()
        door.state["state"] = "PAUSED"
        server.changed()
        shown = asyncio.create_task(anext(pushes))
        told = asyncio.create_task(client.request(CommandName.STATUS, None, 20))
        # A request that needs no disk is answered meanwhile, behind the two on the same connection.
        await client.request(CommandName.PAUSE)
        assert not shown.done()
        assert not told.done()
        door.on_disk.set()
        later = await shown
        assert isinstance(later, Snapshot)
        assert later.state == {"state": "PAUSED"}
        assert await told == {"state": "PAUSED"}


async def test_snapshots_become_one_and_notices_keep_their_order(tmp_path):
    door = FakeDoor()
    over = asyncio.Event()  # the interval between two snapshots

    async def between() -> None:
        over.clear()
        await over.wait()

    async with serving(tmp_path, door, between=between) as server, await attach(tmp_path) as client:
        pushes = client.pushes()
        await anext(pushes)
        for number in range(200):
            door.state["n"] = number
            server.changed()
            server.notice(Notice(NoticeKind.LOG, {"n": number}))
            await asyncio.sleep(0)
        seen: list[Notice] = []
        while len(seen) < 200:
            push = await anext(pushes)
            assert isinstance(push, Notice), "no snapshot within the interval"
            seen.append(push)
        assert [notice.body["n"] for notice in seen] == list(range(200))
        over.set()
        shown = await anext(pushes)
        assert isinstance(shown, Snapshot)
        assert shown.state["n"] == 199, "one for all that changed meanwhile"


async def test_who_did_not_subscribe_hears_nothing(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door) as server, await attach(tmp_path) as client:
        door.state["n"] = 1
        server.changed()
        server.notice(Notice(NoticeKind.ALERT, {"text": "hidden"}))
        assert (await client.request(CommandName.STATUS))["n"] == 1
        assert not client._notices
        assert client._snapshot is None


async def test_a_client_that_does_not_read_is_dropped_and_others_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "SEND_TIMEOUT_S", 0.2)
    door = FakeDoor()
    async with serving(tmp_path, door) as server, await attach(tmp_path) as good:
        pipe = socket.socket()
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pipe.setblocking(False)
        await asyncio.get_running_loop().sock_connect(pipe, ("127.0.0.1", address(tmp_path).port))
        hung = await raw_connect(
            url(tmp_path), sock=pipe, additional_headers=headers(tmp_path), max_queue=1, compression=None
        )
        await hung.send(encode(Hello("window", OURS)))
        await hung.recv()
        await hung.send(encode(Request(1, CommandName.SUBSCRIBE, {})))
        await until(lambda: server.clients == 2)
        # Stop reading for good, as a frozen window would.
        hung.transport.pause_reading()
        sessions = set(server._sessions)
        line = Notice(NoticeKind.LOG, {"text": "x" * 20_000})
        for _ in range(2000):
            server.notice(line)
            assert all(len(session._queue) <= OUTBOX_LIMIT for session in sessions)
            await asyncio.sleep(0)
            if server.clients == 1:
                break
        await until(lambda: server.clients == 1)
        assert (await good.request(CommandName.STATUS))["state"] == "RUNNING"
        reasons = [session.dropped_because for session in sessions if session.dropped_because]
        assert len(reasons) == 1
        hung.transport.abort()


async def test_one_message_that_is_never_accepted_drops_the_client(tmp_path, monkeypatch):
    monkeypatch.setattr(session_module, "SEND_TIMEOUT_S", 0.1)
    door = FakeDoor()
    door.state["filler"] = "x" * 3_500_000
    async with serving(tmp_path, door) as server:
        pipe = socket.socket()
        pipe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pipe.setblocking(False)
        await asyncio.get_running_loop().sock_connect(pipe, ("127.0.0.1", address(tmp_path).port))
        hung = await raw_connect(
            url(tmp_path), sock=pipe, additional_headers=headers(tmp_path), max_queue=1, compression=None
        )
        await hung.send(encode(Hello("window", OURS)))
        await hung.recv()
        await until(lambda: server.clients == 1)
        (session,) = server._sessions
        hung.transport.pause_reading()
        for number in range(4):
            await hung.send(encode(Request(number, CommandName.STATUS, {})))
        await until(lambda: server.clients == 0)
        assert session.dropped_because == "one message was not accepted within 0.1 s"
        hung.transport.abort()


async def test_a_flood_of_requests_is_cut_off_and_others_are_served(tmp_path):
    door = FakeDoor()
    async with serving(tmp_path, door) as server, await attach(tmp_path) as good:
        flood = await raw_connect(url(tmp_path), additional_headers=headers(tmp_path), compression=None)
        await flood.send(encode(Hello("window", OURS)))
        await flood.recv()
        with suppress(ConnectionClosed):
            for number in range(20_000):
                await flood.send(encode(Request(number, CommandName.PAUSE, {})))
        await flood.wait_closed()
        assert len(door.asked) <= REQUEST_BURST + 50
        await until(lambda: server.clients == 1)
        assert (await good.request(CommandName.EMERGENCY_STOP))["state"] == "HALTED"


async def test_more_clients_than_allowed_are_told_so(tmp_path):
    async with serving(tmp_path, FakeDoor()) as server:
        clients = [await attach(tmp_path, name="window") for _ in range(16)]
        with pytest.raises(NotAnswering, match="too many clients"):
            await attach(tmp_path, name="window")
        await clients[0].close()
        await until(lambda: server.clients == 15)
        async with await attach(tmp_path, name="window") as late:
            assert late.matched
        for client in clients[1:]:
            await client.close()


async def test_a_command_finds_room_when_windows_have_taken_all_of_it(tmp_path):
    async with serving(tmp_path, FakeDoor()):
        windows = [await attach(tmp_path, name="window") for _ in range(16)]
        async with await attach(tmp_path) as command:
            assert (await command.request(CommandName.EMERGENCY_STOP))["state"] == "HALTED"
        for window in windows:
            await window.close()


async def test_a_request_goes_on_when_its_client_is_gone(tmp_path):
    door = FakeDoor()
    door.hold = True
    async with serving(tmp_path, door) as server:
        client = await attach(tmp_path)
        asking = asyncio.create_task(client.request(CommandName.STOP, {"flatten": True}, 20))
        await until(lambda: door.asked)
        client._connection.transport.abort()
        with pytest.raises(NotAnswering, match="ended the connection"):
            await asking
        await client.close()
        await until(lambda: server.clients == 0)
        door.release.set()
        await until(lambda: door.state["state"] == "STOPPED")


async def test_an_engine_that_goes_away_is_noticed_by_who_watches(tmp_path):
    async with serving(tmp_path, FakeDoor()):
        client = await attach(tmp_path)
        pushes = client.pushes()
        await anext(pushes)
    with pytest.raises(NotAnswering, match="ended the connection"):
        await anext(pushes)
    with pytest.raises(NotAnswering, match="ended the connection"):
        await client.request(CommandName.STATUS)
    await client.close()


async def test_an_end_that_is_met_while_sending_is_told_once(tmp_path):
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    async with serving(tmp_path, FakeDoor()):
        client = await attach(tmp_path)

        async def send(text: str) -> None:
            await client._connection.close()
            await client._reading
            raise ConnectionClosedOK(None, None)

        client._connection.send = send
        with pytest.raises(NotAnswering, match="ended the connection"):
            await client.request(CommandName.STATUS)
        gc.collect()
    assert faults == []


async def test_a_confirmation_that_does_not_come_is_not_awaited_for_ever(tmp_path):
    door = FakeDoor()
    door.hold = True
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        with pytest.raises(NotAnswering, match=r"did not confirm pause within 0\.05 s") as silent:
            await client.request(CommandName.PAUSE, None, 0.05)
        assert silent.value.pid == os.getpid()
        assert (await client.request(CommandName.STATUS))["state"] == "RUNNING"
        door.release.set()


async def test_our_own_mistake_is_told_to_the_client_and_to_the_loop(tmp_path):
    door = FakeDoor()
    door.error = AssertionError("impossible")
    seen: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context))
    async with serving(tmp_path, door), await attach(tmp_path) as client:
        with pytest.raises(RequestFailed) as refused:
            await client.request(CommandName.PAUSE)
        assert refused.value.code == "fault"
        assert "impossible" not in refused.value.text
        assert [context["exception"] for context in seen] == [door.error]
        assert (await client.request(CommandName.STATUS))["state"] == "RUNNING"


# --- who is there at all -----------------------------------------------------------------------


async def test_without_a_control_file_there_is_no_engine(tmp_path):
    with pytest.raises(NoEngine, match=str(tmp_path)):
        await attach(tmp_path)


async def test_the_file_of_a_dead_process_is_no_engine(tmp_path):
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()
    write_control_file(tmp_path, ControlFile(1, "t", child.pid, 1, PROTOCOL))
    with pytest.raises(NoEngine):
        await attach(tmp_path)


async def test_a_process_id_that_lives_on_in_another_program_is_no_engine(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    write_control_file(tmp_path, ControlFile(port, "t", os.getpid(), 1, PROTOCOL))
    with pytest.raises(NoEngine):
        await attach(tmp_path)


async def test_another_engines_port_is_no_engine(tmp_path):
    ours, theirs = tmp_path / "a", tmp_path / "b"
    ours.mkdir()
    theirs.mkdir()
    async with serving(theirs, FakeDoor()):
        port = address(theirs).port
        write_control_file(ours, ControlFile(port, "old token", os.getpid(), 1, PROTOCOL))
        with pytest.raises(NoEngine):
            await attach(ours)


async def test_a_frozen_engine_is_told_apart_from_none(tmp_path):
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()  # the system accepts, nobody reads
        port = frozen.getsockname()[1]
        write_control_file(tmp_path, ControlFile(port, "t", os.getpid(), 1, PROTOCOL))
        with pytest.raises(NotAnswering, match=r"did not answer within 0.1 s") as silent:
            await connect(tmp_path, OURS, "command line", timeout_s=0.1)
        assert silent.value.pid == os.getpid()


async def test_a_clean_end_removes_the_file_and_a_newer_engines_file_stays(tmp_path):
    async with serving(tmp_path, FakeDoor()):
        assert (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()
    newer = ControlFile(1, "newer", os.getpid(), 2, PROTOCOL)
    async with serving(tmp_path, FakeDoor()):
        write_control_file(tmp_path, newer)
    assert read_control_file(tmp_path) == newer
