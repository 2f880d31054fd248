"""What the gate found, for the terminal, for a pull request, for GitHub and for whatever reads JUnit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from gdbench.report.escaping import escape_control_codes, escape_markdown, escape_workflow_command
from gdbench.report.number_format import format_number
from gdbench.report.terminal.column_fitting import (
    UNLIMITED,
    Column,
    FittedTable,
    describe_dropped,
    fit_columns,
    make_console,
)

__all__ = ["junit", "markdown", "show_changes", "show_gate", "told_changes", "workflow_commands"]

QUIET = ("same", "no slower")
"""Verdicts that are counted and not listed."""
STYLES = {"worse": "red", "slower": "red", "changed": "red", "better": "green", "faster": "green"}
RESULTS = {0: "PASSED", 1: "FAILED", 3: "INCONCLUSIVE", 4: "NOT MEASURED"}
NARROWEST = 24
"""How narrow a reason, or the subject of a commit, may get before it goes on in further lines."""
SUBJECT: dict[str, Any] = {"wrap_width": NARROWEST, "drop_rank": 1}
ABSENT = ("missing", "unmeasured")
"""Verdicts where nothing was compared."""
ORDER = ("worse", "changed", "slower", "missing", "unmeasured", "contaminated", "undecided", "better", "faster", "new")


def show_gate(header: Mapping[str, Any], findings: pd.DataFrame) -> None:
    """Print what a gate found."""
    out = make_console()
    out.print(gate_report(header, findings, out.width), crop=False)


def gate_report(header: Mapping[str, Any], findings: pd.DataFrame, width: int = UNLIMITED) -> RenderableType:
    """What was compared, verdicts by layer, one line a finding, notes, and the result."""
    parts: list[RenderableType] = [Text(_compared(header), style="bold"), Text()]
    parts += [Text(f" {layer:7} {_counts(group)}") for layer, group in findings.groupby("layer", sort=False)]
    listed = _listed(findings)
    if len(listed):
        parts += [Text(), _findings_table(listed, width)]
    parts += [Text(), *(Text(note) for note in header["notes"])]
    return Group(
        *parts, Text(f"{_result(header)}   report: {header['folder']}/gate.md", no_wrap=True, overflow="ignore")
    )


def _findings_table(listed: pd.DataFrame, width: int) -> FittedTable:
    """Series, verdict and reason of each finding."""
    rows = [row for _, row in listed.iterrows()]
    styles = {
        place: "dim" if row["forgiven"] else STYLES.get(row["verdict"], "yellow") for place, row in enumerate(rows)
    }
    columns = [
        Column("", [f" {row['series']}" for row in rows], is_text=True),
        Column("", [row["verdict"] for row in rows], is_text=True, styles=styles),
        Column("", [_reason(row) for row in rows], is_text=True, wrap_width=NARROWEST),
    ]
    return fit_columns(columns, width, has_header=False)


def _compared(header: Mapping[str, Any]) -> str:
    words = [f"{header['base']} against {header['head']}", f"{header['series']} series"]
    if not header["alike"]:
        words.append("another fingerprint: hits within 1, losses within rounding")
    return " · ".join([*words, *([header["power"]] if header.get("power") else [])])


def _counts(group: pd.DataFrame) -> str:
    counted = group["verdict"].value_counts()
    names = [*(name for name in QUIET if name in counted), *(name for name in ORDER if name in counted)]
    return "   ".join(f"{counted[name]} {name}" for name in names)


def _listed(findings: pd.DataFrame) -> pd.DataFrame:
    """What there is to say, the gravest first, all of a series together."""
    told = findings[~findings["verdict"].isin(QUIET)]
    ranks = {name: rank for rank, name in enumerate(ORDER)}
    grave = told["verdict"].map(ranks).astype("int64") + len(ORDER) * ~told["fails"].astype(bool)
    return told.assign(_series=grave.groupby(told["series"]).transform("min"), _grave=grave).sort_values(
        ["_series", "series", "_grave"], kind="stable"
    )


def _reason(row: pd.Series) -> str:
    return "; ".join(filter(None, (row["cause"], row["forgiven"])))


def _result(header: Mapping[str, Any]) -> str:
    return f"{RESULTS[header['code']]} (exit {header['code']})"


def show_changes(changes: pd.DataFrame) -> None:
    """Print where measures changed along a branch."""
    told = told_changes(changes)
    out = make_console()
    if not len(told):
        out.print("No measure changed.")
        return
    columns = [
        Column(str(name), list(map(str, told[name])), is_text=True, **(SUBJECT if name == "subject" else {}))
        for name in told
    ]
    table = fit_columns(columns, out.width)
    out.print(table, *(Text(line, style="dim") for line in describe_dropped([table])), crop=False)


def told_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """Where measures changed, in words."""
    commits = [f"{after[:7]}..{commit[:7]}" for after, commit in zip(changes["after"], changes["commit"], strict=True)]
    values = {name: changes[side].map(_value) for name, side in (("from", "base"), ("to", "head"))}
    told = changes[["series", "measure"]].assign(**values, subject=changes["subject"])
    told.insert(0, "commit", commits)
    return told


def _value(value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "never"
    return format_number(value) if isinstance(value, float) else str(value)


def markdown(header: Mapping[str, Any], findings: pd.DataFrame) -> str:
    """The same for a pull request or the summary of a job."""
    lines = [
        f"## Gate: {_result(header)}",
        "",
        escape_markdown(_compared(header)),
        "",
        "| layer | verdicts |",
        "| --- | --- |",
    ]
    lines += [f"| {layer} | {_counts(group)} |" for layer, group in findings.groupby("layer", sort=False)]
    listed = _listed(findings)
    if len(listed):
        lines += ["", "| series | verdict | cause |", "| --- | --- | --- |"]
        lines += [
            f"| {escape_markdown(row['series'])} | {_marked(row)} | {escape_markdown(_reason(row))} |"
            for _, row in listed.iterrows()
        ]
    lines += [
        "",
        *(f"{escape_markdown(note)}  " for note in header["notes"]),
        f"Fingerprint: {header['fingerprint']}",
        "",
    ]
    return "\n".join(lines)


def _marked(row: pd.Series) -> str:
    return f"**{row['verdict']}**" if row["fails"] else str(row["verdict"])


def workflow_commands(findings: pd.DataFrame) -> list[str]:
    """Workflow commands of GitHub Actions: an error for what fails, a warning for what else a reader should see."""
    lines = []
    for _, row in _listed(findings).iterrows():
        if row["fails"] or row["verdict"] not in ("better", "faster", "new"):
            level = "error" if row["fails"] or (row["verdict"] in ABSENT and not row["forgiven"]) else "warning"
            series, verdict, reason = map(escape_workflow_command, (row["series"], row["verdict"], _reason(row)))
            lines.append(f"::{level} title=gate%3A {series}::{verdict}: {reason}")
    return lines


def junit(header: Mapping[str, Any], findings: pd.DataFrame) -> bytes:
    """A test case for every finding: failed, an error where nothing was measured, skipped where it is open, passed."""
    kinds = findings.apply(_junit_kind, axis=1) if len(findings) else pd.Series(dtype=object)
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
                case, kind, message=escape_control_codes(f"{row['verdict']}: {_reason(row)}")
            )
            if kind != "skipped":
                element.set("type", row["verdict"])
    document = ElementTree.Element("testsuites")
    document.append(suite)
    ElementTree.indent(document)
    written: bytes = ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
    return written


def _junit_kind(row: pd.Series) -> str:
    """The element by which a test case says what came of it; empty where it passed."""
    if row["fails"]:
        return "failure"
    if row["verdict"] in ABSENT:
        return "skipped" if row["forgiven"] else "error"
    return "skipped" if row["verdict"] in ("undecided", "contaminated") else ""
