"""One log from two mouths: no line twice, none lost, whichever told it first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ui.log_tail import REMEMBERED, LogTail


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=30), st.data())
def test_every_line_is_shown_once(written, data):
    """The file has every line; the engine tells them from somewhere on; they come in any interleaving."""
    told_from = data.draw(st.integers(0, len(written)))
    tail, shown = LogTail(), []
    read, told = 0, told_from
    while read < len(written) or told < len(written):
        if read < len(written) and (told == len(written) or data.draw(st.booleans())):
            some = data.draw(st.integers(1, len(written) - read))
            shown += tail.read(written[read : read + some])
            read += some
        else:
            some = data.draw(st.integers(1, len(written) - told))
            shown += tail.told(written[told : told + some])
            told += some
    assert sorted(shown) == sorted(written)


def test_what_is_remembered_is_bounded():
    tail = LogTail()
    tail.told(f"line {i}" for i in range(3 * REMEMBERED))
    assert len(tail._from_engine._order) <= REMEMBERED
    assert len(tail._from_engine._count) <= REMEMBERED
