"""An emergency stop under way: what is not yet closed, in the trader's words."""

from __future__ import annotations

from ui.picture import Picture
from ui.present import numbers

OVER = "Everything is closed: halted and flat"


def still_open(picture: Picture) -> str:
    """`Selling 2,297.8505 ADA (position 2); 1 order not yet settled`."""
    halt = picture.status.halt
    parts = [
        f"Selling {numbers.size(holding.position.size)} {picture.base} (position {holding.position.id})"
        for holding in picture.holdings
    ]
    orders = sum(text.startswith("order ") for text in halt.remaining) if halt is not None else 0
    if orders:
        parts.append(f"{numbers.counted(orders, 'order')} not yet settled")
    return "; ".join(parts) or "Waiting for the last answers of the exchange"
