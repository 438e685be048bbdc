"""The window on a virtual screen, as a viewer on this machine sees it: what is fetched is what is shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from agent_process import PATIENCE_S, ROOT, environment
from configurations import example, written
from rfb import Refused, Screen, fetch_screen

from ui.chart.palette import GREEN_RED

TOOLS = ("Xvfb", "xauth", "x11vnc", "mcookie")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}")

PASSWORD = "b3f1a2c4"
#: Background of the control panel (ui/theme.py), which no bare X screen and no other program shows.
SURFACE = (0x0F, 0x1A, 0x12)
#: A candle that closed above its opening (ui/chart/palette.py): the chart is there.
RISING = tuple(bytes.fromhex(GREEN_RED.up[1:]))
GRAB = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
sys.exit(0 if app.primaryScreen().grabWindow(0).save(sys.argv[1]) else 1)
"""


async def _run(*words: str, env: dict[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *words, env=env, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


async def _shown(port: int, session: asyncio.subprocess.Process) -> Screen:
    """The first frame with the window on it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            assert session.returncode is None, "the session ended"
            try:
                screen = await fetch_screen(port, PASSWORD)
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)
                continue
            if (screen.pixels == SURFACE).all(axis=2).mean() > 0.1:
                return screen
            await asyncio.sleep(0.1)


def _image(path: Path) -> np.ndarray:
    from PySide6.QtGui import QImage

    image = QImage(str(path)).convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3)


async def test_a_viewer_sees_the_window_of_the_running_engine(house, tmp_path):
    market = await house.market(speed=1)
    await market.hold()
    written(tmp_path, example())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.running()
    password, work = tmp_path / "vnc.passwd", tmp_path / "work"
    work.mkdir()
    await _run("x11vnc", "-storepasswd", PASSWORD, str(password))
    password.chmod(0o600)
    port = _free_port()
    options = " ".join([*market.address, "--clock", "exchange"])
    settings = {"AGENT_DATA": str(tmp_path), "VNC_PORT": str(port), "TMPDIR": str(work)}
    session = await asyncio.create_subprocess_exec(
        *("sh", str(ROOT / "deploy/vnc-session.sh"), "main"),
        env=environment(**settings, AGENT_OPTIONS=options, HOME=str(tmp_path), QT_QPA_PLATFORM="xcb"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _shown(port, session)
        with pytest.raises(Refused):
            await fetch_screen(port, "wrong")
        assert session.stdout is not None
        display = (await session.stdout.readline()).decode()
        assert f"127.0.0.1:{port}" in display
        (cookie,) = work.glob("*/cookie")
        number = display.partition("display ")[2].split()[0].rstrip(",")
        seen = {"DISPLAY": number, "XAUTHORITY": str(cookie), "QT_QPA_PLATFORM": "xcb"}
        grab = work / "screen.png"
        different, attached = 1280 * 800, False
        async with asyncio.timeout(PATIENCE_S):
            # The window may still be attaching between the two pictures. The clock in the status bar goes on
            # for ever and the server draws a pointer; the rest is the same once the chart is there.
            while different >= 0.01 * 1280 * 800 or not attached:
                await _run(sys.executable, "-c", GRAB, str(grab), env=environment(**seen))
                screen = await fetch_screen(port, PASSWORD)
                wanted = _image(grab)
                assert screen.pixels.shape == wanted.shape == (800, 1280, 3)
                different = int((screen.pixels != wanted).any(axis=2).sum())
                attached = (screen.pixels == RISING).all(axis=2).sum() > 100
        keep = os.environ.get("KEEP_SCREENSHOT")
        if keep:
            shutil.copy(grab, keep)
    finally:
        session.terminate()
        await asyncio.wait_for(session.wait(), PATIENCE_S)
    assert session.returncode == 0
    assert [left.name for left in work.iterdir()] == ["screen.png"], (
        "the session cleans up, and starts no engine"
    )
