"""Index of sweeps: a cache of all tables in a few large Parquet files. It can be deleted at any time.

``outputs/.index/<checksum>.parquet`` each hold the rows of many sweeps and, in their metadata, the properties and the
signature of each. A sweep is up to date where a segment has its present signature; all others are read into new
segments. Segments are never modified, so that readers and writers need no lock.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gdbench.errors import format_count
from gdbench.results.atomic import replace_atomically
from gdbench.results.columns import COLUMNS
from gdbench.results.load import SkippedFile, read_sweep_table
from gdbench.results.schema_union import (
    DICTIONARY,
    MixedTypes,
    concat_tables,
    convert_column,
    decode_dictionary,
    find_common_type,
    get_column_or_null,
    get_value_type,
)
from gdbench.results.sweep_info import SweepInfo, compute_signatures, read_sweep_info
from gdbench.results.sweep_ranks import RANK, RANKING_FIELDS, SWEEP_NUMBER, add_sweep_ranks

__all__ = ["FOLDER", "Index", "Segment", "open_index"]

FOLDER = ".index"
FORMAT = f"3 {' '.join([*(field.name for field in fields(SweepInfo)), *RANKING_FIELDS])}"
"""Segments of another format are rebuilt."""
SEGMENT_ROWS = 200_000
"""Rows above which the next sweep starts a new segment."""
SEGMENT_SWEEPS = 1000
"""Sweeps after which a new segment is written: until then each has a table of 90 columns in memory, 150 KB."""
ROW_GROUP_ROWS = 2**14
"""Rows per row group."""
SLOW_SWEEPS = 100
"""Number of sweeps that take a while to read."""
MAX_SMALL_SEGMENTS = 8
"""Number of segments below half of SEGMENT_ROWS above which they are merged."""


@dataclass(frozen=True)
class Segment:
    """One file of the index."""

    file: Path
    sweeps: tuple[SweepInfo, ...]
    schema: pa.Schema
    rows: int


class Index:
    """All sweeps of a folder, and any column of all their runs."""

    def __init__(self, segments: Sequence[Segment], current: Mapping[str, str]) -> None:
        """``current``: signature of each sweep on disk."""
        self.sweeps: list[SweepInfo] = []
        self.segments: list[tuple[Segment, npt.NDArray[np.int64]]] = []
        """Each file, and for each of its sweeps the position in ``sweeps``, or -1 where that has changed or gone."""
        seen: set[str] = set()
        for segment in segments:
            numbers = np.full(len(segment.sweeps), -1, np.int64)
            for local, sweep in enumerate(segment.sweeps):
                if current.get(sweep.folder) == sweep.signature and sweep.folder not in seen:
                    seen.add(sweep.folder)
                    numbers[local] = len(self.sweeps)
                    self.sweeps.append(sweep)
            self.segments.append((segment, numbers))
        self.kinds = _find_types([segment.schema for segment in segments])
        """The type of each column; of those of different types in different sweeps text, or a wider number."""

    def read_rows(self, names: Sequence[str]) -> pa.Table:
        """Columns of all runs, with the position of their sweep as ``_sweep``; null where a sweep lacks a column."""
        tables = [self._read_columns(segment, numbers, names) for segment, numbers in self.segments]
        rows = self._concat(tables, names).unify_dictionaries()
        stale = pc.equal(rows.column(SWEEP_NUMBER), -1)
        return rows.filter(pc.invert(stale)) if pc.any(stale).as_py() else rows

    def read_ranked_rows(self, places: npt.NDArray[np.float64], names: Sequence[str]) -> pa.Table:
        """Columns of one row per sweep, that with the given ``_place``; no row where that is NaN."""
        tables = []
        for segment, numbers in self.segments:
            held = self._read_columns(segment, numbers, [RANK])
            place = held.column(RANK).to_pandas().to_numpy(np.float64)
            found = np.flatnonzero(place == np.append(places, np.nan)[held.column(SWEEP_NUMBER).to_numpy()])
            groups = np.unique(found // ROW_GROUP_ROWS)
            starts = np.searchsorted(groups, found // ROW_GROUP_ROWS) * ROW_GROUP_ROWS
            # Not as dictionaries, which are slow of a key that no two rows share.
            few = self._read_columns(segment, numbers, names, groups.tolist(), coded=False)
            tables.append(few.take(pa.array(starts + found % ROW_GROUP_ROWS)))
        return self._concat(tables, names)

    def _concat(self, tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
        kinds = {**{name: self.kinds.get(name, pa.null()) for name in names}, SWEEP_NUMBER: pa.int64()}
        none = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
        return pa.concat_tables(tables) if tables else none

    def _read_columns(
        self,
        segment: Segment,
        numbers: npt.NDArray[np.int64],
        names: Sequence[str],
        groups: Sequence[int] | None = None,
        coded: bool = True,
    ) -> pa.Table:
        """Columns of one segment, or of some of its row groups; outdated rows are of sweep -1."""
        here = [name for name in names if name in segment.schema.names]
        with pq.ParquetFile(segment.file, read_dictionary=here if coded else None, memory_map=True) as file:
            table = (
                file.read([*here, SWEEP_NUMBER])
                if groups is None
                else file.read_row_groups(groups, [*here, SWEEP_NUMBER])
            )
        columns = {name: _read_column(table, name, self.kinds.get(name, pa.null()), coded) for name in names}
        return pa.table({**columns, SWEEP_NUMBER: pa.array(numbers[table.column(SWEEP_NUMBER).to_numpy()])})


def _read_column(table: pa.Table, name: str, kind: Any, coded: bool) -> Any:
    column = convert_column(get_column_or_null(table, name), kind)
    return column.cast(DICTIONARY) if coded and kind == pa.string() else decode_dictionary(column)


def _find_types(schemas: Sequence[pa.Schema]) -> dict[str, Any]:
    found: dict[str, set[Any]] = {}
    for schema in schemas:
        for field in schema:
            found.setdefault(field.name, set()).add(get_value_type(field.type))
    ordered = [*(name for name in COLUMNS if name in found), *sorted(name for name in found if name not in COLUMNS)]
    return {name: _find_query_type(found[name]) for name in ordered}


def _find_query_type(kinds: set[Any]) -> Any:
    """Common type of all values of a column that a query can compare."""
    kind = find_common_type(kinds)
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return pa.int64()
    compared = pa.types.is_boolean(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)
    return kind if compared else pa.string()


# ------------------------------------------------------------------------------------------------- bringing up to date


@contextlib.contextmanager
def open_index(outputs: Path, note: Callable[[str], None] = lambda words: None) -> Iterator[Index]:
    """Context manager: the index of ``outputs``, brought up to date; temporary if it cannot be written.

    ``note`` is called with a line where that takes a while.
    """
    current = compute_signatures(outputs)
    home = outputs / FOLDER
    known = [segment for file in sorted(home.glob("*.parquet")) if (segment := _read_segment(file))]
    held = {(sweep.folder, sweep.signature) for segment in known for sweep in segment.sweeps}
    wanted = {folder: signature for folder, signature in current.items() if (folder, signature) not in held}
    if len(wanted) > SLOW_SWEEPS:
        note(f"Reading {format_count(len(wanted), 'sweep')} into {home}; the next time that is quicker.")
    with contextlib.ExitStack() as stack:
        try:
            known += _index_sweeps(outputs, home, wanted)
        except OSError as error:
            note(f"{home} cannot be written ({error.strerror or error}): new sweeps are read again each time.")
            beside = stack.enter_context(tempfile.TemporaryDirectory(prefix="gdbench-"))
            known += _index_sweeps(outputs, Path(beside), wanted)
        with contextlib.suppress(OSError):  # no more than untidy
            known = _merge_small_segments(home, known, current)
        yield Index(known, current)


def _read_segment(file: Path) -> Segment | None:
    """Segment of a file; None, and the file is deleted, if its checksum or format is wrong."""
    with contextlib.suppress(OSError):  # it has gone meanwhile, or is not ours to remove
        content = file.read_bytes()
        if file.stem == _compute_checksum(content):
            with pq.ParquetFile(pa.BufferReader(content)) as parquet:
                schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
            if schema.metadata.get(b"format") == FORMAT.encode():
                return Segment(
                    file, tuple(SweepInfo(**entry) for entry in json.loads(schema.metadata[b"sweeps"])), schema, rows
                )
        file.unlink()
    return None


def _compute_checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}-{len(content):x}"


def _index_sweeps(outputs: Path, home: Path, wanted: Mapping[str, str]) -> list[Segment]:
    """New segments with the rows of ``wanted`` sweeps, with signatures taken before the rows were read."""
    segments: list[Segment] = []
    batch: list[tuple[SweepInfo, pa.Table]] = []
    rows = 0
    for folder, signature in wanted.items():
        entry = _read_sweep(outputs, folder, signature)
        if entry:
            batch.append(entry)
            rows += entry[1].num_rows
        if rows >= SEGMENT_ROWS or len(batch) >= SEGMENT_SWEEPS:
            segments.append(_write_batch(home, batch))
            batch, rows = [], 0
    return [*segments, _write_batch(home, batch)] if batch else segments


def _read_sweep(outputs: Path, folder: str, signature: str) -> tuple[SweepInfo, pa.Table] | None:
    """Properties and rows of a sweep (no rows if its table is unreadable); None if it is gone."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SkippedFile)
        warnings.simplefilter("ignore", MixedTypes)  # the list shows no such column
        try:
            table, fault = read_sweep_table(outputs / folder), ""
        except (OSError, ValueError) as error:  # removed or replaced while it was read
            table, fault = None, str(error).splitlines()[0]
    if not (outputs / folder).is_dir():
        return None
    fault = fault or "; ".join(str(note.message) for note in caught if issubclass(note.category, SkippedFile))
    table = table if table is not None else pa.table({"run_id": pa.array([], pa.string())})
    began = pc.min(get_column_or_null(table, "started_at")).as_py()
    ended = len(get_column_or_null(table, "cell").drop_null().unique())
    return read_sweep_info(outputs, folder, signature, began.timestamp() if began else None, ended, fault), table


def _write_batch(home: Path, batch: Sequence[tuple[SweepInfo, pa.Table]]) -> Segment:
    """Segment with the rows of several sweeps, with each row's rank within its sweep."""
    kinds = _find_types([table.schema for _, table in batch])
    lengths = [table.num_rows for _, table in batch]
    numbers = np.repeat(np.arange(len(batch)), lengths)
    table = add_sweep_ranks(concat_tables([rows for _, rows in batch], kinds), numbers)
    return _write_segment(home, table, [sweep for sweep, _ in batch])


def _write_segment(home: Path, table: pa.Table, sweeps: Sequence[SweepInfo]) -> Segment:
    """Write a segment, named by the checksum of its content.

    Rows are sorted by rank, so that few row groups hold what ``read_ranked_rows`` reads.
    """
    table = table.take(pc.sort_indices(table, [(RANK, "ascending")]))
    metadata = {b"format": FORMAT.encode(), b"sweeps": json.dumps([asdict(sweep) for sweep in sweeps]).encode()}
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    content = buffer.getvalue()
    file = home / f"{_compute_checksum(content)}.parquet"
    home.mkdir(exist_ok=True)
    with replace_atomically(file) as beside:
        beside.write_bytes(content)
    return Segment(file, tuple(sweeps), table.schema, table.num_rows)


def _merge_small_segments(home: Path, segments: Sequence[Segment], current: Mapping[str, str]) -> list[Segment]:
    """Segments without outdated ones, which are deleted, and with small ones merged."""
    useful = [
        segment for segment in segments if any(current.get(one.folder) == one.signature for one in segment.sweeps)
    ]
    small = [segment for segment in useful if segment.rows < SEGMENT_ROWS // 2 and segment.file.parent == home]
    kept = list(useful)
    if len(small) > MAX_SMALL_SEGMENTS:
        index = Index(small, current)
        table = index.read_rows([name for name in index.kinds if name != SWEEP_NUMBER])
        plain = pa.table({name: _decode_unique_texts(table.column(name)) for name in table.column_names})
        kept = [segment for segment in useful if segment not in small] + [_write_segment(home, plain, index.sweeps)]
    for segment in segments:
        if segment not in kept:
            segment.file.unlink(missing_ok=True)
    return kept


def _decode_unique_texts(column: Any) -> Any:
    """Column without dictionary encoding where most texts are distinct."""
    if not pa.types.is_dictionary(column.type) or not column.num_chunks:
        return column
    return decode_dictionary(column) if len(column.chunk(0).dictionary) > len(column) / 2 else column
