"""What a report that was written to files ends with in the terminal: its verdict, and where its page is."""

from __future__ import annotations

from pathlib import Path

from gdbench.errors import format_count
from gdbench.report.build import Report
from gdbench.report.table_cells import shorten_numbers
from gdbench.report.terminal.column_fitting import make_console
from gdbench.report.terminal.sweep import closing_line

__all__ = ["print_closing"]

SENTENCES = 12
"""Sentences of a verdict that a terminal shows; the page has them all."""


def print_closing(report: Report, page: Path | None, opened: bool) -> None:
    """Print the verdict in the words of the page, and how to open that, unless it is being opened."""
    out = make_console()
    for sentence in report.sentences[:SENTENCES]:
        out.print(closing_line(shorten_numbers(sentence), whole=False))
    if (more := len(report.sentences) - SENTENCES) > 0:
        out.print(closing_line(f"… and {format_count(more, 'sentence')} more, all in the report.", whole=False))
    if page and not opened:
        out.print(closing_line(f"Open in a browser (--open): {page}", whole=True), crop=False)
