"""Texts of the gate: for the terminal, in Markdown, as commands of GitHub Actions, as JUnit; and of a calibration."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.errors import format_count
from gdbench.report.escaping import escape_control_codes, escape_markdown, escape_workflow_command
from gdbench.report.number_format import NEVER, format_interval, format_value
from gdbench.report.terminal.column_fitting import (
    UNLIMITED,
    Column,
    FittedTable,
    describe_dropped,
    fit_columns,
    make_console,
)

__all__ = [
    *("describe_calibration", "format_gate_markdown", "format_junit", "format_workflow_commands", "print_changes"),
    *("print_gate_report", "tabulate_changes"),
]

QUIET = ("same", "no slower")
"""Verdicts that are counted but not listed."""
STYLES = {"worse": "red", "slower": "red", "changed": "red", "better": "green", "faster": "green"}
OUTCOMES = {0: "PASSED", 1: "FAILED", 3: "INCONCLUSIVE", 4: "NOT MEASURED"}
WRAP_WIDTH = 24
"""Minimum width of a reason, or of the subject of a commit, before it is wrapped."""
SUBJECT: dict[str, Any] = {"wrap_width": WRAP_WIDTH, "drop_rank": 1}
ABSENT = ("missing", "unmeasured")
"""Verdicts without a comparison."""
ORDER = ("worse", "changed", "slower", "missing", "unmeasured", "contaminated", "undecided", "better", "faster", "new")


def print_gate_report(header: Mapping[str, Any], findings: pd.DataFrame) -> None:
    """Print the report of a gate."""
    out = make_console()
    out.print(render_gate_report(header, findings, out.width), crop=False)


def render_gate_report(header: Mapping[str, Any], findings: pd.DataFrame, width: int = UNLIMITED) -> RenderableType:
    """What was compared, verdicts by layer, one line per finding, notes, and the result."""
    parts: list[RenderableType] = [Text(_describe_comparison(header), style="bold"), Text()]
    parts += [Text(f" {layer:7} {_count_verdicts(group)}") for layer, group in findings.groupby("layer", sort=False)]
    listed = _sort_findings(findings)
    if len(listed):
        parts += [Text(), _build_findings_table(listed, width)]
    parts += [Text(), *(Text(note) for note in header["notes"])]
    return Group(
        *parts, Text(f"{_format_outcome(header)}   report: {header['folder']}/gate.md", no_wrap=True, overflow="ignore")
    )


def _build_findings_table(listed: pd.DataFrame, width: int) -> FittedTable:
    """Table of series, verdict and reason."""
    rows = [row for _, row in listed.iterrows()]
    styles = {
        index: "dim" if row["forgiven"] else STYLES.get(row["verdict"], "yellow") for index, row in enumerate(rows)
    }
    columns = [
        Column("", [f" {row['series']}" for row in rows], is_text=True),
        Column("", [row["verdict"] for row in rows], is_text=True, styles=styles),
        Column("", [_format_reason(row) for row in rows], is_text=True, wrap_width=WRAP_WIDTH),
    ]
    return fit_columns(columns, width, has_header=False)


def _describe_comparison(header: Mapping[str, Any]) -> str:
    words = [f"{header['base']} against {header['head']}", f"{header['series']} series"]
    if not header["same_fingerprint"]:
        words.append("another fingerprint: hits within 1, losses within rounding")
    return " · ".join([*words, *([header["power"]] if header.get("power") else [])])


def _count_verdicts(group: pd.DataFrame) -> str:
    counted = group["verdict"].value_counts()
    names = [*(name for name in QUIET if name in counted), *(name for name in ORDER if name in counted)]
    return "   ".join(f"{counted[name]} {name}" for name in names)


def _sort_findings(findings: pd.DataFrame) -> pd.DataFrame:
    """The findings to list, by severity, those of a series together."""
    listed = findings[~findings["verdict"].isin(QUIET)]
    ranks = {name: rank for rank, name in enumerate(ORDER)}
    rank = listed["verdict"].map(ranks).astype("int64") + len(ORDER) * ~listed["fails"].astype(bool)
    of_series = rank.groupby(listed["series"]).transform("min")
    return listed.assign(_series=of_series, _rank=rank).sort_values(["_series", "series", "_rank"], kind="stable")


def _format_reason(row: pd.Series) -> str:
    return "; ".join(filter(None, (row["cause"], row["forgiven"])))


def _format_outcome(header: Mapping[str, Any]) -> str:
    return f"{OUTCOMES[header['code']]} (exit {header['code']})"


def print_changes(changes: pd.DataFrame) -> None:
    """Print the changes of measures along a branch."""
    table = tabulate_changes(changes)
    out = make_console()
    if not len(table):
        out.print("No measure changed.")
        return
    columns = [
        Column(str(name), list(map(str, table[name])), is_text=True, **(SUBJECT if name == "subject" else {}))
        for name in table
    ]
    fitted = fit_columns(columns, out.width)
    out.print(fitted, *(Text(line, style="dim") for line in describe_dropped([fitted])), crop=False)


def tabulate_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """The changes of measures as text: commits, series, measure, from, to, subject."""
    commits = [f"{after[:7]}..{commit[:7]}" for after, commit in zip(changes["after"], changes["commit"], strict=True)]
    sides = {"from": "base", "to": "head"}
    values = {name: changes[side].map(lambda value: format_value(value, NEVER)) for name, side in sides.items()}
    table = changes[["series", "measure"]].assign(**values, subject=changes["subject"])
    table.insert(0, "commit", commits)
    return table


def format_gate_markdown(header: Mapping[str, Any], findings: pd.DataFrame) -> str:
    """The report as Markdown, for a pull request or the summary of a job."""
    lines = [
        f"## Gate: {_format_outcome(header)}",
        "",
        escape_markdown(_describe_comparison(header)),
        "",
        "| layer | verdicts |",
        "| --- | --- |",
    ]
    lines += [f"| {layer} | {_count_verdicts(group)} |" for layer, group in findings.groupby("layer", sort=False)]
    listed = _sort_findings(findings)
    if len(listed):
        lines += ["", "| series | verdict | cause |", "| --- | --- | --- |"]
        lines += [
            f"| {escape_markdown(row['series'])} | {_format_verdict(row)} | {escape_markdown(_format_reason(row))} |"
            for _, row in listed.iterrows()
        ]
    lines += [
        "",
        *(f"{escape_markdown(note)}  " for note in header["notes"]),
        f"Fingerprint: {header['fingerprint']}",
        "",
    ]
    return "\n".join(lines)


def _format_verdict(row: pd.Series) -> str:
    return f"**{row['verdict']}**" if row["fails"] else str(row["verdict"])


def format_workflow_commands(findings: pd.DataFrame) -> list[str]:
    """Workflow commands of GitHub Actions: an error for each failure, a warning for other findings that are listed."""
    lines = []
    for _, row in _sort_findings(findings).iterrows():
        if row["fails"] or row["verdict"] not in ("better", "faster", "new"):
            level = "error" if row["fails"] or (row["verdict"] in ABSENT and not row["forgiven"]) else "warning"
            series, verdict, reason = map(escape_workflow_command, (row["series"], row["verdict"], _format_reason(row)))
            lines.append(f"::{level} title=gate%3A {series}::{verdict}: {reason}")
    return lines


def format_junit(header: Mapping[str, Any], findings: pd.DataFrame) -> bytes:
    """JUnit XML, a test case per finding: failed, error if not measured, skipped if undecided, else passed."""
    kinds = findings.apply(_choose_junit_kind, axis=1) if len(findings) else pd.Series(dtype=object)
    suite = ElementTree.Element("testsuite", name="gdbench gate", timestamp=header["started"])
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    numbers = {"tests": len(findings), **{name: int((kinds == kind).sum()) for name, kind in counts.items()}}
    for name, count in {**numbers, "time": round(header["seconds"], 3)}.items():
        suite.set(name, str(count))
    for (_, row), kind in zip(findings.iterrows(), kinds, strict=True):
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"gate.{row['layer']}", name=escape_control_codes(row["series"])
        )
        if kind:
            element = ElementTree.SubElement(
                case, kind, message=escape_control_codes(f"{row['verdict']}: {_format_reason(row)}")
            )
            if kind != "skipped":
                element.set("type", row["verdict"])
    document = ElementTree.Element("testsuites")
    document.append(suite)
    ElementTree.indent(document)
    written: bytes = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return written


def _choose_junit_kind(row: pd.Series) -> str:
    """The element of a test case that did not pass; empty if it passed."""
    if row["fails"]:
        return "failure"
    if row["verdict"] in ABSENT:
        return "skipped" if row["forgiven"] else "error"
    return "skipped" if row["verdict"] in ("undecided", "contaminated") else ""


def describe_calibration(result: Any) -> list[str]:
    """Lines on a ``CalibrationResult``: false alarms, detection of injected slowdowns, detectable slowdowns."""
    false_alarms = (
        f"{format_count(result.comparisons, 'comparison')} of head with itself:"
        f" {format_count(result.false_alarms, 'false alarm')}, a rate of at most {result.max_false_alarm_rate:.2%} with"
        f" 95% confidence ({result.suspected} before confirmation, {result.undecided} undecided)"
    )
    lines = [false_alarms]
    for injected in result.injected:
        low, high = injected.interval
        size, below, above = (100 * (injected.size + error) for error in (0.0, -injected.error, injected.error))
        lines.append(
            f"injected slowdown {injected.requested:+.0%} (measured"
            f" {format_interval(size, below, above, unit='%', decimals=1, sign='+')}): detected in {injected.slower} of"
            f" {injected.comparisons} [{low:.0%}, {high:.0%}]"
        )
    if slowdowns := result.detectable_slowdown:
        worst = max(slowdowns, key=slowdowns.__getitem__)
        lines.append(
            f"slowdowns are detected with power 0.95 from {statistics.median(slowdowns.values()):.1%} (median over"
            f" series), from {slowdowns[worst]:.1%} in {worst}"
        )
    return [*lines, f"{format_count(result.rounds, 'round')} in {result.seconds:.0f} s"]
