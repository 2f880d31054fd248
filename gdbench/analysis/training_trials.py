"""Tuning of training runs: the best metric of configurations over seeds, by learning rate and of k trials."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.best_of_k import compute_expected_best
from gdbench.analysis.training_results import KEYS, compute_medians, restore_signs
from gdbench.results.values import to_floats

__all__ = ["compute_best_of_trials", "select_best_by_lr", "summarise_trials"]


def summarise_trials(runs: pd.DataFrame, metric: str, directions: dict[str, float]) -> pd.DataFrame:
    """The best value of a metric in each configuration: median, lowest and highest over its seeds.

    Input: training runs, and the sign of the metric on each problem. Columns: problem, solver, configuration, lr,
    split (held-out; train in problems without held-out data), value, lo, hi, seeds and cost (``value``, or minus it
    where the highest is the best; inf where the median run has no finite value). Problems without the metric have no
    rows.
    """
    held_out, train = (to_floats(runs, f"best.{split}.{metric}") for split in ("held_out", "train"))
    is_held_out = held_out.notna().groupby(runs["problem"]).transform("any").astype(bool)
    has_any = (held_out.notna() | train.notna()).groupby(runs["problem"]).transform("any").astype(bool)
    value = held_out.where(is_held_out, train) * runs["problem"].map(directions)
    table = runs.assign(value=value.fillna(np.inf), split=np.where(is_held_out, "held-out", "train"))[has_any]
    groups = table.groupby(KEYS, sort=False, observed=True)
    first = groups.agg(lr=("lr", "first"), split=("split", "first"), seeds=("run_id", "size"))
    medians = first.join(compute_medians(table)).reset_index()
    sign = medians["problem"].map(directions).astype(float)
    medians = medians.assign(cost=medians["median"], **restore_signs(medians, sign))
    return medians[[*KEYS, "lr", "split", "value", "lo", "hi", "seeds", "cost"]]


def select_best_by_lr(trials: pd.DataFrame) -> pd.DataFrame:
    """The best configuration at each lr of each solver, sorted by lr; where none is finite there is none."""
    shown = trials[trials["lr"].notna() & np.isfinite(trials["cost"])].sort_values("cost", kind="stable")
    best: pd.DataFrame = shown.drop_duplicates(["problem", "solver", "lr"]).sort_values("lr", kind="stable")
    return best


def compute_best_of_trials(trials: pd.DataFrame, directions: dict[str, float]) -> pd.DataFrame:
    """``best_of_k.compute_expected_best`` of a metric: ``median`` and ``mean`` are values of the metric."""
    table = compute_expected_best(trials)
    sign = table["problem"].map(directions).astype(float)
    return table.assign(median=table["median"] * sign, mean=table["mean"] * sign)
