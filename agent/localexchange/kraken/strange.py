"""Answers with something in them that nobody has heard of."""

from __future__ import annotations

from agent.localexchange.faults import Fault


def strange_answer(fault: Fault, told: object) -> object:
    """Of the variant `status`, every order at any depth; of any other, a field that is new."""
    if isinstance(told, list):
        return [strange_answer(fault, item) for item in told]
    if not isinstance(told, dict):
        return told
    value = str(fault.params["value"])
    inner = {key: strange_answer(fault, item) for key, item in told.items()}
    if fault.variant == "status":
        return {**inner, "status": value} if "descr" in told and "status" in told else inner
    return {**inner, "newThing": {"deep": [1, None, value]}} if "descr" in told else inner
