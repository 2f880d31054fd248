"""Tables of a report in Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.errors import format_count
from gdbench.report.build import Report
from gdbench.report.caveats import list_caveats
from gdbench.report.escaping import escape_latex, escape_markdown
from gdbench.report.report_data import ReportTable
from gdbench.report.result_text import count_statuses
from gdbench.report.table_cells import BoldCells, column_headers, format_marked_cells, is_text_column

__all__ = ["format_latex", "format_markdown", "latex_table", "markdown_table"]

NO_BOLD: BoldCells = {}
MAX_ROWS = 40
"""Rows of a table in Markdown; the CSV has all."""


def format_markdown(report: Report) -> str:
    """The verdict and all tables of a report."""
    runs = report.inputs.runs
    lines = [f"# {escape_markdown(report.title)}", ""]
    lines += [f"{format_count(len(runs), 'run')}: {count_statuses(runs['status'])}."]
    lines += [f"**Partial:** {escape_markdown(remark)}" for remark in report.inputs.partial]
    for items in (report.sentences, list_caveats(runs, report.data.compared)):
        lines += ["", *(f"- {escape_markdown(item)}" for item in items)] if items else []
    for table in (report.summary, *report.tables):
        lines += ["", f"## {escape_markdown(table.title)}", "", *markdown_table(table.table, table.bold), ""]
        lines += [escape_markdown(table.rule)]
    return "\n".join([*lines, ""])


def markdown_table(table: pd.DataFrame, bold: BoldCells = NO_BOLD) -> list[str]:
    """The lines of a table, aligned as plain text, with at most MAX_ROWS rows and a count of the others."""
    is_text = [is_text_column(table, str(name)) for name in table]
    headers = [escape_markdown(header) for header in column_headers(table)]
    rows = format_marked_cells(table.head(MAX_ROWS), bold, escape_markdown, "**{}**".format)
    lines = _markdown_rows(headers, rows, is_text)
    more = len(table) - MAX_ROWS
    return [*lines, "", f"… and {more} more rows, all in tables/*.csv."] if more > 0 else lines


def _markdown_rows(headers: Sequence[str], rows: Sequence[Sequence[str]], is_text: Sequence[bool]) -> list[str]:
    """The lines of a Markdown table with columns of equal width; columns of text are aligned to the left."""
    cells = [headers, *rows]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rules = [
        f":{'-' * (width - 1)}" if text else f"{'-' * (width - 1)}:"
        for width, text in zip(widths, is_text, strict=True)
    ]
    padded = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (cells[0], rules, *cells[1:])
    ]
    return [f"| {' | '.join(row)} |" for row in padded]


def format_latex(report: Report) -> str:
    """All tables of a report for a paper, those of its sections first."""
    tables = [*report.tables, report.summary]
    lines = [r"% For a preamble with \usepackage{booktabs}.", ""]
    for table in tables:
        lines += [f"% {table.title}", latex_table(table)]
    return "\n".join(lines)


def latex_table(table: ReportTable) -> str:
    """A table for the package booktabs, with its rule as the caption."""
    alignment = "".join("l" if is_text_column(table.table, str(name)) else "r" for name in table.table)
    headers = [escape_latex(header) for header in column_headers(table.table)]
    cells = format_marked_cells(table.table, table.bold, escape_latex, r"\textbf{{{}}}".format)
    header, *rows = (" & ".join(row) + r" \\" for row in (headers, *cells))
    lines = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{alignment}}}", r"\toprule", header, r"\midrule"]
    lines += [*rows, r"\bottomrule", r"\end{tabular}", f"\\caption{{{escape_latex(table.rule)}}}", r"\end{table}", ""]
    return "\n".join(lines)
