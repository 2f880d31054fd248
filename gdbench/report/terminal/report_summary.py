"""Print the verdict of a written report and the path of its page."""

from __future__ import annotations

from pathlib import Path

from gdbench.errors import format_count
from gdbench.report.build import Report
from gdbench.report.table_cells import shorten_numbers
from gdbench.report.terminal.column_fitting import make_console
from gdbench.report.terminal.sweep import closing_line

__all__ = ["print_report_summary"]

MAX_SENTENCES = 12
"""Sentences of the verdict that are printed; the page has all."""


def print_report_summary(report: Report, page: Path | None, is_opened: bool) -> None:
    """Print the verdict as on the page, and how to open the page unless it is being opened."""
    out = make_console()
    for sentence in report.sentences[:MAX_SENTENCES]:
        out.print(closing_line(shorten_numbers(sentence), whole=False))
    if (more := len(report.sentences) - MAX_SENTENCES) > 0:
        out.print(closing_line(f"… and {format_count(more, 'sentence')} more, all in the report.", whole=False))
    if page and not is_opened:
        out.print(closing_line(f"Open in a browser (--open): {page}", whole=True), crop=False)
