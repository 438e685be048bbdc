"""The engine as the control channel sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agent.control.door import Answer, Done, NotDone
from agent.core.commands import Answer as CoreAnswer
from agent.core.events import Operator
from agent.core.snapshot import snapshot
from agent.core.state import AgentState
from agent.shell.runtime import Runtime

#: What is shown waits so long to be on disk, and no longer: whoever looks must see what a bad disk does.
SETTLE_S: Final = 0.25


class Door:
    """`EngineDoor` over the runtime. The snapshot is made when somebody looks, at most once per state.

    `extra` adds what only the shell knows (connection figures), read at the same moment.
    """

    def __init__(self, runtime: Runtime, version: str, extra: Callable[[], Mapping[str, Any]] = dict) -> None:
        self._runtime = runtime
        self._version = version
        self._extra = extra
        self._shown: tuple[AgentState, Mapping[str, Any]] | None = None

    def snapshot(self) -> Mapping[str, Any]:
        state = self._runtime.state
        if self._shown is None or self._shown[0] is not state:
            self._shown = (state, {**snapshot(state, self._version), **self._extra()})
        return self._shown[1]

    async def settled(self) -> None:
        await self._runtime.settle_writes(SETTLE_S)

    async def ask(self, event: Operator) -> Answer:
        answer = await self._runtime.ask(event)
        await self._runtime.settle_writes()
        return self._answer(answer)

    async def emergency(self, by: str) -> Answer:
        return self._answer(await self._runtime.emergency(by))

    def _answer(self, answer: CoreAnswer) -> Answer:
        if answer.ok:
            return Done(self._runtime.state.phase.value, answer.text)
        return NotDone("declined", answer.text, "")
