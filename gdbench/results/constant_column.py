"""A column of one value that takes no memory: numpy's broadcast, whose stride of zero tells it apart up to the disk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["is_constant", "make_constant", "take_rows"]

Array = npt.NDArray[Any]


def make_constant(value: Any, rows: int) -> Array:
    """So many rows of one value, read-only."""
    return np.broadcast_to(np.array(value, dtype=object if value is None or isinstance(value, str) else None), rows)


def is_constant(column: Array) -> bool:
    """Whether a column is one value by the way it lies in memory; one that merely repeats itself is not."""
    return column.ndim == 1 and len(column) > 0 and column.strides == (0,)


def take_rows(column: Array, rows: Array) -> Array:
    """Some rows of a column; of a constant they are one."""
    if is_constant(column) and not isinstance(column, np.ma.MaskedArray):
        return np.broadcast_to(column[:1].reshape(()), len(rows))
    some: Array = column[rows]
    return some
