"""Tables of the terminal hold their width: whole columns leave by rank, and no number or name is cut."""

from __future__ import annotations

import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from gdbench.report.terminal.column_fitting import (
    UNLIMITED,
    Column,
    FittedTable,
    describe_dropped,
    fit_columns,
    make_console,
)

WORD = st.text("abc0123456789.-é漢", min_size=1, max_size=12)
CELL = st.one_of(st.just(""), WORD, st.floats(1e-300, 1e300).map(str), st.lists(WORD, max_size=4).map(" ".join))


@st.composite
def tables(draw: st.DrawFn) -> list[Column]:
    """Columns with one text a row; the first tells rows apart."""
    rows = draw(st.integers(1, 4))
    ranks = draw(st.lists(st.one_of(st.none(), st.integers(1, 9)), max_size=6))
    return [
        Column(
            f"h{place}",
            draw(st.lists(CELL, min_size=rows, max_size=rows)) if place else [f"row{row}" for row in range(rows)],
            is_text=draw(st.booleans()),
            drop_rank=rank,
            wrap_width=draw(st.sampled_from((None, None, 6))),
        )
        for place, rank in enumerate([None, *ranks])
    ]


def printed(table: FittedTable, width: int) -> list[str]:
    """The lines that a console of this width prints."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(table, crop=False)
    return file.getvalue().splitlines()


def bare(text: str) -> str:
    """A text without blanks and what stands between pieces of a row."""
    return re.sub(r"[\s·]", "", text)


@given(tables(), st.integers(24, 200))
def test_a_table_holds_its_width_and_cuts_nothing(columns: list[Column], width: int) -> None:
    """No line is longer, what tells rows apart is always there, the others leave by rank, and every text is whole."""
    table = fit_columns(columns, width)
    lines = printed(table, width)
    shown = [column.header for column in table.columns]

    assert max(map(cell_len, lines)) <= width
    assert {column.header for column in columns if column.drop_rank is None and any(column.cells)} <= set(shown)
    ranks = {column.header: column.drop_rank for column in columns}
    shown_ranks = [rank for name in shown if (rank := ranks[name]) is not None]
    assert not table.dropped or max(shown_ranks, default=0) <= min(ranks[name] or 0 for name in table.dropped)
    if table.widths is None:  # a paragraph a row
        rows = range(len(columns[0].cells))
        texts = "".join(
            f"{column.header}{column.cells[row]}" for row in rows for column in columns if column.cells[row]
        )
        assert bare("".join(lines)) == bare(texts)
        assert table.dropped == ()
    else:
        for column in table.columns:
            if column.wrap_width is None:
                assert all(any(cell in line for line in lines) for cell in map(str.strip, column.cells))
            assert all(any(word in line for line in lines) for cell in column.cells for word in cell.split())


@given(tables())
def test_a_wide_table_has_all_columns_and_a_row_a_line(columns: list[Column]) -> None:
    """Where there is room, nothing is left out and each row is one line without blanks at its end."""
    table = fit_columns(columns, UNLIMITED)
    lines = printed(table, UNLIMITED)

    assert [column.header for column in table.columns] == [column.header for column in columns if any(column.cells)]
    assert len(lines) == 1 + len(columns[0].cells)
    assert all(line == line.rstrip() for line in lines)
    assert describe_dropped([table]) == []


def test_what_did_not_fit_is_named_with_how_to_see_it() -> None:
    """One line names the columns that were left out of any table, once column."""
    columns = [Column("lr", ["0.1"]), Column("gap", ["1e-3"], drop_rank=1), Column("key", ["abcdef"], drop_rank=2)]

    assert describe_dropped([fit_columns(columns, 9), fit_columns(columns, 5)]) == [
        "Not shown for lack of width: key, gap. Use a wider terminal or a pipe (| less -S)."
    ]


def test_a_console_that_is_no_terminal_has_no_limit() -> None:
    """Piped output is plain text of any width, whatever COLUMNS says."""
    out = make_console(io.StringIO())

    assert not out.is_terminal
    assert out.width == UNLIMITED


def test_cells_become_shorter_before_the_last_column_leaves() -> None:
    """Columns of a higher rank leave first, then ranges, and only then a column of rank 0."""
    columns = [
        Column("name", ["adam"], is_text=True),
        Column("held-out", ["0.96 [0.95, 0.97]"], narrow_cells=["0.96"]),
        Column("test", ["0.95 [0.94, 0.96]"], drop_rank=0, narrow_cells=["0.95"]),
        Column("step", ["1.2 ms"], drop_rank=6),
    ]
    shown = {width: printed(fit_columns(columns, width), width)[-1].split() for width in (80, 46, 30, 18)}
    assert shown[80][-2:] == ["1.2", "ms"]
    assert shown[46][-3:] == ["0.95", "[0.94,", "0.96]"]
    assert shown[30] == ["adam", "0.96", "0.95"]
    assert shown[18] == ["adam", "0.96"]
