"""Which data directory is meant, and the link to the engine that may be running there.

`--data-dir`, else AGENT_DATA_DIR, else the folder of the configuration: the rule is the same for the engine
and for every command, or they would not find each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import agent
from agent.command_line.engine_link import EngineLink
from agent.control.messages import PROTOCOL, Versions
from agent.store.data_dir import DataDir
from agent.store.revision import SCHEMA_REVISION

DEFAULT_CONFIG: Final = Path("config.json")


def data_dir_for(option: Path | None, environment: Mapping[str, str], config: Path = DEFAULT_CONFIG) -> Path:
    """The data directory as an absolute path. It need not exist."""
    return DataDir.resolve(option, environment, config).path


def data_dir_of(option: Path | None, config: Path | None = None) -> Path:
    """The same, for a command of this process."""
    return data_dir_for(option, os.environ, config or DEFAULT_CONFIG)


def our_versions() -> Versions:
    return Versions(PROTOCOL, agent.__version__, SCHEMA_REVISION)


def engine_link(option: Path | None) -> EngineLink:
    return EngineLink(data_dir_of(option), our_versions())
