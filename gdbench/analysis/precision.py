"""What precision a dtype allows: the smallest gap attained, and where a narrower dtype leaves the wider one's path."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.ranking import numbers

__all__ = ["PARTED", "WIDTHS", "floors"]

WIDTHS = ("bfloat16", "float16", "float32", "float64")
"""Narrower first."""
PARTED = 0.1
"""Two runs have parted where their gaps differ by more than this part of the larger one."""


def floors(told: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """Each run that was made in more than one dtype, beside the same run in the widest: attained gaps, parting step.

    Of compared runs and their traces, sound ones only. Columns: objective, optimizer, impl, configuration, seed, dtype,
    attained (the smallest gap, of best_loss), floor (gap_floor), wide_dtype, wide_attained, and parted: the first
    recorded step at which the two gaps differ by more than PARTED of the larger; null where they never do. No step
    between two recorded ones is looked at.
    """
    names = ["objective", "optimizer", "impl", "configuration", "seed", *_settings(told)]
    sound = told[told["status"].isin(["target", "plateau", "budget"])].assign(
        attained=_attained(told),
        floor=numbers(told, "gap_floor"),
        rank=told["dtype"].map(dict(zip(WIDTHS, range(4), strict=True))),
    )
    sound = sound[sound["attained"].notna()]
    wide = sound.loc[sound.groupby(names, dropna=False, observed=True)["rank"].transform("max") == sound["rank"]]
    pairs = sound.merge(wide, on=names, suffixes=("", "_wide"))
    pairs = pairs[pairs["rank"] < pairs["rank_wide"]].reset_index(drop=True)
    told_of = pairs[[*names[:5], "dtype", "attained", "floor", "run_id"]].assign(
        wide_dtype=pairs["dtype_wide"], wide_attained=pairs["attained_wide"], run_id_wide=pairs["run_id_wide"]
    )
    if pairs.empty:
        return told_of.drop(columns=["run_id", "run_id_wide"]).assign(parted=np.nan)
    steps = _parting(pairs[["run_id", "run_id_wide"]], traces)
    return told_of.merge(steps, on=["run_id", "run_id_wide"], how="left").drop(columns=["run_id", "run_id_wide"])


def _settings(told: pd.DataFrame) -> list[str]:
    """What else must be equal: the objective's numbers and the settings, but for the dtype."""
    fixed = ("device", "threads", "start_noise", "steps", "target", "target_loss")
    return [name for name in map(str, told) if name in fixed or name.startswith("objective.")]


def _attained(told: pd.DataFrame) -> pd.Series:
    """(best_loss - f*) / (f0 - f*), at least 0."""
    minimum = numbers(told, "final_loss") - numbers(told, "final_suboptimality")
    return ((numbers(told, "best_loss") - minimum) / (numbers(told, "start_loss") - minimum)).clip(lower=0.0)


def _parting(pairs: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    lines = traces[["run_id", "step", "gap"]]
    both = pairs.merge(lines, on="run_id").merge(
        lines.rename(columns={"run_id": "run_id_wide"}), on=["run_id_wide", "step"], suffixes=("", "_wide")
    )
    apart = (both["gap"] - both["gap_wide"]).abs() > PARTED * np.maximum(both["gap"].abs(), both["gap_wide"].abs())
    return both[apart].groupby(["run_id", "run_id_wide"])["step"].min().rename("parted").reset_index()
