"""`parity`: every stored decision against the whole history, each trade against the bar form."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.command_line.outcome import ExitCode
from agent.command_line.place import data_dir_of
from agent.command_line.stored_scope import reading
from agent.command_line.terminal import Terminal
from agent.command_line.wording import counted
from agent.insight.costs import Suggestion, suggest
from agent.insight.parity import Score
from agent.store.cost_export import cost_json
from agent.store.data_dir import DataDir
from agent.store.reading_parity import check_parity, cost_rows
from agent.store.scrutiny import last_findings
from agent.store.second_opinion import opinion_line, stored_opinion

#: Trades that the table shows; the export has all of them.
_SHOWN = 20


def parity_command(data_dir: Path | None, as_json: bool) -> int:
    place = DataDir(data_dir_of(data_dir))
    with reading(data_dir) as (reader, scope):
        score = check_parity(reader, place.candles_db, scope, Score())
        rows = cost_rows(reader, place.candles_db, scope)
        looks = last_findings(reader, scope).looks
        opinion = stored_opinion(reader, scope)
    told = suggest(rows)
    terminal = Terminal(as_json=as_json)
    if as_json:
        terminal.document(
            {
                "score": score.document(),
                "looks": asdict(looks),
                "trades": [cost_json(row) for row in rows],
                "second_opinion": opinion,
                **suggested(told),
            }
        )
    else:
        terminal.show("\n".join([*_score_lines(score), *filter(None, [opinion_line(opinion)])]))
        terminal.show(looks.sentence() if looks.made else "Beside the engine nothing was looked at yet.")
        if rows:
            from agent.command_line.parity_view import costs_table

            terminal.show(costs_table(rows[-_SHOWN:]))
        terminal.show("\n".join(_suggestion_lines(told)))
    return ExitCode.DONE if score.mismatches == 0 else ExitCode.REFUSED


def _score_lines(score: Score) -> list[str]:
    if score.bars == 0:
        return ["No decision could be compared: nothing was decided yet, or its candles are not stored."]
    bars, signals = counted(score.bars, "bar"), counted(score.signals, "signal")
    wrong = f"{score.mismatches or 'no'} mismatch{'' if score.mismatches == 1 else 'es'}"
    lines = [
        f"{bars} compared with the whole history, {signals} among them: {wrong}; the largest relative error "
        f"of a value is {score.worst:.1e}."
    ]
    if score.skipped:
        lines.append(f"{counted(score.skipped, 'bar')} not compared: their candles are not stored any more.")
    lines += [f"{n} because of {cause}." for cause, n in score.by_cause.items()]
    lines += [f"- {sentence}" for sentence in score.remembered]
    return lines


def _suggestion_lines(told: Suggestion) -> list[str]:
    if told.fee_bp is None and told.slippage_bp is None:
        return [f"{counted(told.trades, 'closed trade')}: too few to suggest costs for the next backtest."]
    fee = "unknown" if told.fee_bp is None else f"{told.fee_bp:.2f}"
    slippage = (
        "unknown (too few trades left where the bar form did)"
        if told.slippage_bp is None
        else f"{told.slippage_bp:.2f}"
    )
    return [f"For the next backtest, from {told.trades} trades: fee_bp {fee}, slippage_bp {slippage}."]


def suggested(told: Suggestion) -> dict[str, Any]:
    return {
        "suggested": {"trades": told.trades, "fee_bp": told.fee_bp, "slippage_bp": told.slippage_bp},
    }
