"""Queries and forms, written and read by short ways: always as the standard library does it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from agent.localexchange.parameters import form_pairs
from agent.localexchange.trading.signed import _SIGNATURE, raw_of_http
from agent.simulation.carriers import query_text

_VALUES = st.text(max_size=12) | st.integers() | st.from_regex(r"[A-Za-z0-9_.~-]{0,12}", fullmatch=True)


@given(st.text(alphabet="ab1=&%+2 ;~.", max_size=40))
@example("a=1&&b&=2&c=%20&d=x=y")
def test_a_form_is_read_as_the_standard_library_reads_it(form: str) -> None:
    assert form_pairs(form) == parse_qsl(form, keep_blank_values=True)


@given(st.dictionaries(st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True), _VALUES, max_size=6))
@example({"symbol": "ADAUSDT", "symbols": '["ADAUSDT"]', "note": "a=b&c"})
def test_a_query_is_written_as_the_standard_library_writes_it(params: dict[str, object]) -> None:
    assert query_text(params) == urlencode(params)


@given(st.lists(st.sampled_from(["signature=", "signature=1f", "a=b", "xsignature=2", "", "a"]), max_size=5))
@example(["a=b", "signature=1f"])
def test_what_was_signed_is_all_but_the_signature_wherever_it_stands(parts: list[str]) -> None:
    form = "&".join(parts).encode()
    assert raw_of_http(form, b"").payload == _SIGNATURE.sub(b"", form).removeprefix(b"&")
