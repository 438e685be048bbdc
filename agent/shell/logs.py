"""The program's log: `logs/agent.log` and standard error, for people or for machines, without secrets.

Secrets are taken out of the finished line, after arguments, exceptions and tracebacks were put into it, so
that no way into a log line goes around it. Handlers write on a thread of their own through a bounded queue:
a slow or full disk delays no order. What a log cannot take is counted and dropped, never raised.
"""

from __future__ import annotations

import atexit
import json
import logging
import logging.handlers
import os
import queue
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from agent.shell.redaction import Secrets

MAX_BYTES: Final = 10 * 1024 * 1024
KEEP_FILES: Final = 14
KEEP_DAYS: Final = 90
_QUEUE_LINES: Final = 10_000
#: They log every request with its URL, and a URL can hold a token.
_QUIET: Final = ("httpx", "httpcore", "telegram", "urllib3", "aiohttp.access", "asyncio", "alembic")
#: Everything that could end a line or steer a terminal, except the tab.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`file` None: standard error only. `level` is one of logging's names."""

    file: Path | None
    level: str = "INFO"
    as_json: bool = False
    max_bytes: int = MAX_BYTES
    keep_files: int = KEEP_FILES
    keep_days: int = KEEP_DAYS


class LineFormatter(logging.Formatter):
    """`[2025-01-15 14:32:05 UTC] [INFO] message`; what follows on further lines is indented."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        body = self._secrets.redact(_message(record) + _trace(self, record))
        # A line that begins with a bracket is ours: text from outside cannot imitate one.
        indented = _CONTROL.sub(_escaped, body).replace("\n", "\n    ")
        return f"[{moment:%Y-%m-%d %H:%M:%S} UTC] [{record.levelname}] {indented}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts (ISO 8601 UTC), level, logger, message, and exception if there was one."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "ts": f"{moment:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": self._secrets.redact(record.name),
            "message": self._secrets.redact(_message(record)),
        }
        trace = _trace(self, record)
        if trace:
            line["exception"] = self._secrets.redact(trace.strip())
        return json.dumps(line)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - an argument's own code may raise anything
        # logging's own complaint would print the arguments, secrets included, to standard error.
        return f"{record.msg if isinstance(record.msg, str) else ''} (not formatted: {type(error).__name__})"


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = ""
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + formatter.formatException(record.exc_info)
    if record.stack_info:
        text += "\n" + formatter.formatStack(record.stack_info)
    return text


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


class RotatingLog(logging.handlers.RotatingFileHandler):
    """A private file that starts anew when it is full or a UTC day is over; old ones go by number and age."""

    def __init__(self, settings: LogSettings, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keep_s = settings.keep_days * _DAY_S
        self._now_s = 0.0
        self._day: int | None = int(path.stat().st_mtime) // _DAY_S if path.exists() else None
        super().__init__(
            path,
            maxBytes=settings.max_bytes,
            backupCount=settings.keep_files,
            encoding="utf-8",
            errors="replace",
        )
        self.dropped = 0

    def _open(self) -> Any:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        self._now_s = record.created
        day, before = int(self._now_s) // _DAY_S, self._day
        self._day = day
        return (before is not None and day > before) or bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        super().doRollover()
        name = Path(self.baseFilename)
        for old in name.parent.glob(name.name + ".*"):
            if old.stat().st_mtime < self._now_s - self._keep_s:
                old.unlink(missing_ok=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self.dropped += 1

    def close(self) -> None:
        """A full disk may refuse the last lines once more; that ends nothing but the log."""
        try:
            super().close()
        except OSError:
            self.dropped += 1


class _StderrLog(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A closed terminal is no reason to print a traceback to it."""


class _Followed(logging.Handler):
    """Gives every line to a listener, on the thread that writes the log."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(self.format(record))


class _Queueing(logging.handlers.QueueHandler):
    def __init__(self, lines: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(lines)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # Arguments may change before the other thread looks at them; the text may not.
        record.msg, record.args = _message(record), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self.dropped += 1


class Logging:
    """All logging, warnings and uncaught exceptions of this process. Made by `set_up_logging`."""

    def __init__(self, stderr: logging.Handler, file: RotatingLog | None, level: str) -> None:
        self._stderr, self._file = stderr, file
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LINES)
        self._queueing = _Queueing(lines)
        targets = (stderr,) if file is None else (stderr, file)
        self._listener = logging.handlers.QueueListener(lines, *targets)
        self._open = True
        self._undo = _install(level)
        logging.getLogger().addHandler(self._queueing)
        self._listener.start()
        # An uncaught exception is reported after every `finally`, so the queue must outlive them.
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """Lines that the queue or the file could not take."""
        return self._queueing.dropped + (self._file.dropped if self._file else 0)

    def follow(self, hear: Callable[[str], None]) -> None:
        """Let `hear` have every line from now on, as it stands in the file; called on the log's thread."""
        follower = _Followed(hear)
        follower.setFormatter(self._stderr.formatter)
        self._listener.handlers = (*self._listener.handlers, follower)

    def close(self) -> None:
        """Write what is queued and close the file. Later lines go to standard error only, redacted."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        root = logging.getLogger()
        root.addHandler(self._stderr)
        root.removeHandler(self._queueing)
        self._listener.stop()
        if self._file is not None:
            self._file.close()

    def undo(self) -> None:
        """Close, and leave the process as it was before: for programs that go on to do something else."""
        self.close()
        logging.getLogger().removeHandler(self._stderr)
        self._undo()


def set_up_logging(settings: LogSettings, secrets: Secrets, *, stderr: TextIO | None = None) -> Logging:
    """Send everything to the file and to standard error, redacted. Raises OSError without the file."""
    formatter = JsonFormatter(secrets) if settings.as_json else LineFormatter(secrets)
    to_stderr = _StderrLog(stderr or sys.stderr)
    to_stderr.setFormatter(formatter)
    to_file = None if settings.file is None else RotatingLog(settings, settings.file)
    if to_file is not None:
        to_file.setFormatter(formatter)
    return Logging(to_stderr, to_file, settings.level)


def _install(level: str) -> Callable[[], None]:
    """Set levels, and log warnings and uncaught exceptions. Returns what undoes it."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", *_QUIET)}
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    crash = logging.getLogger("crash")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            crash.critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            uncaught(args.exc_type, args.exc_value, args.exc_traceback)

    def unraisable(args: Any) -> None:
        error = args.exc_value
        if error is not None:
            trace = (type(error), error, args.exc_traceback)
            crash.error("%s %r", args.err_msg or "exception ignored in", args.object, exc_info=trace)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable

    def undo() -> None:
        logging.captureWarnings(False)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        for name, known in levels.items():
            logging.getLogger(name).setLevel(known)

    return undo
