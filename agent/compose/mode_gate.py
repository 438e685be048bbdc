"""Whether a mode may be traded: the one place that decides.

PURE. Paper always may. Testnet may wherever orders of ours are spoken and the sandbox exists. Real money
needs an arming, which only the decision of `agent.arming` makes.
"""

from __future__ import annotations

from agent.config.model import Config
from agent.config.venues import FIRST_CLASS, VENUES
from agent.exchange.signed.arming import LiveArming


def why_not_traded(config: Config, arming: LiveArming | None) -> str | None:
    """Why no order of this configuration may leave, as a sentence; None when orders may."""
    if config.mode == "paper":
        return None
    name = config.exchange.exchange_name
    venue = VENUES.get(name)
    if config.mode == "testnet" and venue is not None and not venue.has_sandbox:
        return f"{name.capitalize()} has no sandbox for its spot market: rehearse with paper_trading true"
    if name != FIRST_CLASS:
        return f"orders on {name} are not available yet: {FIRST_CLASS} is"
    if config.mode == "live" and arming is None:
        return "live trading is not armed: `python -m agent.cli arm` shows every gate"
    return None
