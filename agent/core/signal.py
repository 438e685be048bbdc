"""The entry signal on live bars."""

from __future__ import annotations

from agent.core.parameters import SellerParams

__all__ = ["SellerParams"]
