"""The rows of a sweep as JSON, for scripts: every digit, and null for what JSON cannot say."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

__all__ = ["runs_as_json"]


def runs_as_json(runs: pd.DataFrame) -> str:
    """A list of objects, one a run; missing values, NaN and infinities are null."""
    rows = runs.astype(object).to_dict(orient="records")
    return json.dumps([{str(name): _plain(value) for name, value in row.items()} for row in rows], allow_nan=False)


def _plain(value: Any) -> Any:
    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
