"""For a process under test: no connection and no question for a name beyond this machine.

Loaded by Python itself when this folder is on PYTHONPATH. What is tried is refused and written to the file
named by SOCKET_GUARD. uvloop opens sockets without Python, so it is taken away.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

sys.modules["uvloop"] = None  # type: ignore[assignment]
_TOLD = os.environ["SOCKET_GUARD"]


def _is_here(host: object) -> bool:
    if host in (None, "", b"", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host: object = address[0] if isinstance(address, tuple) else None  # None: a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    with open(_TOLD, "a") as told:
        told.write(f"{'here' if _is_here(host) else 'AWAY'} {event} {host}\n")
    if not _is_here(host):
        raise OSError(f"the guard refuses {event} to {host}")


sys.addaudithook(_watch)
