"""A network that can be cut: a TCP proxy on loopback that forwards, swallows or resets, as told."""

from __future__ import annotations

import contextlib
import select
import socket
import threading


class TcpProxy:
    """Forwards to `port`. One thread; whoever made it closes it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        #: Bytes are read and kept from both sides: neither notices anything but silence.
        self.swallows = False
        #: Drop the connection as soon as the client has sent something with this in it and it is delivered.
        self.cut_after: bytes | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Cut every connection there is; new ones are forwarded again."""
        for pair in self._pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing = True
        self._thread.join(5)
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._listener.close()

    def _run(self) -> None:
        while not self._closing:
            sides = dict(self._pairs)
            sides |= {server: client for client, server in self._pairs}
            ready, _, _ = select.select([self._listener, *sides], [], [], 0.02)
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif not self._pass_on(one, sides[one]):
                    self._end(one)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            self._pairs.append((client, socket.create_connection(("127.0.0.1", self._target), timeout=5)))
        except OSError:
            client.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> bool:
        try:
            found = source.recv(65536)
            if found and not self.swallows:
                target.sendall(found)
        except OSError:
            return False
        if self.cut_after is not None and self.cut_after in found:
            # Delivered, executed, and its answer never comes.
            select.select([target], [], [], 5)
            self.cut_after = None
            return False
        return bool(found)

    def _end(self, one: socket.socket) -> None:
        for pair in [pair for pair in self._pairs if one in pair]:
            self._pairs.remove(pair)
            for side in pair:
                side.close()
