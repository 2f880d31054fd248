"""Constant columns without memory: NumPy broadcasts, recognised by their stride of zero up to the Parquet file."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["is_constant", "make_constant", "take_rows"]

Array = npt.NDArray[Any]


def make_constant(value: Any, rows: int) -> Array:
    """Read-only array of ``rows`` times one value."""
    return np.broadcast_to(np.array(value, dtype=object if value is None or isinstance(value, str) else None), rows)


def is_constant(column: Array) -> bool:
    """Whether a column is a broadcast of one value; repeated values in memory do not count."""
    return column.ndim == 1 and len(column) > 0 and column.strides == (0,)


def take_rows(column: Array, rows: Array) -> Array:
    """Selected rows of a column; of a constant, a constant."""
    if is_constant(column) and not isinstance(column, np.ma.MaskedArray):
        return np.broadcast_to(column[:1].reshape(()), len(rows))
    some: Array = column[rows]
    return some
