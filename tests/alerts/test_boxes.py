"""What waits to be sent: levels, repetition, pace, digests, bounds."""

from __future__ import annotations

import pytest

from agent.alerts.confirmations import VALID_MS, Confirmations, Confirmed, Effect, NotConfirmed
from agent.alerts.message import LONGEST, Message, digest
from agent.alerts.outbox import Outbox, Pace
from agent.alerts.router import Channel, Router
from agent.core.commands import Alert, AlertLevel

AT = 1_700_000_000_000


def routed(level, alerts, *, positions=True, redact=lambda text: text):
    router, got = Router(redact), []
    router.add(Channel("test", AlertLevel(level), positions, got.append))
    for now_ms, (rank, kind, text) in alerts:
        router.route(Alert(AlertLevel(rank), kind, text), AT, now_ms)
    return got


@pytest.mark.parametrize("least", list(AlertLevel))
@pytest.mark.parametrize("level", list(AlertLevel))
def test_a_channel_hears_its_level_and_above(least, level):
    order = list(AlertLevel)
    got = routed(least, [(0, (level, "signal", "x"))])
    assert bool(got) == (order.index(level) >= order.index(least))


def test_positions_are_told_whatever_the_level_unless_unwanted():
    bought = [(0, ("INFO", "position", "position 1: bought"))]
    assert [m.text for m in routed("CRITICAL", bought)] == ["position: position 1: bought"]
    assert routed("CRITICAL", bought, positions=False) == []


def test_the_end_of_a_told_trouble_is_told_and_of_an_untold_one_is_not():
    story = [
        (0, ("ERROR", "feed stale", "feed stale: 40 s; entries are blocked")),
        (1_000, ("INFO", "feed stale", "feed stale: over")),
        (2_000, ("INFO", "clock offset", "clock offset: over")),
        (3_000, ("INFO", "feed stale", "feed stale: over")),
    ]
    assert [m.text for m in routed("ERROR", story)] == [
        "feed stale: 40 s; entries are blocked",
        "feed stale: over",
    ]


def test_the_same_sentence_is_said_once_in_ten_minutes_and_then_counted():
    same = ("ERROR", "order", "refused")
    got = routed("ERROR", [(ms, same) for ms in (0, 1, 599_999, 600_000)])
    assert [m.text for m in got] == ["order: refused", "order: refused (and 2 times more before)"]


def test_what_is_critical_is_urgent_and_may_be_repeated_after_a_minute():
    same = ("CRITICAL", "emergency", "stop")
    got = routed("CRITICAL", [(0, same), (59_999, same), (60_000, same)])
    assert [m.urgent for m in got] == [True, True]


def test_secrets_are_taken_out_before_anybody_sees_the_text():
    got = routed("INFO", [(0, ("INFO", "x", "key is hush"))], redact=lambda t: t.replace("hush", "***"))
    assert [m.text for m in got] == ["x: key is ***"]


def box(**changes):
    return Outbox(Pace(burst=2, refill_ms=1_000), 0.0, **changes)


def said(number, *, urgent=False):
    return Message(f"alert {number}", AT, AlertLevel.WARNING, urgent)


def test_a_burst_leaves_at_once_and_the_rest_becomes_one_digest():
    outbox = box()
    outbox.put(said(1))
    assert outbox.take(0)[0].text == "WARNING 22:13:20 UTC\nalert 1"
    for number in (2, 3, 4):
        outbox.put(said(number))
    first, _ = outbox.take(0)
    assert first.text.splitlines()[0] == "3 messages, the highest WARNING:"
    assert [line[-7:] for line in first.text.splitlines()[1:]] == ["alert 2", "alert 3", "alert 4"]
    outbox.put(said(5))
    assert outbox.wait_ms(0) == 1_000
    assert outbox.wait_ms(999) == pytest.approx(1)
    assert outbox.wait_ms(1_000) == 0


def test_what_is_urgent_leaves_by_itself_and_first():
    outbox = box()
    outbox.put(said(1))
    outbox.put(said(2, urgent=True))
    assert outbox.take(0)[0].text.endswith("alert 2")
    assert outbox.take(0)[0].text.endswith("alert 1")
    assert outbox.wait_ms(0) is None


def test_it_never_grows_and_says_what_it_left_out():
    outbox = box(capacity=10)
    for number in range(100_000):
        outbox.put(said(number))
        outbox.put(said(number, urgent=True))
    assert len(outbox) == 20
    assert outbox.dropped_ever == 2 * (100_000 - 10)
    while outbox.wait_ms(1e9) is not None:
        post, _ = outbox.take(1e9)
        outbox.be_silent(0)
        outbox._tokens = 2.0
    assert "alert 99999" in post.text
    assert post.text.splitlines()[-1].startswith("and 1999")


def test_what_could_not_be_sent_keeps_its_place_within_the_bound():
    outbox = box(capacity=2)
    outbox.put(said(1))
    _, messages = outbox.take(0)
    outbox.put(said(2))
    outbox.give_back(messages)
    assert outbox.take(0)[0].text.splitlines()[1].endswith("alert 1")
    outbox.put(said(3))
    outbox.put(said(4))
    outbox.give_back(messages)
    assert len(outbox) == 2


def test_silence_holds_back_even_what_is_urgent():
    outbox = box()
    outbox.put(said(1, urgent=True))
    outbox.be_silent(30_000)
    assert outbox.wait_ms(0) == 30_000
    outbox.be_silent(10)
    assert outbox.wait_ms(0) == 30_000


def test_no_digest_is_longer_than_telegram_takes():
    many = [Message("x" * 1_000, AT) for _ in range(100)]
    post = digest(many, 7)
    assert len(post.text) <= LONGEST
    shown = len(post.text.splitlines()) - 2
    assert post.text.splitlines()[-1] == f"and {100 - shown + 7} more: see the log"
    assert len(Message("x" * 10_000).line) == LONGEST


# --- buttons ----------------------------------------------------------------------------------------


def codes(boot="boot1"):
    numbers = iter(range(100))
    return Confirmations(boot, lambda: f"c{next(numbers)}")


def test_a_button_counts_once_and_only_within_its_minute():
    asked = codes()
    data = asked.ask(Effect.RESUME, 0)
    assert asked.pressed(data, VALID_MS) == Confirmed(Effect.RESUME)
    assert isinstance(asked.pressed(data, VALID_MS), NotConfirmed)
    late = asked.ask(Effect.RESUME, 0)
    assert isinstance(asked.pressed(late, VALID_MS + 1), NotConfirmed)
    assert isinstance(asked.pressed(late, 0), NotConfirmed)


def test_an_older_question_an_earlier_run_and_nonsense_do_nothing():
    asked = codes()
    first, second = asked.ask(Effect.RESUME, 0), asked.ask(Effect.RESUME, 0)
    assert isinstance(asked.pressed(first, 0), NotConfirmed)
    restarted = codes("boot2")
    assert isinstance(restarted.pressed(second, 0), NotConfirmed)
    assert restarted.ask(Effect.RESUME, 0).endswith(first[-3:]), "the same code, by chance"
    assert isinstance(restarted.pressed(first, 0), NotConfirmed)
    for nonsense in ("", ":", "boot1", "boot1:withdraw:c1", "boot1:resume:", "boot1:sell:c1"):
        assert isinstance(asked.pressed(nonsense, 0), NotConfirmed)
    assert asked.pressed(second, 0) == Confirmed(Effect.RESUME)
    assert len(codes("a" * 8).ask(Effect.SELL_NOW, 0).encode()) <= 64
