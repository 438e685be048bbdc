"""Reading a configuration from disk, once, within limits.

Opens nothing but a regular file (a pipe could block the start for ever, a device never end) and reads no
more than a configuration can have. What cannot be read is reported like any other finding, with exit code 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.check import check_config
from agent.config.findings import DOCUMENT, ConfigRefused, Finding, Report
from agent.config.model import Config
from agent.config.plain_file import NotPlain, failure_text, read_plain_file
from agent.config.strict_json import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Loaded:
    """An accepted configuration, the warnings to review, and the file it came from."""

    config: Config
    warnings: tuple[Finding, ...]
    path: Path


def load_config(path: Path) -> Loaded:
    """Read and check the file at `path`. Raises ConfigRefused with everything that is wrong."""
    report = check_file(path)
    if report.config is None:
        raise ConfigRefused(report)
    return Loaded(report.config, report.warnings, path)


def check_file(path: Path) -> Report:
    """Read and check the file at `path`. Never raises for anything found there."""
    try:
        content, _ = read_plain_file(path, MAX_BYTES, follow_links=True)
    except FileNotFoundError:
        return _unreadable(path, "there is no such file", "name the exported config.json with --config")
    except NotPlain as refused:
        return _unreadable(path, str(refused), "name the exported config.json")
    except OSError as failure:
        reason = f"cannot be read: {failure_text(failure)}"
        return _unreadable(path, reason, "make the file readable for the user the agent runs as")
    return check_config(content, path)


def _unreadable(path: Path, reason: str, fix: str) -> Report:
    return Report(path, (Finding(DOCUMENT, None, reason, fix),), (), None, is_json=False)
