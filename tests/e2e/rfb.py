"""Just enough of the RFB protocol (RFC 6143) to log in with a password and fetch one frame of the screen."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

Pixels = npt.NDArray[np.uint8]
_VNC_AUTHENTICATION: Final = 2
#: 32 bits a pixel, 24 deep, little-endian, true colour; red, green and blue at bits 16, 8 and 0.
_FORMAT: Final = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


class Refused(Exception):  # noqa: N818 - an answer of the server
    """The server did not let us in."""


@dataclass
class Screen:
    """`pixels`: height x width x (red, green, blue)."""

    name: str
    pixels: Pixels


def _answer(challenge: bytes, password: str) -> bytes:
    # VNC takes every byte of the key with its bits in reverse order (RFC 6143, 7.2.2).
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    return Cipher(TripleDES(key * 3), modes.ECB()).encryptor().update(challenge)


async def fetch_screen(port: int, password: str) -> Screen:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        version = await reader.readexactly(12)
        assert version.startswith(b"RFB 003."), version
        writer.write(b"RFB 003.008\n")
        kinds = await reader.readexactly((await reader.readexactly(1))[0])
        if _VNC_AUTHENTICATION not in kinds:
            raise Refused(f"no password is asked for: {list(kinds)}")
        writer.write(bytes([_VNC_AUTHENTICATION]))
        writer.write(_answer(await reader.readexactly(16), password))
        if struct.unpack(">I", await reader.readexactly(4))[0] != 0:
            raise Refused("wrong password")
        writer.write(b"\x01")
        width, height = struct.unpack(">HH", await reader.readexactly(4))
        await reader.readexactly(16)
        name = await reader.readexactly(struct.unpack(">I", await reader.readexactly(4))[0])
        writer.write(b"\x00\x00\x00\x00" + _FORMAT)
        writer.write(struct.pack(">BxHi", 2, 1, 0))
        writer.write(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        return Screen(name.decode(), await _frame(reader, width, height))
    finally:
        writer.close()
        await writer.wait_closed()


async def _frame(reader: asyncio.StreamReader, width: int, height: int) -> Pixels:
    pixels = np.zeros((height, width, 3), np.uint8)
    left = width * height
    while left > 0:
        kind = (await reader.readexactly(1))[0]
        assert kind == 0, f"only frames were asked for, not message {kind}"
        (count,) = struct.unpack(">xH", await reader.readexactly(3))
        for _ in range(count):
            x, y, w, h, encoding = struct.unpack(">HHHHi", await reader.readexactly(12))
            assert encoding == 0
            raw = np.frombuffer(await reader.readexactly(w * h * 4), np.uint8).reshape(h, w, 4)
            pixels[y : y + h, x : x + w] = raw[:, :, 2::-1]
            left -= w * h
    return pixels
