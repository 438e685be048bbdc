"""Every test runs as the product does: mixing money with float is an error where it happens."""

from __future__ import annotations

from agent.core.money import forbid_float_money

forbid_float_money()
