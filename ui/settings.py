"""What the window remembers: geometry, and the few things it does by itself.

Law: nothing here touches trading. A value that cannot be read is its default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QObject, QSettings, Signal

_DEFAULTS: Final = {"sounds": True, "toasts": True, "local_time": False, "blue_orange": False}
OVERLAYS: Final = ("ema", "ladder", "volume", "trades", "position")


class Settings(QObject):
    """One file in the user's configuration folder, written as it changes."""

    changed = Signal()

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self._store = QSettings(str(path or default_path()), QSettings.Format.IniFormat)

    def is_on(self, name: str) -> bool:
        """`sounds`, `toasts`, `local_time`, `blue_orange`, or `overlay_` and one of OVERLAYS."""
        return bool(self._store.value(name, _DEFAULTS.get(name, True), type=bool))

    def set_on(self, name: str, on: bool) -> None:
        if on != self.is_on(name):
            self._store.setValue(name, on)
            self.changed.emit()

    def bytes(self, name: str) -> QByteArray | None:
        value = self._store.value(name)
        return value if isinstance(value, QByteArray) else None

    def set_bytes(self, name: str, value: QByteArray) -> None:
        self._store.setValue(name, value)

    def text(self, name: str) -> str:
        return str(self._store.value(name, "", type=str))

    def set_text(self, name: str, value: str) -> None:
        self._store.setValue(name, value)

    def write(self) -> None:
        self._store.sync()


def default_path() -> Path:
    from platformdirs import user_config_path

    return user_config_path("seller-exhaustion-agent") / "window.ini"
