"""`python -m agent.localexchange`: see `command`."""

from __future__ import annotations

import sys

from agent.localexchange.command import main

if __name__ == "__main__":
    sys.exit(main())
