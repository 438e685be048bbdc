"""What the views say, without a screen: states, banners, questions, decisions, log lines."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from window_ground import document, position

from agent import demo
from agent.core.records import DecisionRow, Outcome
from ui.arming import Lack, arming_question, lack_of
from ui.bridge import Bridge, last_words
from ui.launching import Place, is_demo_here
from ui.link import Link, LinkKind
from ui.picture import Picture, Strategy
from ui.present import banners, decisions, footer, header, log_lines, positions, questions, stats
from ui.present.banners import Ages
from ui.present.tone import Tone
from ui.venue_clock import VenueClock

UP = Link(LinkKind.ATTACHED, pid=1)
HALT = {"reason": "emergency", "at": "2025-01-15T15:43:00.000Z", "flat": True, "remaining": []}
STRATEGY = Strategy(vol_z=2.0, tr_z=1.2, cloc_min=0.6)


def picture(**changes) -> Picture:
    return Picture.read(document(**changes))


def shown(**changes) -> tuple[str, ...]:
    return tuple(b.text for b in banners.banners(picture(**changes), UP, Ages(0, 7, 0)))


# --- header ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "start", "pause", "stop", "tone"),
    [
        ("STOPPED", True, False, False, Tone.BAD),
        ("STARTING", False, True, True, Tone.NOTICE),
        ("RUNNING", False, True, True, Tone.GOOD),
        ("PAUSED", True, False, True, Tone.BUSY),
        ("EXITS_ONLY", True, False, False, Tone.BUSY),
        ("ERROR", True, True, True, Tone.BAD),
    ],
)
def test_every_state_offers_what_makes_sense(state, start, pause, stop, tone):
    view = header.header(picture(state=state), UP)
    assert (view.start.enabled, view.pause.enabled, view.stop.enabled) == (start, pause, stop)
    assert view.state.endswith(state)
    assert view.state_tone is tone
    assert view.flashing is (state == "ERROR")


def test_the_halt_is_cleared_only_when_flat_and_compared():
    def clear(**changes):
        return header.header(picture(state="HALTED", **changes), UP).start

    assert clear(halt=HALT).enabled
    assert clear(halt=HALT).text == "Clear halt"
    assert not clear(halt={**HALT, "flat": False, "remaining": ["position 7"]}).enabled
    assert not clear(halt=HALT, reconciled_at="2025-01-15T15:42:59.000Z").enabled


@pytest.mark.parametrize(
    ("mode", "venue", "title"),
    [
        ("paper", "binance@api.binance.com", "PAPER · ADA/USDT 15m"),
        ("paper", "binance@127.0.0.1:8090", "DEMO · PAPER · ADA/USDT 15m"),
        ("testnet", "binance@testnet.binance.vision", "TESTNET · ADA/USDT 15m"),
        ("live", "binance@api.binance.com", "LIVE · ADA/USDT 15m"),
    ],
)
def test_the_title_names_mode_and_demo(mode, venue, title):
    assert header.header(picture(mode=mode, venue=venue), UP).title.startswith(title)


def test_a_start_says_what_it_waits_for():
    def waits(**changes):
        found = header.progress(picture(state="STARTING", **changes), UP)
        return None if found is None else (found.text, found.done, found.total)

    away = {"reachable": False, "latency_ms": None, "clock_offset_ms": None, "used_weight": None}
    assert waits(exchange=away) == ("Connecting to the exchange", 0, 0)
    loading = {"bars": 3200, "needed": 7722, "error_bound": None}
    assert waits(warmup=loading) == ("Loading history: 3,200 of 7,722 bars", 3200, 7722)
    assert waits(reconciled_at=None) == ("Reconciling orders and balances with the exchange", 0, 0)
    assert waits() is None
    assert header.progress(picture(exchange=away), UP) is None, "a stale market is a banner, not a start"


# --- banners -----------------------------------------------------------------------------------------


def test_nothing_is_said_when_all_is_well():
    assert shown() == ()


def test_stale_data_has_an_age_and_a_reason():
    away = {"reachable": False, "latency_ms": None, "clock_offset_ms": None, "used_weight": None}
    stale = {"source": "rest", "fresh": False, "last_closed_bar": "2025-01-15T15:15:00.000Z"}
    (text,) = shown(feed=stale, exchange=away)
    assert text == "MARKET DATA IS STALE. Last price 7 s ago. The exchange does not answer. Entries are off."


def test_entries_that_are_blocked_say_why_and_a_stopped_agent_does_not():
    why = ["the agent is PAUSED", "1 order(s) of unknown outcome"]
    assert shown(entries_blocked_by=why) == ("Entries blocked: 1 order(s) of unknown outcome.",)
    assert shown(state="STOPPED", entries_blocked_by=why) == ()


def test_a_bare_position_is_named_only_where_a_stop_is_promised():
    bare = position(protected_by=None, unprotected_since="2025-01-15T15:43:00.000Z")
    assert shown(positions=[bare]) == ("Position 7 not protected by a stop on the exchange.",)
    without = {**document()["strategy"], "stop_enforced": False}
    assert shown(positions=[bare], strategy=without) == ()


def test_where_a_service_runs_the_engine_no_window_starts_one(qapp, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENT_SERVICE", "agent@main")

    async def scenario():
        bridge = Bridge(Place(tmp_path / "config.json", tmp_path))
        await bridge._nobody()
        bridge.start_engine()
        await bridge._nobody()
        return bridge

    bridge = asyncio.run(scenario())
    assert bridge.engine is None
    (found,) = banners.banners(None, bridge.link, Ages())
    assert "agent@main is stopped or did not start. sudo systemctl start agent@main" in found.text
    assert found.act is None


def test_a_service_that_was_lost_is_left_to_what_starts_it(qapp, monkeypatch, tmp_path):
    monkeypatch.setenv("AGENT_SERVICE", "agent@main")

    async def scenario():
        bridge = Bridge(Place(tmp_path / "config.json", tmp_path))
        bridge._lost()
        return bridge

    (found,) = banners.banners(None, asyncio.run(scenario()).link, Ages())
    assert "agent@main starts it again; if not: sudo systemctl start agent@main" in found.text
    assert found.act is None
    monkeypatch.delenv("AGENT_SERVICE")
    (found,) = banners.banners(None, asyncio.run(scenario()).link, Ages())
    assert found.act is banners.Act.START_ENGINE


def test_an_engine_is_started_again_only_where_it_traded(qapp, tmp_path):
    def lost(place: Place, **changes):
        async def scenario():
            bridge = Bridge(place)
            bridge._show(document(**changes))
            bridge._lost()
            return bridge.link

        (found,) = banners.banners(None, asyncio.run(scenario()), Ages())
        return found

    here = Place(tmp_path / "config.json", tmp_path)
    assert lost(here).act is banners.Act.START_ENGINE
    found = lost(here, venue="binance@127.0.0.1:8000")
    assert found.act is None, "it would trade on the real exchange"
    assert "open the window with --exchange-url http://127.0.0.1:8000" in found.text
    given = replace(here, exchange=("--exchange-url", "http://127.0.0.1:8000"))
    assert lost(given, venue="binance@127.0.0.1:8000").act is banners.Act.START_ENGINE


def test_a_demos_directory_is_known_by_the_mark_the_demo_leaves(tmp_path):
    assert not is_demo_here(tmp_path)
    (tmp_path / demo.MARK).touch()
    assert is_demo_here(tmp_path)


@pytest.mark.parametrize("kind", [LinkKind.LOST, LinkKind.SILENT, LinkKind.FAILED, LinkKind.NONE])
def test_every_way_of_having_no_engine_is_said(kind):
    found = banners.banners(picture(), Link(kind, "so it is.", pid=9), Ages(link_s=12))
    assert found[0].key == "link"
    assert "12 s" in found[0].text or kind in (LinkKind.FAILED, LinkKind.NONE)


# --- questions ---------------------------------------------------------------------------------------


def test_a_sale_is_asked_in_numbers_with_verbs():
    question = questions.close(picture(positions=[position()]), 7)
    assert question is not None
    assert question.lines[0] == "Sell 19,607.8 ADA at market, about 0.5101, PnL about +2.10 USDT."
    assert question.choices[0].text == "Sell 19,607.8 ADA"
    assert question.safe == "Keep the position"
    assert questions.close(picture(), 7) is None


def test_what_several_sales_come_to_is_said_in_all():
    two = [position(), position(id=8, size="392.2", unrealized_pnl="-12.35")]
    told = "In all: 20,000 ADA, PnL about −10.25 USDT."
    assert told in questions.emergency(picture(positions=two)).lines
    assert told in questions.stop(picture(positions=two)).lines
    assert not [line for line in questions.emergency(picture(positions=two[:1])).lines if "In all" in line]
    two[1]["unrealized_pnl"] = None
    assert "In all: 20,000 ADA." in questions.emergency(picture(positions=two)).lines


def test_what_a_halt_still_has_to_close_is_said_in_a_traders_words():
    left = ["position 7: 19607.8 ADA", "order sx01sell7: NEW"]
    closing = {**HALT, "flat": False, "remaining": left}
    (text,) = shown(positions=[position()], halt=closing, state="HALTED")
    assert text.startswith("HALTED (EMERGENCY STOP, 15:43:00 UTC). ")
    assert text.endswith("Selling 19,607.8 ADA (position 7); 1 order not yet settled.")
    (text,) = shown(halt={**closing, "remaining": []}, state="HALTED")
    assert text.endswith("Waiting for the last answers of the exchange.")


def test_the_emergency_names_orders_positions_and_mode():
    order = {
        "client_id": "a", "side": "SELL", "type": "STOP_LOSS", "status": "NEW", "quantity": "1",
        "filled": "0", "price": "0.4",
    }  # fmt: skip
    question = questions.emergency(picture(positions=[position()], orders=[order], mode="testnet"))
    assert question.title == "EMERGENCY STOP: ADA/USDT, testnet"
    assert question.lines[0].startswith("Cancels 1 order ")
    assert question.lines[1].startswith("Sell 19,607.8 ADA")
    assert (question.choices[0].text, question.safe) == ("Stop now", "Keep trading")
    assert "not known" in questions.emergency(None).lines[0]


def test_real_money_is_started_by_typing_the_pair():
    assert questions.start(picture(state="STOPPED")) is None, "paper asks nothing"
    live = questions.start(picture(state="STOPPED", mode="live"))
    assert live is not None
    assert live.typed == "ADA/USDT"


def test_leaving_offers_what_is_possible():
    def keys(question):
        return None if question is None else [choice.key for choice in question.choices]

    assert keys(questions.leave(None, attached=False, ours=False)) is None
    assert keys(questions.leave(picture(state="STOPPED"), attached=True, ours=False)) is None
    assert keys(questions.leave(picture(state="STOPPED"), attached=True, ours=True)) == ["end", "keep"]
    assert keys(questions.leave(picture(), attached=True, ours=True)) == ["keep", "flat"]
    held = picture(positions=[position()])
    assert keys(questions.leave(held, attached=True, ours=False)) == ["keep", "exits", "flatten"]


# --- positions, statistics ---------------------------------------------------------------------------


def test_a_card_has_everything_of_a_position():
    now = datetime(2025, 1, 15, 15, 44, 5, tzinfo=UTC)
    (card,) = positions.cards(picture(positions=[position()]), now)
    fields = {field.label: field.text for field in card.fields}
    assert fields == {
        "Entry": "0.5100  15:15:02",
        "Now (bid)": "0.5101",
        "Worth": "10,001.94 USDT",
        "Target": "0.5297  +3.84 %  +386.27 USDT",
        "Stop": "0.4983  −2.31 %  −229.41 USDT",
        "R so far": "+0.01 R",
        "Held": "29 min 2 s  2 bars of 96",
    }
    assert card.protection == "Protected by order sx01protect7, verified 12 s ago"
    assert card.result == "+2.10 USDT  +0.02 %"


def test_a_position_that_is_left_cannot_be_closed_again():
    (card,) = positions.cards(picture(positions=[position(leaving="STOP")]), None)
    assert not card.can_close
    assert card.protection.startswith("Leaving: STOP, being sold. Protected by order sx01protect7")
    assert card.protection_tone is Tone.NOTICE
    assert card.brief_protection == "LEAVING"
    bare = position(leaving="STOP", protected_by=None, unprotected_since="2025-01-15T15:43:05.000Z")
    (card,) = positions.cards(picture(positions=[bare]), None)
    assert card.protection == "Leaving: STOP, being sold. NOT PROTECTED for 1 min 0 s"
    assert card.protection_tone is Tone.BAD


def test_what_an_older_engine_does_not_publish_is_not_known():
    old = document(positions=[position()])
    for key in ("strategy", "instrument", "bar", "reconciled_at"):
        del old[key]
    for key in ("ladder", "risk", "bars_held", "notes"):
        del old["positions"][0][key]
    seen = Picture.read(old)
    (card,) = positions.cards(seen, None)
    assert {f.label: f.text for f in card.fields}["R so far"] == "–"
    assert seen.bar is None
    assert stats.stats(seen, UP, stats.Recorded(), 1.0).results[0].rows[0].text == "3"


# --- decisions ---------------------------------------------------------------------------------------


def row(**changes) -> DecisionRow:
    values = {
        "bar_open_ms": 1_736_953_200_000, "decided_ms": 0, "close": 0.51, "ema_f": 0.5, "ema_s": 0.52,
        "atr": 0.01, "vol_z": 2.31, "tr_z": 1.1, "cloc": 0.7, "downtrend": True, "exhaustion": False,
        "borderline": False, "outcome": Outcome.NO_SIGNAL, "reason": "", "closed_by": "flag",
    }  # fmt: skip
    return DecisionRow(**{**values, **changes})


def test_each_condition_has_its_value_and_its_threshold():
    view = decisions.decision(row(), STRATEGY, 4)
    assert [f"{c.mark} {c.text}" for c in view.conditions] == [
        "✓ 0.50000 < 0.52000",
        "✓ 2.31",
        "✗ 1.10",
        "✓ 0.70",
    ]
    assert view.why == "missing: range"
    assert decisions.columns(STRATEGY)[1] == "Volume z > 2"
    assert (view.time, view.outcome) == ("2025-01-15 15:00", "no signal")


def test_undefined_is_not_unmet():
    view = decisions.decision(row(vol_z=None, tr_z=2.0), STRATEGY, 4)
    assert view.conditions[1].mark == "–"
    assert view.why == "an indicator is not defined yet"


def test_a_borderline_value_shows_enough_digits_to_see_why():
    view = decisions.decision(row(vol_z=2.0000004, tr_z=1.3, borderline=True, reason="x"), STRATEGY, 4)
    assert view.why == "x (borderline)"


# --- log, clock, words -------------------------------------------------------------------------------


def test_log_lines_of_people_and_machines():
    text = (
        "[2025-01-15 14:32:05 UTC] [ERROR] it broke\n    File x\n"
        '{"ts": "2025-01-15T14:32:06.000Z", "level": "INFO", "logger": "a", "message": "fine"}\n'
        "something else\n"
    )
    lines = log_lines.parse(text)
    assert [(line.level, line.text) for line in lines] == [
        ("ERROR", "it broke\n    File x"),
        ("INFO", "fine"),
        ("INFO", "something else"),
    ]
    assert log_lines.matches(lines[0], "WARNING", "FILE broke")
    assert not log_lines.matches(lines[1], "WARNING", "")
    assert not log_lines.matches(lines[0], "DEBUG", "missing")


def test_venue_time_goes_on_at_the_rate_it_was_seen_to_go():
    clock = VenueClock()
    start = datetime(2025, 1, 1, tzinfo=UTC)
    assert clock.now(0) is None
    for second in range(5):
        clock.seen(start + timedelta(seconds=300 * second), float(second))
    assert clock.speed == pytest.approx(300)
    assert clock.now(4.5) == start + timedelta(seconds=1350)
    assert clock.now(400) == start + timedelta(seconds=1200 + 3000), "it does not run away when nothing comes"


def test_the_status_bar_speaks_in_words():
    now = datetime(2025, 1, 15, 15, 44, 5, tzinfo=UTC)
    bar = footer.footer(picture(), UP, now, 3.0)
    assert bar.next_candle.text == "next candle 0:55"
    assert bar.clock.text == "15:44:05 UTC"
    assert bar.feed.text == "● feed: websocket"
    assert footer.footer(None, Link(LinkKind.LOST), None, 0).link.text == "● engine gone"


def test_an_engine_that_ended_is_quoted_by_its_errors():
    said = (
        'config.json\n\nERROR timeframe  (line 3)\n  value:  "7m"\n  reason: not known\n  fix:    write 15m\n'
        "\nWARNING mode\n  reason: review\n  fix:    look\n\nConfiguration invalid: 1 error\n"
    )
    assert last_words(said, 1) == "timeframe: not known (write 15m)."
    assert last_words("Another engine works here.\n", 4) == "Another engine works here."
    assert last_words("", 70) == "it ended with exit code 70 and said nothing."


def test_real_money_is_armed_only_where_every_gate_is_open():
    gate = {"name": "paper phase", "passed": True, "numbers": "9 of 7 days", "fix": ""}
    closed = {"name": "keys", "passed": False, "numbers": "may withdraw", "fix": "take the right away"}
    question = arming_question({"gates": [gate]}, "ADA/USDT")
    assert (question.typed, [choice.key for choice in question.choices]) == ("ADA/USDT", ["arm"])
    question = arming_question({"gates": [gate, closed]}, "ADA/USDT")
    assert question.choices == ()
    assert "✗ keys: may withdraw (take the right away)" in question.lines
    assert arming_question({}, "ADA/USDT").choices == ()


def test_what_an_engine_lacks_is_read_from_its_words():
    assert lack_of("EXCHANGE_API_KEY and EXCHANGE_API_SECRET missing; credentials set") is Lack.KEYS
    assert lack_of("live trading is refused. The paper phase is not done.") is Lack.ARMING
    assert lack_of("another instance works here") is Lack.NOTHING
