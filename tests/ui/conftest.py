"""The ground of the window's tests: processes as the tests from outside have them, no screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
for folder in (Path(__file__).parent, Path(__file__).parents[1] / "e2e"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window waits for an engine as long as a machine with other work to do may need.

    Else it would go around an engine that is only slow, as it should with real money.
    """
    monkeypatch.setattr("ui.bridge.ANSWER_S", 60.0)
    monkeypatch.setattr("ui.bridge.CONFIRM_S", 60.0)
