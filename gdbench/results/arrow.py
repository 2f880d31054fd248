"""Conversion of columns: NumPy to Arrow, and Arrow to pandas, with the types that COLUMNS states."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gdbench.results.columns import COLUMNS
from gdbench.results.constant_column import is_constant

__all__ = ["ARROW_TYPES", "to_arrow", "to_pandas"]

LONG_TEXT = 1000
"""Number of characters above which a text column becomes a pandas category."""
CHUNK_ROWS = 2**16
"""Rows of a constant that occupy memory; longer columns repeat this chunk."""
ARROW_TYPES = {
    "str": pa.string(),
    "shared": pa.string(),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
}


def to_arrow(columns: Mapping[str, Any]) -> pa.Table:
    """Arrow table of columns given as NumPy arrays or constants, with the types that COLUMNS states."""
    rows = next(len(values) for values in columns.values() if isinstance(values, np.ndarray))
    return pa.table({name: _convert_values(name, values, rows) for name, values in columns.items()})


def _convert_values(name: str, values: Any, rows: int) -> Any:
    kind = ARROW_TYPES.get(COLUMNS[name].kind) if name in COLUMNS else None
    if isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray) and is_constant(values):
        values = values[:1].tolist()[0]
    if not isinstance(values, np.ndarray):
        return _repeat_value(values, kind, rows)
    if values.ndim == 2:
        return _convert_matrix(values)
    if values.dtype.kind == "S":
        return _convert_bytes(values)
    if values.dtype == object:
        return pa.array(values, pa.string()).dictionary_encode()
    return _convert_numbers(values, kind)


def _repeat_value(value: Any, kind: Any, rows: int) -> Any:
    """Chunked array of one value in all rows; its chunks share memory."""
    chunk = _make_chunk(value, kind, min(rows, CHUNK_ROWS))
    whole, rest = divmod(rows, CHUNK_ROWS)
    return pa.chunked_array([*[chunk] * whole, chunk.slice(0, rest)], chunk.type)


def _make_chunk(value: Any, kind: Any, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, kind)
    scalar = pa.scalar(value if isinstance(value, (int, float, str, datetime.datetime)) else str(value), kind)
    if pa.types.is_string(scalar.type):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([scalar.as_py()], pa.string()))
    return pa.repeat(scalar, rows)


def _convert_numbers(values: npt.NDArray[Any], kind: Any) -> Any:
    """Numeric array; cast in NumPy, which is much faster at it than Arrow."""
    mask = np.ma.getmask(values)
    data = np.ma.getdata(values)
    if kind in (pa.int64(), pa.float64()):
        data = data.astype(kind.to_pandas_dtype(), copy=False)
    array = pa.array(data, mask=None if mask is np.ma.nomask or not mask.any() else mask)
    return array.cast(kind) if kind and kind != array.type else array


def _convert_bytes(values: npt.NDArray[np.bytes_]) -> Any:
    """String array of fixed-length bytes, without a Python object per row."""
    width = values.dtype.itemsize
    offsets = np.arange(0, (len(values) + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values)))


def _convert_matrix(values: npt.NDArray[Any]) -> Any:
    """List array of the rows of a matrix [rows, width]; null where width is 0."""
    rows, width = values.shape
    if not width:
        return pa.nulls(rows, pa.list_(pa.float64()))
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.float64).ravel()))


# ------------------------------------------------------------------------------------------------------- to pandas


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """DataFrame of a table, with the column order and types that COLUMNS states."""
    kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
    columns = pa.table({name: _prepare_for_pandas(name, table.column(name)) for name in table.column_names})
    rows: pd.DataFrame = columns.to_pandas(types_mapper=kinds.get)
    for name in rows.columns[rows.dtypes == "category"]:
        rows[name] = _share_texts(rows[name].array)
    first = [name for name in COLUMNS if name in rows]
    return rows[[*first, *(name for name in rows if name not in COLUMNS)]] if "status" in rows else rows


def _prepare_for_pandas(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Column for pandas: dictionary-encoded if shared or long text, else one value per row.

    The overrides of a cell of 10,000 learning rates list them all: a copy per run would be quadratic.
    """
    shared = name in COLUMNS and COLUMNS[name].kind == "shared"
    if pa.types.is_dictionary(column.type):
        return column.unify_dictionaries() if shared or _has_long_text(column) else column.cast(column.type.value_type)
    return column.cast(pa.string()).dictionary_encode() if shared else column


def _share_texts(values: Any) -> pd.api.extensions.ExtensionArray:
    """Categorical whose categories are Python strings: rows share the text instead of copying it."""
    texts = pd.Index(values.categories.tolist(), dtype=object)
    return pd.Categorical.from_codes(values.codes, dtype=pd.CategoricalDtype(texts))


def _has_long_text(column: pa.ChunkedArray) -> bool:
    """Whether any text of a dictionary-encoded column is longer than LONG_TEXT."""
    if not pa.types.is_string(column.type.value_type):
        return False
    longest = (pc.max(pc.utf8_length(chunk.dictionary)).as_py() or 0 for chunk in column.chunks)
    return max(longest, default=0) > LONG_TEXT
