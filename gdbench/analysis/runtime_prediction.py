"""Prediction of the run time of cells from the times of earlier ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["MATCH_COLUMNS", "predict_runtimes", "summarise_cell_times"]

MATCH_COLUMNS = ("objective", "optimizer", "impl", "dtype")
"""Cells that are equal in these have the same cost per run and step."""
FIRST_USE_COLUMNS = ["warmup_s", "compile_s"]


def summarise_cell_times(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per timed cell, latest last: MATCH_COLUMNS, run_steps (runs x steps) and times in seconds."""
    there = runs[runs["convergence_pass_s"].notna()].sort_values("started_at", kind="stable")
    cells = there.groupby(["sweep", "cell"], sort=False)
    times = (
        cells[[*MATCH_COLUMNS, "convergence_pass_s", *FIRST_USE_COLUMNS]]
        .first()
        .fillna(dict.fromkeys(FIRST_USE_COLUMNS, 0.0))
    )
    return times.assign(run_steps=cells["steps"].sum()).reset_index(drop=True)


def predict_runtimes(cells: pd.DataFrame, times: pd.DataFrame) -> pd.Series:
    """Predicted seconds of each cell; NaN where no similar cell has run.

    seconds = convergence_pass_s x run_steps / run_steps of the earlier cell + warmup_s + compile_s + timing_s, from the
    cell nearest in run_steps (log scale) with the same MATCH_COLUMNS, the latest of ties. ``cells`` has MATCH_COLUMNS,
    ``run_steps`` and ``timing_s``. A dtype of ``auto`` matches any.
    """
    seconds = [_predict_seconds(cell, _select_similar(cell, times)) for _, cell in cells.iterrows()]
    return pd.Series(seconds, index=cells.index, dtype=float)


def _select_similar(cell: pd.Series, times: pd.DataFrame) -> pd.DataFrame:
    wanted = [name for name in MATCH_COLUMNS if cell[name] != "auto"]
    return times[(times[wanted] == cell[wanted]).all(axis=1)]


def _predict_seconds(cell: pd.Series, alike: pd.DataFrame) -> float:
    if alike.empty:
        return float("nan")
    distance = np.abs(np.log(alike["run_steps"].to_numpy(float) / cell["run_steps"]))
    nearest = alike.iloc[len(alike) - 1 - int(np.argmin(distance[::-1]))]
    scaled = nearest["convergence_pass_s"] * cell["run_steps"] / nearest["run_steps"]
    return float(scaled + cell["timing_s"] + (nearest[FIRST_USE_COLUMNS].sum() if cell["timing_s"] else 0.0))
