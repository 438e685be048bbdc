"""The window's process: first paint with Qt alone, then the loop, then the engine, then the chart.

Law: nothing here waits for the engine before the window is there. SIGTERM and SIGINT close the window and
nothing else. Every failure, wherever it happens, ends in the log panel.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from ui import theme
from ui.launching import Place
from ui.main_window import MainWindow
from ui.settings import Settings

#: How often the loop of Python runs while nothing happens, so that signals are noticed.
_SIGNAL_MS: Final = 200
#: By then everything is loaded that stays as long as the window. A collection that looks through all of it
#: would stop the window for some 40 ms, now and then, for nothing.
_LOADED_MS: Final = 6_000


def run_window(place: Place, settings_path: Path | None = None) -> int:
    """Show the window until it is closed; returns the exit code."""
    signals = _Signals()
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("Seller Exhaustion")
    app.setQuitOnLastWindowClosed(False)
    theme.apply(app)
    settings = Settings(settings_path)
    window = MainWindow(settings)
    window.show()
    window.activateWindow()  # without a window manager nobody else gives it the keyboard
    app.processEvents()
    if os.environ.get("AGENT_WINDOW_FIRST_PAINT"):
        sys.stderr.write("first paint\n")
        sys.stderr.flush()
    _loop(app, window, settings, place, signals)
    return 0


class _Signals:
    """SIGTERM and SIGINT close the window, from its first moment on."""

    def __init__(self) -> None:
        self._came: int | None = None
        self._act: Callable[[int], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def then(self, act: Callable[[int], None]) -> None:
        """What closes the window, given the signal; done at once when it came already."""
        self._act = act
        if self._came is not None:
            act(self._came)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._came = number
        if self._act is not None:
            self._act(number)


def _loop(app: QApplication, window: MainWindow, settings: Settings, place: Place, signals: _Signals) -> None:
    os.environ.setdefault("QT_API", "pyside6")
    import qasync

    loop = qasync.QEventLoop(app, set_running_loop=False)
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(_live(window, settings, place, signals))


async def _live(window: MainWindow, settings: Settings, place: Place, signals: _Signals) -> None:
    from ui.controller import Controller

    controller = Controller(window, settings, place)
    closed = asyncio.Event()
    controller.ended.connect(closed.set)
    _tell_faults(controller)
    controller.begin()
    awake = QTimer(controller)
    awake.setInterval(_SIGNAL_MS)
    awake.timeout.connect(lambda: None)
    awake.start()

    def leave(number: int) -> None:
        if number == signal.SIGINT and place.demo and controller.bridge.engine is not None:
            controller.bridge.engine.end()  # Ctrl-C ends a demo as a whole
        controller.leave()

    signals.then(leave)
    QTimer.singleShot(_LOADED_MS, controller, gc.freeze)
    QTimer.singleShot(0, window, lambda: add_chart(controller))
    try:
        await closed.wait()
    finally:
        await controller.end()


def add_chart(controller: Any) -> None:
    """numpy and the chart, once the window is painted."""
    from ui.chart import ChartView
    from ui.chart_feed import ChartFeed

    controller.attach_chart(ChartFeed(ChartView(), controller.settings))


def _tell_faults(controller: Any) -> None:
    def hook(kind: type[BaseException], why: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            controller.leave()
            return
        controller.tell_fault("a slot failed", why)

    def in_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        controller.tell_fault(str(context.get("message", "the loop failed")), context.get("exception"))

    sys.excepthook = hook
    asyncio.get_running_loop().set_exception_handler(in_loop)
