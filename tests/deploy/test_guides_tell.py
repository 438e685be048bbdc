"""The guides name everything the agent can complain about, and lead nowhere that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.command_line.outcome import ExitCode
from agent.core.events import Impairment

GUIDES = Path(__file__).resolve().parents[2] / "deploy" / "guides"
PAGES = sorted(GUIDES.glob("*.md"))
TROUBLE = (GUIDES / "troubleshooting.md").read_text()


@pytest.mark.parametrize("impairment", list(Impairment))
def test_every_reason_for_blocked_entries_is_explained(impairment: Impairment) -> None:
    assert f"| `{impairment.value}` |" in TROUBLE


@pytest.mark.parametrize("code", [c for c in ExitCode if c not in (ExitCode.DONE, ExitCode.NO_ENGINE)])
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    assert f"\n| {code.value} |" in TROUBLE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
