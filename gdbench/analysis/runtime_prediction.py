"""How long cells will take, told from the times of earlier ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["LIKE", "cell_times", "predicted"]

LIKE = ("objective", "optimizer", "impl", "dtype")
"""Cells that agree on these cost alike, but for their size."""
FIRST_USE = ["warmup_s", "compile_s"]


def cell_times(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a timed cell, the latest last: LIKE, ``run_steps`` (runs x steps), ``convergence_pass_s``, FIRST_USE."""
    there = runs[runs["convergence_pass_s"].notna()].sort_values("started_at", kind="stable")
    cells = there.groupby(["sweep", "cell"], sort=False)
    times = cells[[*LIKE, "convergence_pass_s", *FIRST_USE]].first().fillna(dict.fromkeys(FIRST_USE, 0.0))
    return times.assign(run_steps=cells["steps"].sum()).reset_index(drop=True)


def predicted(cells: pd.DataFrame, times: pd.DataFrame) -> pd.Series:
    """Seconds that each cell will take; NaN where none like it has run.

    seconds = convergence_pass_s x run_steps / run_steps of the earlier cell + warmup_s + compile_s + timing_s, from the
    cell nearest in size (log scale) among those of the same LIKE, the latest of equals. ``cells`` has LIKE,
    ``run_steps`` and ``timing_s``. A dtype of ``auto`` is like any.
    """
    seconds = [_seconds(cell, _alike(cell, times)) for _, cell in cells.iterrows()]
    return pd.Series(seconds, index=cells.index, dtype=float)


def _alike(cell: pd.Series, times: pd.DataFrame) -> pd.DataFrame:
    wanted = [name for name in LIKE if cell[name] != "auto"]
    return times[(times[wanted] == cell[wanted]).all(axis=1)]


def _seconds(cell: pd.Series, alike: pd.DataFrame) -> float:
    if alike.empty:
        return float("nan")
    distance = np.abs(np.log(alike["run_steps"].to_numpy(float) / cell["run_steps"]))
    nearest = alike.iloc[len(alike) - 1 - int(np.argmin(distance[::-1]))]
    scaled = nearest["convergence_pass_s"] * cell["run_steps"] / nearest["run_steps"]
    return float(scaled + cell["timing_s"] + (nearest[FIRST_USE].sum() if cell["timing_s"] else 0.0))
