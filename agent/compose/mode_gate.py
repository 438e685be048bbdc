"""Whether a mode may be traded: the one place that decides.

PURE. Paper always may. Elsewhere the table of capabilities says where orders are proven and a sandbox exists;
real money needs an arming as well, which only the decision of `agent.arming` makes.
"""

from __future__ import annotations

from agent.config.availability import refused_there
from agent.config.model import Config
from agent.exchange.signed.arming import LiveArming


def why_not_traded(config: Config, arming: LiveArming | None) -> str | None:
    """Why no order of this configuration may leave, as a sentence; None when orders may."""
    if config.mode == "paper":
        return None
    why = refused_there(config.exchange.exchange_name, config.mode)
    if why is not None:
        return f"{why}: rehearse with paper_trading true"
    if config.mode == "live" and arming is None:
        return "live trading is not armed: `python -m agent.cli arm` shows every gate"
    return None
