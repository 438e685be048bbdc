"""Asking a person for a credential, unseen: typed on a terminal, never echoed, never in a history."""

from __future__ import annotations

import getpass
import sys


def ask_secret(name: str) -> str | None:
    """One credential, or None when nothing was typed."""
    try:
        typed = getpass.getpass(f"{name} (not shown, for this run): ", sys.stderr)
    except (EOFError, KeyboardInterrupt):
        return None
    return typed.strip() or None
