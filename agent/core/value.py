"""What every value of the core is: a frozen record, equal to another one of its kind with equal fields.

A busy engine makes some hundred of them for every bar, and a frozen dataclass sets each field by a call of
its own. These are compiled (msgspec's `Struct`): a tenth of the time to make one, a twentieth to change a
field of a copy. The functions of `dataclasses` (`fields`, `replace`, `asdict`) know them all the same, so
whoever reads a record need not care how it is made. Other parts make theirs of it where they make many.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, field, make_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import NODEFAULT, Struct, structs

if TYPE_CHECKING:
    # The same, and a type checker knows the names and types of the fields.
    from dataclasses import replace
else:
    replace = structs.replace

__all__ = ["Value", "replace"]


class _Fields:
    """What `dataclasses` keeps at a class of its own, made when somebody asks for it."""

    def __get__(self, value: object, kind: type[Value]) -> dict[str, Field[Any]]:
        return _described(kind)


class Value(Struct, frozen=True):
    """Annotate the fields as in a dataclass. `replace` makes a changed copy and asserts as the constructor
    does; a mutable default is copied for each."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]] = _Fields()  # type: ignore[assignment]


@cache
def _described(kind: type[Value]) -> dict[str, Field[Any]]:
    columns = []
    for of in structs.fields(kind):
        default: Any = MISSING if of.default is NODEFAULT else of.default
        factory: Any = MISSING if of.default_factory is NODEFAULT else of.default_factory
        columns.append((of.name, of.type, field(default=default, default_factory=factory)))
    described: dict[str, Field[Any]] = make_dataclass(kind.__name__, columns).__dict__["__dataclass_fields__"]
    return described
