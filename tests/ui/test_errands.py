"""Doctor, fire drill and absences in the window: what is shown, and that nothing waits for them."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from configurations import WISH, quick, written
from PySide6.QtCore import Qt
from window_ground import Eyes, document, house, on_offscreen, place_of, play, show, window_on

from agent.core.records import EventRow
from agent.doctor.result import Diagnosis, green, red, yellow
from agent.insight.away import Absence, AwayReport, Traded
from agent.insight.facts import Down
from ui import errands as errands_module
from ui.launching import Place, doctor_words, emergency_words
from ui.present import away, doctor, drill
from ui.present.tone import Tone

FOUND = Diagnosis(
    (
        green("clock", "12 ms off"),
        red("disk", "no room", "free 1 GB"),
        yellow("fee", "0.1 % is charged, 0.05 % is configured", "set fee_bp to 10"),
    )
)


# --- words ---------------------------------------------------------------------------------------


def test_the_worst_comes_first_and_every_light_has_a_word_and_a_fix():
    shown = doctor.findings(FOUND)
    assert [e.mark for e in shown.entries] == ["✖ RED", "⚠ yellow", "✓ green"]
    assert [e.fix for e in shown.entries] == ["free 1 GB", "set fee_bp to 10", ""]
    assert shown.verdict == "Something will not work, or not safely: 1 red, 1 yellow, 1 green."
    assert shown.tone is Tone.BAD


def test_a_document_is_read_and_anything_else_is_told_in_words():
    document = json.dumps(FOUND.document()).encode()
    assert doctor.told(document, b"", 1) == doctor.findings(FOUND)
    for said in (b"", b"{}", b'{"findings": [{"name": 1}]}', b"\xff", b"[1]"):
        failed = doctor.told(said, b"no such option", 2)
        assert "exit code 2" in failed.verdict
        assert failed.entries[0].text == "no such option"
        assert failed.entries[0].fix


def test_a_drill_is_refused_beside_money():
    from ui.picture import Picture

    def of(mode: str) -> Picture:
        return Picture.read(document(mode=mode))

    assert drill.refusal(of("paper"), demo=False) == ""
    assert drill.refusal(None, demo=True) == ""
    assert "live" in drill.refusal(of("live"), demo=False)
    assert "testnet" in drill.refusal(of("testnet"), demo=False)
    assert drill.refusal(None, demo=False)


def test_a_drill_is_passed_only_by_its_exit_code():
    lines = ["kill: the engine is killed", "  passed after 9 s: came back.", "  FAILED after 3 s: lost it."]
    under_way = drill.progress(lines, 12, None)
    assert [e.mark for e in under_way.entries] == ["", "✓ passed", "✖ FAILED"]
    assert under_way.tone is Tone.BUSY
    assert drill.progress(lines[:2], 12, 0).tone is Tone.GOOD
    assert "NOT pass" in drill.progress(lines, 12, 1).verdict


HOUR = 3_600_000
AWAY = AwayReport(
    absence=Absence(10 * HOUR, 13 * HOUR, (Down.ENGINE_OFF,)),
    bars=12,
    judged=12,
    lost=0,
    signals=(),
    fills=(Traded(11 * HOUR, 4, "protect", False, Decimal("0.5"), Decimal("100")),),
    ended=(),
    found=(),
    currencies=("ADA", "USDT"),
)


def test_an_absence_is_one_line_for_the_banner_and_a_page_of_its_own():
    assert "3 h" in away.headline(AWAY)
    assert "12 bars closed, no signals, 1 fill" in away.headline(AWAY)
    page = away.page((AWAY,))
    assert [e.text for e in page.entries] == list(AWAY.lines())
    longer = replace(AWAY, absence=replace(AWAY.absence, to_ms=14 * HOUR))
    assert away.name_of(AWAY, "m") != away.name_of(longer, "m")


def test_a_quick_restart_on_which_all_agreed_is_not_told_unasked():
    agreed = EventRow(13 * HOUR, "INFO", "account", "account and ledger agree")
    quiet = replace(AWAY, bars=0, judged=0, fills=(), found=(agreed,))
    assert away.is_news(AWAY)
    assert not away.is_news(quiet)
    assert away.is_news(replace(quiet, found=(replace(agreed, level="WARNING"),)))


def test_the_doctor_asks_the_market_and_keys_that_the_engine_has(tmp_path):
    config = tmp_path / "config.json"
    place = Place(config, tmp_path, ("--clock", "exchange", "--env-file", "/etc/agent.env"))
    assert doctor_words(place)[-2:] == ("--env-file", "/etc/agent.env")
    assert "--clock" not in doctor_words(place)
    assert doctor_words(replace(place, demo=True), "http://127.0.0.1:9")[-1] == "http://127.0.0.1:9"
    named = replace(place, exchange=("--exchange-url", "http://127.0.0.1:8"))
    assert doctor_words(named, "")[-1] == "http://127.0.0.1:8"


# --- the window ----------------------------------------------------------------------------------


def test_the_doctor_examines_a_stored_directory_while_the_window_goes_on(qapp, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market = await built.market()
            written(tmp_path, quick())
            async with window_on(place_of(tmp_path, market), tmp_path, follow=False) as eyes:
                card = eyes.window.doctor_card
                eyes.press(Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
                assert card.isVisible()
                assert card.busy.isVisible()
                assert not card.again_button.isEnabled()
                await eyes.until("examined", lambda: not eyes.controller.errands.examining)
                assert card.again_button.isEnabled()
                assert not card.busy.isVisible()
                names = " ".join(e.text for e in card.entries)
                assert "config" in names
                assert "disk" in names
                assert all(e.mark for e in card.entries)
                assert all(e.fix for e in card.entries if "green" not in e.mark)
                eyes.click(card.again_button)
                assert eyes.controller.errands.examining

    play(scenario)


def test_a_doctor_that_cannot_be_started_says_so(qapp, tmp_path, monkeypatch):
    async def scenario(eyes: Eyes) -> None:
        monkeypatch.setattr(errands_module.sys, "executable", str(tmp_path / "gone"))
        eyes.controller.acts.pressed("doctor")
        await eyes.until("told", lambda: not eyes.controller.errands.examining)
        assert "could not be started" in eyes.window.doctor_card.verdict.text()

    on_offscreen(scenario, tmp_path)


def test_a_drill_asks_first_and_shows_what_it_says(qapp, tmp_path, monkeypatch):
    said = "print('kill: it is killed'); print('  passed after 1 s: it came back.'); print('All 1 passed.')"
    monkeypatch.setattr(errands_module, "drill_words", lambda _place: ("-c", said))

    async def scenario(eyes: Eyes) -> None:
        window = eyes.window
        show(eyes, document(mode="live"))
        eyes.controller.acts.pressed("drill")
        assert window.question.isHidden()
        assert "paper mode" in window.toasts.texts[-1]
        show(eyes, document())
        eyes.controller.acts.pressed("settings")
        eyes.click(window.settings_card.entries["drill"])
        assert "scratch directory" in window.question.lines.text()
        assert "not touched" in window.question.lines.text()
        assert not eyes.controller.errands.drilling, "nothing before the answer"
        eyes.click_answer("play")
        await eyes.until("passed", lambda: "passed" in window.drill_card.verdict.text())
        assert [e.mark for e in window.drill_card.entries] == ["", "✓ passed", ""]
        assert not eyes.controller.errands.drilling

    on_offscreen(scenario, tmp_path)


def test_an_absence_is_told_once_and_its_page_can_be_opened_again(qapp, tmp_path):
    async def scenario() -> None:
        async with house() as built:
            market = await built.market()
            written(tmp_path, quick())
            agent = await built.agent(tmp_path, *market.address)
            async with agent.watched() as watch:
                await watch.enters(market, **WISH)
            await agent.kill()
            # However quick the new start is, bars are missed.
            await market.control("clock", {"advance_ms": 180_000})
            again = await built.agent(tmp_path, *market.address)
            async with again.watched() as watch:
                await watch.running()
            async with window_on(place_of(tmp_path, market), tmp_path) as eyes:
                window = eyes.window
                await eyes.until("told", lambda: any("was away" in t for t in window.banners.texts))
                line = next(x for x in window.banners._lines if "was away" in x.text.text())
                eyes.click(line.button)
                await eyes.until("its page", lambda: window.away_card.isVisible())
                assert "Away from" in window.away_card.entries[0].text
                eyes.controller.render()
                assert not any("was away" in t for t in window.banners.texts), "seen is seen"
                await eyes.controller.errands._read_absence()
                assert eyes.controller.errands.banner is None, "and remembered"

    play(scenario)


def test_an_emergency_stop_looks_for_the_keys_where_the_engine_did(tmp_path):
    place = Place(tmp_path / "config.json", tmp_path, ("--clock", "system", "--env-file", "keys.env"))
    words = emergency_words(place)
    assert words[words.index("--env-file") + 1] == "keys.env"
    assert "--clock" not in words
