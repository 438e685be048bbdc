"""The one decision about real money: every gate with its numbers, and `Armed` only when all of them passed.

PURE. Two steps arm: LIVE_TRADING_CONFIRM equals the pair, and somebody confirmed (typed, or `--live`). What
was confirmed is one configuration: another one asks again, and a plain `--live` in a service unit does not
answer for it. Another version of the program asks again for entries only. No gate stops the management of
what is open: then orders may leave, entries may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from agent.arming.checklist import LAUNCH_LIST
from agent.arming.phases import Gate
from agent.arming.record import ArmingRecord, Override

MODE: Final = "mode"
CONFIRM: Final = "LIVE_TRADING_CONFIRM"
CONFIRMATION: Final = "confirmation"
VERSION: Final = "program version"
PAPER: Final = "paper phase"
TESTNET: Final = "testnet phase"
#: Every gate there is; an arming answers for each.
GATES: Final = (MODE, CONFIRM, CONFIRMATION, VERSION, PAPER, TESTNET, LAUNCH_LIST)
#: These an explicit override opens.
OVERRIDABLE: Final = frozenset({PAPER, TESTNET, LAUNCH_LIST})


class Confirmed(StrEnum):
    """What somebody did at this start."""

    NOT = "not"
    FLAG = "--live"
    TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the decision needs. `is_open`: a position or order of this live account is not ended.

    `launch`: the launch list as a gate.
    """

    mode: str
    pair: str
    config_hash: str
    version: str
    env_confirm: str | None
    confirmed: Confirmed
    record: ArmingRecord | None
    phases: tuple[Gate, ...]
    launch: Gate
    override: Override | None = None
    is_open: bool = False


@final
@dataclass(frozen=True, slots=True)
class Armed:
    """Orders may leave. `entries_refused_because` None: entries too, and then every gate passed."""

    config_hash: str
    version: str
    gates: tuple[Gate, ...]
    entries_refused_because: str | None
    override: Override | None

    def __post_init__(self) -> None:
        assert self.config_hash, "an arming is for one configuration"
        assert tuple(gate.name for gate in self.gates) == GATES, "an arming answers for every gate"
        passed = all(gate.passed for gate in self.gates)
        assert passed or self.entries_refused_because, "entries need every gate"

    @property
    def notice(self) -> str:
        text = f"real money: configuration {self.config_hash[:12]}, version {self.version}"
        if self.override is not None:
            text += f", phases overridden at {self.override.at}: {self.override.reason}"
        if self.entries_refused_because is not None:
            text += "; no entries, only what is open"
        return text


@dataclass(frozen=True, slots=True)
class NotArmed:
    gates: tuple[Gate, ...]

    @property
    def closed(self) -> tuple[str, ...]:
        return tuple(gate.name for gate in self.gates if not gate.passed)

    @property
    def why(self) -> str:
        return "; ".join(f"{g.name}: {g.numbers} ({g.fix})" for g in self.gates if not g.passed)


def decide(seen: Evidence) -> Armed | NotArmed:
    record = seen.record
    override = seen.override
    if override is None and record is not None and record.config_hash == seen.config_hash:
        override = record.override
    gates = (
        _mode(seen),
        _env_confirm(seen),
        _confirmation(seen),
        _version(seen),
        *(_overridden(gate, override) for gate in (*seen.phases, _launch(seen))),
    )
    failed = [gate for gate in gates if not gate.passed]
    if not failed:
        return Armed(seen.config_hash, seen.version, gates, None, override)
    only_version = [gate.name for gate in failed] == [VERSION]
    if seen.mode == "live" and (only_version or seen.is_open):
        return Armed(seen.config_hash, seen.version, gates, NotArmed(gates).why, override)
    return NotArmed(gates)


def _mode(seen: Evidence) -> Gate:
    return Gate(
        MODE, seen.mode == "live", f"the configuration's mode is {seen.mode}",
        "set exchange.paper_trading and exchange.testnet to false",
    )  # fmt: skip


def _env_confirm(seen: Evidence) -> Gate:
    fix = f"write LIVE_TRADING_CONFIRM={seen.pair} into .env"
    if seen.env_confirm is None:
        return Gate(CONFIRM, False, "not set", fix)
    if seen.env_confirm != seen.pair:
        return Gate(CONFIRM, False, f"does not equal the pair {seen.pair}", fix)
    return Gate(CONFIRM, True, f"equals the pair {seen.pair}")


def _confirmation(seen: Evidence) -> Gate:
    record, fix = seen.record, "run `python -m agent.cli arm` and type the pair"
    if seen.confirmed is Confirmed.TYPED:
        return Gate(CONFIRMATION, True, "typed now")
    if record is not None and record.config_hash != seen.config_hash:
        numbers = f"given for configuration {record.config_hash[:12]}, this one is {seen.config_hash[:12]}"
        return Gate(CONFIRMATION, False, numbers, fix)
    if record is not None:
        return Gate(CONFIRMATION, True, f"{record.how} at {record.at} for this configuration")
    if seen.confirmed is Confirmed.FLAG:
        return Gate(CONFIRMATION, True, "--live")
    return Gate(
        CONFIRMATION, False, "nobody has confirmed this configuration", f"{fix}, or start with --live"
    )


def _version(seen: Evidence) -> Gate:
    record = seen.record
    if seen.confirmed is Confirmed.TYPED or record is None or record.version == seen.version:
        return Gate(VERSION, True, seen.version)
    return Gate(
        VERSION, False, f"{record.version} was confirmed, this is {seen.version}: no entries",
        "run `python -m agent.cli arm` and type the pair",
    )  # fmt: skip


def _launch(seen: Evidence) -> Gate:
    """Asked when a configuration is armed, and not at every start afterwards."""
    record = seen.record
    if seen.confirmed is Confirmed.TYPED or record is None or record.config_hash != seen.config_hash:
        return seen.launch
    return Gate(LAUNCH_LIST, True, f"looked at when it was armed, {record.at}")


def _overridden(gate: Gate, override: Override | None) -> Gate:
    assert gate.name in OVERRIDABLE, gate.name
    if gate.passed or override is None:
        return gate
    return Gate(gate.name, True, f"OVERRIDDEN at {override.at} ({override.reason}); {gate.numbers}")
