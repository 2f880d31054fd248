"""Precision per dtype: smallest gap attained, and the step at which a narrow dtype leaves the wide dtype's path."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.statuses import SOUND
from gdbench.results.values import to_floats

__all__ = ["DTYPES_BY_WIDTH", "PARTING_DIFFERENCE", "compute_attained_gaps"]

DTYPES_BY_WIDTH = ("bfloat16", "float16", "float32", "float64")
"""Narrowest first."""
PARTING_DIFFERENCE = 0.1
"""Relative difference of two gaps (of the larger one) above which two runs have parted."""


def compute_attained_gaps(compared: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Each run made in more than one dtype, beside the same run in the widest dtype.

    Input: comparable runs and their traces; sound statuses only. Columns: objective, optimizer, impl, configuration,
    seed, dtype, attained (smallest gap, of best_loss), floor (gap_floor), wide_dtype, wide_attained, and parted: the
    first recorded step at which the two gaps differ by more than PARTING_DIFFERENCE of the larger; null if they never
    do.
    """
    names = ["objective", "optimizer", "impl", "configuration", "seed", *_find_settings(compared)]
    sound = compared[compared["status"].isin(SOUND)].assign(
        attained=_compute_smallest_gap(compared),
        floor=to_floats(compared, "gap_floor"),
        rank=compared["dtype"].map(dict(zip(DTYPES_BY_WIDTH, range(4), strict=True))),
    )
    sound = sound[sound["attained"].notna()]
    wide = sound.loc[sound.groupby(names, dropna=False, observed=True)["rank"].transform("max") == sound["rank"]]
    pairs = sound.merge(wide, on=names, suffixes=("", "_wide"))
    pairs = pairs[pairs["rank"] < pairs["rank_wide"]].reset_index(drop=True)
    table = pairs[[*names[:5], "dtype", "attained", "floor", "run_id", "run_id_wide"]].assign(
        wide_dtype=pairs["dtype_wide"], wide_attained=pairs["attained_wide"]
    )
    ids = ["run_id", "run_id_wide"]
    if pairs.empty:
        return table.drop(columns=ids).assign(parted=np.nan)
    return table.merge(_find_parting_steps(pairs[ids], traces), on=ids, how="left").drop(columns=ids)


def _find_settings(compared: pd.DataFrame) -> list[str]:
    """Columns that must be equal besides: hyper-parameters of the objective and settings other than dtype."""
    fixed = {
        "device",
        "threads",
        "start_noise",
        "steps",
        "target",
        "target_loss",
        "target_metric",
        "judge_every",
        "exact",
    }
    return [name for name in map(str, compared) if name in fixed or name.startswith("objective.")]


def _compute_smallest_gap(compared: pd.DataFrame) -> pd.Series:
    """(best_loss - f*) / (f0 - f*), at least 0."""
    minimum = to_floats(compared, "final_loss") - to_floats(compared, "final_suboptimality")
    return ((to_floats(compared, "best_loss") - minimum) / (to_floats(compared, "start_loss") - minimum)).clip(
        lower=0.0
    )


def _find_parting_steps(pairs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The first recorded step of each pair of runs at which their gaps differ, as ``parted``."""
    lines = traces[["run_id", "step", "gap"]]
    wide = lines.rename(columns={"run_id": "run_id_wide"})
    both = pairs.merge(lines, on="run_id").merge(wide, on=["run_id_wide", "step"], suffixes=("", "_wide"))
    larger = np.maximum(both["gap"].abs(), both["gap_wide"].abs())
    parted = both[(both["gap"] - both["gap_wide"]).abs() > PARTING_DIFFERENCE * larger]
    return parted.groupby(["run_id", "run_id_wide"])["step"].min().rename("parted").reset_index()
