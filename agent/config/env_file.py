"""The `.env` beside the configuration: who may have seen it, and what it says.

A file of keys is trusted only when it is ours, closed to others, no link, and out of git's reach; anything
else is refused with the command that repairs it. Values are read literally (no `$` expansion: a key may hold
one). What stays true: no message names a value, and the checks concern the very file that is read, because
they are made on the open descriptor.
"""

from __future__ import annotations

import difflib
import io
import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from agent.config.findings import shown_name, visible
from agent.config.plain_file import NotPlain, failure_text, read_plain_file
from agent.config.secret import Secret

MAX_BYTES: Final = 64 * 1024
_GIT_TIMEOUT_S: Final = 5

#: Every name the file may set.
ENV_NAMES: Final = (
    "EXCHANGE_API_KEY",
    "EXCHANGE_API_SECRET",
    "EXCHANGE_API_PASSPHRASE",
    "POLYGON_API_KEY",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_CHAT_ID",
    "TELEGRAM_USER_ID",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SMTP_FROM",
    "SMTP_TO",
    "LIVE_TRADING_CONFIRM",
)


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process that needs no key inherits: everything but the names above."""
    return {name: value for name, value in environment.items() if name not in ENV_NAMES}


class CredentialsRefused(Exception):  # noqa: N818 - a refusal, not a failure
    """A file of credentials exists but cannot be trusted or understood; `fix` says what to do."""

    def __init__(self, path: Path, reason: str, fix: str) -> None:
        super().__init__(f"{visible(path.name)}: {reason}; {fix}")
        self.path = path
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What a trusted file sets, and remarks about names that nothing reads."""

    values: Mapping[str, Secret]
    remarks: tuple[str, ...]


def read_env_file(path: Path) -> EnvFile | None:
    """Read the file, or None when there is none. Raises CredentialsRefused."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    _require_outside_git(path)
    try:
        return _parsed(path, content.decode("utf-8-sig"))
    except UnicodeDecodeError as broken:
        line = content[: broken.start].count(b"\n") + 1
    # Outside the except block: the decoder's error holds the content, and would travel along as context.
    raise CredentialsRefused(path, f"line {line} is not UTF-8", "save it as UTF-8")


def _content(path: Path) -> bytes:
    """The bytes of a file that is ours alone. Judged on the descriptor, so nobody can swap it in between."""
    if path.is_symlink():
        raise CredentialsRefused(path, "is a symbolic link", "put the file itself here")
    try:
        content, found = read_plain_file(path, MAX_BYTES, follow_links=False)
    except FileNotFoundError:
        raise
    except NotPlain as refused:
        raise CredentialsRefused(path, str(refused), "put a plain file here") from None
    except OSError as failure:
        reason = f"cannot be read: {failure_text(failure)}"
        raise CredentialsRefused(path, reason, "it must belong to the user the agent runs as") from None
    _require_private(path, found)
    if len(content) > MAX_BYTES:
        raise CredentialsRefused(path, f"has more than {MAX_BYTES} bytes", "keep only the NAME=value lines")
    return content


def _require_private(path: Path, found: os.stat_result) -> None:
    if os.name != "posix":
        return  # Elsewhere mode bits say nothing; the keyring is the place for keys there.
    if found.st_uid != os.geteuid():
        reason = "belongs to another user, who could change it"
        raise CredentialsRefused(path, reason, "run: chown $(id -un) " + visible(path.name))
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        reason = f"others may read or change it (mode {mode:04o})"
        raise CredentialsRefused(
            path, reason, f"run: chmod 600 {visible(path.name)}; replace keys others may have read"
        )


def _require_outside_git(path: Path) -> None:
    """Refuse a file that git tracks, or would pick up with the next `git add`."""
    folder = path.absolute().parent
    if not any(os.path.exists(parent / ".git") for parent in (folder, *folder.parents)):
        return
    if _git(folder, "ls-files", "--error-unmatch", "--", f"./{path.name}") == 0:
        fix = f"run: git rm --cached {visible(path.name)}, add it to .gitignore, and replace the keys"
        raise CredentialsRefused(path, "is tracked by git: its keys are in the history", fix)
    ignored = _git(folder, "check-ignore", "--quiet", "--", f"./{path.name}")
    if ignored == 1:
        raise CredentialsRefused(path, "is not ignored by git", f"add {visible(path.name)} to .gitignore")
    if ignored != 0:
        reason = "lies in a git work tree, and git cannot be asked whether it is ignored"
        raise CredentialsRefused(path, reason, "install git, own the work tree, or move the file out of it")


def _git(folder: Path, *arguments: str) -> int:
    """Exit status of a read-only git command in `folder`; 128 when git cannot be run.

    The repository's own file-system monitor is not started: its configuration is not ours to execute.
    """
    inherited = without_credentials(os.environ)
    environment = {k: v for k, v in inherited.items() if not k.startswith("GIT_")}
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 128
    return done.returncode


def _parsed(path: Path, text: str) -> EnvFile:
    values: dict[str, Secret] = {}
    remarks: list[str] = []
    for binding in parse_stream(io.StringIO(text)):
        name = binding.key
        line = binding.original.line + _blank_lines_before(binding.original.string)
        if binding.error:
            raise CredentialsRefused(path, f"line {line} is not NAME=value", "correct or remove the line")
        if name is None:
            continue
        if name not in ENV_NAMES:
            remarks.append(f"line {line}: {shown_name(name)} is not read{_meant(name)}")
        elif name in values:
            raise CredentialsRefused(
                path, f"line {line} sets {name} a second time", "keep one of the two lines"
            )
        elif is_set(binding.value):
            values[name] = Secret(binding.value or "")
    return EnvFile(values, tuple(remarks))


def _blank_lines_before(statement: str) -> int:
    """The parser counts blank lines above a statement as its beginning."""
    return statement.count("\n") - statement.lstrip().count("\n")


def is_set(value: str | None) -> bool:
    """Whether a value is more than nothing or the example's placeholder."""
    return bool(value and value.strip()) and not (value or "").startswith("YOUR_")


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name.upper(), ENV_NAMES, 1, 0.75) if len(name) <= 60 else []
    return f"; did you mean {near[0]}?" if near else ""
