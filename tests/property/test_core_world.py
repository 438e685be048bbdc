"""Anything may happen in any order, and the agent's books still agree with the exchange's in the end.

Hypothesis drives the core against a small honest exchange over a way that loses, delays, repeats and
reorders; `tiny_world.check_step` holds after every single step of the core.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agent.core import events as e
from agent.core.events import Impairment
from agent.core.phase import Phase
from tests.playbook import EXITS, LIMITS, SELLER, D, make_instrument, make_setup
from tests.tiny_world import TinyWorld, check_books

CAP = {1: D(30), 3: D(20)}

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover


class Anything(RuleBasedStateMachine):
    world: TinyWorld

    @initialize(
        positions=st.sampled_from([1, 3]),
        stop=st.booleans(),
        protective=st.booleans(),
        market=st.booleans(),
        every_exit=st.booleans(),
        capital=st.sampled_from([None, D(4000)]),
        fee=st.sampled_from([None, "USDT", "BNB"]),
        pieces=st.integers(1, 3),
        foreign=st.sampled_from(["0", "700"]),
        lag_ms=st.sampled_from([0, 3_000]),
        lists=st.booleans(),
    )
    def begin(
        self, *, positions: int, stop: bool, protective: bool, market: bool, every_exit: bool,
        capital: Decimal | None, fee: str | None, pieces: int, foreign: str, lag_ms: int, lists: bool,
    ) -> None:  # fmt: skip
        limits = replace(
            LIMITS, max_open_positions=positions, max_position_size_percent=CAP[positions],
            risk_per_trade_percent=D(10), max_daily_trades=6,
        )  # fmt: skip
        setup = make_setup(
            seller=replace(SELLER, vol_z=0.5, tr_z=-9.0),
            exits=replace(EXITS, use_stop_loss=stop, max_hold=4),
            limits=limits,
            protective_stop=protective,
            entry_order="market" if market else "limit",
            entry_bar_exits="all" if every_exit else "stop_only",
            capital=capital,
            late_signal="enter",
        )
        offered = frozenset({"LIMIT", "MARKET", "STOP_LOSS", *(["LIMIT_MAKER"] if lists else [])})
        instrument = make_instrument(step=D(1), min_qty=D(1), order_types=offered)
        self.world = TinyWorld(setup, instrument, foreign=foreign)
        self.world.exchange.fee_currency = fee
        self.world.exchange.pieces = pieces
        self.world.exchange.query_lag_ms = lag_ms

    # --- the way there and back ------------------------------------------------------------------------

    @precondition(lambda self: self.world.requests)
    @rule(n=st.integers(0, 7))
    def a_request_arrives(self, n: int) -> None:
        self.world.deliver(n)

    @precondition(lambda self: self.world.requests)
    @rule(n=st.integers(0, 7))
    def a_request_arrives_and_its_answer_is_lost(self, n: int) -> None:
        self.world.deliver_silently(n)

    @precondition(lambda self: self.world.requests)
    @rule(n=st.integers(0, 7))
    def a_request_is_lost(self, n: int) -> None:
        self.world.lose(n)

    @precondition(lambda self: self.world.requests)
    @rule(n=st.integers(0, 7))
    def a_request_is_delayed(self, n: int) -> None:
        self.world.delay(n)

    @precondition(lambda self: self.world.delayed)
    @rule(n=st.integers(0, 7))
    def a_delayed_request_arrives(self, n: int) -> None:
        self.world.arrive_late(n)

    @precondition(lambda self: self.world.answers)
    @rule(n=st.integers(0, 7))
    def an_answer_arrives(self, n: int) -> None:
        self.world.hear(n)

    @precondition(lambda self: self.world.exchange.stream)
    @rule(n=st.integers(0, 7), again=st.booleans())
    def the_stream_is_heard(self, n: int, again: bool) -> None:
        (self.world.hear_stream_again if again else self.world.hear_stream)(n)

    @precondition(lambda self: self.world.exchange.stream)
    @rule(n=st.integers(0, 7))
    def the_stream_drops_a_word(self, n: int) -> None:
        self.world.drop_from_stream(n)

    @rule()
    def nothing_is_lost_for_once(self) -> None:
        """Everything under way arrives, and a signal goes all the way to its position."""
        if self.world.state.phase is not Phase.HALTED:
            self.world.learn(e.StartRequested("op"))
        self.world.calm()
        self.world.signal()
        self.world.calm()

    @rule(times=st.integers(1, 6))
    def seconds_pass_and_everything_arrives(self, times: int) -> None:
        for _ in range(times):
            self.world.pass_time(2_000)
            self.world.calm()

    @rule()
    def everything_arrives(self) -> None:
        self.world.calm()

    # --- the market ------------------------------------------------------------------------------------

    @rule(taken=st.booleans())
    def a_signal(self, taken: bool) -> None:
        self.world.signal()
        if taken:
            self.world.take_up()

    @rule(bars=st.integers(1, 2))
    def quiet_bars(self, bars: int) -> None:
        for _ in range(bars):
            self.world.quiet_bar()

    @rule(percent=st.sampled_from([-4, -2, -1, 1, 2, 4]))
    def the_price_moves(self, percent: int) -> None:
        bid = self.world.exchange.bid
        self.world.price(self.world.instrument.price(bid * (100 + percent) / 100, "nearest"))

    @rule(depth=st.sampled_from([0, 3, 400, 900, 1_000_000, 1_000_000, 1_000_000]))
    def the_book_changes(self, depth: int) -> None:
        self.world.exchange.depth = D(depth)

    @rule(why=st.sampled_from([None, "too many orders"]))
    def the_exchange_changes_its_mind(self, why: str | None) -> None:
        self.world.exchange.refusing = why

    @rule(ms=st.sampled_from([10, 500, 3_000, 20_000, 60_000]))
    def time_passes(self, ms: int) -> None:
        self.world.pass_time(ms)

    @rule(amount=st.sampled_from([-500, 700]))
    def money_comes_or_goes(self, amount: int) -> None:
        self.world.flow(D(amount))

    @precondition(lambda self: any(o.is_open for o in self.world.exchange.orders.values()))
    @rule()
    def somebody_cancels_at_the_exchange(self) -> None:
        for client_id, order in self.world.exchange.orders.items():
            if order.is_open:
                self.world.exchange.cancel(client_id)
                return

    @precondition(lambda self: self.world.state.open_positions())
    @rule(qty=st.sampled_from([40, 100_000]), sold=st.booleans(), seldom=st.integers(0, 2))
    def somebody_takes_our_coins(self, qty: int, sold: bool, seldom: int) -> None:
        if seldom == 0:
            self.world.coins_are_taken(D(qty), sold=sold)

    # --- the process and its operator ----------------------------------------------------------------------

    @rule()
    def the_process_dies_and_starts_again(self) -> None:
        self.world.crash()

    @rule(event=st.sampled_from([
        e.PauseRequested("op"), e.StopRequested("op", flatten=False), e.StopRequested("op", flatten=True),
        e.CloseRequested("op", None), e.Impaired(Impairment.CLOCK_OFFSET, "800 ms"),
    ]), back=st.booleans())  # fmt: skip
    def the_operator_asks(self, event: e.Event, back: bool) -> None:
        self.world.learn(event)
        if back:
            self.world.learn(e.Healed(Impairment.CLOCK_OFFSET))
            self.world.learn(e.StartRequested("op"))

    @rule(seldom=st.integers(0, 5))
    def emergency(self, seldom: int) -> None:
        if seldom == 0:
            self.world.latched = True
            self.world.learn(e.EmergencyRequested("op"))

    @precondition(lambda self: self.world.state.in_flight())
    @rule()
    def emergency_in_the_middle_of_an_entry(self) -> None:
        self.world.latched = True
        self.world.learn(e.EmergencyRequested("op"))

    @precondition(lambda self: self.world.state.phase is Phase.HALTED)
    @rule()
    def the_halt_is_cleared_when_it_may_be(self) -> None:
        self.world.settle()
        self.world.learn(e.ClearHaltRequested("op"))
        assert self.world.state.durable.halt is None, "flat and reconciled: it may be cleared"
        self.world.latched = False
        self.world.learn(e.StartRequested("op"))

    # --- in the end ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.settle()
        check_books(world)
        if world.state.phase is Phase.HALTED or world.state.durable.flattening:
            assert not world.state.open_positions(), "a halt goes on until nothing is held"


TestAnything = Anything.TestCase
TestAnything.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
