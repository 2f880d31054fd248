"""A copy of all tables in a few large files, so that a thousand sweeps answer at once. It can be lost at any time.

``outputs/.index/<checksum>.parquet`` each hold the rows of many sweeps and, in their metadata, the facts and the
signature of each. What stands on the disk decides: a sweep counts as known where a file holds its signature of now; all
others are read anew into another file. Nothing in a file is ever changed, so readers and writers need no lock.
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
from gdbench.results.atomic import open_beside
from gdbench.results.catalog import Facts, facts, signatures
from gdbench.results.columns import COLUMNS
from gdbench.results.load import Skipped, sweep_table
from gdbench.results.places import NUMBER, PLACE, STANDING, with_places
from gdbench.results.schema_union import CODED, MixedKinds, common_kind, convert, decoded, stored_kind, union

__all__ = ["FOLDER", "Index", "Segment", "opened"]

FOLDER = ".index"
FORMAT = f"3 {' '.join([*(each.name for each in fields(Facts)), *STANDING])}"
"""Files of another format are made anew."""
BATCH = 200_000
"""Rows of a file, beyond which the next sweep goes to another one."""
GROUP = 2**14
"""Rows of a row group."""
MANY = 100
"""Sweeps that take a while to read."""
FILES = 8
"""Files of less than half of that, beyond which they are made one."""


@dataclass(frozen=True)
class Segment:
    """One file of the index."""

    file: Path
    sweeps: tuple[Facts, ...]
    schema: pa.Schema
    rows: int


class Index:
    """All sweeps of a folder, and any column of all their rows."""

    def __init__(self, segments: Sequence[Segment], current: Mapping[str, str]) -> None:
        """``current`` are the sweeps on the disk, with their signatures."""
        self.sweeps: list[Facts] = []
        self.segments: list[tuple[Segment, npt.NDArray[np.int64]]] = []
        """Each file, and for each of its sweeps the position in ``sweeps``, or -1 where that has changed or gone."""
        seen: set[str] = set()
        for segment in segments:
            numbers = np.full(len(segment.sweeps), -1, np.int64)
            for local, each in enumerate(segment.sweeps):
                if current.get(each.folder) == each.signature and each.folder not in seen:
                    seen.add(each.folder)
                    numbers[local] = len(self.sweeps)
                    self.sweeps.append(each)
            self.segments.append((segment, numbers))
        self.kinds = _kinds([segment.schema for segment in segments])
        """The type of each column; of those of different types in different sweeps text, or a wider number."""

    def rows(self, names: Sequence[str]) -> pa.Table:
        """Columns of all rows, with the position of their sweep as ``_sweep``; null where a sweep has no such column.

        Texts come as dictionaries.
        """
        tables = [self._part(segment, numbers, names) for segment, numbers in self.segments]
        rows = self._together(tables, names).unify_dictionaries()
        stale = pc.equal(rows.column(NUMBER), -1)
        return rows.filter(pc.invert(stale)) if pc.any(stale).as_py() else rows

    def picked(self, places: npt.NDArray[np.float64], names: Sequence[str]) -> pa.Table:
        """Columns of one row a sweep, that with the given ``_place``; of no row where that is NaN."""
        tables = []
        for segment, numbers in self.segments:
            held = self._part(segment, numbers, [PLACE])
            place = held.column(PLACE).to_pandas().to_numpy(np.float64)
            found = np.flatnonzero(place == np.append(places, np.nan)[held.column(NUMBER).to_numpy()])
            groups = np.unique(found // GROUP)
            starts = np.searchsorted(groups, found // GROUP) * GROUP
            # Not as dictionaries, which are slow of a key that no two rows share.
            few = self._part(segment, numbers, names, groups.tolist(), coded=False)
            tables.append(few.take(pa.array(starts + found % GROUP)))
        return self._together(tables, names)

    def _together(self, tables: Sequence[pa.Table], names: Sequence[str]) -> pa.Table:
        kinds = {**{name: self.kinds.get(name, pa.null()) for name in names}, NUMBER: pa.int64()}
        none = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
        return pa.concat_tables(tables) if tables else none

    def _part(
        self,
        segment: Segment,
        numbers: npt.NDArray[np.int64],
        names: Sequence[str],
        groups: Sequence[int] | None = None,
        coded: bool = True,
    ) -> pa.Table:
        """Columns of one file, or of some of its row groups; rows of sweeps that have changed are of sweep -1."""
        here = [name for name in names if name in segment.schema.names]
        with pq.ParquetFile(segment.file, read_dictionary=here if coded else None, memory_map=True) as file:
            table = file.read([*here, NUMBER]) if groups is None else file.read_row_groups(groups, [*here, NUMBER])
        columns = {name: _column(table, name, self.kinds.get(name, pa.null()), coded) for name in names}
        return pa.table({**columns, NUMBER: pa.array(numbers[table.column(NUMBER).to_numpy()])})


def _column(table: pa.Table, name: str, kind: Any, coded: bool) -> Any:
    column = convert(_or_null(table, name), kind)
    return column.cast(CODED) if coded and kind == pa.string() else decoded(column)


def _kinds(schemas: Sequence[pa.Schema]) -> dict[str, Any]:
    found: dict[str, set[Any]] = {}
    for schema in schemas:
        for field in schema:
            found.setdefault(field.name, set()).add(stored_kind(field.type))
    ordered = [*(name for name in COLUMNS if name in found), *sorted(name for name in found if name not in COLUMNS)]
    return {name: _queried_kind(found[name]) for name in ordered}


def _queried_kind(kinds: set[Any]) -> Any:
    """One type for all values that a column has anywhere, of those that a query can compare."""
    kind = common_kind(kinds)
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return pa.int64()
    compared = pa.types.is_boolean(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)
    return kind if compared else pa.string()


# ------------------------------------------------------------------------------------------------- bringing up to date


@contextlib.contextmanager
def opened(outputs: Path, note: Callable[[str], None] = lambda words: None) -> Iterator[Index]:
    """The index of a folder of sweeps, brought up to date; beside it, for this once, where it cannot be written.

    ``note`` is told where that takes a while.
    """
    current = signatures(outputs)
    home = outputs / FOLDER
    known = [segment for file in sorted(home.glob("*.parquet")) if (segment := _segment(file))]
    held = {(each.folder, each.signature) for segment in known for each in segment.sweeps}
    wanted = {folder: signature for folder, signature in current.items() if (folder, signature) not in held}
    if len(wanted) > MANY:
        note(f"Reading {format_count(len(wanted), 'sweep')} into {home}; the next time that is quicker.")
    with contextlib.ExitStack() as stack:
        try:
            known += _written(outputs, home, wanted)
        except OSError as error:
            note(f"{home} cannot be written ({error.strerror or error}): new sweeps are read anew each time.")
            beside = stack.enter_context(tempfile.TemporaryDirectory(prefix="gdbench-"))
            known += _written(outputs, Path(beside), wanted)
        with contextlib.suppress(OSError):  # no more than untidy
            known = _tidied(home, known, current)
        yield Index(known, current)


def _segment(file: Path) -> Segment | None:
    """A file of the index; None, and the file is removed, where it is not what we would have written."""
    with contextlib.suppress(OSError):  # it has gone meanwhile, or is not ours to remove
        content = file.read_bytes()
        if file.stem == _checksum(content):
            with pq.ParquetFile(pa.BufferReader(content)) as parquet:
                schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
            if schema.metadata.get(b"format") == FORMAT.encode():
                return Segment(
                    file, tuple(Facts(**each) for each in json.loads(schema.metadata[b"sweeps"])), schema, rows
                )
        file.unlink()
    return None


def _checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}-{len(content):x}"


def _written(outputs: Path, home: Path, wanted: Mapping[str, str]) -> list[Segment]:
    """Files of the rows of sweeps, with their signatures as they were before they were read."""
    segments: list[Segment] = []
    batch: list[tuple[Facts, pa.Table]] = []
    for folder, signature in wanted.items():
        told = _read(outputs, folder, signature)
        batch += [told] if told else []
        if sum(table.num_rows for _, table in batch) >= BATCH:
            segments.append(_placed(home, batch))
            batch = []
    return [*segments, _placed(home, batch)] if batch else segments


def _read(outputs: Path, folder: str, signature: str) -> tuple[Facts, pa.Table] | None:
    """A sweep's facts and rows, of which there are none where its table cannot be read; None where it has gone."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Skipped)
        warnings.simplefilter("ignore", MixedKinds)  # the list shows no such column
        try:
            table, fault = sweep_table(outputs / folder), ""
        except (OSError, ValueError) as error:  # removed or replaced while it was read
            table, fault = None, str(error).splitlines()[0]
    if not (outputs / folder).is_dir():
        return None
    fault = fault or "; ".join(str(note.message) for note in caught if issubclass(note.category, Skipped))
    table = table if table is not None else pa.table({"run_id": pa.array([], pa.string())})
    began = pc.min(_or_null(table, "started_at")).as_py()
    ended = len(_or_null(table, "cell").drop_null().unique())
    return facts(outputs, folder, signature, began.timestamp() if began else None, ended, fault), table


def _placed(home: Path, batch: Sequence[tuple[Facts, pa.Table]]) -> Segment:
    """One file of the rows of several sweeps, each with its place among those of its sweep."""
    kinds = _kinds([table.schema for _, table in batch])
    lengths = [table.num_rows for _, table in batch]
    numbers = np.repeat(np.arange(len(batch)), lengths)
    table = with_places(union([rows for _, rows in batch], kinds), numbers)
    return _write(home, table, [each for each, _ in batch])


def _or_null(table: pa.Table, name: str) -> Any:
    position = table.schema.get_field_index(name)
    return table.column(position) if position >= 0 else pa.chunked_array([pa.nulls(table.num_rows)])


def _write(home: Path, table: pa.Table, sweeps: Sequence[Facts]) -> Segment:
    """Write a file beside, and give it the checksum of its content as its name.

    The best rows of all sweeps come first, so that few row groups hold what ``picked`` is asked for.
    """
    table = table.take(pc.sort_indices(table, [(PLACE, "ascending")]))
    told = {b"format": FORMAT.encode(), b"sweeps": json.dumps([asdict(each) for each in sweeps]).encode()}
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(told), buffer, compression="zstd", row_group_size=GROUP)
    content = buffer.getvalue()
    file = home / f"{_checksum(content)}.parquet"
    home.mkdir(exist_ok=True)
    with open_beside(file) as beside:
        beside.write_bytes(content)
    return Segment(file, tuple(sweeps), table.schema, table.num_rows)


def _tidied(home: Path, segments: Sequence[Segment], current: Mapping[str, str]) -> list[Segment]:
    """The files without those that nothing needs; many small ones are made one."""
    useful = [each for each in segments if any(current.get(one.folder) == one.signature for one in each.sweeps)]
    small = [each for each in useful if each.rows < BATCH // 2 and each.file.parent == home]
    kept = list(useful)
    if len(small) > FILES:
        index = Index(small, current)
        table = index.rows([name for name in index.kinds if name != NUMBER])
        plain = pa.table({name: _sparse(table.column(name)) for name in table.column_names})
        kept = [each for each in useful if each not in small] + [_write(home, plain, index.sweeps)]
    for segment in segments:
        if segment not in kept:
            segment.file.unlink(missing_ok=True)
    return kept


def _sparse(column: Any) -> Any:
    """A column as it is stored: texts that no two rows share are no dictionary."""
    if not pa.types.is_dictionary(column.type) or not column.num_chunks:
        return column
    return decoded(column) if len(column.chunk(0).dictionary) > len(column) / 2 else column
