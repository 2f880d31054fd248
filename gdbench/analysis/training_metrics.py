"""Metrics of training runs: their curves on train and held-out data, and a summary of each method over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from gdbench.analysis.convergence_curves import QUARTILES, compute_convergence_curves
from gdbench.analysis.rank_tests import adjust_p_holm, compute_signed_rank_p
from gdbench.analysis.winners import ALPHA, count_seeds_needed
from gdbench.results.run_outcomes import find_metric_signs
from gdbench.results.values import to_floats

__all__ = [
    *("KEYS", "LOSS", "MEASURES", "REPORTED", "compute_medians", "compute_metric_curves", "compute_metric_medians"),
    *(
        "exclude_training_runs",
        "find_best",
        "find_directions",
        "list_metrics",
        "select_training_runs",
        "summarise_metrics",
    ),
]

LOSS = "loss"
MEASURES = {"train": "final.train.", "final": "final.held_out.", "best": "best.held_out.", "test": "selected.test."}
"""Numbers of a summary, and the prefixes of their columns."""
REPORTED = ("test", "best", "train")
"""The one of them that is reported of a workload: the first that it has."""
KEYS = ["problem", "solver", "configuration"]
Array = npt.NDArray[np.float64]


def select_training_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of training workloads: those whose loss on training data is stated apart."""
    return runs[to_floats(runs, "best.train.loss").notna()] if "best.train.loss" in runs else runs.head(0)


def exclude_training_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of functions: all but those of training workloads."""
    return runs[~runs.index.isin(select_training_runs(runs).index)]


def list_metrics(runs: pd.DataFrame) -> list[str]:
    """The names of the metrics on held-out or training data, the loss first."""
    names = [
        name.removeprefix(prefix)
        for prefix in ("best.held_out.", "best.train.")
        for name in map(str, runs)
        if name.startswith(prefix) and runs[name].notna().any()
    ]
    return sorted(dict.fromkeys(names), key=lambda name: name != LOSS)


def find_directions(runs: pd.DataFrame, metric: str) -> dict[str, float]:
    """The sign of a metric on each problem: 1 where the lowest value is the best, -1 where the highest is."""
    signs = find_metric_signs(runs, pd.Series(metric, runs.index))
    return {str(name): sign for name, sign in signs.groupby(runs["problem"]).min().items()}


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
    sign = curves["problem"].map(directions)
    ends = np.sort(curves[["lo", "hi"]].mul(sign, axis=0).to_numpy(float), axis=1)
    per_epoch = to_floats(runs, "steps_per_epoch").groupby([runs[key] for key in KEYS], observed=True).first()
    curves = curves.assign(value=curves["loss"] * sign, lo=ends[:, 0], hi=ends[:, 1])
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
    low, high = (medians["lo"], medians["hi"]) if sign > 0 else (medians["hi"], medians["lo"])
    return {
        measure: sign * medians["median"],
        f"{measure}_lo": sign * low,
        f"{measure}_hi": sign * high,
        f"{measure}_best": best,
    }


def compute_metric_medians(runs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Median, ``_lo`` and ``_hi`` over seeds of the metrics of training runs, a row per value of ``keys``.

    The columns of a metric are named median_ and its column in the runs. A missing value counts as the worst, but
    where no run of its problem has any.
    """
    training, parts = select_training_runs(runs), []
    for metric in list_metrics(training):
        sign = training["problem"].map(find_directions(training, metric)).astype(float)
        for name in (f"{prefix}{metric}" for prefix in MEASURES.values() if f"{prefix}{metric}" in runs):
            signed = to_floats(training, name) * sign
            known = signed.notna().groupby(training["problem"]).transform("any")
            medians = compute_medians(training.assign(value=signed.where(signed.notna() | ~known, np.inf)), keys)
            signs = sign.groupby([training[key] for key in keys], sort=False, observed=True).first()
            ends = np.sort(medians[["lo", "hi"]].mul(signs, axis=0).to_numpy(float), axis=1)
            table = pd.DataFrame({"": medians["median"] * signs, "_lo": ends[:, 0], "_hi": ends[:, 1]})
            parts.append(table.add_prefix(f"median_{name}"))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame()


def compute_medians(table: pd.DataFrame, keys: Sequence[str] = KEYS) -> pd.DataFrame:
    """Columns median, lo and hi of ``value`` of each configuration; the worse of two in the middle is the median."""
    values = table.groupby(list(keys), sort=False, observed=True)["value"]
    middle = values.quantile(0.5, interpolation=QUARTILES["middle"][1])
    return pd.DataFrame({"median": middle, "lo": values.min(), "hi": values.max()})


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
    p = [_compute_p_value(first, paired[name].to_numpy(float)) for name in rivals]
    return best | pd.Series(adjust_p_holm(np.array(p)) >= ALPHA, rivals).reindex(middle.index, fill_value=False)


def _compute_p_value(first: Array, other: Array) -> float:
    """p of the test that the first is lower; equal values, two that are infinite too, do not differ."""
    with np.errstate(invalid="ignore"):
        return compute_signed_rank_p(np.nan_to_num(first - other, nan=0.0, posinf=np.inf, neginf=-np.inf))
