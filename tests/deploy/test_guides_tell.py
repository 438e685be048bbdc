"""The guides name everything the agent can complain about, and lead nowhere that does not exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from agent.cli import main
from agent.command_line.outcome import ExitCode
from agent.core.events import Impairment
from agent.main import _parser

GUIDES = Path(__file__).resolve().parents[2] / "deploy" / "guides"
PAGES = sorted(GUIDES.glob("*.md"))
README = (GUIDES.parents[1] / "README.md").read_text()
MAKEFILE = (GUIDES.parents[1] / "Makefile").read_text()
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


def readme_commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_readme_names_only_commands_and_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """They are run by other tests; here nothing may be misspelt or gone."""
    seen = 0
    for words in readme_commands():
        seen += 1
        if words[0] == "make":
            assert re.search(f"^{words[1]}:", MAKEFILE, re.M), words
            continue
        assert words[:2] == [".venv/bin/python", "-m"], words
        if words[2] == "agent.main":
            _parser().parse_args(words[3:])
            continue
        assert words[2] == "agent.cli", words
        assert main([words[3], "--help"]) == 0, words
        told = capsys.readouterr().out
        missing = [word for word in words[4:] if word.startswith("--") and f"{word} " not in told]
        assert missing == [], words
    assert seen > 15
