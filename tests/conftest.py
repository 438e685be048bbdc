"""Every test runs as the product does: mixing money with float is an error where it happens.

Also the order of files: those that mostly wait, for processes and an exchange's time, alternate with those
that mostly compute, so that workers side by side use the whole machine from beginning to end; small files
come last, so that no worker is left alone with a long one.

And what a test costs: thousands of collected tests are no garbage to be looked through again and again. One
marked `no_cover` is not traced in a worker either, where pytest-cov stops one of two tracers only. Workers
that find no compiled tests compile a share each, not everything each.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import pytest
from _pytest.assertion import rewrite

from agent.core.money import forbid_float_money
from tests.postgres_ground import NoPostgres, PostgresServer

forbid_float_money()

TESTS: Final = Path(__file__).parent
WAITING: Final = ("e2e",)
COMPUTING: Final = ("simulation", "property", "parity", "exchange", "ui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    # A file with more tests takes longer, as a rule.
    waiting = sorted(_in(files, WAITING), key=lambda file: -len(files[file]))
    computing = [file for folder in COMPUTING for file in _in(files, (folder,))]
    first = [file for pair in zip_longest(waiting, computing) for file in pair if file is not None]
    rest = [file for file in files if file not in set(first)]
    items[:] = chain.from_iterable(files[file] for file in (*first, *rest))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """A worker compiles its share of all the tests, as pytest would one by one."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    everything = TESTS in ((session.config.rootpath / arg).resolve() for arg in session.config.args)
    if not worker or not everything or sys.dont_write_bytecode:
        return
    share = slice(int(worker.removeprefix("gw")), None, int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    state = session.config.stash[rewrite.assertstate_key]
    with _untraced():
        for file in sorted(TESTS.rglob("test_*.py"))[share]:
            folder = rewrite.get_cache_dir(file)
            kept = folder / f"{file.stem}{rewrite.PYC_TAIL}"
            if rewrite._read_pyc(file, kept) is None and rewrite.try_makedirs(folder):
                digest, code = rewrite._rewrite_test(file, session.config)
                rewrite._write_pyc(state, code, digest, kept)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    with _untraced():
        return (yield)


@contextmanager
def _untraced() -> Iterator[None]:
    here, elsewhere = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(here)
        threading.settrace(elsewhere)  # type: ignore[arg-type]


def _in(files: Iterable[Path], folders: tuple[str, ...]) -> list[Path]:
    return [f for f in files if f.is_relative_to(TESTS) and f.relative_to(TESTS).parts[0] in folders]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server of this session. Whoever stops it starts it again."""
    try:
        server = PostgresServer()
    except NoPostgres as why:
        pytest.skip(str(why))
    yield server
    server.remove()
