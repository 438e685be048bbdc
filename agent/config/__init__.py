"""The user's settings: config.json and credentials in, a frozen `Config` or a list of reasons out.

What stays true: nothing is guessed, nothing wrong is accepted, every refusal names key, value, reason and
fix, and no message shows a credential. Depends on the core's types alone; opens files only in `load` and for
credentials.
"""

from agent.config.check import check_config
from agent.config.findings import ConfigRefused, Finding, Report
from agent.config.load import Loaded, check_file, load_config
from agent.config.model import Config, Mode

__all__ = [
    "Config",
    "ConfigRefused",
    "Finding",
    "Loaded",
    "Mode",
    "Report",
    "check_config",
    "check_file",
    "load_config",
]
