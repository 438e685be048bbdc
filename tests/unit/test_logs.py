"""The log: one form for people, one for machines, rotation, a full disk, and no secret anywhere."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
import resource
import stat
import subprocess
import sys
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.shell.logs import Logging, LogSettings, set_up_logging
from agent.shell.redaction import Secrets
from tests.store_ground import ROOT

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv"
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
PASSWORD = 'p"w\\ü/+ 7&x'
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+XUZ8V\nnLwH4p/0Qq0dMCM=\n-----END PRIVATE KEY-----"
CANARIES = (KEY, TOKEN, PASSWORD, PEM)

Start = Callable[..., Logging]


def without_pytests_handlers() -> None:
    """They would print what ours must not, and raise where a program goes on."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)


@pytest.fixture
def stderr() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def start(stderr: io.StringIO, tmp_path: Path) -> Iterator[Start]:
    """Set logging up; it is undone at the end."""
    started: list[Logging] = []

    def start(*, as_json: bool = False, level: str = "INFO", **sizes: int) -> Logging:
        settings = LogSettings(tmp_path / "logs" / "agent.log", level, as_json, **sizes)
        without_pytests_handlers()
        started.append(set_up_logging(settings, Secrets(*CANARIES), stderr=stderr))
        return started[-1]

    yield start
    for logging_ in started:
        logging_.undo()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "agent.log"


def record(
    message: str, *args: object, created: float = 1_736_951_525.25, error: BaseException | None = None
) -> None:
    """Log `message` as if at a given moment, 2025-01-15 14:32:05.25 UTC."""
    logger = logging.getLogger("agent.test")
    level = logging.INFO if error is None else logging.ERROR
    trace = None if error is None else (type(error), error, error.__traceback__)
    made = logger.makeRecord(logger.name, level, __file__, 1, message, args, trace)
    made.created, made.msecs = created, created % 1 * 1000
    logger.handle(made)


def test_a_line_for_people(start: Start, log: Path, stderr: io.StringIO) -> None:
    logging_ = start()
    record("RUNNING | %s", "ADA/USDT")
    logging_.close()
    assert log.read_text() == "[2025-01-15 14:32:05 UTC] [INFO] RUNNING | ADA/USDT\n"
    assert stderr.getvalue() == log.read_text()


def test_a_line_for_machines(start: Start, log: Path) -> None:
    logging_ = start(as_json=True)
    record("two\nlines, %d of them", 2)
    try:
        raise ValueError("broken")
    except ValueError as error:
        record("failed", error=error)
    logging_.close()
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert first == {
        "ts": "2025-01-15T14:32:05.250Z",
        "level": "INFO",
        "logger": "agent.test",
        "message": "two\nlines, 2 of them",
    }
    assert (second["level"], second["message"]) == ("ERROR", "failed")
    assert second["exception"].splitlines()[-1] == "ValueError: broken"


def test_text_from_outside_cannot_imitate_a_line_or_steer_a_terminal(start: Start, log: Path) -> None:
    logging_ = start()
    record("said: %s", "x\n[2025-01-15 14:32:05 UTC] [INFO] sold everything\r\x1b[2Jgone\x00\u2028end")
    logging_.close()
    first, second = log.read_text().split("\n")[:2]
    assert first == "[2025-01-15 14:32:05 UTC] [INFO] said: x"
    assert second == "    [2025-01-15 14:32:05 UTC] [INFO] sold everything\\x0d\\x1b[2Jgone\\x00\\x2028end"


def test_levels_are_kept_and_chatty_libraries_are_quiet(start: Start, log: Path) -> None:
    logging_ = start(level="DEBUG")
    logging.getLogger("agent.x").debug("seen")
    for name in ("httpx", "telegram", "telegram.ext.Application", "httpcore.http11"):
        logging.getLogger(name).info("GET https://api.telegram.org/bot%s/getUpdates", TOKEN)
        logging.getLogger(name).warning("%s is unwell", name)
    logging_.close()
    lines = [line.split("] ", 2)[2] for line in log.read_text().splitlines()]
    assert lines[0] == "seen"
    assert [line.split()[-1] for line in lines[1:]] == ["unwell"] * 4


def test_a_higher_level_silences_libraries_too(start: Start, log: Path) -> None:
    logging_ = start(level="ERROR")
    logging.getLogger("httpx").warning("no")
    logging.getLogger("agent").warning("no")
    logging.getLogger("agent").error("yes")
    logging_.close()
    assert log.read_text().endswith("[ERROR] yes\n")
    assert len(log.read_text().splitlines()) == 1


def test_the_file_and_its_folder_are_private_and_links_are_not_followed(
    start: Start, log: Path, tmp_path: Path
) -> None:
    start().close()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    log.unlink()
    os.symlink(tmp_path / "elsewhere", log)
    with pytest.raises(OSError, match="symbolic links"):
        start()


# --- secrets -------------------------------------------------------------------------------------


class Showy:
    """An object whose representation shows what it holds, as ccxt's `vars` would."""

    def __repr__(self) -> str:
        return f"<Exchange apiKey={KEY!r} password={PASSWORD!r}>"


def leak_everywhere() -> None:
    """Every way into a log line that we know of."""
    logger = logging.getLogger("agent.leak")
    for canary in CANARIES:
        logger.info(canary)
        logger.info("in args: %s and %r", canary, [canary])
        logger.info("in a mapping: %(key)s", {"key": canary})
        logger.info("in a URL: https://x/bot%s?key=%s", canary, urllib.parse.quote(canary, safe=""))
        logger.info("as a query: %s", urllib.parse.urlencode({"k": canary}))
        logger.info("as JSON: %s", json.dumps({"secret": canary, "list": [canary]}))
        logger.info("as bytes: %r", canary.encode())
        logger.info("as base64: %s", base64.b64encode(canary.encode()).decode())
        logger.info("wrong arguments %d", canary)
        logger.info("too many", canary)
        logging.getLogger(f"logger.{canary}").info("in a name")
        try:
            try:
                raise KeyError(canary)
            except KeyError as inner:
                raise RuntimeError(f"chained {canary}") from inner
        except RuntimeError:
            logger.exception("in a chain")
        try:
            raise ExceptionGroup("group", [ValueError(canary), OSError(5, canary)])
        except ExceptionGroup:
            logger.exception("in a group")
        try:
            raise ValueError("noted")
        except ValueError as error:
            error.add_note(f"note {canary}")
            logger.warning("with a note", exc_info=error)
        logger.info("stack", stack_info=True)
    logger.info("%s %r", Showy(), {"exchange": Showy()})


def unmasked(text: str) -> list[str]:
    """Canaries, and lines of canaries, that can be read in `text` in any spelling."""
    looked_for = [line for canary in CANARIES for line in canary.splitlines() if len(line) > 8]
    spellings = {
        spelling
        for line in looked_for
        for spelling in (
            line,
            urllib.parse.quote(line, safe=""),
            urllib.parse.quote_plus(line),
            json.dumps(line)[1:-1],
            repr(line)[1:-1],
            repr(line.encode())[2:-1],
            base64.b64encode(line.encode()).decode(),
        )
    }
    return [spelling for spelling in spellings if spelling in text]


@pytest.mark.parametrize("as_json", [False, True])
def test_no_canary_gets_through(
    start: Start, log: Path, stderr: io.StringIO, capfd: pytest.CaptureFixture[str], as_json: bool
) -> None:
    logging_ = start(as_json=as_json)
    leak_everywhere()
    logging_.close()
    leak_everywhere()  # after the end, to standard error
    written = log.read_text() + stderr.getvalue()
    out, err = capfd.readouterr()
    assert unmasked(written + out + err) == []
    assert (out, err) == ("", "")
    # Nothing was lost instead of masked.
    assert len(re.findall(r"\*\*\*", log.read_text())) > 60
    assert "RuntimeError: chained ***" in log.read_text()
    if as_json:
        for line in log.read_text().splitlines():
            json.loads(line)


def test_the_canary_test_can_fail() -> None:
    assert KEY in unmasked(f"the key is {KEY}")
    assert unmasked(json.dumps(PASSWORD)) != []
    assert unmasked("harmless") == []


def test_a_secret_that_is_learned_later_is_masked_from_then_on(stderr: io.StringIO) -> None:
    secrets = Secrets()
    logging_ = set_up_logging(LogSettings(None), secrets, stderr=stderr)
    secrets.add(KEY)
    logging.getLogger("agent").info("now %s", KEY)
    logging_.undo()
    assert "now ***\n" in stderr.getvalue()


def test_what_is_too_short_to_be_a_secret_does_not_blind_the_log() -> None:
    secrets = Secrets("", "a", "12345", "   ")
    secrets.add(None)
    assert secrets.redact("a 12345    b") == "a 12345    b"
    assert Secrets("123456").redact("x123456x") == "x***x"


def test_the_longest_secret_wins_over_one_inside_it() -> None:
    assert Secrets("secret", "secret-longer").redact("secret-longer secret") == "*** ***"


def test_an_argument_whose_code_raises_costs_its_line_and_nothing_else(start: Start, log: Path) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(KEY)

    logging_ = start()
    logging.getLogger("agent").info("value %r", Broken())
    logging_.close()
    assert log.read_text().endswith("[INFO] value %r (not formatted: RuntimeError)\n")


# --- crashes -------------------------------------------------------------------------------------

CRASHING = """
import sys, threading
from pathlib import Path
from agent.shell.logs import LogSettings, set_up_logging
from agent.shell.redaction import Secrets
set_up_logging(LogSettings(Path(sys.argv[1]) / "agent.log"), Secrets("canary-secret"))
def dies():
    raise ValueError("thread canary-secret")
thread = threading.Thread(target=dies)
thread.start(); thread.join()
class Closing:
    def __del__(self):
        raise OSError("finalizer canary-secret")
Closing()
try:
    raise KeyError("inner canary-secret")
finally:
    import logging
    logging.getLogger("agent").info("leaving")
"""


def test_an_uncaught_exception_is_logged_redacted_in_every_corner(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", CRASHING, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 1
    for text in (done.stderr, (tmp_path / "agent.log").read_text()):
        assert "canary-secret" not in text
        assert "[CRITICAL] uncaught ValueError" in text
        assert "ValueError: thread ***" in text
        assert "OSError: finalizer ***" in text
        assert text.index("leaving") < text.index("[CRITICAL] uncaught KeyError")
        assert "KeyError: 'inner ***'" in text


def test_warnings_go_to_the_log(start: Start, log: Path) -> None:
    logging_ = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated {KEY}", stacklevel=1)
    logging_.close()
    assert "[WARNING]" in log.read_text()
    assert "deprecated ***" in log.read_text()


def test_undo_leaves_the_process_as_it_was(start: Start) -> None:
    without_pytests_handlers()
    root = logging.getLogger()
    before = (root.level, list(root.handlers), sys.excepthook, threading.excepthook, sys.unraisablehook)
    start().undo()
    assert (
        root.level,
        list(root.handlers),
        sys.excepthook,
        threading.excepthook,
        sys.unraisablehook,
    ) == before


# --- rotation and trouble --------------------------------------------------------------------------


def test_a_full_file_is_set_aside_and_the_oldest_goes(start: Start, log: Path) -> None:
    logging_ = start(max_bytes=600, keep_files=2)
    for number in range(40):
        record("line %03d", number)
    logging_.close()
    names = sorted(p.name for p in log.parent.iterdir())
    assert names == ["agent.log", "agent.log.1", "agent.log.2"]
    assert all((log.parent / name).stat().st_size <= 600 for name in names)
    kept = "".join((log.parent / name).read_text() for name in reversed(names))
    numbers = [int(line[-3:]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 40))


def test_a_new_day_begins_a_new_file(start: Start, log: Path) -> None:
    logging_ = start()
    record("before midnight", created=1_736_985_599.0)
    record("after midnight", created=1_736_985_600.0)
    record("later", created=1_736_985_601.0)
    logging_.close()
    assert log.with_name("agent.log.1").read_text().endswith("[INFO] before midnight\n")
    assert [line.split("] ")[-1] for line in log.read_text().splitlines()] == ["after midnight", "later"]


def test_a_file_of_an_earlier_day_is_not_continued(start: Start, log: Path) -> None:
    log.parent.mkdir()
    log.write_text("yesterday\n")
    os.utime(log, (1_736_900_000, 1_736_900_000))
    logging_ = start()
    record("today", created=1_736_985_600.0)
    logging_.close()
    assert log.with_name("agent.log.1").read_text() == "yesterday\n"
    assert log.read_text().endswith("today\n")


def test_files_beyond_their_age_go_at_the_next_rotation(start: Start, log: Path) -> None:
    log.parent.mkdir()
    for number in (1, 2):
        log.with_name(f"agent.log.{number}").write_text("old\n")
        os.utime(log.with_name(f"agent.log.{number}"), (0, 0))
    logging_ = start(max_bytes=100, keep_days=7)
    for _ in range(4):
        record("x" * 60)
    logging_.close()
    assert "old\n" not in [p.read_text() for p in log.parent.iterdir()]


def test_a_full_disk_loses_lines_but_raises_nothing_and_recovers(
    start: Start, log: Path, stderr: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    logging_ = start()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        for number in range(20):
            record("line %03d %s", number, KEY)
        logging_._listener.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert logging_.dropped > 0
    assert len(stderr.getvalue().splitlines()) == 20
    logging_._listener.start()
    record("space again")
    logging_.close()
    assert log.read_text().endswith("space again\n")
    assert capfd.readouterr() == ("", "")


def test_a_log_that_ends_on_a_full_disk_ends_all_the_same(start: Start, log: Path) -> None:
    logging_ = start()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        record("a line that nothing takes")
        logging_.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert logging_.dropped > 0
    assert "nothing takes" not in log.read_text()


def test_a_closed_terminal_is_not_complained_about(start: Start, log: Path, stderr: io.StringIO) -> None:
    logging_ = start()
    stderr.close()
    record("still %s", "written")
    logging_.close()
    assert log.read_text().endswith("still written\n")
