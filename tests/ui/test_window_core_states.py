"""The window on states that the real core published: several positions, and prices huge and tiny."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from PySide6.QtCore import Qt
from test_window_states import SIZES, _cut_off
from window_ground import Eyes, on_offscreen, show

from agent.core.events import CloseRequested
from agent.core.market import Candle
from agent.core.snapshot import snapshot
from tests.playbook import EXITS, LIMITS, Playbook, make_instrument, make_setup, signal_candle

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
D = Decimal


class AtScale(Playbook):
    """The playbook's market with every price times `scale`."""

    def __init__(self, scale: float, pair: str, tick: str, step: str) -> None:
        base, _, quote = pair.partition("/")
        grid = make_instrument(
            symbol=pair, base=base, quote=quote, tick=D(tick), step=D(step), min_qty=D(step),
            max_qty=D("1e12"), market_max_qty=D("1e12"), min_price=D(tick), max_price=D("1e9"),
        )  # fmt: skip
        super().__init__(make_setup(pair=pair, base=base, quote=quote), grid)
        self.scale = scale
        self.history = [_scaled(candle, scale) for candle in self.history]
        self.last_bar = self.history[-1]

    def enter_at_scale(self) -> None:
        candle = _scaled(signal_candle(_scaled(self.last_bar, 1 / self.scale)), self.scale)
        self.at(max(self.now_ms, candle.open_ms + self.setup.bar_ms))
        self.walk(candle.close)
        self.bar(candle)
        self.book(qty="1000000000000")
        self.fills(self.entry(), fee_currency="USDT")
        self.works(self.stop())


def _scaled(candle: Candle, by: float) -> Candle:
    return Candle(
        candle.open_ms, candle.open * by, candle.high * by, candle.low * by, candle.close * by, candle.volume
    )


def _shown(eyes: Eyes, play: Playbook) -> None:
    """The core's state, and its history on the chart."""
    show(eyes, {**snapshot(play.state, "0.1.0")})
    feed, bars = eyes.controller.chart, play.history
    assert feed is not None
    view = feed.view
    columns = zip(*((c.open_ms, c.open, c.high, c.low, c.close, c.volume) for c in bars), strict=True)
    from ui import charted

    view.set_instrument(charted.instrument(eyes.picture))
    view.set_candles(*(list(column) for column in columns))
    view.set_ladders(charted.ladders(eyes.picture))
    view.set_positions(charted.positions(eyes.picture))
    eyes.controller.render()


def _tags(eyes: Eyes) -> list[str]:
    """What stands on the price axis; every line of it fits there."""
    assert eyes.controller.chart is not None
    picture = eyes.controller.chart.view._picture
    frame, painter, face = picture.frame, picture._tags, picture._fonts.small
    tags = [*painter._positions(frame, picture.scene), painter._last(picture.scene, frame)]
    lines = [line for tag in tags for line in tag.lines]
    too_wide = [line for line in lines if face.width(line) > frame.prices.width() - 9]
    assert too_wide == []
    return lines


def _five() -> Playbook:
    limits = replace(LIMITS, max_open_positions=5, max_position_size_percent=D(10))
    exits = replace(EXITS, use_fib_exits=False, use_stop_loss=False, use_time_exit=False)
    play = Playbook(make_setup(limits=limits, exits=exits)).ready()
    for _ in range(5):
        for _ in range(9):
            play.quiet_bar()
        play.signal()
        play.book()
        play.fills(play.entry())
    assert len(play.state.open_positions()) == 5
    return play


def test_five_positions_of_the_core_are_shown_sold_and_closed_one_by_one(qapp, tmp_path):
    play = _five()

    async def scenario(eyes: Eyes) -> None:
        window = eyes.window
        for size in SIZES:
            window.resize(*size)
            _shown(eyes, play)
            await asyncio.sleep(0)
            assert _cut_off(window) == []
        cards = window.positions.cards
        assert [card._id for card in cards] == [1, 2, 3, 4, 5]
        assert cards[1].brief_protection.text() == "no stop"
        assert cards[1]._inside.isHidden(), "of several each has two lines"
        inside = window.positions.viewport().rect()
        last = cards[4].mapTo(window.positions.viewport(), cards[4].rect().bottomLeft())
        assert inside.contains(last), "all five without scrolling"
        cards[1].unfold.click()
        assert cards[1]._inside.isVisible()
        assert window.control.words._whole == "holding 5 positions"
        assert len([line for line in _tags(eyes) if line.startswith("Entry")]) == 5
        eyes.press(Qt.Key.Key_X, CTRL, SHIFT)
        question = window.question.question
        assert question is not None
        assert len([line for line in question.lines if line.startswith("Sell ")]) == 5
        eyes.press(Qt.Key.Key_Escape)
        window.positions.cards[3].close_button.click()
        question = window.question.question
        assert question is not None
        held = play.state.positions[4].held_qty
        assert question.lines[0].startswith(f"Sell {held:,f} ADA at market")
        play.learn(CloseRequested("test", 4))
        play.fills(play.sale())
        _shown(eyes, play)
        assert [card._id for card in window.positions.cards] == [1, 2, 3, 5]
        assert window.question.isHidden(), "the question went with its position"

    on_offscreen(scenario, tmp_path)


@pytest.mark.parametrize(
    ("scale", "pair", "tick", "step", "digits"),
    [(2e5, "BTC/USDT", "0.01", "0.00001", 2), (2.4e-5, "SHIB/USDT", "0.00000001", "1", 8)],
    ids=["BTC", "SHIB"],
)
def test_a_position_at_huge_and_tiny_prices_keeps_the_exchanges_digits(
    qapp, tmp_path, scale, pair, tick, step, digits
):
    play = AtScale(scale, pair, tick, step)
    play.ready()
    play.enter_at_scale()
    position = play.position()

    async def scenario(eyes: Eyes) -> None:
        window = eyes.window
        for size in SIZES:
            window.resize(*size)
            _shown(eyes, play)
            await asyncio.sleep(0)
            assert _cut_off(window) == []
            tags = _tags(eyes)
            assert any(line.startswith("Stop ") for line in tags)
        (card,) = window.positions.cards
        base = pair.partition("/")[0]
        assert card.title.text() == f"#1  LONG {position.held_qty.normalize():,f} {base}"
        rows = {label.text(): value.text() for label, value in card._rows}
        stop = play.stop().stop_price
        assert stop is not None
        price, away, worth = rows["Stop"].split("  ")
        assert abs(D(price.replace(",", "")) - stop) <= D(tick), "the level of the order that rests"
        assert len(price.partition(".")[2]) == digits
        assert (away[0], worth[0], worth[-4:]) == ("−", "−", "USDT")
        assert rows["Now (bid)"] == f"{play.state.prices.trusted.bid:,.{digits}f}"
        assert eyes.controller.chart is not None
        assert eyes.controller.chart.view._scene.instrument.price_decimals == digits
        ladder = eyes.controller.chart.view._scene.ladders
        assert ladder, "and the ladder is drawn"

    on_offscreen(scenario, tmp_path)
