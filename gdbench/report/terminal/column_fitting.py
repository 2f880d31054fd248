"""Tables as wide as the terminal: whole columns leave by rank, no number or name is cut, rows fold where need be.

Every table of the terminal is made here. A column that tells rows apart has no rank and stays; the others leave one by
one, the highest rank first, until a line holds the rest. Where those without a rank are too wide by themselves, each
row becomes a paragraph of ``name value`` pairs in which nothing is left out.
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
"""Columns of a console that is no terminal: a pipe has no width."""
GAP = 2
"""Blanks between columns."""
INDENT = 4
"""Blanks before the further lines of a row that is a paragraph."""
SEPARATOR = " · "


def make_console(file: IO[str] | None = None) -> Console:
    """A console as wide as its terminal; plain text without a limit where it is none."""
    out = SafeConsole(file=file or sys.stdout)
    return out if out.file.isatty() else SafeConsole(file=out.file, width=UNLIMITED)


@dataclass(frozen=True)
class Column:
    """A column: its header, a text for each row, and what may be done with it where a line is too short."""

    header: str
    cells: Sequence[str]
    is_text: bool = False
    """Whether it is aligned to the left."""
    drop_rank: int | None = None
    """None: it tells rows apart, and stays; else how early it leaves, the highest rank first."""
    wrap_width: int | None = None
    """How narrow a sentence may get, that goes on in further lines, broken between words; None: a cell is one line."""
    styles: Mapping[int, str] = field(default_factory=dict)
    """How the cells of some rows style, by their number."""
    highlights: Mapping[str, str] = field(default_factory=dict)
    """How parts of any cell style, by a regular expression."""

    @property
    def full_width(self) -> int:
        """The width at which every cell is one line."""
        return max(cell_len(line) for cell in (self.header, *self.cells) for line in cell.split("\n"))

    @property
    def min_width(self) -> int:
        """The width below which a word would be cut."""
        if self.wrap_width is None:
            return self.full_width
        words = (word for cell in (self.header, *self.cells) for word in cell.split())
        return min(self.full_width, max(self.wrap_width, *map(cell_len, words)))

    def styled_cell(self, row: int) -> Text:
        """The cell of a row as it looks."""
        text = Text(self.cells[row], style=self.styles.get(row, ""))
        for pattern, style in self.highlights.items():
            text.highlight_regex(pattern, style)
        return text


@dataclass(frozen=True)
class FittedTable:
    """A table that fits its width: columns side by side, or a paragraph for each row."""

    columns: Sequence[Column]
    widths: Sequence[int] | None
    """Of the columns; None where each row is a paragraph."""
    dropped: Sequence[str] = ()
    """The headers of the columns that did not fit, the most important first."""
    has_header: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What rich prints of it."""
        if self.widths is None:
            yield from self._as_paragraphs(options.max_width)
            return
        if self.has_header:
            yield from self._lines(console, [Text(column.header, style="dim") for column in self.columns])
        for row in range(self._rows):
            yield from self._lines(console, [column.styled_cell(row) for column in self.columns])

    def _lines(self, console: Console, cells: Sequence[Text]) -> Iterator[Text]:
        """A row, in as many lines as its longest sentence needs; no blanks at their ends."""
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
    """The columns that hold anything, as far as a line of this width holds them."""
    filled = [_make_printable(column) for column in columns if any(column.cells)]
    shown = list(filled)
    while _total_width(each.min_width for each in shown) > width:
        spare = [each for each in shown if each.drop_rank is not None]
        if not spare:
            return FittedTable(filled, None, has_header=has_header)
        shown.remove(max(spare, key=lambda each: each.drop_rank or 0))
    dropped = sorted((each for each in filled if each not in shown), key=lambda each: each.drop_rank or 0)
    return FittedTable(shown, _widths(shown, width), [each.header for each in dropped], has_header)


def _make_printable(column: Column) -> Column:
    """The column as it can be measured: a control code in a name has no width, its picture has one."""
    cells = [escape_control_codes(cell, lines=True) for cell in column.cells]
    return replace(column, header=escape_control_codes(column.header), cells=cells)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """The width of each column; what a line has left goes to its sentences, the first of them first."""
    widths = [column.min_width for column in columns]
    for place, column in enumerate(columns):
        widths[place] = min(column.full_width, widths[place] + width - _total_width(widths))
    return widths


def _total_width(widths: Iterable[int]) -> int:
    listed = list(widths)
    return sum(listed) + GAP * (len(listed) - 1)


def describe_dropped(tables: Iterable[FittedTable]) -> list[str]:
    """One line that names the columns that did not fit, and how they can be seen; none where all did."""
    headers = list(dict.fromkeys(header for table in tables for header in table.dropped))
    if not headers:
        return []
    return [f"Too narrow here for {', '.join(headers)}: a wider terminal shows all, and so does a pipe (| less -S)."]


def _wrap_line(line: Text, width: int, console: Console) -> list[Text]:
    return [line] if line.cell_len <= width else list(line.wrap(console, width, overflow="fold"))


def _paragraph(pieces: Sequence[Text], width: int) -> Text:
    """Pieces one after the other, in lines of at most that width; broken between pieces, else between words."""
    lines: list[Text] = []
    for piece in pieces:
        for apart, part in _split_piece(piece, width - INDENT):
            if lines and lines[-1].cell_len + len(apart) + part.cell_len <= width:
                lines[-1].append(apart).append_text(part)
            else:
                lines.append(Text(" " * INDENT if lines else "") + part)
    return Text("\n").join(lines)


def _split_piece(piece: Text, width: int) -> Iterator[tuple[str, Text]]:
    """A piece whole, or word by word where it is too long, each with what stands before it on one line."""
    if piece.cell_len <= width:
        yield SEPARATOR, piece
        return
    for number, word in enumerate(piece.split(" ")):
        step = width if word.cell_len == len(word) else width // 2  # where characters are two columns wide
        for place, part in enumerate(word.divide(range(step, len(word), step))):
            yield "" if place else " " if number else SEPARATOR, part
