"""Runtime ECDF over (problem, target, run) with bootstrap bands, expected running time, and area over the curve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["compute_area_over_curve", "compute_expected_running_time", "compute_runtime_ecdf"]

DRAWS = 200
"""Bootstrap samples of a band."""
BAND = (0.025, 0.975)
"""Quantiles of the bootstrap at the ends of a band."""
POINTS = 80
"""Budgets at which an ECDF is evaluated."""


def compute_expected_running_time(table: pd.DataFrame) -> pd.DataFrame:
    """ERT = (costs of the runs that solved + costs spent by the others) / number that solved; inf if none did.

    Input: a table with solver, problem, cost, spent and optionally target; one row for each of these, with ert, solved
    and runs. It is the expected cost of restarting until one run solves, and so is meaningful only where runs differ by
    chance.
    """
    keys = [name for name in ("solver", "problem", "target") if name in table]
    hit = np.isfinite(table["cost"])
    paid = table.assign(paid=table["cost"].where(hit, table["spent"]), solved=hit)
    sums = paid.groupby(keys, sort=False, observed=True).agg(
        paid=("paid", "sum"), solved=("solved", "sum"), runs=("solved", "size")
    )
    ert = (sums["paid"] / sums["solved"].where(sums["solved"] > 0)).fillna(np.inf)
    return sums.assign(ert=ert)[["ert", "solved", "runs"]].reset_index()


def compute_runtime_ecdf(table: pd.DataFrame) -> pd.DataFrame:
    """Share of (problem, target, run) that each solver reached within a cost, with a bootstrap band.

    Input: a table with solver, problem, target, seed and cost. Problems have equal weight, as have the runs of one
    problem. Columns: solver, cost, share, lo, hi, problems, targets. The bootstrap resamples problems, or runs where
    there is one problem only; lo and hi are null where there is nothing to resample. Restarts are not simulated.
    """
    finite = table["cost"][np.isfinite(table["cost"])]
    if finite.empty:
        return pd.DataFrame(columns=["solver", "cost", "share", "lo", "hi", "problems", "targets"])
    budgets = np.geomspace(finite.min(), finite.max(), POINTS) if finite.nunique() > 1 else finite.unique()
    budgets[-1] = finite.max()
    rows = []
    for solver, group in table.groupby("solver", sort=False, observed=True):
        blocks = _compute_block_shares(group, budgets)
        lo, hi = _compute_band(blocks)
        columns = {"solver": solver, "cost": budgets, "share": blocks.mean(0), "lo": lo, "hi": hi}
        counts = {"problems": group["problem"].nunique(), "targets": group["target"].nunique()}
        rows.append(pd.DataFrame({**columns, **counts}))
    return pd.concat(rows, ignore_index=True)


def _compute_block_shares(group: pd.DataFrame, budgets: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share reached per problem, or per run where there is one problem only, shape [blocks, budgets]."""
    key = "problem" if group["problem"].nunique() > 1 else "seed"
    reached = group["cost"].to_numpy()[:, None] <= budgets
    codes, names = pd.factorize(group[key])
    members = codes == np.arange(len(names))[:, None]
    shares: npt.NDArray[np.float64] = (members @ reached.astype(float)) / members.sum(1, keepdims=True)
    return shares


def _compute_band(blocks: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The 2.5% and 97.5% bootstrap quantiles of the mean over blocks."""
    if len(blocks) < 2:
        nothing = np.full(blocks.shape[1], np.nan)
        return nothing, nothing
    weights = np.random.default_rng(0).multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), DRAWS)
    means = weights @ blocks / len(blocks)
    lo, hi = np.quantile(means, BAND, axis=0)
    return lo, hi


def compute_area_over_curve(table: pd.DataFrame, budget: float | None = None) -> pd.DataFrame:
    """AOCC of each solver: mean of max(0, 1 - cost / budget) over targets and runs; problems have equal weight.

    With the target ladder this is the area over the convergence curve (log loss, in decades) up to the budget, by
    default the largest cost that any run spent. 1: every target is reached at once.
    """
    most = float(table["spent"].max()) if budget is None else budget
    worth = (1 - table["cost"] / most).clip(lower=0.0)
    means = worth.groupby([table["solver"], table["problem"]], observed=True, sort=False).mean()
    return means.groupby("solver", sort=False).mean().rename("aocc").reset_index().assign(budget=most)
