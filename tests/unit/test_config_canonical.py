"""The hash names the content: the same for any way of writing it, another for any other content."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_documents import EXAMPLE, accepted, example

from agent.config import check_config
from agent.config.canonical import canonical
from agent.config.strict_json import read


def hash_of(text: str) -> str:
    config = check_config(text).config
    assert config is not None
    assert len(config.config_hash) == 64
    return config.config_hash


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return value


def test_key_order_and_white_space_do_not_matter() -> None:
    written = EXAMPLE.read_text("utf-8")
    assert hash_of(json.dumps(reversed_keys(example()), separators=(",", ":"))) == hash_of(written)
    assert hash_of(written.replace("\n", "\r\n\t")) == hash_of(written)


@pytest.mark.parametrize("number", ["10000.0", "10000", "1e4", "1.0E+4", "10000.000"])
def test_the_way_a_number_is_written_does_not_matter(number: str) -> None:
    text = json.dumps(example()).replace("10000.0", number)
    assert hash_of(text) == hash_of(EXAMPLE.read_text("utf-8"))


@pytest.mark.parametrize(
    "sections",
    [
        {"description": "other"},
        {"risk_management": {"risk_per_trade_percent": 1.01}},
        {"exchange": {"testnet": False}},
        {"backtest_metrics": {"note": 1}},
        {"agent": {}},
        {"created_at": ""},
    ],
)
def test_any_other_content_has_another_hash(sections: dict[str, Any]) -> None:
    assert accepted(**sections).config_hash != accepted().config_hash


def test_numbers_and_texts_are_told_apart() -> None:
    assert canonical(["1", 1, True, None, {"b": "é", "a": []}]) == '["1",1,true,null,{"a":[],"b":"\\u00e9"}]'


@pytest.mark.parametrize(
    "text", ["0", "-0.0", "1e300", "1e-300", "-2.50", "1234567890123456789012345678901234567890"]
)
def test_canonical_text_reads_back_equal(text: str) -> None:
    value = read(text).value
    again = read(canonical(value))
    assert again.flaws == ()
    assert again.value == value
    assert canonical(again.value) == canonical(value)


def test_the_canonical_text_is_accepted_as_the_same_configuration() -> None:
    config = accepted(agent={"heartbeat_url": "https://hc.example/abc"})
    again = check_config(config.canonical).config
    assert again == config
    assert "hc.example" not in repr(config)
