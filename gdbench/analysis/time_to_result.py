"""Time to a result in training: steps, epochs and seconds until a target metric is reached, over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.training_metrics import find_best
from gdbench.analysis.training_results import KEYS, compute_medians
from gdbench.analysis.winners import count_seeds_needed
from gdbench.results.values import to_floats

__all__ = ["summarise_time_to_result"]

COSTS = {"steps": "steps_to_target", "gradients": "gradient_evals_to_target", "seconds": "time_to_target_s"}


def summarise_time_to_result(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per problem with a target on a metric, and solver: its cost until the first judged step at the target.

    Input: training runs of one configuration per solver. Columns: those of KEYS, target_metric, hits (seeds that
    reached the target), seeds, needed (seeds that the test of ties needs), judge_every, and steps, epochs, gradients
    and seconds with ``_lo`` and ``_hi``: median, lowest and highest over seeds, inf where the target was not reached;
    epochs and seconds are null where they are not known. steps_best: whether the median is the lowest of its problem
    or tied with it, as in ``training_metrics.summarise_metrics``.
    """
    if "target_metric" not in runs:
        return pd.DataFrame()
    targeted = runs[runs["target_metric"].notna()]
    rows = [_summarise_problem(group) for _, group in targeted.groupby("problem", sort=False, observed=True)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _summarise_problem(group: pd.DataFrame) -> pd.DataFrame:
    hit = group["steps_to_target"].notna()
    groups = group.assign(hit=hit, per_epoch=to_floats(group, "steps_per_epoch")).groupby(KEYS, sort=False)
    table = groups.agg(
        target_metric=("target_metric", "first"),
        hits=("hit", "sum"),
        seeds=("run_id", "size"),
        judge_every=("judge_every", "max"),
        per_epoch=("per_epoch", "first"),
    )
    for name, column in COSTS.items():
        cost = group.assign(value=to_floats(group, column).where(hit, np.inf))
        medians = compute_medians(cost).mul(_compute_known(cost), axis=0)
        table = table.join(medians.set_axis([name, f"{name}_lo", f"{name}_hi"], axis=1))
        if name == "steps":
            table = table.assign(steps_best=find_best(cost, medians["median"]))
    for end in ("", "_lo", "_hi"):
        table[f"epochs{end}"] = table[f"steps{end}"] / table["per_epoch"]
    return table.assign(needed=count_seeds_needed(max(1, len(table) - 1))).drop(columns="per_epoch").reset_index()


def _compute_known(cost: pd.DataFrame) -> pd.Series:
    """1 for each configuration of which the cost of every run that reached the target was measured, else NaN."""
    known = cost["value"].notna().groupby([cost[key] for key in KEYS], sort=False, observed=True).all()
    return known.map({True: 1.0, False: np.nan})
