"""Reading what orders are made of, as strictly as the real exchange does.

Belongs here: amounts, words and ids out of `Parameters`, each with its refusal. Stays true: an amount has at
most eight decimals (-1111) and no sign, exponent or blank (-1100); nothing is ever rounded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from agent.localexchange.parameters import Parameters, RejectionError, illegal

_AMOUNT: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_AMOUNT_LEGAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_CLIENT_ID: Final = re.compile(r"[a-zA-Z0-9\-_]{1,36}")
_CLIENT_ID_LEGAL: Final = "^[a-zA-Z0-9-_]{1,36}$"
_DECIMALS: Final = 8
_FEWEST_STRATEGY: Final = 1_000_000

Word = TypeVar("Word", bound=StrEnum)


def amount(parameters: Parameters, name: str) -> Decimal | None:
    """A price or a quantity."""
    text = parameters.text(name)
    if text is None:
        return None
    if not _AMOUNT.fullmatch(text):
        raise illegal(name, _AMOUNT_LEGAL)
    if len(text.partition(".")[2]) > _DECIMALS:
        raise RejectionError(-1111, f"Parameter '{name}' has too much precision.")
    return Decimal(text)


def word(parameters: Parameters, name: str, words: type[Word], otherwise: RejectionError) -> Word | None:
    """One of an enumeration's words."""
    text = parameters.text(name)
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        raise otherwise from None


def client_id(parameters: Parameters, name: str) -> str | None:
    text = parameters.text(name)
    if text is not None and not _CLIENT_ID.fullmatch(text):
        raise illegal(name, _CLIENT_ID_LEGAL)
    return text


def strategy(parameters: Parameters, id_name: str, type_name: str) -> tuple[int | None, int | None]:
    """The label of a strategy: its id and its type."""
    strategy_id, strategy_type = parameters.whole(id_name), parameters.whole(type_name)
    if strategy_type is not None and strategy_type < _FEWEST_STRATEGY:
        raise RejectionError(-1134, f"'{type_name}' was less than {_FEWEST_STRATEGY}.")
    return strategy_id, strategy_type


def flag(parameters: Parameters, name: str) -> bool:
    text = parameters.text(name)
    if text is None:
        return False
    if text.lower() not in ("true", "false"):
        raise illegal(name, "^(true|false)$")
    return text.lower() == "true"
