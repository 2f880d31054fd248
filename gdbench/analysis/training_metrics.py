"""Metrics of training runs: their curves on train and held-out data, and a summary of each method over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gdbench.analysis.convergence_curves import compute_convergence_curves
from gdbench.analysis.rank_tests import adjust_p_holm, compute_differences, compute_signed_rank_p
from gdbench.analysis.training_results import ENDS, KEYS, MEASURES, compute_medians, restore_signs
from gdbench.analysis.winners import ALPHA, count_seeds_needed
from gdbench.results.values import to_floats

__all__ = ["compute_metric_curves", "find_best", "summarise_metrics"]


def compute_metric_curves(
    runs: pd.DataFrame, traces: pd.DataFrame, name: str, directions: dict[str, float]
) -> pd.DataFrame:
    """Median and quartiles of a metric, as ``held_out.accuracy``, of each configuration at the recorded steps.

    Input: comparable runs, their traces, and the sign of the metric on each problem. Columns: problem, solver,
    configuration, step, value, lo, hi, runs, ended (runs that became nonfinite by then, which count as the worst), and
    of a step the epochs, gradients and seconds (null where unknown). The median of an even number of runs is the worse
    of the two in the middle.
    """
    sign_of = dict(zip(runs["run_id"], runs["problem"].map(directions), strict=True))
    lines = traces[traces["run_id"].isin(traces.loc[traces[name].notna(), "run_id"])]
    signed = lines.assign(loss=lines[name] * lines["run_id"].map(sign_of), gap=np.nan)
    curves = compute_convergence_curves(runs, signed)
    values = restore_signs(curves.rename(columns={"loss": "median"}), curves["problem"].map(directions))
    per_epoch = to_floats(runs, "steps_per_epoch").groupby([runs[key] for key in KEYS], observed=True).first()
    curves = curves.assign(**values)
    curves = curves.merge((1 / per_epoch).rename("epochs").reset_index(), on=KEYS, how="left")
    return curves[[*KEYS, "step", "value", "lo", "hi", "runs", "ended", "epochs", "gradients", "seconds"]]


def summarise_metrics(runs: pd.DataFrame, directions: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Median, lowest and highest over seeds of each metric of each configuration, one row per problem and metric.

    Input: training runs of one configuration per solver, and the signs of each metric by problem. Columns: problem,
    metric, those of KEYS, seeds, selected_step (median), needed (seeds that the test of ties needs), and for each of
    MEASURES its median, ``_lo``, ``_hi`` and ``_best``: whether it is the best median of its problem or tied with it. A
    missing value of a run counts as the worst. Ties: equal medians; from ``needed`` common seeds on also what
    Wilcoxon's signed-rank test of the paired values (Holm over the solvers, 5%) does not tell apart.
    """
    rows = []
    for problem, group in runs.groupby("problem", sort=False, observed=True):
        for metric, signs in directions.items():
            columns = [prefix + metric for prefix in MEASURES.values() if prefix + metric in group]
            if group[columns].notna().any(axis=None):
                rows.append(_summarise_metric(group, metric, signs[str(problem)]))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _summarise_metric(group: pd.DataFrame, metric: str, sign: float) -> pd.DataFrame:
    """The rows of one metric on one problem, a row per solver."""
    solvers = group.groupby(KEYS, sort=False, observed=True)
    table = solvers.agg(seeds=("run_id", "size")).assign(
        metric=metric, selected_step=_compute_median_step(group), needed=count_seeds_needed(max(1, len(solvers) - 1))
    )
    for measure, prefix in MEASURES.items():
        values = to_floats(group, prefix + metric) if prefix + metric in group else pd.Series(np.nan, group.index)
        table = table.assign(**_summarise_values(group, sign * values, measure, sign))
    return table.reset_index()


def _compute_median_step(group: pd.DataFrame) -> pd.Series:
    """The median step that the held-out data select, of each configuration; null without one."""
    steps = (
        group.assign(step=to_floats(group, "selected_step")) if "selected_step" in group else group.assign(step=np.nan)
    )
    return steps.groupby(KEYS, sort=False, observed=True)["step"].quantile(0.5, interpolation="higher")


def _summarise_values(group: pd.DataFrame, signed: pd.Series, measure: str, sign: float) -> dict[str, pd.Series]:
    """The four columns of a measure from values of which the lowest is the best; null where no run has any."""
    known = signed.notna().any()
    table = group.assign(value=signed.fillna(np.inf) if known else signed)
    medians = compute_medians(table)
    best = find_best(table, medians["median"]) if known else pd.Series(False, medians.index)
    values = restore_signs(medians, sign).set_axis([f"{measure}{end}" for end in ENDS], axis=1)
    return {**{str(name): values[name] for name in values}, f"{measure}_best": best}


def find_best(table: pd.DataFrame, middle: pd.Series) -> pd.Series:
    """Whether the median of each configuration is the lowest, or tied with it; false where that is infinite.

    Input: the runs of one problem with ``value``, the lowest of which is the best, and the medians of configurations.
    """
    if not np.isfinite(middle.min()):
        return pd.Series(False, middle.index)
    best = middle.eq(middle.min())
    paired = table.pivot_table(index="seed", columns=KEYS, values="value", observed=True).dropna()
    rivals = list(middle.index[~best])
    if not rivals or len(paired) < count_seeds_needed(len(rivals)):
        return best
    first = paired[middle.idxmin()].to_numpy(float)
    p = [compute_signed_rank_p(compute_differences(first, paired[name].to_numpy(float))) for name in rivals]
    return best | pd.Series(adjust_p_holm(np.array(p)) >= ALPHA, rivals).reindex(middle.index, fill_value=False)
