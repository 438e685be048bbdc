"""The report of a check as text for people and as one JSON document for programs; the command that prints it.

Standard output carries the report and nothing else; with `--json`, exactly one document. Exit codes: 0 valid,
2 missing, unreadable, not UTF-8 or not JSON, 1 everything else.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from agent.config.credentials import credential_warnings, default_sources
from agent.config.findings import Finding, Report, Shown, visible
from agent.config.load import check_file
from agent.config.model import Config


def text(report: Report) -> str:
    """Every error and warning with key, value, reason and fix, and the verdict in the last lines."""
    lines = [visible(report.path.name), *(_summary(report.config) if report.config else ())]
    for label, findings in (("ERROR", report.errors), ("WARNING", report.warnings)):
        for finding in findings:
            lines += ["", *_finding_lines(label, finding)]
    lines.append("")
    if report.valid:
        lines.append("Configuration valid")
    else:
        errors = len(report.errors)
        lines.append(f"Configuration invalid: {errors} error{'' if errors == 1 else 's'}")
    warnings = len(report.warnings)
    lines.append(f"{warnings} warning{'' if warnings == 1 else 's'} (review)")
    return "\n".join(lines) + "\n"


def _summary(config: Config) -> Iterator[str]:
    """What an accepted configuration amounts to, where the file itself leaves room for doubt."""
    without_effect = " (exchange.testnet has no effect)" if config.mode == "paper" else ""
    exchange, bars = config.exchange, config.bars
    yield f"  mode:    {config.mode}{without_effect}"
    yield f"  market:  {visible(exchange.trading_pair)} {config.timeframe} on {exchange.exchange_name}"
    yield (
        f"  windows: ema_fast {bars.ema_fast}, ema_slow {bars.ema_slow}, z_window {bars.z_window}, "
        f"atr_window {bars.atr_window} bars"
    )
    yield f"  hash:    {config.config_hash}"


def _finding_lines(label: str, finding: Finding) -> Iterator[str]:
    where = f"  (line {finding.line})" if finding.line is not None else ""
    yield f"{label} {finding.key}{where}"
    value = "(none, or not shown)" if finding.value is None else json.dumps(finding.value, ensure_ascii=False)
    yield f"  value:  {value}"
    yield f"  reason: {finding.reason}"
    yield f"  fix:    {finding.fix}"


def json_document(report: Report) -> str:
    """`{"valid", "errors": [{"key", "value", "reason", "fix"}], "warnings": [...]}` on one line."""
    document = {
        "valid": report.valid,
        "errors": [_as_object(finding) for finding in report.errors],
        "warnings": [_as_object(finding) for finding in report.warnings],
    }
    return json.dumps(document) + "\n"


def _as_object(finding: Finding) -> dict[str, Shown]:
    return {"key": finding.key, "value": finding.value, "reason": finding.reason, "fix": finding.fix}


def validate_config_command(
    path: Path, as_json: bool, env_file: Path | None = None, environment: Mapping[str, str] | None = None
) -> int:
    """Check the file at `path`, print the report, return the exit code.

    Missing credentials are looked for in `env_file`, by default the `.env` beside the configuration.
    """
    report = check_file(path)
    if report.config is not None:
        sources = default_sources(
            env_file or path.parent / ".env", os.environ if environment is None else environment
        )
        report = report.with_warnings(credential_warnings(report.config, sources))
    _write(sys.stdout, json_document(report) if as_json else text(report))
    return report.exit_code


def _write(stream: TextIO, content: str) -> None:
    """Write even where the terminal's encoding lacks a character."""
    encoding = stream.encoding or "utf-8"
    stream.write(content.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
