"""The ground of the window's tests: processes as the tests from outside have them, no screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
for folder in (Path(__file__).parent, Path(__file__).parents[1] / "e2e"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
