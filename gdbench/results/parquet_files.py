"""One Parquet file: written atomically; read, verified and cast to the types of COLUMNS, or refused as damaged."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.results.arrow import ARROW_TYPES
from gdbench.results.atomic import replace_atomically
from gdbench.results.columns import TABLE_COLUMNS
from gdbench.results.damaged_files import DamagedFile
from gdbench.results.schema_union import convert_column, get_value_type

__all__ = [
    *("READ_ERRORS", "TABLES", "Table", "add_missing_columns", "cast_columns", "read_table", "write_table"),
]

Table = Literal["runs", "traces", "blocks"]
TABLES: tuple[Table, ...] = ("runs", "traces", "blocks")

SMALL_TABLE_ROWS = 1000
"""Tables up to this size are not compressed."""
MAX_DICTIONARY_BYTES = 2**28
"""Bytes of the texts of a column that are stored once; Parquet's own 1 MB is less than the overrides of 20 cells of
10,000 explicit values, and beyond it every row has a copy."""
NAMES_DIGEST = b"gdbench.names"
"""Key in a table's metadata of the digest of its columns' names: pages have checksums, the names beside them none, and
a flipped bit would make one a column that nobody knows."""
OLDER_VALUES = {"judge_every": 1, "average": "none", "exact": False}
"""Values of columns for all runs of a file that is older than them."""
READ_ERRORS = (pa.ArrowException, OSError, ValueError)
"""Exceptions for a file that is truncated, damaged, or no Parquet file."""


# --------------------------------------------------------------------------------------------------------- writing


def write_table(table: pa.Table, path: Path) -> None:
    """Write a temporary file, fsync, rename: a reader sees a complete file or none."""
    with replace_atomically(path) as beside, beside.open("wb") as file:
        table = table.replace_schema_metadata(
            {**(table.schema.metadata or {}), NAMES_DIGEST: _digest_names(table.schema)}
        )
        # A compressor for each of 80 columns: 4.5 ms against 1.8, and for a few rows nothing to show for it.
        small = table.num_rows <= SMALL_TABLE_ROWS
        pq.write_table(
            table,
            file,
            compression="none" if small else "zstd",
            use_dictionary=True if small else _find_repetitive_columns(table),
            dictionary_pagesize_limit=MAX_DICTIONARY_BYTES,
            write_page_checksum=True,
        )
        file.flush()
        os.fsync(file.fileno())


def _digest_names(schema: pa.Schema) -> bytes:
    """The digest of the names of all columns, in their order."""
    return hashlib.blake2b("\n".join(schema.names).encode(), digest_size=8).hexdigest().encode()


def _find_repetitive_columns(table: pa.Table) -> list[str]:
    """Columns with repeated values: for others a dictionary costs 0.5 s per million rows, in vain."""
    sample = table.slice(0, SMALL_TABLE_ROWS)
    flat = [field.name for field in sample.schema if not pa.types.is_nested(field.type)]
    return [name for name in flat if len(sample[name].unique()) < SMALL_TABLE_ROWS / 2]


# --------------------------------------------------------------------------------------------------------- reading


def read_table(file: Path, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of a file, or some columns; ``DamagedFile`` if it is truncated, damaged or not a table of gdbench."""
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:  # half the time of read_table
            _check_names(parquet.schema_arrow)
            rows = parquet.read(None if columns is None else list(columns))
            rows = cast_columns(_add_older_values(rows, table, columns), table)
            if "run_id" in rows.column_names and rows.column("run_id").null_count:
                raise pa.ArrowInvalid("its column run_id has nulls")
        rows.validate(full=True)
    except READ_ERRORS as error:
        raise DamagedFile(str(error).partition("\n")[0].rstrip(".")) from error
    return rows


def _add_older_values(rows: pa.Table, table: Table, columns: Sequence[str] | None) -> pa.Table:
    """Runs with the values that were the only ones before there was a column for them."""
    for name, value in OLDER_VALUES.items() if table == "runs" else ():
        if name not in rows.column_names and (columns is None or name in columns):
            rows = rows.append_column(name, pa.repeat(pa.scalar(value), rows.num_rows))
    return rows


def add_missing_columns(rows: pa.Table, table: Table, columns: Sequence[str] | None) -> pa.Table:
    """Table with all columns of its kind, or those of ``columns``; null where it lacks them."""
    known = TABLE_COLUMNS[table]
    wanted = [name for name in (known if columns is None else columns) if name in known]
    for name in wanted:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, ARROW_TYPES.get(known[name].kind)))
    return rows


def _check_names(schema: pa.Schema) -> None:
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise pa.ArrowInvalid(f"it has the column {twice[0]} more than once")
    if (schema.metadata or {}).get(NAMES_DIGEST, digest := _digest_names(schema)) != digest:
        raise pa.ArrowInvalid("the names of its columns are not those that were written")
    if "run_id" not in schema.names:
        raise pa.ArrowInvalid("it has no column run_id")


def cast_columns(rows: pa.Table, table: Table) -> pa.Table:
    """Rows cast to the types of COLUMNS; ArrowInvalid where a value would change."""
    for place, column in enumerate(rows.schema):
        known = TABLE_COLUMNS[table].get(column.name)
        stored = get_value_type(column.type)
        if known is None and pa.types.is_nested(stored):  # pandas could not compare lists and structs
            rows = rows.set_column(place, column.name, convert_column(rows.column(place), pa.string()))
        kind = ARROW_TYPES.get(known.kind) if known else None
        if kind is None or stored == kind:
            continue
        both_numbers = _is_number(stored) and _is_number(kind)
        both_times = pa.types.is_timestamp(stored) and kind == ARROW_TYPES["time"]
        if not (both_numbers or both_times or pa.types.is_null(stored)):
            raise pa.ArrowInvalid(f"its column {column.name} is {stored}, not {kind}")
        rows = rows.set_column(place, column.name, rows.column(place).cast(kind))
    return rows


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
