"""The example configuration as a document that tests change, and short ways to check the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.config import Config, Finding, Report, check_config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config.example.json"


def example(**sections: Any) -> dict[str, Any]:
    """The example; each keyword updates a section, or replaces a value at the top."""
    document: dict[str, Any] = json.loads(EXAMPLE.read_text("utf-8"))
    for name, content in sections.items():
        if isinstance(content, dict) and isinstance(document.get(name), dict):
            document[name].update(content)
        else:
            document[name] = content
    return document


def checked(**sections: Any) -> Report:
    return check_config(json.dumps(example(**sections)))


def accepted(**sections: Any) -> Config:
    report = checked(**sections)
    assert report.config is not None, report.errors
    return report.config


def error(report: Report, key: str) -> Finding:
    """The one error about `key`."""
    found = [finding for finding in report.errors if finding.key == key]
    assert len(found) == 1, (key, report.errors)
    return found[0]


def warning(report: Report, key: str) -> Finding:
    """The one warning about `key`."""
    found = [finding for finding in report.warnings if finding.key == key]
    assert len(found) == 1, (key, report.warnings)
    return found[0]


def warned_keys(report: Report) -> set[str]:
    return {finding.key for finding in report.warnings}
