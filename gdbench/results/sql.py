"""SQL over all sweeps at once, by DuckDB: the views ``runs`` (one row a run) and ``sweeps`` (one row a sweep)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gdbench.errors import UsageError, format_install_command
from gdbench.results.index import Index
from gdbench.results.listing import listing
from gdbench.results.places import NUMBER, PLACE, STANDING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answer"]


def answer(index: Index, statement: str, outputs: Path) -> pd.DataFrame:
    """The table that a statement selects, and nothing but a look: no file is read but those of the index, none written.

    ``UsageError`` with DuckDB's own words where the statement is wrong, and where it would do more than select.
    """
    try:
        import duckdb
    except ImportError:
        raise UsageError(f"--sql needs DuckDB: {format_install_command('sql')}") from None
    with duckdb.connect(config={"python_enable_replacements": False}) as base:  # else it sees our local variables
        try:
            _check_selection(statement)
            _views(base, index, outputs, statement)
            _lock(base, index)
            return base.execute(statement).df()
        except duckdb.Error as error:
            raise UsageError(f"--sql: {_one_line(str(error))} Tables: runs, sweeps, each with its columns.") from None


def _check_selection(statement: str) -> None:
    """``UsageError`` unless the text is one statement that selects: DuckDB would execute whatever it is given.

    ``EXPLAIN ANALYZE`` executes what it explains, and PIVOT is the one selection that DuckDB takes apart into several.
    """
    import duckdb

    kinds = [parsed.type for parsed in duckdb.extract_statements(statement)]
    pivots = statement.lstrip().lower().startswith(("pivot", "unpivot"))
    if kinds != [duckdb.StatementType.SELECT] and not (kinds == [duckdb.StatementType.MULTI] and pivots):
        words = " and ".join(kind.name for kind in kinds) or "nothing"
        raise UsageError(
            f"--sql looks and changes nothing: it takes one SELECT (or FROM, DESCRIBE, PIVOT), not {words}."
        )


def _lock(base: Any, index: Index) -> None:
    """Take from the connection every file but the index's own, and the way back."""
    base.execute("SET allowed_paths = ?", [[str(segment.file) for segment, _ in index.segments]])
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")


def _one_line(words: str) -> str:
    """DuckDB's message without the picture of the statement."""
    lines = [line.strip() for line in words.splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _views(base: Any, index: Index, outputs: Path, statement: str) -> None:
    """``runs``, with ``folder`` first; and ``sweeps``, as the list shows them, if the statement speaks of it."""
    known = pa.table(
        {
            "filename": [str(segment.file) for segment, numbers in index.segments for _ in numbers],
            NUMBER: [local for _, numbers in index.segments for local in range(len(numbers))],
            "folder": [
                index.sweeps[number].folder if number >= 0 else None
                for _, numbers in index.segments
                for number in numbers
            ],
        },
        pa.schema({"filename": pa.string(), NUMBER: pa.int64(), "folder": pa.string()}),
    )
    base.register("_known", known)
    files = [str(segment.file) for segment, _ in index.segments]
    if files:
        table = base.read_parquet(files, union_by_name=True, filename=True)
        base.register("_rows", table)
        hidden = ", ".join(["filename", NUMBER, PLACE, *(f"_{name}" for name in STANDING)])
        base.execute(
            f"CREATE VIEW runs AS SELECT folder, _rows.* EXCLUDE ({hidden})"
            f" FROM _rows JOIN _known USING (filename, {NUMBER}) WHERE folder IS NOT NULL"
        )
    if re.search(r"\bsweeps\b", statement, re.IGNORECASE):
        base.register("sweeps", listing(index, [], outputs))
