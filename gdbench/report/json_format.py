"""Values as JSON, in which NaN, infinities and missing values are null."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

__all__ = ["dump_json", "runs_as_json", "to_json_value"]


def to_json_value(value: Any, digits: int | None = None) -> Any:
    """A value that JSON can hold; floats rounded to ``digits`` significant digits."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(value if digits is None else f"{value:.{digits}g}")
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {str(name): to_json_value(part, digits) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(part, digits) for part in value]
    if hasattr(value, "tolist"):
        return to_json_value(value.tolist(), digits)
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def dump_json(value: Any) -> str:
    """The JSON text of a value; ValueError for NaN and infinities."""
    return json.dumps(value, allow_nan=False)


def runs_as_json(runs: pd.DataFrame) -> str:
    """A list of objects, one per run, with every digit."""
    return dump_json(to_json_value(runs.astype(object).to_dict(orient="records")))
