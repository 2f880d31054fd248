"""What a step costs in seconds, beside the reference and beside other impls of the same method."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.results.ranking import numbers

__all__ = ["NOISY", "SPREAD", "count_processes", "step_times", "within_noise"]

NOISY = 0.1
"""Quartiles of a step time farther apart than this part of it say that the machine was not quiet."""
SPREAD = 1.1
"""Times of one process that differ by a smaller factor are not told apart: so much two processes differ by."""
MEASURED = (
    *("step_s", "step_s_lo", "step_s_hi", "step_time_ratio", "step_time_ratio_lo", "step_time_ratio_hi"),
    *("update_s", "first_step_s", "warmup_s", "compile_s", "ops"),
)


def count_processes(runs: pd.DataFrame) -> int:
    """How many processes timed these runs; runs of tables that do not say it are told apart by their sweep.

    Times of two processes differ by more than most methods do: nothing is called faster across them.
    """
    timed = runs[numbers(runs, "step_s").notna()]
    names = [name for name in ("sweep", "process") if name in timed]
    return len(timed[names].drop_duplicates()) if names else min(len(timed), 1)


def within_noise(rows: pd.DataFrame, first: pd.Series) -> pd.Series:
    """Whether the time of each row of the standings is not told apart from that of a faster one, of one process.

    They differ by less than SPREAD, or by less than the blocks of one run: their quartiles overlap.
    """
    near = rows["seconds"] <= SPREAD * first["seconds"]
    overlap = rows["seconds_low"] <= first["seconds_high"]
    alike: pd.Series = (near | overlap) & np.isfinite(rows["seconds"].astype(float))
    return alike


def step_times(told: pd.DataFrame) -> pd.DataFrame:
    """One row for each problem, optimizer and impl that was timed, of compared runs: medians over its timed runs.

    Columns: problem, optimizer, impl, those of MEASURED, runs, overhead_bound (all of them are), denormals (how many
    runs end among subnormal numbers), noise ((hi - lo) / step_s) and vs_manual (step_s over that of impl=manual; null
    where that was not timed, or in another process).
    """
    timed = told[told["timed"].fillna(False).astype(bool) & told["step_s"].notna()]
    keys = ["problem", "optimizer", "impl"]
    values = timed[keys].assign(
        **{name: numbers(timed, name) for name in MEASURED},
        overhead_bound=timed["overhead_bound"].fillna(True).astype(bool),
        subnormal=numbers(timed, "denormals") > 0,
    )
    groups = values.groupby(keys, sort=False, observed=True)
    table = (
        groups[list(MEASURED)]
        .median()
        .join(
            groups.agg(
                runs=("step_s", "size"), overhead_bound=("overhead_bound", "all"), denormals=("subnormal", "sum")
            )
        )
    )
    table = table.reset_index().assign(noise=lambda each: (each["step_s_hi"] - each["step_s_lo"]) / each["step_s"])
    manual = table[table["impl"] == "manual"].set_index(["problem", "optimizer"])["step_s"]
    apart = [key for key, group in timed.groupby(["problem", "optimizer"], observed=True) if count_processes(group) > 1]
    manual = manual.drop(apart, errors="ignore")
    beside = table.set_index(["problem", "optimizer"]).index.map(manual.to_dict())
    return table.assign(vs_manual=table["step_s"] / np.asarray(beside, dtype=float))
