"""Changes of the feed are written down once each, for the uptime."""

from __future__ import annotations

from agent.core import events as e
from agent.core.commands import Keep
from agent.core.market import DataSource
from agent.core.records import EventRow
from tests.playbook import Playbook


def rows(play: Playbook) -> list[str]:
    kept = (c.row for c in play.commands if isinstance(c, Keep))
    return [row.text for row in kept if isinstance(row, EventRow) and row.kind == "feed"]


def test_every_change_of_the_feed_is_a_row_and_a_repetition_is_none():
    play = Playbook()
    play.ready()
    before = len(rows(play))
    for source, fresh in (
        (DataSource.REST, True),
        (DataSource.REST, True),
        (DataSource.NONE, False),
        (DataSource.WEBSOCKET, True),
    ):
        play.learn(e.FeedReported(source, fresh))
    assert rows(play)[before:] == ["fresh, from rest", "stale, from none", "fresh, from websocket"]
