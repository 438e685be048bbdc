"""The only place where a mode is chosen and parts are joined.

Belongs here: which implementation stands behind each port, the order of a start and of a stop, and the
small pieces that join two parts that must not know each other (the store behind the paper broker, the
ledger behind the loop, the engine behind the control channel). No decision about trading is made here.
"""

from agent.compose.headless import run_headless

__all__ = ["run_headless"]
