"""A real window on a real loop, with or without a real engine behind it.

Belongs here: running a scenario on the window's own loop, waiting for what was painted, and pictures made by
hand for states that are rare. Nothing waits by sleeping: every wait is for a painting and has a deadline.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import qasync
from agent_process import Agent, House, Market
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from ui import theme
from ui.app import add_chart
from ui.controller import Controller
from ui.launching import Place
from ui.link import Link, LinkKind
from ui.main_window import MainWindow
from ui.picture import Picture
from ui.settings import Settings

PATIENCE_S: Final = 90.0

Scenario = Callable[[], Coroutine[Any, Any, None]]


def play(scenario: Scenario) -> None:
    """Run `scenario` on the window's loop; what nobody caught fails the test."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    theme.apply(app)
    app.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(app, set_running_loop=False)
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    asyncio.set_event_loop(loop)
    try:
        with loop:
            loop.run_until_complete(scenario())
    finally:
        asyncio.set_event_loop(None)
    assert not faults, faults


class Eyes:
    """Looks at one window: what it shows, after it was painted."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.window = controller.window
        self._news = asyncio.Event()
        controller.rendered.connect(self._news.set)
        controller.bridge.stepped.connect(lambda _text, _over: self._news.set())

    async def until(self, what: str, seen: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Until `seen()` after a painting."""
        try:
            async with asyncio.timeout(within_s):
                while not seen():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not {what} in {within_s:g} s\n{self.told()}") from None

    async def state(self, name: str) -> None:
        await self.until(name, lambda: self.window.control.state.text().endswith(name))

    @property
    def picture(self) -> Picture:
        assert self.controller.picture is not None
        return self.controller.picture

    def told(self) -> str:
        """Everything a trader could read now."""
        window = self.window
        return "\n".join(
            [
                window.control.state.text(),
                window.control.words.text(),
                *window.banners.texts,
                *window.toasts.texts,
                *window.emergency_card.lines,
                *(f"{line.level} {line.text}" for line in window.log.lines[-30:]),
            ]
        )

    def press(self, keys: Qt.Key, *modifiers: Qt.KeyboardModifier) -> None:
        held = Qt.KeyboardModifier.NoModifier
        for modifier in modifiers:
            held |= modifier
        QTest.keyClick(QApplication.focusWidget() or self.window, keys, held)

    def click(self, widget: QWidget) -> None:
        assert widget.isEnabled(), f"{widget.accessibleName()} is disabled\n{self.told()}"
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)

    def click_answer(self, choice: str) -> None:
        self.click(self.window.question.buttons[choice])


@asynccontextmanager
async def window_on(
    place: Place, tmp_path: Path, *, follow: bool = True, size: tuple[int, int] = (1280, 800)
) -> AsyncIterator[Eyes]:
    """An open window; with `follow` False nothing is looked for, pictures are shown by hand."""
    settings = Settings(tmp_path / "window.ini")
    window = MainWindow(settings)
    window.resize(*size)
    active = asyncio.Event()
    QGuiApplication.instance().focusWindowChanged.connect(lambda _window: active.set())
    window.show()
    window.activateWindow()
    async with asyncio.timeout(PATIENCE_S):
        while not window.isActiveWindow():
            active.clear()
            await active.wait()
    controller = Controller(window, settings, place)
    if follow:
        controller.begin()
    add_chart(controller)
    eyes = Eyes(controller)
    try:
        yield eyes
    finally:
        started = controller.bridge.engine
        if started is not None:
            # Before the window lets go of it: then it would be left running, which is what it is for.
            started.end()
            await asyncio.to_thread(started._process.wait, PATIENCE_S)
        await controller.end()
        controller.leaving.begun = True
        window.close()
        window.deleteLater()
        await asyncio.sleep(0)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    built = House()
    try:
        yield built
    finally:
        await built.clear()


def place_of(data_dir: Path, market: Market | None = None) -> Place:
    exchange = market.address if market is not None else ()
    return Place(data_dir / "config.json", data_dir, ("--clock", "exchange"), tuple(exchange))


def show(eyes: Eyes, document: dict[str, Any], kind: LinkKind = LinkKind.ATTACHED, text: str = "") -> None:
    """Let the window believe that this was published."""
    eyes.controller.bridge.link = Link(kind, text, "", 4711, asyncio.get_running_loop().time(), 1.2)
    eyes.controller._pictured(Picture.read(document))
    eyes.controller.render()


def on_offscreen(scenario: Callable[[Eyes], Awaitable[None]], tmp_path: Path, **how: Any) -> None:
    """Play a scenario on a window without an engine."""

    async def whole() -> None:
        async with window_on(place_of(tmp_path), tmp_path, follow=False, **how) as eyes:
            await scenario(eyes)

    play(whole)


_FULL: Final[dict[str, Any]] = {
    "running": True,
    "state": "RUNNING",
    "state_since": "2025-01-15T14:32:05.000Z",
    "at": "2025-01-15T15:44:05.000Z",
    "mode": "paper",
    "venue": "binance@api.binance.com",
    "pair": "ADA/USDT",
    "timeframe": "15m",
    "balance": "9580.12",
    "equity": "10003.456",
    "day": {
        "date": "2025-01-15", "pnl": "3.456", "trades": 3, "wins": 1, "losses": 1, "start_equity": "10000",
    },
    "positions": [],
    "orders": [],
    "feed": {"source": "websocket", "fresh": True, "last_closed_bar": "2025-01-15T15:15:00.000Z"},
    "exchange": {"reachable": True, "latency_ms": 45.3, "clock_offset_ms": 3, "used_weight": 120},
    "price": {
        "bid": "0.5101", "ask": "0.5102", "last": 0.5101, "at": "2025-01-15T15:44:04.900Z", "trusted": True,
    },
    "bar": None,
    "strategy": {
        "ema_fast": 96, "ema_slow": 672, "vol_z": 2.0, "tr_z": 1.2, "cloc_min": 0.6, "target_level": 0.618,
        "stop_enforced": True, "max_open_positions": 1, "max_daily_trades": 10,
        "max_daily_loss_percent": "5",
    },
    "instrument": {"tick": "0.0001", "step": "0.1"},
    "reconciled_at": "2025-01-15T15:43:53.000Z",
    "warmup": {"bars": 7700, "needed": 7700, "error_bound": 1.2e-10},
    "watch": "MONITORING",
    "halt": None,
    "entries_blocked_by": [],
    "foreign": {},
    "version": "0.1.0",
    "config_hash": "abcdef0123456789",
}  # fmt: skip

_POSITION: Final[dict[str, Any]] = {
    "id": 7,
    "state": "IN_POSITION",
    "mode": "paper",
    "opened_at": "2025-01-15T15:15:02.123Z",
    "signal_bar": "2025-01-15T15:00:00.000Z",
    "entry_price": "0.51",
    "size": "19607.8",
    "stop": "0.4983",
    "target": "0.5297",
    "take_profit": None,
    "ladder": [[0.382, 0.5221], [0.5, 0.5259], [0.618, 0.5297], [0.786, 0.5351], [1.0, 0.542]],
    "bars_held": 2,
    "max_hold": 96,
    "risk": 0.0117,
    "unrealized_pnl": "2.1",
    "leaving": None,
    "protected_by": "sx01protect7",
    "unprotected_since": None,
    "notes": [],
}


def document(**changes: Any) -> dict[str, Any]:
    """A running, flat agent as published; `changes` replace top-level keys."""
    return {**copy.deepcopy(_FULL), **changes}


def position(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(_POSITION), **changes}


async def attached(eyes: Eyes, agent: Agent) -> None:
    await eyes.until("attached", lambda: eyes.controller.link.pid == agent.pid)
