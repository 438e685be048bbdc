"""A mail server on loopback: greets, offers STARTTLS or not, keeps what it is given, or hangs."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any


class SmtpStub:
    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        hangs: bool = False,
        login: str | None = None,
        hangs_up: bool = False,
    ):
        self._hangs_up = hangs_up
        self._tls = tls
        self._hangs = hangs
        self._login = login
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Condition()
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0
        self.mails: list[str] = []
        self.words: list[str] = []
        self.encrypted: list[bool] = []

    async def __aenter__(self) -> SmtpStub:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    async def until(self, condition: Any, within_s: float = 5.0) -> None:
        async with asyncio.timeout(within_s), self._arrived:
            await self._arrived.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        async with self._arrived:
            self.connections += 1
            self._arrived.notify_all()
        try:
            if self._hangs:
                await reader.read()
                return
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def answer(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        encrypted = False
        answer("220 stub")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].upper()
            self.words.append(word)
            if word == "EHLO":
                offers = ["250-stub"] + (["250-STARTTLS"] if self._tls and not encrypted else [])
                answer(*offers, "250-AUTH PLAIN", "250 8BITMIME")
            elif word == "STARTTLS":
                answer("220 go on")
                await writer.drain()
                await writer.start_tls(self._tls)
                encrypted = True
            elif word == "AUTH":
                given = base64.b64decode(line.split()[2]).decode()
                if self._hangs_up and given != self._login:
                    return
                answer("235 welcome" if given == self._login else "535 no")
            elif word == "DATA":
                answer("354 go on")
                body = (await reader.readuntil(b"\r\n.\r\n")).decode()
                answer("250 taken")
                async with self._arrived:
                    self.mails.append(body)
                    self.encrypted.append(encrypted)
                    self._arrived.notify_all()
            elif word == "QUIT":
                answer("221 bye")
                return
            else:
                answer("250 fine")
