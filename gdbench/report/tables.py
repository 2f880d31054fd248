"""The tables of a report as files: CSV with every digit, LaTeX as people read it, Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.counting import format_count
from gdbench.report.assemble import Report
from gdbench.report.cells import headers, is_text, shown
from gdbench.report.facts import Shown
from gdbench.report.words import caveats, counted

__all__ = ["latex", "markdown", "table_lines"]

TEX = {
    "\\": r"\textbackslash{}",
    "µ": r"$\mu$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
TEX |= {each: f"\\{each}" for each in "&%$#_{}"}
LONGEST = 40
"""Rows of a table in Markdown; the CSV has them all."""


def markdown(report: Report) -> str:
    """The verdict and the tables, for a pull request or a terminal."""
    runs = report.source.runs
    parts = [f"# {report.title}", "", f"{format_count(len(runs), 'run')}: {counted(runs)}."]
    parts += [f"**Partial:** {remark}" for remark in report.source.partial]
    parts += ["", *(f"- {_escaped(line)}" for line in report.told), ""]
    remarks = caveats(runs, report.facts.told)
    parts += [*(f"- {_escaped(line)}" for line in remarks), ""] if remarks else []
    for each in (report.summary, *report.tables):
        parts += [f"## {each.title}", "", *table_lines(each.table), "", each.rule, ""]
    return "\n".join(parts)


def table_lines(table: pd.DataFrame) -> list[str]:
    """A table in Markdown that can be read as it is, cut after LONGEST rows with a count."""
    rows = [[_escaped(cell) for cell in row] for row in shown(table.head(LONGEST))]
    sides = [":--" if is_text(table, str(name)) else "--:" for name in table]
    widths = [max(3, *(len(row[i]) for row in [headers(table), *rows])) for i in range(table.shape[1])]
    lines = [
        _row(headers(table), widths),
        _row([s[0] + "-" * (w - 2) + s[-1] for s, w in zip(sides, widths, strict=True)], widths),
    ]
    lines += [_row(row, widths) for row in rows]
    if len(table) > LONGEST:
        lines += ["", f"… and {len(table) - LONGEST} more rows, all in tables/*.csv."]
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def _escaped(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def latex(each: Shown) -> str:
    """A table for booktabs, with its rule as the caption."""
    columns = "".join("l" if is_text(each.table, str(name)) else "r" for name in each.table)
    lines = [r"\begin{table}", r"\centering", f"\\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [_tex_row(headers(each.table)), r"\midrule", *map(_tex_row, shown(each.table)), r"\bottomrule"]
    lines += [r"\end{tabular}", f"\\caption{{{_tex(each.rule)}}}", r"\end{table}", ""]
    return "\n".join(lines)


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    return "".join(TEX.get(each, each) for each in text)
