"""The window: first paint, its share of a core, memory, event to paint, and what it does to an engine.

Offscreen, so that the figures do not hang on a display; with QT_QPA_PLATFORM set they are of that platform.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.bench_process import _cpu_s, _rss_mib
from tests.bench.stopwatch import line, percentile

ROOT = Path(__file__).resolve().parents[2]
WATCH_S = 15.0
PLATFORM = os.environ.get("QT_QPA_PLATFORM", "offscreen")


def run() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        yield from _first_paint(Path(directory))
        yield from _share(Path(directory) / "share")
        yield from _event_to_paint(Path(directory) / "paint", full_rate=False)
        yield from _event_to_paint(Path(directory) / "full", full_rate=True)


def figure(what: str, value: float, unit: str) -> str:
    return f"{what:<58} {value:10.2f} {unit}"


# --- first paint -------------------------------------------------------------------------------------


def _first_paint(directory: Path) -> Iterator[str]:
    warm = [_paint_ms(directory) for _ in range(5)]
    yield line(f"window: start to first paint, warm ({PLATFORM})", [wall for wall, _ in warm], "ms")
    yield line("window: processor time of that", [cpu for _, cpu in warm], "ms")
    if _drop_page_cache():
        wall, cpu = _paint_ms(directory)
        yield figure(f"window: start to first paint, cold ({PLATFORM})", wall, "ms")
        yield figure("window: processor time of that", cpu, "ms")
    else:
        yield "window: first paint, cold: not measured (dropping the page cache needs root)"


def _paint_ms(directory: Path) -> tuple[float, float]:
    """Wall and processor time from the start of the process to its first paint."""
    begin = time.monotonic()
    process = _window(directory)
    try:
        assert process.stderr is not None
        while "first paint" not in (text := process.stderr.readline()):
            assert text, "the window ended"
        return (time.monotonic() - begin) * 1000, _cpu_s(process.pid) * 1000
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


def _window(directory: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": PLATFORM,
        "AGENT_WINDOW_FIRST_PAINT": "1",
        "XDG_CONFIG_HOME": str(directory / "settings"),
    }
    words = [sys.executable, "-m", "agent.main", "--config", str(directory / "config.json")]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def _drop_page_cache() -> bool:
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


# --- a window in front of an engine that publishes ---------------------------------------------------


def _engine(directory: Path) -> subprocess.Popen[str]:
    directory.mkdir()
    (directory / "document.json").write_text(json.dumps(_document()))
    (directory / "config.json").write_text((ROOT / "config.example.json").read_text())
    engine = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.window_engine", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert engine.stdout is not None
    assert engine.stdout.readline().strip() == "ready"
    return engine


def _late_ms(engine: subprocess.Popen[str]) -> list[float]:
    said, _ = engine.communicate("end\n", timeout=20)
    late: list[float] = json.loads(said)
    return late


def _document() -> dict[str, Any]:
    sys.path[:0] = [str(ROOT / "tests" / "ui"), str(ROOT / "tests" / "e2e")]
    from window_ground import document, position

    opened = "2025-07-27T23:15:02.123Z"
    held = position(opened_at=opened, signal_bar="2025-07-27T23:00:00.000Z", entry_price="0.5")
    return document(
        positions=[held],
        feed={"source": "websocket", "fresh": True, "last_closed_bar": "2025-07-28T07:45:00.000Z"},
    )


def _share(directory: Path) -> Iterator[str]:
    engine = _engine(directory)
    window = _window(directory)
    try:
        time.sleep(5)  # candles are loaded and drawn
        before = _cpu_s(window.pid)
        time.sleep(WATCH_S)
        share = (_cpu_s(window.pid) - before) / WATCH_S * 100
        yield figure("window: share of a core at 10 updates/s, 20,000 candles", share, "%")
        yield figure("window: memory, 20,000 candles", _rss_mib(window.pid), "MiB")
    finally:
        window.terminate()
        window.wait(10)
        if window.stderr is not None:
            window.stderr.close()
        _late_ms(engine)


def _event_to_paint(directory: Path, *, full_rate: bool) -> Iterator[str]:
    engine = _engine(directory)
    shown, frames = _watch_paints(directory, full_rate=full_rate)
    late = _late_ms(engine)
    how = "repainting at full rate" if full_rate else "10 updates/s"
    yield line(f"window: engine event -> painted, {how}", shown, "ms")
    yield line(f"window: an engine callback's lateness, {how}", late, "ms")
    if full_rate:
        yield figure("window: chart repaints a second, full rate", frames / WATCH_S, "Hz")
        yield figure("window: worst engine callback, full rate", max(late), "ms")
        yield figure("window: engine callbacks above 1 ms", sum(x > 1 for x in late) / len(late) * 100, "%")
    assert percentile(shown, 0.5) > 0


def _watch_paints(directory: Path, *, full_rate: bool) -> tuple[list[float], int]:
    """Milliseconds from each published state to the end of the painting that showed it; chart paintings."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import qasync
    from PySide6.QtCore import QEvent, QObject, QTimer
    from PySide6.QtWidgets import QApplication

    from ui import theme
    from ui.app import add_chart
    from ui.controller import Controller
    from ui.launching import Place
    from ui.main_window import MainWindow
    from ui.settings import Settings

    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    app.setQuitOnLastWindowClosed(False)
    theme.apply(app)
    loop = qasync.QEventLoop(app, set_running_loop=False)
    asyncio.set_event_loop(loop)
    taken: list[float] = []
    frames = 0

    class Paints(QObject):
        stamp = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            nonlocal frames
            if event.type() == QEvent.Type.Paint:
                frames += 1
                if self.stamp:
                    stamp, self.stamp = self.stamp, 0
                    QTimer.singleShot(0, lambda: taken.append((time.monotonic_ns() - stamp) / 1e6))
            return False

    async def watch() -> None:
        nonlocal frames
        settings = Settings(directory / "window.ini")
        window = MainWindow(settings)
        window.resize(1280, 800)
        window.show()
        controller = Controller(window, settings, Place(directory / "config.json", directory))
        controller.begin()
        add_chart(controller)
        assert controller.chart is not None
        view, paints = controller.chart.view, Paints()
        view.installEventFilter(paints)
        latest, shown = [0], [0]
        take = controller.bridge._show

        def stamped(state: Any) -> None:
            if int(state["published_ns"]) != shown[0]:  # a ping tells the same state once more
                latest[0] = shown[0] = int(state["published_ns"])
            take(state)

        controller.bridge._show = stamped  # type: ignore[method-assign]

        def note() -> None:
            paints.stamp, latest[0] = latest[0] or paints.stamp, 0

        controller.rendered.connect(note)
        again = QTimer()
        if full_rate:
            again.timeout.connect(view.update)
            again.start(0)
        await asyncio.sleep(3)
        taken.clear()
        frames = 0
        await asyncio.sleep(WATCH_S)
        again.stop()
        seen = frames
        await controller.end()
        controller.leaving.begun = True
        window.close()
        frames = seen

    try:
        with loop:
            loop.run_until_complete(watch())
    finally:
        asyncio.set_event_loop(None)
    return taken, frames
