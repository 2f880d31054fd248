"""Values as JSON, in which NaN, infinities and missing values are null."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

__all__ = ["dump_json", "runs_as_json", "to_json_column", "to_json_value"]


def to_json_value(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {str(name): to_json_value(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(part) for part in value]
    if hasattr(value, "tolist"):
        return to_json_value(value.tolist())
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def to_json_column(values: pd.Series) -> list[Any]:
    """The values of a column for a chart or the page, with six significant digits."""
    return [
        (float(f"{value:.6g}") if math.isfinite(value) else None) if isinstance(value, float) else to_json_value(value)
        for value in values.tolist()
    ]


def dump_json(value: Any) -> str:
    """The JSON text of a value; ValueError for NaN and infinities."""
    return json.dumps(value, allow_nan=False)


def runs_as_json(runs: pd.DataFrame) -> str:
    """A list of objects, one per run, with every digit."""
    return dump_json(to_json_value(runs.astype(object).to_dict(orient="records")))
