"""Single values and columns of tables whose nulls are None, NaN or pandas.NA."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["is_null", "to_floats"]


def is_null(value: object) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    return value is None or (not hasattr(value, "__len__") and bool(pd.isna(value)))  # type: ignore[call-overload]


def to_floats(runs: pd.DataFrame, name: str) -> pd.Series:
    """Column as plain floats, NaN where null or missing."""
    if name not in runs:
        return pd.Series(np.nan, index=runs.index)
    return runs[name].astype("Float64").astype(float)
