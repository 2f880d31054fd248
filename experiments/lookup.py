"""Finding a run, its trace and its rate in the tables of a sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def one(runs: pd.DataFrame, **where: Any) -> pd.Series:
    """The run whose columns have these values; objective__n stands for the column objective.n, numbers to 1e-9."""
    for name, value in where.items():
        column = runs[name.replace("__", ".")]
        runs = runs[np.isclose(column.astype(float), value, rtol=1e-9) if isinstance(value, float) else column == value]
    if len(runs) != 1:
        raise LookupError(f"{len(runs)} runs have {where}.")
    return runs.iloc[0]


def trace(runs: pd.DataFrame, traces: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """What was traced of that run, by step."""
    return traces[traces["run_id"] == one(runs, **where)["run_id"]].set_index("step").sort_index()


def factor(steps: pd.DataFrame, first: int, last: int) -> float:
    """By what one step multiplies the distance to a quadratic's minimum 0, the mean from step first to step last."""
    losses = steps["loss"]
    return float((losses[last] / losses[first]) ** (0.5 / (last - first)))
