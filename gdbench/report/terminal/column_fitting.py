"""Fit tables to the width of the terminal by dropping whole columns; no number or name is cut.

All tables of the terminal are made here. Columns that identify rows have no rank and stay; the others are dropped one
by one, the highest rank first, until the rest fits; before the last of them, of rank 0 and 1, cells are replaced by
their shorter texts, if any. If the columns without a rank are too wide by themselves, each row becomes a paragraph of
``name value`` pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from gdbench.report.escaping import escape_control_codes
from gdbench.report.terminal.safe_console import SafeConsole

__all__ = ["UNLIMITED", "Column", "FittedTable", "describe_dropped", "fit_columns", "make_console"]

UNLIMITED = 1_000_000
"""Width of a console that is no terminal."""
GAP = 2
"""Spaces between columns."""
INDENT = 4
"""Spaces before the further lines of a paragraph."""
SEPARATOR = " · "
LAST_RANKS = (0, 1)
"""Ranks of columns that are dropped only when the cells of others have become shorter."""


def make_console(file: IO[str] | None = None) -> Console:
    """A console as wide as its terminal; unlimited plain text if the file is no terminal."""
    out = SafeConsole(file=file or sys.stdout)
    return out if out.file.isatty() else SafeConsole(file=out.file, width=UNLIMITED)


@dataclass(frozen=True)
class Column:
    """A column: its header, a text per row, and whether it may be dropped or wrapped."""

    header: str
    cells: Sequence[str]
    is_text: bool = False
    """Whether it is aligned to the left."""
    drop_rank: int | None = None
    """Columns with the highest rank are dropped first; None: the column identifies rows and stays."""
    narrow_cells: Sequence[str] | None = None
    """Shorter texts, which replace the cells before columns of LAST_RANKS are dropped."""
    wrap_width: int | None = None
    """Least width to which a sentence is wrapped between words; None: no wrapping."""
    styles: Mapping[int, str] = field(default_factory=dict)
    """Rich styles of cells, by row number."""
    highlights: Mapping[str, str] = field(default_factory=dict)
    """Rich styles of parts of any cell, by regular expression."""

    @property
    def full_width(self) -> int:
        """The width without wrapping."""
        return max(cell_len(line) for cell in (self.header, *self.cells) for line in cell.split("\n"))

    @property
    def min_width(self) -> int:
        """The least width at which no word is cut."""
        if self.wrap_width is None:
            return self.full_width
        words = (word for cell in (self.header, *self.cells) for word in cell.split())
        return min(self.full_width, max(self.wrap_width, *map(cell_len, words)))

    def styled_cell(self, row: int) -> Text:
        """The text of a row's cell with its styles."""
        text = Text(self.cells[row], style=self.styles.get(row, ""))
        for pattern, style in self.highlights.items():
            text.highlight_regex(pattern, style)
        return text


@dataclass(frozen=True)
class FittedTable:
    """A table that fits its width: columns side by side, or a paragraph per row."""

    columns: Sequence[Column]
    widths: Sequence[int] | None
    """Width of each column; None if each row is a paragraph."""
    dropped: Sequence[str] = ()
    """Headers of the columns that did not fit, the most important first."""
    has_header: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines of the table, for rich."""
        if self.widths is None:
            yield from self._as_paragraphs(options.max_width)
            return
        if self.has_header:
            yield from self._lines(console, [Text(column.header, style="dim") for column in self.columns])
        for row in range(self._rows):
            yield from self._lines(console, [column.styled_cell(row) for column in self.columns])

    def _lines(self, console: Console, cells: Sequence[Text]) -> Iterator[Text]:
        """A row, in as many lines as its longest wrapped cell needs, without trailing spaces."""
        parts = [
            [part for line in cell.split("\n", allow_blank=True) for part in _wrap_line(line, width, console)]
            for cell, width in zip(cells, self.widths or (), strict=True)
        ]
        for number in range(max(map(len, parts))):
            line = Text()
            for column, width, part in zip(self.columns, self.widths or (), parts, strict=True):
                text = part[number] if number < len(part) else Text()
                text.rstrip()
                blanks = " " * (width - text.cell_len)
                line = line + (text + blanks if column.is_text else Text(blanks) + text) + " " * GAP
            line.rstrip()
            yield line

    def _as_paragraphs(self, width: int) -> Iterator[Text]:
        for row in range(self._rows):
            filled = [column for column in self.columns if column.cells[row]]
            names = [Text(f"{column.header} ".lstrip(), style="dim") for column in filled]
            cells = [Text(" ").join(column.styled_cell(row).split("\n")) for column in filled]
            yield _paragraph([name + cell for name, cell in zip(names, cells, strict=True)], width)

    @property
    def _rows(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0


def fit_columns(columns: Iterable[Column], width: int, has_header: bool = True) -> FittedTable:
    """The columns with content that fit into a line of this width."""
    filled = [_make_printable(column) for column in columns if any(column.cells)]
    shown, dropped = list(filled), []
    while _total_width(column.min_width for column in shown) > width:
        optional = [column for column in shown if column.drop_rank is not None]
        last = max(optional, key=lambda column: column.drop_rank or 0, default=None)
        if (last is None or last.drop_rank in LAST_RANKS) and any(column.narrow_cells for column in shown):
            shown = [_make_narrow(column) for column in shown]
        elif last is None:
            return FittedTable(filled, None, has_header=has_header)
        else:
            shown.remove(last)
            dropped.append(last)
    headers = [column.header for column in sorted(dropped, key=lambda column: column.drop_rank or 0)]
    return FittedTable(shown, _widths(shown, width), headers, has_header)


def _make_narrow(column: Column) -> Column:
    return replace(column, cells=column.narrow_cells, narrow_cells=None) if column.narrow_cells else column


def _make_printable(column: Column) -> Column:
    """The column with escaped control codes, which are measured unlike the codes themselves."""
    cells = [escape_control_codes(cell, lines=True) for cell in column.cells]
    narrow = column.narrow_cells and [escape_control_codes(cell, lines=True) for cell in column.narrow_cells]
    return replace(column, header=escape_control_codes(column.header), cells=cells, narrow_cells=narrow)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """The width of each column; wrapped columns share the remaining space, the first ones first."""
    widths = [column.min_width for column in columns]
    for place, column in enumerate(columns):
        widths[place] = min(column.full_width, widths[place] + width - _total_width(widths))
    return widths


def _total_width(widths: Iterable[int]) -> int:
    return sum(width + GAP for width in widths) - GAP


def describe_dropped(tables: Iterable[FittedTable]) -> list[str]:
    """A line on the columns that did not fit and how to see them; none if all did."""
    headers = list(dict.fromkeys(header for table in tables for header in table.dropped))
    if not headers:
        return []
    return [f"Not shown for lack of width: {', '.join(headers)}. Use a wider terminal or a pipe (| less -S)."]


def _wrap_line(line: Text, width: int, console: Console) -> list[Text]:
    return [line] if line.cell_len <= width else list(line.wrap(console, width, overflow="fold"))


def _paragraph(pieces: Sequence[Text], width: int) -> Text:
    """Pieces one after the other in lines of at most this width, broken between pieces, else between words."""
    lines: list[Text] = []
    for piece in pieces:
        for apart, part in _split_piece(piece, width - INDENT):
            if lines and lines[-1].cell_len + len(apart) + part.cell_len <= width:
                lines[-1].append(apart).append_text(part)
            else:
                lines.append(Text(" " * INDENT if lines else "") + part)
    return Text("\n").join(lines)


def _split_piece(piece: Text, width: int) -> Iterator[tuple[str, Text]]:
    """A piece, word by word if it is too long, each part with its separator."""
    if piece.cell_len <= width:
        yield SEPARATOR, piece
        return
    for number, word in enumerate(piece.split(" ")):
        step = width if word.cell_len == len(word) else width // 2  # where characters are two columns wide
        for place, part in enumerate(word.divide(range(step, len(word), step))):
            yield "" if place else " " if number else SEPARATOR, part
