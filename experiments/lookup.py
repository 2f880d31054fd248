"""Look up a run, its trace and its rate in the tables of a sweep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def find_run(runs: pd.DataFrame, **where: Any) -> pd.Series:
    """Find the run whose columns have these values (numbers to 1e-9); objective__n is the column objective.n."""
    for name, value in where.items():
        column = runs[name.replace("__", ".")]
        runs = runs[np.isclose(column.astype(float), value, rtol=1e-9) if isinstance(value, float) else column == value]
    if len(runs) != 1:
        raise LookupError(f"{len(runs)} runs have {where}.")
    return runs.iloc[0]


def find_trace(runs: pd.DataFrame, traces: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Find the trace of a run, indexed by step."""
    return traces[traces["run_id"] == find_run(runs, **where)["run_id"]].set_index("step").sort_index()


def distance_factor(steps: pd.DataFrame, first: int, last: int) -> float:
    """Mean factor by which a step multiplies the distance to a quadratic's minimum 0, from step first to step last."""
    losses = steps["loss"]
    return float((losses[last] / losses[first]) ** (0.5 / (last - first)))
