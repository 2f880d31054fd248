"""Step times in seconds, relative to the reference loop and to other implementations of the same method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.values import to_floats

__all__ = ["NOISE_FACTOR", "NOISY", "count_processes", "is_within_noise", "summarise_step_times"]

NOISY = 0.1
"""Relative spread of a step time's quartiles above which the machine counts as noisy."""
NOISE_FACTOR = 1.1
"""Factor below which two times of one process are within noise: the usual difference between processes."""
TIME_COLUMNS = (
    *("step_s", "step_s_lo", "step_s_hi", "step_time_ratio", "step_time_ratio_lo", "step_time_ratio_hi"),
    *("update_s", "first_step_s", "warmup_s", "compile_s", "ops"),
)


def count_processes(runs: pd.DataFrame) -> int:
    """Number of processes that timed these runs; runs without a process column are counted per sweep.

    Times of two processes differ by more than most methods do: no method is called faster across processes.
    """
    timed = runs[to_floats(runs, "step_s").notna()]
    names = [name for name in ("sweep", "process") if name in timed]
    return len(timed[names].drop_duplicates()) if names else min(len(timed), 1)


def is_within_noise(rows: pd.DataFrame, first: pd.Series) -> pd.Series:
    """Whether the time of each ranking row is within noise of that of a faster row of the same process.

    Their ratio is below NOISE_FACTOR, or their quartiles over blocks overlap.
    """
    near = rows["seconds"] <= NOISE_FACTOR * first["seconds"]
    overlap = rows["seconds_low"] <= first["seconds_high"]
    alike: pd.Series = (near | overlap) & np.isfinite(rows["seconds"].astype(float))
    return alike


def summarise_step_times(compared: pd.DataFrame) -> pd.DataFrame:
    """One row per problem, optimizer and implementation that was timed: medians over its timed runs.

    Input: comparable runs. Columns: problem, optimizer, impl, TIME_COLUMNS, runs, overhead_bound (all runs are),
    denormals (runs that end with subnormal numbers), noise ((hi - lo) / step_s) and vs_manual (step_s over that of
    impl=manual; null where that was not timed in the same process).
    """
    timed = compared[compared["timed"].fillna(False).astype(bool) & compared["step_s"].notna()]
    keys = ["problem", "optimizer", "impl"]
    values = timed[keys].assign(
        **{name: to_floats(timed, name) for name in TIME_COLUMNS},
        overhead_bound=timed["overhead_bound"].fillna(True).astype(bool),
        subnormal=to_floats(timed, "denormals") > 0,
    )
    groups = values.groupby(keys, sort=False, observed=True)
    table = (
        groups[list(TIME_COLUMNS)]
        .median()
        .join(
            groups.agg(
                runs=("step_s", "size"), overhead_bound=("overhead_bound", "all"), denormals=("subnormal", "sum")
            )
        )
    )
    table = table.reset_index().assign(noise=lambda rows: (rows["step_s_hi"] - rows["step_s_lo"]) / rows["step_s"])
    manual = table[table["impl"] == "manual"].set_index(["problem", "optimizer"])["step_s"]
    apart = [key for key, group in timed.groupby(["problem", "optimizer"], observed=True) if count_processes(group) > 1]
    manual = manual.drop(apart, errors="ignore")
    beside = table.set_index(["problem", "optimizer"]).index.map(manual.to_dict())
    return table.assign(vs_manual=table["step_s"] / np.asarray(beside, dtype=float))
