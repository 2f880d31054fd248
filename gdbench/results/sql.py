"""SQL over all sweeps with DuckDB: views ``runs`` (one row per run) and ``sweeps`` (one row per sweep)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gdbench.errors import UsageError, format_install_command
from gdbench.results.index import Index
from gdbench.results.sweep_list import list_sweeps
from gdbench.results.sweep_ranks import RANK, RANKING_FIELDS, SWEEP_NUMBER

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run_sql"]

KNOWN_SWEEPS = pa.schema({"filename": pa.string(), SWEEP_NUMBER: pa.int64(), "folder": pa.string()})
"""Number of each sweep within a file of the index, and its folder."""


def run_sql(index: Index, statement: str, outputs: Path) -> pd.DataFrame:
    """Result of a SELECT statement; read-only, without access to files other than the index.

    ``UsageError`` with DuckDB's message for an invalid statement, and for one that does more than select.
    """
    try:
        import duckdb
    except ImportError:
        raise UsageError(f"--sql needs DuckDB: {format_install_command('sql')}") from None
    with duckdb.connect(config={"python_enable_replacements": False}) as base:  # else it sees our local variables
        try:
            _check_selection(statement)
            _create_views(base, index, outputs, statement)
            _lock_connection(base, index)
            return base.execute(statement).df()
        except duckdb.Error as error:
            raise UsageError(
                f"--sql: {_format_error(str(error))} Tables: runs, sweeps, each with its columns."
            ) from None


def _check_selection(statement: str) -> None:
    """Raise ``UsageError`` unless the text is one SELECT: DuckDB would execute any statement.

    ``EXPLAIN ANALYZE`` executes what it explains; PIVOT is the one selection that DuckDB splits into several
    statements.
    """
    import duckdb

    kinds = [parsed.type for parsed in duckdb.extract_statements(statement)]
    pivots = statement.lstrip().lower().startswith(("pivot", "unpivot"))
    if kinds != [duckdb.StatementType.SELECT] and not (kinds == [duckdb.StatementType.MULTI] and pivots):
        words = " and ".join(kind.name for kind in kinds) or "nothing"
        raise UsageError(
            f"--sql looks and changes nothing: it takes one SELECT (or FROM, DESCRIBE, PIVOT), not {words}."
        )


def _lock_connection(base: Any, index: Index) -> None:
    """Restrict the connection to the files of the index, irrevocably."""
    base.execute("SET allowed_paths = ?", [[str(segment.file) for segment, _ in index.segments]])
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")


def _format_error(words: str) -> str:
    """DuckDB's message without its excerpt of the statement."""
    lines = [line.strip() for line in words.splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _create_views(base: Any, index: Index, outputs: Path, statement: str) -> None:
    """Create ``runs``, with ``folder`` first; and ``sweeps``, as in the list, if the statement mentions it."""
    known = [
        {"filename": str(segment.file), SWEEP_NUMBER: local, "folder": index.sweeps[number].folder}
        for segment, numbers in index.segments
        for local, number in enumerate(numbers)
        if number >= 0
    ]
    base.register("_known", pa.Table.from_pylist(known, KNOWN_SWEEPS))
    files = [str(segment.file) for segment, _ in index.segments]
    if files:
        table = base.read_parquet(files, union_by_name=True, filename=True)
        base.register("_rows", table)
        hidden = ", ".join(["filename", SWEEP_NUMBER, RANK, *(f"_{name}" for name in RANKING_FIELDS)])
        base.execute(
            f"CREATE VIEW runs AS SELECT folder, _rows.* EXCLUDE ({hidden})"
            f" FROM _rows JOIN _known USING (filename, {SWEEP_NUMBER})"
        )
    if re.search(r"\bsweeps\b", statement, re.IGNORECASE):
        base.register("sweeps", list_sweeps(index, [], outputs))
