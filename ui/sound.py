"""A short sound for errors: a player of the platform when there is one, else the bell."""

from __future__ import annotations

import math
import shutil
import struct
import sys
import tempfile
import wave
from pathlib import Path
from typing import Final

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QApplication

_PLAYERS: Final = ("pw-play", "paplay", "aplay", "afplay")
_RATE: Final = 22_050


class Sound:
    """`ring` returns at once, whatever the sound system does."""

    def __init__(self) -> None:
        self._player = next((found for name in _PLAYERS if (found := shutil.which(name))), None)
        self._file: Path | None = None
        self.rung = 0

    def ring(self) -> None:
        self.rung += 1
        if self._player is None or sys.platform == "win32":
            QApplication.beep()
            return
        if self._file is None:
            self._file = _tone()
        QProcess.startDetached(self._player, [str(self._file)])


def _tone() -> Path:
    """Two falling notes, 0.35 s."""
    with tempfile.NamedTemporaryFile(prefix="agent-sound-", suffix=".wav", delete=False) as file:
        path = Path(file.name)
    samples = bytearray()
    for pitch, length_s in ((880.0, 0.15), (587.0, 0.2)):
        count = int(_RATE * length_s)
        for i in range(count):
            fade = min(1.0, i / 200, (count - i) / 800)
            samples += struct.pack("<h", int(9_000 * fade * math.sin(2 * math.pi * pitch * i / _RATE)))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes(bytes(samples))
    return path
