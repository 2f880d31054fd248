"""One Parquet file of ours: written whole or not at all, and read with the types that COLUMNS promises, or refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from gdbench.results.arrow import ARROW
from gdbench.results.atomic import open_beside
from gdbench.results.columns import BLOCK_COLUMNS, COLUMNS, TRACE_COLUMNS
from gdbench.results.schema_union import stored_kind

__all__ = ["DESCRIBED", "FAULTS", "TABLES", "Table", "Unreadable", "promised", "read_table", "write_table"]

Table = Literal["runs", "traces", "blocks"]
TABLES: tuple[Table, ...] = ("runs", "traces", "blocks")
DESCRIBED = {"runs": COLUMNS, "traces": TRACE_COLUMNS, "blocks": BLOCK_COLUMNS}

SMALL = 1000
"""Tables of at most this many rows are not compressed."""
MAX_DICTIONARY = 2**28
"""Bytes of the texts of a column that are stored once; Parquet's own 1 MB is less than the overrides of 20 cells of
10,000 explicit values, and beyond it every row has a copy."""
FAULTS = (pa.ArrowException, OSError, ValueError)
"""What is raised for a file that is cut off, damaged, or no Parquet at all."""


class Unreadable(Exception):
    """A file is no table of ours; the message says why in a few words."""


# --------------------------------------------------------------------------------------------------------- writing


def write_table(table: pa.Table, path: Path) -> None:
    """Write beside, flush to the disk, rename: a reader sees a whole file or none."""
    with open_beside(path) as beside, beside.open("wb") as file:
        # A compressor for each of 80 columns: 4.5 ms against 1.8, and for a few rows nothing to show for it.
        small = table.num_rows <= SMALL
        pq.write_table(
            table,
            file,
            compression="none" if small else "zstd",
            use_dictionary=True if small else _repeating(table),
            dictionary_pagesize_limit=MAX_DICTIONARY,
            write_page_checksum=True,
        )
        file.flush()
        os.fsync(file.fileno())


def _repeating(table: pa.Table) -> list[str]:
    """The columns whose values come again: of the others a dictionary takes 0.5 s a million rows, and is dropped."""
    sample = table.slice(0, SMALL)
    flat = [field.name for field in sample.schema if not pa.types.is_nested(field.type)]
    return [name for name in flat if len(sample[name].unique()) < SMALL / 2]


# --------------------------------------------------------------------------------------------------------- reading


def read_table(file: Path, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file, or some of their columns; ``Unreadable`` where it is cut off, damaged or somebody else's."""
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:  # half the time of read_table
            _check_names(parquet.schema_arrow)
            rows = _typed(parquet.read(None if columns is None else list(columns)), table)
        rows.validate(full=True)
    except FAULTS as error:
        raise Unreadable(str(error).splitlines()[0].rstrip(".")) from error
    return rows


def promised(rows: pa.Table, table: Table, columns: Sequence[str] | None) -> pa.Table:
    """A table with all columns that its kind of table has, or those that were asked for, null where it lacks them."""
    known = DESCRIBED[table]
    wanted = [name for name in (known if columns is None else columns) if name in known]
    for name in wanted:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, ARROW.get(known[name].kind)))
    return rows


def _check_names(schema: pa.Schema) -> None:
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise pa.ArrowInvalid(f"it has the column {twice[0]} more than once")
    if "run_id" not in schema.names:
        raise pa.ArrowInvalid("it has no column run")


def _typed(rows: pa.Table, table: Table) -> pa.Table:
    """The same rows with the types that are promised; ArrowInvalid where a value would have to change for it."""
    for place, column in enumerate(rows.schema):
        known = DESCRIBED[table].get(column.name)
        kind = ARROW.get(known.kind) if known else None
        stored = stored_kind(column.type)
        if kind is None or stored in (kind, pa.null()):
            continue
        if not (_is_number(stored) and _is_number(kind)) and not (
            pa.types.is_timestamp(stored) and kind == ARROW["time"]
        ):
            raise pa.ArrowInvalid(f"its column {column.name} is {stored}, not {kind}")
        rows = rows.set_column(place, column.name, rows.column(place).cast(kind))
    return rows


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
