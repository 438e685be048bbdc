"""From a request on the channel to an operator's event, and back from the engine's answer to a reply.

Arguments are as strict as the messages: a missing, surplus or wrongly typed one refuses the request, so that
nothing is ever done that was not asked for in full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.control.door import Answer, Done
from agent.control.messages import Answered, CommandName, Failed, Json, Reply, Request
from agent.core.events import (
    ClearHaltRequested,
    CloseRequested,
    Operator,
    PauseRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)

_PLAIN: Final[dict[CommandName, Callable[[str], Operator]]] = {
    CommandName.START: StartRequested,
    CommandName.PAUSE: PauseRequested,
    CommandName.RESUME: ResumeRequested,
    CommandName.CLEAR_HALT: ClearHaltRequested,
}

_ARGUMENTS: Final = {
    CommandName.STOP: "stop takes exactly `flatten`, true or false",
    CommandName.CLOSE: "close takes exactly `position_id`, a whole number, or null for all",
}


def operator_event(request: Request, command: CommandName, by: str) -> Operator | Failed:
    """The event that `request` asks for. `command` is none of status, subscribe and emergency-stop."""
    args = request.args
    match command:
        case CommandName.STOP if args.keys() == {"flatten"} and isinstance(args["flatten"], bool):
            return StopRequested(by, flatten=args["flatten"])
        case CommandName.CLOSE if args.keys() == {"position_id"} and _is_position(args):
            return CloseRequested(by, position_id=args["position_id"])
        case CommandName.STOP | CommandName.CLOSE:
            return bad_arguments(request, _ARGUMENTS[command])
        case _ if args:
            return bad_arguments(request, f"{command} takes no arguments")
        case _:
            return _PLAIN[command](by)


def _is_position(args: Json) -> bool:
    value = args["position_id"]
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def reply_to(request: Request, answer: Answer) -> Reply:
    if isinstance(answer, Done):
        return Answered(request.id, {**answer.detail, "state": answer.state, "text": answer.text})
    return Failed(request.id, answer.code, answer.text, answer.fix)


def bad_arguments(request: Request, text: str) -> Failed:
    return Failed(request.id, "bad_arguments", text, "send the arguments as the program's own client does")


def unknown_command(request: Request) -> Failed:
    known = ", ".join(CommandName)
    return Failed(request.id, "unknown_command", "the engine does not know this command", f"known: {known}")


def version_mismatch(request: Request, ours: str, theirs: str) -> Failed:
    return Failed(
        request.id,
        "version_mismatch",
        f"the running engine is version {ours} and this program is {theirs}; "
        "between versions only status, pause and emergency-stop work",
        "restart the engine with the installed version",
    )


def busy(request: Request) -> Failed:
    return Failed(
        request.id, "busy", "too many requests of this client are still unanswered", "wait for their answers"
    )


def fault(request: Request) -> Failed:
    return Failed(
        request.id,
        "fault",
        "the engine failed while doing this; nothing can be said about the result",
        "look at status and at the engine's log",
    )
