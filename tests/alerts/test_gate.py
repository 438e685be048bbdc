"""Who may command: the whole product of chat, user, age, replay, edit, forward, and every command."""

from __future__ import annotations

import itertools

import pytest

from agent.alerts.gate import SAFER, Facts, Ignored, Owner, Pressed, Said, Why, Word, judge, read_command

OWNER = Owner(chat_id=10, user_id=20)
NOW = 1_700_000_000.0
LAST = 500

CHATS = {"the chat": 10, "another chat": 11, "a group": -10, "none": None}
USERS = {"the user": 20, "another user": 21, "nobody": None}
AGES = {"new": 0, "59 s": 59, "61 s": 61, "599 s": 599, "601 s": 601, "a day": 86_400, "ahead": -700}
SEEN = {"new": LAST + 1, "the last again": LAST, "an old one": 3}


def facts(**changes):
    told = {
        "update_id": LAST + 1,
        "is_message": True,
        "chat_id": 10,
        "user_id": 20,
        "text": "/status",
        "sent_s": NOW,
    }
    return Facts(**{**told, **changes})


def test_nobody_but_the_owner_acts_in_the_whole_matrix():
    acted, looked_at = [], 0
    product = itertools.product(CHATS, USERS, AGES, SEEN, (False, True), (False, True), (False, True), Word)
    for chat, user, age, seen, edited, forwarded, impersonal, word in product:
        looked_at += 1
        heard = judge(
            facts(
                chat_id=CHATS[chat],
                user_id=USERS[user],
                sent_s=NOW - AGES[age],
                update_id=SEEN[seen],
                is_edited=edited,
                is_forwarded=forwarded,
                is_impersonal=impersonal,
                text=f"/{word.value}",
            ),
            OWNER,
            "our_bot",
            LAST,
            NOW,
        )
        if not isinstance(heard, Ignored):
            assert heard == Said(word)
            acted.append((chat, user, age, seen, edited, forwarded, impersonal, word))
    allowed = {
        ("the chat", "the user", age, "new", False, False, False, word)
        for word in Word
        for age in (("new", "59 s", "61 s", "599 s") if word in SAFER else ("new", "59 s"))
    }
    assert looked_at == 4 * 3 * 7 * 3 * 8 * 10
    assert set(acted) == allowed
    assert len(acted) == len(allowed) == 3 * 4 + 7 * 2


def test_the_commands_that_make_it_safer_are_exactly_three():
    assert {Word.PAUSE, Word.STOP, Word.EMERGENCY} == SAFER


@pytest.mark.parametrize("chat", CHATS.values())
@pytest.mark.parametrize("user", USERS.values())
@pytest.mark.parametrize("number", SEEN.values())
def test_a_button_counts_for_the_owner_once(chat, user, number):
    pressed = facts(
        is_message=False, text=None, sent_s=None, pressed="b:resume:c", press_id="7",
        chat_id=chat, user_id=user, update_id=number,
    )  # fmt: skip
    heard = judge(pressed, OWNER, "our_bot", LAST, NOW)
    if (chat, user, number) == (10, 20, LAST + 1):
        assert heard == Pressed("b:resume:c", "7")
    else:
        assert isinstance(heard, Ignored)


def test_without_a_configured_user_nobody_is_heard():
    assert judge(facts(), Owner(10, None), "our_bot", 0, NOW) == Ignored(Why.STRANGER)
    assert judge(facts(user_id=None), Owner(10, None), "our_bot", 0, NOW) == Ignored(Why.STRANGER)


def test_a_stranger_learns_nothing_about_age_or_words():
    for change in ({"sent_s": NOW - 90_000}, {"text": "hello"}, {"is_edited": True}):
        assert judge(facts(user_id=9, **change), OWNER, "our_bot", LAST, NOW) == Ignored(Why.STRANGER)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/status", Said(Word.STATUS)),
        ("  /Trades 10 ", Said(Word.TRADES, "10")),
        ("/pause@our_bot", Said(Word.PAUSE)),
        ("/pause@OUR_BOT", Said(Word.PAUSE)),
        ("/pause@other_bot", None),
        ("pause", None),
        ("/pausenow", None),
        ("/", None),
        ("", None),
        ("please /emergency", None),
        ("/emergency\u0000", None),
    ],
)
def test_words(text, said):
    assert read_command(text, "our_bot") == said
