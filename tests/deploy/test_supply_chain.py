"""Nothing is installed that the lock does not name by its content, from wherever it may come."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


def requirements() -> list[str]:
    """Each requirement with the lines that belong to it."""
    return [part for part in re.split(r"\n(?=\S)", LOCK) if not part.startswith("#")]


def test_every_requirement_is_one_version_with_its_hashes() -> None:
    assert len(requirements()) > 30
    for one in requirements():
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z,]+\])?==[^ ;\\]+", one), one
        hashes = re.findall(r"--hash=(\S+)", one)
        assert hashes, one
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), one


def test_the_lock_names_no_place_to_take_things_from() -> None:
    assert not re.search(r"https?://|--index|--extra-index|--find-links|--trusted-host|^-e | @ ", LOCK, re.M)


def test_the_installation_believes_the_lock_alone() -> None:
    places = [path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".md"]
    lines = [
        (path.name, line.split("pip install")[1].split())
        for path in (ROOT / "Makefile", *places)
        for line in path.read_text().splitlines()
        if "pip install" in line
    ]
    assert [name for name, _ in lines] == ["setup.sh", "setup.sh"], "nothing else installs anything"
    (_, locked), (_, ours) = lines
    assert {"--require-hashes", "--no-deps", "requirements.lock"} <= set(locked)
    assert {"--no-build-isolation", "--no-deps"} <= set(ours)
    assert ours[-2:] == ["-e", "."], "the second is the program itself, and brings nothing"
