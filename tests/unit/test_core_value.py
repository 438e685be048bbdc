"""Values: frozen, compared by their fields, and known to the functions of `dataclasses`."""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import pkgutil
from collections.abc import Iterator, Mapping

import pytest
from msgspec import field

from agent import core
from agent.core.value import Value, replace


class Lot(Value, frozen=True):
    qty: int
    note: str = "none"
    fees: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.qty > 0, "a lot needs a quantity"


class Marked(Lot, frozen=True):
    mark: bool = False


def test_no_field_of_a_value_can_be_changed() -> None:
    lot = Lot(1)
    for change in (lambda: setattr(lot, "qty", 2), lambda: object.__setattr__(lot, "qty", 2)):
        with pytest.raises((AttributeError, TypeError)):
            change()
    with pytest.raises(AttributeError):
        lot.other = 2  # type: ignore[attr-defined]
    assert lot.qty == 1


def test_values_are_equal_by_kind_and_fields() -> None:
    assert Lot(1, "a") == Lot(1, "a") != Lot(1, "b")
    assert Lot(1) != Marked(1)
    assert pickle.loads(pickle.dumps(Marked(2, "x", {"y": 3}))) == Marked(2, "x", {"y": 3})


def test_each_value_has_its_own_mutable_default() -> None:
    assert Lot(1).fees is not Lot(1).fees


@pytest.mark.parametrize("change", [replace, dataclasses.replace])
def test_a_changed_copy_is_checked_like_a_new_value(change: type) -> None:
    lot = Marked(1, "a", {"b": 2})
    assert change(lot, qty=5) == Marked(5, "a", {"b": 2})
    assert lot.qty == 1
    with pytest.raises(AssertionError, match="a lot needs a quantity"):
        change(lot, qty=0)
    with pytest.raises(TypeError):
        change(lot, amount=1)


def test_dataclasses_know_a_value() -> None:
    assert dataclasses.is_dataclass(Lot)
    assert dataclasses.asdict(Marked(1)) == {"qty": 1, "note": "none", "fees": {}, "mark": False}
    qty, note, fees = dataclasses.fields(Lot)
    assert (qty.name, qty.type, qty.default, qty.default_factory) == (
        "qty",
        int,
        dataclasses.MISSING,
        dataclasses.MISSING,
    )
    assert (note.name, note.default) == ("note", "none")
    assert (fees.name, fees.default_factory) == ("fees", dict)


def _kinds(of: type[Value]) -> Iterator[type[Value]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_every_value_of_the_core_tells_its_fields() -> None:
    for module in pkgutil.iter_modules(core.__path__, "agent.core."):
        importlib.import_module(module.name)
    kinds = [kind for kind in _kinds(Value) if kind.__module__.startswith("agent.")]
    assert len(kinds) > 90
    for kind in kinds:
        assert tuple(f.name for f in dataclasses.fields(kind)) == kind.__struct_fields__
        assert kind.__struct_config__.frozen, kind
