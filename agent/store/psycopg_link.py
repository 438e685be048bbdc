"""The driver's connection with a limit to every wait. It loads psycopg: import it where a server is meant."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen

from agent.store.server import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, Server

#: A dead client's session, and with it its lock, is gone after some 25 s on the server too.
_KEEPALIVE: Final = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


#: How often the driver looks for Ctrl-C while it waits.
_LOOK_S: Final = 0.1


class PatientConnection(psycopg.Connection[Any]):
    """Whatever the server is asked, `OperationalError` comes at the latest `patience_s` later."""

    patience_s: float = 6.0

    def wait(self, gen: PQGen[RV], interval: float = _LOOK_S, timeout: float | None = None) -> RV:
        """As the driver's, which by itself would wait for ever on a network that swallows answers."""
        began = time.monotonic()
        limit_s = self.patience_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.Error:
            if time.monotonic() - began < limit_s:
                raise
            # What was asked is unknown for ever on this connection; the server notices its end by itself.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {limit_s:.0f} s") from None


def connect(server: Server, *, read_only: bool) -> PatientConnection:
    """Raises psycopg.Error."""
    connection = PatientConnection.connect(
        server.conninfo,
        connect_timeout=max(2, round(server.patience_s)),
        application_name=server.agent_id,
    )
    connection.patience_s = server.patience_s
    settings = {
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(3 * STATEMENT_TIMEOUT_MS),
        # Equal to SQLite's synchronous=FULL, whatever the server or the user is set to.
        "synchronous_commit": "on",
        "default_transaction_read_only": "on" if read_only else "off",
        **_KEEPALIVE,
    }
    words = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {words}")
        connection.commit()
    except psycopg.Error:
        connection.close()
        raise
    return connection
