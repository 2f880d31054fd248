"""Results of training runs: which runs and metrics there are, which way is better, and medians over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.analysis.convergence_curves import QUARTILES
from gdbench.results.run_outcomes import find_metric_signs
from gdbench.results.values import to_floats

__all__ = [
    *("ENDS", "KEYS", "LOSS", "MEASURES", "REPORTED", "compute_medians", "compute_metric_medians", "restore_signs"),
    *("exclude_training_runs", "find_directions", "list_metrics", "select_training_runs"),
]

LOSS = "loss"
MEASURES = {"train": "final.train.", "final": "final.held_out.", "best": "best.held_out.", "test": "selected.test."}
"""Numbers of a summary, and the prefixes of their columns."""
REPORTED = ("test", "best", "train")
"""The one of them that is reported of a workload: the first that it has."""
KEYS = ["problem", "solver", "configuration"]
ENDS = ("", "_lo", "_hi")
"""Suffixes of the columns of a median, the lowest and the highest value."""


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
            parts.append(restore_signs(medians, signs).set_axis([f"median_{name}{end}" for end in ENDS], axis=1))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame()


def compute_medians(table: pd.DataFrame, keys: Sequence[str] = KEYS) -> pd.DataFrame:
    """Columns median, lo and hi of ``value`` of each configuration; the worse of two in the middle is the median."""
    values = table.groupby(list(keys), sort=False, observed=True)["value"]
    middle = values.quantile(0.5, interpolation=QUARTILES["middle"][1])
    return pd.DataFrame({"median": middle, "lo": values.min(), "hi": values.max()})


def restore_signs(medians: pd.DataFrame, sign: pd.Series | float) -> pd.DataFrame:
    """Columns value, lo and hi of a metric, from medians of its products with ``sign``, 1 or -1."""
    ends = np.sort(medians[["lo", "hi"]].mul(sign, axis=0).to_numpy(float), axis=1)
    values = {"value": medians["median"] * sign, "lo": ends[:, 0], "hi": ends[:, 1]}
    return pd.DataFrame(values, index=medians.index)
