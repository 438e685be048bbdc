"""The exits of an open position."""

from __future__ import annotations

from agent.core.parameters import ExitParams, Policy

__all__ = ["ExitParams", "Policy"]
