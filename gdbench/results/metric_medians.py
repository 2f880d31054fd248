"""Medians over seeds of the metrics of training runs, on held-out and on test data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.results.run_outcomes import find_metric_signs
from gdbench.results.values import to_floats

__all__ = ["MEASURES", "compute_median_metrics"]

MEASURES = {"final": "final.held_out.", "best": "best.held_out.", "test": "selected.test."}
"""Numbers that sum up a run, and the prefixes of their columns."""


def compute_median_metrics(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Median over seeds of each metric on held-out and test data, one row per set of values of ``by``.

    Input: runs with the columns ``best.held_out.accuracy``, ``selected.test.accuracy`` ...; there are none of others.
    The median of an even number of seeds is the worse of the two in the middle; a missing value counts as the worst.
    """
    keys = [runs[name] for name in by]
    medians = {}
    for name in (
        name for name in map(str, runs) if name.startswith(tuple(MEASURES.values())) and runs[name].notna().any()
    ):
        sign = find_metric_signs(runs, pd.Series(name, runs.index))
        signed = (to_floats(runs, name) * sign).fillna(np.inf)
        median = signed.groupby(keys, sort=False, observed=True).quantile(0.5, interpolation="higher")
        medians[name] = median * sign.groupby(keys, sort=False, observed=True).first()
    return pd.DataFrame(medians)
