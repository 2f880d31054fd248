"""Performance profiles (Dolan and More 2002) and data profiles (More and Wild 2009) of a table of costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = [
    *("build_cost_matrix", "compute_data_profile", "compute_performance_profile"),
    *("compute_performance_ratios", "compute_profile_score"),
]


def build_cost_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Costs with one row per problem and one column per solver; missing or NaN is inf (unsolved)."""
    wide = table.pivot(index="problem", columns="solver", values="cost").astype(float)
    return wide.fillna(np.inf)


def compute_performance_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """r_ps = t_ps / min_s t_ps of ``problem``, ``solver``, ``cost``: one row per problem, one column per solver.

    The ratio of an infinite cost is inf, also on a problem that no solver solved. Costs must be positive.
    """
    wide = build_cost_matrix(table)
    best = wide.min(axis=1)
    return wide.div(best.where(np.isfinite(best), 1.0), axis=0)


def compute_performance_profile(table: pd.DataFrame) -> pd.DataFrame:
    """rho_s(tau) = #{p : r_ps <= tau} / #P, as the corners of a right-continuous step function.

    Columns: solver, ratio (tau, from 1), share, problems. rho(1) is the share of wins, ties counting for all; the last
    share is that of the problems solved at all. Problems that no solver solved stay in #P. With more than two solvers,
    the order of those that are not best may change when one is left out.
    """
    return _compute_shares(compute_performance_ratios(table), "ratio", 1.0)


def compute_data_profile(table: pd.DataFrame) -> pd.DataFrame:
    """d_s(alpha) = #{p : t_ps <= alpha} / #P, as the corners of a right-continuous step function.

    Columns: solver, cost (alpha, in the unit of the costs; not divided by n + 1), share, problems. Where the minimum is
    known, the test of More and Wild, f(x0) - f(x) >= (1 - tau)(f(x0) - f*), is that of a relative gap tau.
    """
    wide = build_cost_matrix(table)
    finite = wide.to_numpy()[np.isfinite(wide.to_numpy())]
    return _compute_shares(wide, "cost", float(finite.min()) if len(finite) else 1.0)


def compute_profile_score(table: pd.DataFrame, most: float = 4.0) -> pd.Series:
    """Mean height of each solver's performance profile over tau in [1, ``most``], in closed form.

    (1/#P) sum_p max(0, (most - r_ps) / (most - 1)): 1 for a solver that is best on every problem.
    """
    ratios = compute_performance_ratios(table)
    return ((most - ratios.clip(upper=most)) / (most - 1)).mean(axis=0).rename("score")


def _compute_shares(wide: pd.DataFrame, name: str, first: float) -> pd.DataFrame:
    """Share of rows <= each distinct value of a column, from ``first`` on; inf is never reached."""
    rows = [pd.DataFrame(columns=["solver", name, "share", "problems"])]
    for solver, values in wide.items():
        finite = np.sort(values[np.isfinite(values)].to_numpy())
        corners, counts = np.unique(np.concatenate([[first], finite]), return_counts=True)
        counts[np.searchsorted(corners, first)] -= 1
        share = np.cumsum(counts) / len(values)
        rows.append(pd.DataFrame({"solver": solver, name: corners, "share": share, "problems": len(values)}))
    return pd.concat(rows[1:] or rows, ignore_index=True)
