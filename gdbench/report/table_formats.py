"""The tables of a report as files: CSV with every digit, LaTeX as people read it, Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.errors import format_count
from gdbench.report.build import Report
from gdbench.report.caveats import caveats
from gdbench.report.escaping import escape_latex, escape_markdown
from gdbench.report.report_data import Shown
from gdbench.report.summary_text import counted
from gdbench.report.table_cells import headers, is_text, shown

__all__ = ["latex", "markdown", "table_lines"]

LONGEST = 40
"""Rows of a table in Markdown; the CSV has them all."""


def markdown(report: Report) -> str:
    """The verdict and the tables, for a pull request or a terminal."""
    runs = report.source.runs
    parts = [f"# {escape_markdown(report.title)}", "", f"{format_count(len(runs), 'run')}: {counted(runs)}."]
    parts += [f"**Partial:** {escape_markdown(remark)}" for remark in report.source.partial]
    parts += ["", *(f"- {escape_markdown(line)}" for line in report.told), ""]
    remarks = caveats(runs, report.facts.told)
    parts += [*(f"- {escape_markdown(line)}" for line in remarks), ""] if remarks else []
    for each in (report.summary, *report.tables):
        parts += [f"## {escape_markdown(each.title)}", "", *table_lines(each.table), "", escape_markdown(each.rule), ""]
    return "\n".join(parts)


def table_lines(table: pd.DataFrame) -> list[str]:
    """A table in Markdown that can be read as it is, cut after LONGEST rows with a count."""
    rows = [[escape_markdown(cell) for cell in row] for row in shown(table.head(LONGEST))]
    names = [escape_markdown(name) for name in headers(table)]
    sides = [":--" if is_text(table, str(name)) else "--:" for name in table]
    widths = [max(3, *(len(row[i]) for row in [names, *rows])) for i in range(table.shape[1])]
    lines = [
        _row(names, widths),
        _row([s[0] + "-" * (w - 2) + s[-1] for s, w in zip(sides, widths, strict=True)], widths),
    ]
    lines += [_row(row, widths) for row in rows]
    if len(table) > LONGEST:
        lines += ["", f"… and {len(table) - LONGEST} more rows, all in tables/*.csv."]
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def latex(each: Shown) -> str:
    """A table for booktabs, with its rule as the caption."""
    columns = "".join("l" if is_text(each.table, str(name)) else "r" for name in each.table)
    lines = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [_tex_row(headers(each.table)), r"\midrule", *map(_tex_row, shown(each.table)), r"\bottomrule"]
    lines += [r"\end{tabular}", f"\\caption{{{escape_latex(each.rule)}}}", r"\end{table}", ""]
    return "\n".join(lines)


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"
