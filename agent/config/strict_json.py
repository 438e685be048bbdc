"""Strict JSON that says where it stumbles.

Python's own reader accepts duplicate keys (the last wins, so a hidden second `paper_trading` would decide),
NaN, 1e999, lone surrogates and any depth, and names no key. This one reads RFC 8259 and nothing else, within
limits, and recognises what people write by hand: comments, trailing commas, single quotes, decimal commas.

How it works: one pass, recursive (the depth is capped). A mistake it can step over becomes a `Flaw` and
reading goes on, so that the user sees all of them; the key concerned is left out of `value`. A mistake that
makes the rest a guess ends the reading with a last flaw and `value` None. No message repeats more of the file
than a single character or a key's name.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NoReturn

from agent.config.findings import JsonValue, dotted, visible

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 20
MAX_DIGITS: Final = 40
MAX_NUMBER_LENGTH: Final = 64
MAX_FLAWS: Final = 100

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN_TEXT: Final = re.compile(r'[^"\\\x00-\x1f]*')
_WORD: Final = re.compile(r"[-+]?[A-Za-z_][A-Za-z0-9_]*")
_COMMENT: Final = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_FOUR_HEX: Final = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity", "-nan", "-inf", "-infinity", "+inf", "+infinity"})


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the text. `path` is the key it belongs to, `line` and `column` count from 1.

    `breaks_grammar` tells text that is no JSON at all from JSON that this reader refuses.
    """

    path: Path
    line: int
    column: int
    reason: str
    fix: str
    breaks_grammar: bool

    @property
    def place(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: the value (None when reading had to end), the flaws, and the line of every key."""

    value: JsonValue
    flaws: tuple[Flaw, ...]
    lines: dict[Path, int] = field(default_factory=dict)


def read(content: str | bytes) -> Document:
    """Read one JSON document. Never raises for any content."""
    size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        reason = f"the file has {size:,} bytes, a configuration has at most {MAX_BYTES:,}"
        return _refused(reason, "export the configuration again", breaks_grammar=False)
    if isinstance(content, bytes):
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4]:
            return _refused("the file is UTF-16, not UTF-8", "save it as UTF-8 (without BOM)")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as broken:
            before = content[: broken.start]
            line, column = before.count(b"\n") + 1, broken.start - before.rfind(b"\n")
            reason = f"line {line}, byte {column} of the line is not UTF-8"
            return _refused(reason, "save the file as UTF-8", line, column)
    else:
        text = content
    if text.startswith("\ufeff"):
        return _refused("the file starts with a byte order mark (BOM)", "save it as UTF-8 without BOM")
    return _Reader(text).document()


def _refused(
    reason: str, fix: str, line: int = 1, column: int = 1, *, breaks_grammar: bool = True
) -> Document:
    return Document(None, (Flaw((), line, column, reason, fix, breaks_grammar),))


class _Ended(Exception):  # noqa: N818 - steers the reading
    """Reading cannot go on; the flaw that says why is recorded."""


class _Skipped(Exception):  # noqa: N818 - steers the reading
    """The value here is flawed and left out; reading goes on behind it."""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.path: list[str | int] = []
        self.flaws: list[Flaw] = []
        self.lines: dict[Path, int] = {}
        self._line, self._line_start, self._counted = 1, 0, 0

    def document(self) -> Document:
        try:
            if not self.peek():
                self.end("the file is empty", "export the configuration again")
            try:
                value = self.value()
            except _Skipped:
                value = None
            if self.peek():
                self.end(
                    "there is something behind the end of the document",
                    "keep one { ... } and remove the rest",
                )
        except _Ended:
            value = None
        return Document(value, tuple(self.flaws), self.lines)

    # --- where we are, and what is wrong there

    def place(self, at: int) -> tuple[int, int]:
        """Line and column, counting onwards from the last place asked for."""
        if at < self._counted:
            self._line, self._line_start, self._counted = 1, 0, 0
        breaks = self.text.count("\n", self._counted, at)
        if breaks:
            self._line += breaks
            self._line_start = self.text.rfind("\n", self._counted, at) + 1
        self._counted = at
        return self._line, at - self._line_start + 1

    @property
    def here(self) -> str:
        return dotted(self.path) if self.path else "the document"

    def note(self, reason: str, fix: str, at: int | None = None, *, breaks_grammar: bool = True) -> None:
        line, column = self.place(self.at if at is None else at)
        self.flaws.append(Flaw(tuple(self.path), line, column, reason, fix, breaks_grammar))
        if len(self.flaws) >= MAX_FLAWS:
            raise _Ended

    def end(self, reason: str, fix: str, at: int | None = None, *, breaks_grammar: bool = True) -> NoReturn:
        self.note(reason, fix, at, breaks_grammar=breaks_grammar)
        raise _Ended

    def peek(self) -> str:
        """The next character that matters, empty at the end of the text."""
        while True:
            blank = _BLANK.match(self.text, self.at)
            assert blank
            self.at = blank.end()
            comment = _COMMENT.match(self.text, self.at)
            if not comment:
                return self.text[self.at : self.at + 1]
            self.note("a comment: JSON has none", "remove the comment")
            self.at = comment.end()

    # --- values

    def value(self) -> JsonValue:
        first = self.peek()
        if first in ("{", "["):
            if len(self.path) >= MAX_DEPTH:
                fix = "no part of a configuration is nested so deep; export it again"
                self.end(f"nested deeper than {MAX_DEPTH} levels", fix, breaks_grammar=False)
            return self.object() if first == "{" else self.array()
        if first == '"':
            return self.string()
        if first.isascii() and (first.isdigit() or first == "-") and not _WORD.match(self.text, self.at):
            return self.number()
        return self.word(first)

    def word(self, first: str) -> JsonValue:
        found = _WORD.match(self.text, self.at)
        if not found:
            self.odd_value(first)
        word = found.group()
        if word in _WORDS:
            self.at = found.end()
            return _WORDS[word]
        if word.lower() in _NOT_FINITE:
            self.note("NaN and Infinity are no numbers in JSON", "write a finite number")
        elif word.lower() in ("true", "false", "null", "none"):
            right = "null" if word.lower() == "none" else word.lower()
            self.note(f"JSON writes this word as {right}", f"write {right}")
        else:
            self.end("a word without quotes", 'put text between double quotes: "text"')
        self.at = found.end()
        raise _Skipped

    def odd_value(self, first: str) -> NoReturn:
        if not first:
            self.end(f"the file ends inside {self.here}", _CUT_SHORT)
        if first in "'`‘’“”„":
            self.end("text stands between the wrong quotes", 'use straight double quotes: "text"')
        if first in "}],":
            self.end("a value is missing here", "write the value, or remove the key")
        if first in ".+":
            self.end(f"a number cannot start with {first}", "write it like 0.5 or 5")
        self.end(f"unexpected character {visible(first)}", "write a number, true, false, null or quoted text")

    def number(self) -> JsonValue:
        found = _NUMBER.match(self.text, self.at)
        if not found:
            self.end("a minus sign without a number", "write the number directly behind it")
        start, token = self.at, found.group()
        self.at = found.end()
        follows = self.text[self.at : self.at + 1]
        if follows and follows not in " \t\r\n,]}/#":
            self.end(*_BEHIND_NUMBER.get(follows, _ODD_NUMBER), at=start)
        mantissa = re.split("[eE]", token)[0]
        digits = len(mantissa.lstrip("-").replace(".", "").strip("0"))
        if digits > MAX_DIGITS or len(token) > MAX_NUMBER_LENGTH:
            reason = f"a number of {digits} digits"
            self.note(reason, f"write it with at most {MAX_DIGITS}", start, breaks_grammar=False)
            raise _Skipped
        if not (found.group(1) or found.group(2)):
            return int(token)
        nearest = float(token)
        if digits == 0:
            return Decimal(0)
        if nearest == 0.0 or math.isinf(nearest):
            reason = "a number beyond what a computer can hold exactly enough"
            self.note(reason, "write a number between 1e-300 and 1e300", start, breaks_grammar=False)
            raise _Skipped
        return Decimal(token)

    def string(self) -> str:
        """Text between double quotes, from its opening quote on."""
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            chunk = _PLAIN_TEXT.match(self.text, self.at)
            assert chunk
            parts.append(chunk.group())
            self.at = chunk.end()
            stop = self.text[self.at : self.at + 1]
            if stop == '"':
                self.at += 1
                break
            if stop != "\\":
                reason = _UNCLOSED.get(stop, "a control character inside the text that starts here")
                self.end(reason, 'close the text with "', start)
            parts.append(self.escape())
        text = "".join(parts)
        if _SURROGATE.search(text):
            reason = "half of a surrogate pair: not a character"
            self.note(reason, "remove it, or write the character itself", start, breaks_grammar=False)
            raise _Skipped
        return text

    def escape(self) -> str:
        r"""One character behind a backslash; `\ud83d\ude00` is one character too."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter in _ESCAPES:
            self.at += 2
            return _ESCAPES[letter]
        unit = self.code_unit(self.at)
        if unit is None:
            self.end("a backslash that means nothing here", r"write \\ for one backslash")
        self.at += 6
        if 0xD800 <= unit < 0xDC00:
            low = self.code_unit(self.at)
            if low is not None and 0xDC00 <= low < 0xE000:
                self.at += 6
                return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        return chr(unit)

    def code_unit(self, at: int) -> int | None:
        if not self.text.startswith("\\u", at):
            return None
        digits = _FOUR_HEX.match(self.text, at + 2)
        return int(digits.group(), 16) if digits else None

    # --- containers

    def array(self) -> list[JsonValue]:
        self.at += 1
        items: list[JsonValue] = []
        while self.more("]", first=not items, opened="["):
            self.path.append(len(items))
            try:
                items.append(self.value())
            except _Skipped:
                items.append(None)
            self.path.pop()
        return items

    def object(self) -> dict[str, JsonValue]:
        self.at += 1
        members: dict[str, JsonValue] = {}
        first = True
        while self.more("}", first=first, opened="{"):
            first = False
            start = self.at
            name = self.name()
            self.path.append(name if name is not None else "(unreadable)")
            known = name is not None and tuple(self.path) in self.lines
            if known:
                reason = f"the key stands twice, first on line {self.lines[tuple(self.path)]}"
                self.note(reason, "keep one of the two", start, breaks_grammar=False)
            elif name is not None:
                self.lines[tuple(self.path)] = self.place(start)[0]
            if self.peek() != ":":
                self.end("a colon is missing behind the key", 'write "key": value')
            self.at += 1
            try:
                value = self.value()
                if name is not None and not known:
                    members[name] = value
            except _Skipped:
                pass
            self.path.pop()
        return members

    def name(self) -> str | None:
        """The name of a member, None when it is flawed in a way that can be stepped over."""
        first = self.peek()
        if first == '"':
            try:
                return self.string()
            except _Skipped:
                return None
        if first.isdigit():
            self.end(*_DECIMAL_COMMA)
        if first in "'`‘’“”„" and first:
            self.end("a key stands between the wrong quotes", 'use straight double quotes: "key"')
        if not first:
            self.odd_value(first)
        self.end("a key between double quotes is expected here", 'write "key": value')

    def more(self, close: str, *, first: bool, opened: str) -> bool:
        """Whether another item follows; steps over the comma before it, or over the closing bracket."""
        found = self.peek()
        if found == close:
            self.at += 1
            return False
        if first:
            return True
        if found != ",":
            self.no_comma(found, close, opened)
        comma = self.at
        self.at += 1
        if self.peek() != close:
            return True
        self.note(f"a comma before the closing {close}", "remove that comma", comma)
        self.at += 1
        return False

    def no_comma(self, found: str, close: str, opened: str) -> NoReturn:
        if not found:
            reason = f"the file ends before {self.here} is closed: a {close} is missing"
            self.end(reason, _CUT_SHORT)
        if found in "}]":
            self.end(f"{found} closes what {opened} opened", f"write {close} here")
        if found.isalpha():
            self.end("a word behind a value: a unit?", "write the number alone, or the text between quotes")
        self.end("a comma is missing before this", "put a comma behind the value above")


_CUT_SHORT: Final = "it is cut short: export the configuration again"
_UNCLOSED: Final = {
    "": "the file ends inside a text that starts here",
    "\n": "the line ends inside a text that starts here",
    "\r": "the line ends inside a text that starts here",
}
_DECIMAL_COMMA: Final = ("a number stands where a key belongs: a decimal comma?", "write 0.5, not 0,5")
_ODD_NUMBER: Final = ("a number with something attached", "write digits only, like 15 or 0.5")
_BEHIND_NUMBER: Final = {
    "%": ("a number with a % sign", "write the number alone: the key says that it is a percentage"),
    "_": ("a number with separators", "write the digits without separators: 10000"),
    ".": ("a number with a misplaced point", "write it like 10000.5, without thousands separators"),
    **dict.fromkeys("0123456789", ("a number with leading zeros", "remove the leading zeros")),
}
