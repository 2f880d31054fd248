"""The tables of a report as files: CSV with every digit, LaTeX as people read it, Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.errors import format_count
from gdbench.report.build import Report
from gdbench.report.caveats import list_caveats
from gdbench.report.escaping import escape_latex, escape_markdown
from gdbench.report.report_data import ReportTable
from gdbench.report.summary_text import count_statuses
from gdbench.report.table_cells import column_headers, format_cells, is_text_column

__all__ = ["format_markdown", "latex_table", "markdown_table"]

MAX_ROWS = 40
"""Rows of a table in Markdown; the CSV has them all."""


def format_markdown(report: Report) -> str:
    """The verdict and the tables, for a pull request or a terminal."""
    runs = report.inputs.runs
    parts = [f"# {escape_markdown(report.title)}", "", f"{format_count(len(runs), 'run')}: {count_statuses(runs)}."]
    parts += [f"**Partial:** {escape_markdown(remark)}" for remark in report.inputs.partial]
    parts += ["", *(f"- {escape_markdown(line)}" for line in report.sentences), ""]
    remarks = list_caveats(runs, report.data.compared)
    parts += [*(f"- {escape_markdown(line)}" for line in remarks), ""] if remarks else []
    for each in (report.summary, *report.tables):
        parts += [
            f"## {escape_markdown(each.title)}",
            "",
            *markdown_table(each.table),
            "",
            escape_markdown(each.rule),
            "",
        ]
    return "\n".join(parts)


def markdown_table(table: pd.DataFrame) -> list[str]:
    """A table in Markdown that can be read as it is, cut after LONGEST rows with a count."""
    rows = [[escape_markdown(cell) for cell in row] for row in format_cells(table.head(MAX_ROWS))]
    names = [escape_markdown(name) for name in column_headers(table)]
    sides = [":--" if is_text_column(table, str(name)) else "--:" for name in table]
    widths = [max(3, *(len(row[i]) for row in [names, *rows])) for i in range(table.shape[1])]
    lines = [
        _row(names, widths),
        _row([s[0] + "-" * (w - 2) + s[-1] for s, w in zip(sides, widths, strict=True)], widths),
    ]
    lines += [_row(row, widths) for row in rows]
    if len(table) > MAX_ROWS:
        lines += ["", f"… and {len(table) - MAX_ROWS} more rows, all in tables/*.csv."]
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def latex_table(each: ReportTable) -> str:
    """A table for booktabs, with its rule as the caption."""
    columns = "".join("l" if is_text_column(each.table, str(name)) else "r" for name in each.table)
    lines = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [
        _tex_row(column_headers(each.table)),
        r"\midrule",
        *map(_tex_row, format_cells(each.table)),
        r"\bottomrule",
    ]
    lines += [r"\end{tabular}", f"\\caption{{{escape_latex(each.rule)}}}", r"\end{table}", ""]
    return "\n".join(lines)


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\"
