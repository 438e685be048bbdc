"""`drill`: disasters on purpose, in a scratch directory, with passed or failed in plain words."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from agent.command_line.outcome import Ended, ExitCode
from agent.command_line.place import data_dir_of
from agent.command_line.terminal import Terminal
from agent.command_line.wording import counted


def drill_command(only: list[str] | None, keep: Path | None, data_dir: Path | None, as_json: bool) -> int:
    from agent.drill.disasters import DISASTERS, Disaster
    from agent.drill.playing import Played, Verdict, play

    chosen = [d for d in DISASTERS if not only or d.name in only]
    unknown = set(only or ()) - {d.name for d in DISASTERS}
    if unknown:
        raise Ended(
            ExitCode.REFUSED,
            f"There is no disaster called {', '.join(sorted(unknown))}.",
            f"choose among {', '.join(d.name for d in DISASTERS)}",
        )
    _not_beside_live(data_dir)
    terminal = Terminal(as_json=as_json)
    terminal.say(
        f"Fire drill: {counted(len(chosen), 'disaster')}, against the built-in exchange, in a scratch "
        "directory. Your own data and your exchange are not touched."
    )

    def begins(disaster: Disaster) -> None:
        terminal.say(f"{disaster.name}: {disaster.does}")

    def ended(played: Played) -> None:
        terminal.say(f"  {played.verdict.value} after {played.took_s:.0f} s: {played.told}.")

    with tempfile.TemporaryDirectory(prefix="drill-") as made:
        scratch = _scratch(keep) or Path(made)
        results = asyncio.run(play(chosen, scratch, begins, ended))
    failed = [r for r in results if r.verdict is Verdict.FAILED]
    passed = sum(r.verdict is Verdict.PASSED for r in results)
    if failed:
        words = f"{len(failed)} of {counted(len(results), 'disaster')} FAILED: "
        names = ", ".join(r.disaster.name for r in failed)
        text = f"{words}{names}. Do not trade before that is understood."
    else:
        left = len(results) - passed
        text = f"All {passed} passed." + (f" {left} cannot be played on this system." if left else "")
    terminal.result(text, {"passed": not failed, "disasters": [_document(r) for r in results]})
    return ExitCode.REFUSED if failed else ExitCode.DONE


def _document(played: Any) -> dict[str, Any]:
    return {
        "name": played.disaster.name,
        "does": played.disaster.does,
        "expects": played.disaster.expects,
        "verdict": played.verdict.value,
        "told": played.told,
        "took_s": round(played.took_s, 1),
    }


def _scratch(keep: Path | None) -> Path | None:
    """The directory to keep everything in; it must be new, so that nothing of the user's is in it."""
    if keep is None:
        return None
    try:
        keep.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise Ended(ExitCode.REFUSED, f"{keep} exists already.", "name one that does not") from None
    except OSError as error:
        raise Ended(ExitCode.REFUSED, f"{keep} cannot be made: {error.strerror}.") from None
    return keep


def _not_beside_live(data_dir: Path | None) -> None:
    """A drill takes a core for a minute: not beside an engine that trades real money."""
    from agent.command_line.engine_link import lock_holder
    from agent.command_line.stored import stored_status
    from agent.store.trouble import StoreTrouble

    place = data_dir_of(data_dir)
    try:
        status = stored_status(place) or {}
    except StoreTrouble:
        return
    if status.get("mode") == "live" and lock_holder(place) is not None:
        raise Ended(
            ExitCode.REFUSED,
            "A live engine works in this data directory.",
            "a drill needs the machine for itself: stop the engine first, or play it on another machine",
        )
