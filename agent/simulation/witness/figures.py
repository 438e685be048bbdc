"""What is measured on the way: counts, and how long things took."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What is measured on the way."""

    orders: int = 0
    fills: int = 0
    entries: int = 0
    unknown: int = 0
    unknown_ms: list[int] = field(default_factory=list)
    naked_ms: int = 0
    naked_calm_ms: int = 0
    """Of that, while the agent lived and nothing had been wrong for some minutes."""
    held_ms: int = 0
    unprotected_ms: list[int] = field(default_factory=list)
    """Of every time without anything that sells what is held, how long it lasted."""
    unprotected_calm_ms: list[int] = field(default_factory=list)
    """The same of those that began and ended in calm."""
    restart_ms: list[int] = field(default_factory=list)
    emergency_flat_ms: list[int] = field(default_factory=list)
    """From a halt in calm, with something held, until it was sold, while whatever was asked was answered."""
    emergency_cut: int = 0
    """How often a fault began before all was sold: what the agent could not do then is not its time."""
