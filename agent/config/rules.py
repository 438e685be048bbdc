"""Rules for a single value: its type, its range, and what to say to the trader who typed another.

Each function returns an annotation for a model field. The rule takes what `strict_json` read and returns the
field's value, or refuses with a reason and a fix. Nothing is converted silently: `true` is no number, `"5"`
is no number, 2.5 is no count. Numbers stay Decimal until a field that is float by definition takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from agent.config.findings import JsonValue
from agent.config.secret import Secret

REFUSAL: Final = "refused"
"""The error type of every rule; its context holds `reason` and `fix`."""

_NUMBER_AS_TEXT: Final = re.compile(r"\s*([-+]?\d{1,20}(?:[.,]\d{1,20})?)\s*([%A-Za-z]{0,12})\s*", re.ASCII)
_YES: Final = frozenset({"true", "yes", "y", "on", "1"})
_NO: Final = frozenset({"false", "no", "n", "off", "0"})


def refused(reason: str, fix: str) -> PydanticCustomError:
    """The error a rule raises; the value itself is added by the check, if it may be shown."""
    return PydanticCustomError(REFUSAL, "refused", {"reason": reason, "fix": fix})


@dataclass(frozen=True, slots=True)
class _Range:
    """Bounds of a number, inclusive unless named otherwise, and their wording."""

    noun: str
    low: Decimal | None = None
    high: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{self.noun} from {self.low} to {self.high}"
        words = {"of at least": self.low, "of at most": self.high, "above": self.above, "below": self.below}
        bounds = [f"{word} {bound}" for word, bound in words.items() if bound is not None]
        return " ".join([self.noun, " and ".join(bounds)]).strip()

    def __contains__(self, number: Decimal) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


def whole(low: int, high: int | None = None) -> PlainValidator:
    """An int from `low` to `high`. 96.0 is one too; 96.5 is not."""
    allowed = _Range("a whole number", Decimal(low), None if high is None else Decimal(high))

    def rule(value: JsonValue) -> int:
        number = _number(value, allowed)
        if number not in allowed:
            raise _outside(allowed)
        if number != number.to_integral_value():
            raise refused("must be a whole number", f"write {allowed}")
        return int(number)

    return PlainValidator(rule)


def amount(
    low: str | None = None, high: str | None = None, *, above: str | None = None, below: str | None = None
) -> PlainValidator:
    """A Decimal within bounds. Bounds are text, as every Decimal is born from text."""
    return PlainValidator(_ranged("a number", low, high, above, below))


def percentage(low: str, high: str) -> PlainValidator:
    """A Decimal in percent: 1 means 1 %, not 100 %."""
    rule = _ranged("a percentage", low, high)

    def with_hint(value: JsonValue) -> Decimal:
        if isinstance(value, Decimal) and Decimal(low) / 100 <= value < Decimal(low):
            asked = f"{(value * 100).normalize():f}"
            reason = f"must be a percentage from {low} to {high}; 1 means 1 %"
            raise refused(reason, f"write {asked} if you mean {asked} %")
        return rule(value)

    return PlainValidator(with_hint)


def real(low: str | None = None, high: str | None = None, *, above: str | None = None) -> PlainValidator:
    """A float, for thresholds, costs and statistics."""
    rule = _ranged("a number", low, high, above)
    return PlainValidator(lambda value: float(str(rule(value))))


def number_in(*allowed: str) -> PlainValidator:
    """A float that is one of `allowed`; 61.8 for 0.618 gets its own hint."""
    choices = [Decimal(text) for text in allowed]
    listed = "one of " + ", ".join(allowed)

    def rule(value: JsonValue) -> float:
        number = _number(value, _Range(listed))
        if number in choices:
            return float(str(number))
        nearest = min(choices, key=lambda choice: abs(choice - number))
        if number in [choice * 100 for choice in choices]:
            nearest = choices[[choice * 100 for choice in choices].index(number)]
        raise refused(f"must be {listed}", f"write {nearest}")

    return PlainValidator(rule)


def flag() -> PlainValidator:
    """true or false, nothing that resembles them."""

    def rule(value: JsonValue) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int | Decimal) else ""
        fix = "write true without quotes" if word in _YES else "write true or false without quotes"
        raise refused(not_a("true or false", value), "write false without quotes" if word in _NO else fix)

    return PlainValidator(rule)


def one_of(*allowed: str, hint: Callable[[str], str | None] | None = None) -> PlainValidator:
    """One of a few words. `hint` maps what people write instead to the word they mean."""
    listed = ", ".join(f'"{word}"' for word in allowed)

    def rule(value: JsonValue) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        meant = _meant(value, allowed, hint)
        fix = f'write "{meant}"' if meant else f"write one of {listed}"
        reason = f"must be one of {listed}" if isinstance(value, str) else not_a("text", value)
        raise refused(reason, fix)

    return PlainValidator(rule)


def _meant(
    value: JsonValue, allowed: tuple[str, ...], hint: Callable[[str], str | None] | None
) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    for word in allowed:
        if _bare(word) == _bare(text):
            return word
    return hint(text) if hint and len(text) <= 40 else None


def _bare(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()


def text(longest: int = 200) -> PlainValidator:
    """Free text of at most `longest` characters."""

    def rule(value: JsonValue) -> str:
        if not isinstance(value, str):
            raise refused(not_a("text", value), "write text between double quotes")
        if len(value) > longest:
            raise refused(f"has {len(value)} characters", f"shorten it to {longest} characters")
        return value

    return PlainValidator(rule)


def placeholder(expected: str | None, env_name: str) -> PlainValidator:
    """A place where the exporter leaves `expected`; a credential here is refused and never repeated."""
    kept = "null" if expected is None else f'"{expected}"'

    def rule(value: JsonValue) -> str | None:
        if value == expected and not isinstance(value, bool):
            return expected
        if value is None or value == "":
            raise refused("the placeholder is missing", f"write {kept} here; credentials belong in .env")
        reason = "a credential must not stand in the configuration file"
        fix = (
            f"move it to .env as {env_name}=... and write {kept} here; replace the key if the file was shared"
        )
        raise refused(reason, fix)

    return PlainValidator(rule)


def address(*schemes: str) -> PlainValidator:
    """A URL with one of `schemes`, perhaps with a driver (`postgresql+psycopg`).

    It may carry a token, so it becomes a Secret.
    """
    listed = ", ".join(f"{scheme}://..." for scheme in schemes)

    def rule(value: JsonValue) -> Secret:
        if not isinstance(value, str):
            raise refused(not_a("text", value), f"write an address like {listed}, or null")
        scheme, found, rest = value.partition("://")
        known = scheme.partition("+")[0] in schemes
        if not (found and known and rest) or len(value) > 2000 or not value.isprintable():
            named = found and not known and scheme.isalnum() and len(scheme) <= 16
            reason = f"begins with {scheme}://, which is not used here" if named else "is no address"
            raise refused(reason, f"write an address like {listed}, or null")
        return Secret(value)

    return PlainValidator(rule)


def or_null(rule: PlainValidator) -> PlainValidator:
    """The same rule, where null means that nothing is set."""
    inner: Callable[[Any], Any] = rule.func  # type: ignore[assignment]
    return PlainValidator(lambda value: None if value is None else inner(value))


def _ranged(
    noun: str,
    low: str | None = None,
    high: str | None = None,
    above: str | None = None,
    below: str | None = None,
) -> Callable[[JsonValue], Decimal]:
    allowed = _Range(
        noun, *(None if bound is None else Decimal(bound) for bound in (low, high, above, below))
    )

    def rule(value: JsonValue) -> Decimal:
        number = _number(value, allowed)
        if number not in allowed:
            raise _outside(allowed)
        return number

    return rule


def _number(value: JsonValue, allowed: _Range) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refused(not_a("a number", value), _number_fix(value, allowed))
    return Decimal(value)


def _number_fix(value: JsonValue, allowed: _Range) -> str:
    """What to write instead of text that holds a number: "5", "5%", "0,5", "15 min"."""
    found = _NUMBER_AS_TEXT.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return f"write {allowed}, without quotes"
    plain = found.group(1).replace(",", ".").removeprefix("+")
    return f"write {plain} without quotes" + (" and without a unit" if found.group(2) else "")


def _outside(allowed: _Range) -> PydanticCustomError:
    return refused(f"must be {allowed}", f"write {allowed}")


_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "a number",
    Decimal: "a number",
    list: "a list",
    dict: "an object",
}


def not_a(expected: str, value: JsonValue) -> str:
    """`must be text, not a number`: what a value of another type is told."""
    kind = _KINDS.get(type(value), "something else")
    if isinstance(value, bool):
        kind = "true" if value else "false"
    return f"must be {expected}, not {kind}"
