"""How many targets are reached within a budget: the runtime ECDF with bands, expected running time, and its area."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["compute_area_over_curve", "compute_expected_running_time", "compute_runtime_ecdf"]

DRAWS = 200
"""Bootstrap draws of a band."""
POINTS = 80
"""Budgets at which an ECDF is told."""


def compute_expected_running_time(table: pd.DataFrame) -> pd.DataFrame:
    """ERT = (costs of the runs that solved + what the others spent) / how many solved; inf where none did.

    Of a table with solver, problem, cost and spent, and target if it has one, a row for each of these, with ert, solved
    and runs. It is the expected cost of restarting until one run solves, so it means something only where runs differ
    by chance; each failed run counts with what it spent itself.
    """
    keys = [name for name in ("solver", "problem", "target") if name in table]
    hit = np.isfinite(table["cost"])
    paid = table.assign(paid=table["cost"].where(hit, table["spent"]), solved=hit)
    sums = paid.groupby(keys, sort=False, observed=True).agg(
        paid=("paid", "sum"), solved=("solved", "sum"), runs=("solved", "size")
    )
    ert = (sums["paid"] / sums["solved"].where(sums["solved"] > 0)).fillna(np.inf)
    return sums.assign(ert=ert)[["ert", "solved", "runs"]].reset_index()


def compute_runtime_ecdf(table: pd.DataFrame, level: float = 0.95, draws: int = DRAWS) -> pd.DataFrame:
    """The share of (problem, target, run) that each solver reached within a cost, with a bootstrap band.

    Of a table with solver, problem, target, seed and cost. Problems weigh the same, and so do the runs of one. Columns:
    solver, cost, share, lo, hi, problems, targets. The band takes problems anew, or, where there is only one, its runs;
    where there is nothing to take anew it is null. No restarts are simulated: a run that failed never reaches.
    """
    finite = table["cost"][np.isfinite(table["cost"])]
    if finite.empty:
        return pd.DataFrame(columns=["solver", "cost", "share", "lo", "hi", "problems", "targets"])
    budgets = np.geomspace(finite.min(), finite.max(), POINTS) if finite.nunique() > 1 else finite.unique()
    budgets[-1] = finite.max()
    rows = []
    for solver, group in table.groupby("solver", sort=False, observed=True):
        blocks = _compute_block_shares(group, budgets)
        lo, hi = _compute_band(blocks, level, draws)
        columns = {"solver": solver, "cost": budgets, "share": blocks.mean(0), "lo": lo, "hi": hi}
        counts = {"problems": group["problem"].nunique(), "targets": group["target"].nunique()}
        rows.append(pd.DataFrame({**columns, **counts}))
    return pd.concat(rows, ignore_index=True)


def _compute_block_shares(group: pd.DataFrame, budgets: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``[B, budgets]``: the share reached in each problem, or in each run where there is one problem only."""
    key = "problem" if group["problem"].nunique() > 1 else "seed"
    reached = group["cost"].to_numpy()[:, None] <= budgets
    codes, names = pd.factorize(group[key])
    members = codes == np.arange(len(names))[:, None]
    shares: npt.NDArray[np.float64] = (members @ reached.astype(float)) / members.sum(1, keepdims=True)
    return shares


def _compute_band(
    blocks: npt.NDArray[np.float64], level: float, draws: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if len(blocks) < 2:
        nothing = np.full(blocks.shape[1], np.nan)
        return nothing, nothing
    weights = np.random.default_rng(0).multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), draws)
    means = weights @ blocks / len(blocks)
    tail = (1 - level) / 2
    lo, hi = np.quantile(means, [tail, 1 - tail], axis=0)
    return lo, hi


def compute_area_over_curve(table: pd.DataFrame, budget: float | None = None) -> pd.DataFrame:
    """AOCC of each solver: the mean over targets and runs of max(0, 1 - cost / budget), problems weighing the same.

    With the ladder as targets this is the area over the convergence curve, up to the budget (default: the largest that
    any run spent), of the loss on a log scale cut into decades. 1 would be to reach every target at once.
    """
    most = float(table["spent"].max()) if budget is None else budget
    worth = (1 - table["cost"] / most).clip(lower=0.0)
    means = worth.groupby([table["solver"], table["problem"]], observed=True, sort=False).mean()
    return means.groupby("solver", sort=False).mean().rename("aocc").reset_index().assign(budget=most)
