"""The one thread that brings a ledger's changes to the server, in order, for as long as it takes.

It alone waits for the network; the loop and the ledger's writer never do. When the server is away, what
happens is kept in the file (`spool`), the watcher is told once, and the way there is tried again after 1, 2,
4 and then every 8 seconds, for ever. What became of a commit whose answer was lost is read from the server's
own number, so nothing is written twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from agent.store.database import database_trouble, open_engine
from agent.store.far_ledger import FarLedger
from agent.store.meeting import Standing, compare, conflict
from agent.store.spool import GROUP, Change, Copy, Spool, changes_after, copy_in, oldest_in
from agent.store.trouble import StoreTrouble

#: Nothing to send for so long: ask the server whether it is there, before an entry needs it.
_LOOK_EVERY_S: Final = 15.0
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class Road:
    """Called from the courier's thread. `away` when the server begins to be away, and again when the reason
    is another one; `final`: no further try will be made. `in_step` when everything kept has arrived."""

    away: Callable[[str, bool], None] = lambda reason, final: None
    in_step: Callable[[], None] = lambda: None


class Courier:
    """`start` begins; whatever is in the file by then is sent too. The file is read, never written."""

    def __init__(
        self,
        far: FarLedger,
        spool: Spool,
        path: Path,
        road: Road,
        *,
        pauses_s: tuple[float, ...] = _PAUSES_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._far = far
        self._spool = spool
        self._path = path
        self._road = road
        self._pauses_s = pauses_s
        self._look_every_s = look_every_s
        self._file: Engine = open_engine(path, read_only=True)
        self._changed = threading.Condition()
        self._closing = False
        self._has_work = True
        self._applied = 0
        self._met = False
        self._mended = False
        self._away: str | None = None
        self._is_in_step = False
        self._stuck = False
        self._waiting: list[tuple[int, Future[None]]] = []
        self._thread = threading.Thread(target=self._run, name="ledger-courier", daemon=True)

    def start(self) -> None:
        self._spool.told = self._wake
        self._thread.start()

    @property
    def kept(self) -> int:
        """Changes that the server does not have for certain."""
        return max(self._spool.seq - self._applied, 0)

    @property
    def is_in_step(self) -> bool:
        return self._is_in_step

    def arrived(self) -> Future[None]:
        """Done when all that is committed by now is on the server; StoreTrouble while it is away."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._away is not None or self._stuck:
                future.set_exception(StoreTrouble(self._away or "the database is given up"))
            elif self._met and self._applied >= self._spool.seq:
                future.set_result(None)
            else:
                self._waiting.append((self._spool.seq, future))
        return future

    def close(self, timeout_s: float = 1.0) -> int:
        """Send what is left while that works, end the thread, and return how much stays in the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._refuse_waiting("the agent is stopping")
        self._spool.told = lambda: None
        if not self._thread.is_alive():
            self._far.hang_up()
            self._file.dispose()
        return self.kept

    # --- the thread ------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            self._has_work = True
            self._changed.notify()

    def _run(self) -> None:
        tries = 0
        while not self._stuck:
            try:
                self._send_everything()
                tries = 0
                if self._rest():
                    return
            except AssertionError as error:
                self._on_contradiction(error)
            except StoreTrouble as trouble:
                self._far.hang_up()
                self._met = False
                self._lose(str(trouble), final=False)
                pause_s = self._pauses_s[min(tries, len(self._pauses_s) - 1)]
                tries += 1
                with self._changed:
                    if self._changed.wait_for(lambda: self._closing, pause_s):
                        return

    def _rest(self) -> bool:
        """Until there is work, or it is time to look. True when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._has_work, self._look_every_s)
            if self._closing and not self._has_work:
                return True
            idle = not self._has_work
        if idle:
            self._far.look()
        return False

    def _send_everything(self) -> None:
        with self._changed:
            self._has_work = False
        if not self._far.is_connected:
            self._far.connect()
        if not self._met:
            self._meet()
        while changes := self._read(self._applied):
            self._far.take(changes, self._spool.copy, self._applied)
            self._arrive(changes[-1].seq)
            if len(changes) < GROUP:
                break
        if not self._is_in_step and self._applied >= self._spool.seq:
            with self._changed:
                self._away, self._is_in_step = None, True
            self._road.in_step()

    def _meet(self) -> None:
        theirs = self._far.standing()
        ours, oldest = self._ours()
        standing = compare(ours, oldest, theirs)
        if standing in (Standing.AHEAD, Standing.STRANGE):
            self._give_up(conflict(standing, ours.agent_id, self._far.server))
            return
        if standing is Standing.ANEW:
            self._make_anew()
        else:
            assert theirs is not None
            self._arrive(theirs.seq)
        self._met = True

    def _make_anew(self) -> None:
        try:
            with self._file.connect() as source, source.begin():
                ours = copy_in(source)
                assert ours is not None, "the file is not kept twice"
                self._far.make_anew(source, ours, lambda rows: None)
        except DBAPIError as error:
            raise database_trouble(error, self._path, "reading") from None
        self._arrive(ours.seq)

    def _ours(self) -> tuple[Copy, int | None]:
        try:
            with self._file.connect() as connection:
                ours = copy_in(connection)
                assert ours is not None, "the file is not kept twice"
                return ours, oldest_in(connection)
        except DBAPIError as error:
            raise database_trouble(error, self._path, "reading") from None

    def _read(self, after: int) -> tuple[Change, ...]:
        try:
            with self._file.connect() as connection:
                return changes_after(connection, after)
        except DBAPIError as error:
            raise database_trouble(error, self._path, "reading") from None

    # --- what came of it -------------------------------------------------------------------------

    def _arrive(self, seq: int) -> None:
        with self._changed:
            self._applied = self._spool.sent = seq
            done = [future for number, future in self._waiting if number <= seq]
            self._waiting = [(number, future) for number, future in self._waiting if number > seq]
        for future in done:
            future.set_result(None)

    def _lose(self, reason: str, *, final: bool) -> None:
        with self._changed:
            is_news = self._away != reason
            self._away, self._is_in_step, self._stuck = reason, False, final
        self._refuse_waiting(reason)
        if is_news:
            self._road.away(reason, final)

    def _give_up(self, reason: str) -> None:
        self._far.hang_up()
        self._lose(reason, final=True)
        raise StoreTrouble(reason)

    def _on_contradiction(self, error: AssertionError) -> None:
        """Our own mistake, or somebody changed the server's rows: the file is what is true."""
        self._far.hang_up()
        self._met = False
        if self._mended:
            self._lose(f"the database contradicts the ledger: {error}", final=True)
            return
        self._lose(f"the database contradicts the ledger and is written anew: {error}", final=False)
        try:
            self._far.connect()
            self._make_anew()
            self._met = self._mended = True
        except StoreTrouble as trouble:
            self._far.hang_up()
            self._lose(str(trouble), final=False)

    def _refuse_waiting(self, reason: str) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            future.set_exception(StoreTrouble(reason))
