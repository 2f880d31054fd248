"""Who wins on each problem, by how much, and who cannot be told apart from the winner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdbench.analysis.chosen import tuned
from gdbench.analysis.pairs import holm, log_ratios, signed_rank
from gdbench.analysis.problems import costs, merged
from gdbench.analysis.ranking import SOUND
from gdbench.analysis.times import SPREAD

__all__ = ["ENOUGH", "verdict"]

ENOUGH = 6
"""Seeds from which on a test can tell two solvers apart at all: five equal signs have p = 0.06."""
ALPHA = 0.05
COLUMNS = [
    *("problem", "cost", "winner", "configuration", "lr", "value", "runner_up", "ratio", "tied"),
    *("edge", "solvers", "solved", "runs", "reached", "broke", "failed", "shifted"),
]


def verdict(runs: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """One row for each problem and cost (steps, gradients, seconds where timed), of all runs and the compared ones.

    Columns: winner, its configuration and lr, value (its cost; inf where nobody solved), runner_up (the first that can
    be told apart), ratio (how many times more that costs; inf where it did not solve), tied (solvers that cannot be
    told apart from the winner, comma-separated), edge (``larger`` or ``smaller`` where its lr is the last that was
    tried), solvers and solved (how many there are, and how many reached the target at their best), and the problem's
    runs: reached, broke (diverged or nonfinite), failed; shifted counts the runs that are left out of all of these.

    Each solver stands for its best configuration, selected and compared as ``chosen.tuned`` does. With ENOUGH seeds two
    solvers are told apart by Wilcoxon's test of their paired costs (Holm over the problem's solvers, 5%); with fewer by
    the costs themselves, which are exact but for seconds, where a factor below SPREAD counts as none.
    """
    rows = []
    one_impl = merged(told)
    # a problem that nobody timed has no seconds to speak of
    timed = told[told["problem"].isin(told.loc[told["step_s"].notna(), "problem"])]
    for cost, pool in {"steps": one_impl, "gradients": one_impl, "seconds": timed}.items():
        if pool.empty:
            continue
        table = costs(pool, cost)
        best = tuned(table)
        for problem, group in table.groupby("problem", sort=False, observed=True):
            found = _won(group, best[best["problem"] == problem], cost)
            rows.append({"problem": problem, "cost": cost, **found, **_counted(pool[pool["problem"] == problem])})
    shifted = int(runs["shifted_minimum"].fillna(False).sum())
    return pd.DataFrame(rows).reindex(columns=COLUMNS).assign(shifted=shifted)


def _won(table: pd.DataFrame, best: pd.DataFrame, cost: str) -> dict[str, Any]:
    order = best.sort_values(["cost", "shortfall"], kind="stable")
    first = order.iloc[0]
    found = {"winner": None, "value": np.inf, "tied": "", "solvers": len(order)}
    if not np.isfinite(first["cost"]):
        return {**found, "solved": 0}
    same = _same(table, order, cost)
    apart = order[1:][~same]
    second = apart.iloc[0] if len(apart) else None
    return {
        "winner": first["solver"],
        "configuration": first["configuration"],
        "lr": first["lr"],
        "value": first["cost"],
        "runner_up": None if second is None else second["solver"],
        "ratio": np.nan if second is None else second["cost"] / first["cost"],
        "tied": ", ".join(order["solver"][1:][same]),
        "edge": _edge(table, first),
        "solvers": len(order),
        "solved": int(np.isfinite(order["cost"]).sum()),
    }


def _same(table: pd.DataFrame, order: pd.DataFrame, cost: str) -> np.ndarray:
    """Which of the solvers behind the first cannot be told apart from it."""
    runs = [_runs(table, row) for _, row in order.iterrows()]
    if min(map(len, runs)) >= ENOUGH:
        tests = [signed_rank(_paired(runs[0], each)) for each in runs[1:]]
        return holm(np.array(tests)) >= ALPHA
    margin = SPREAD if cost == "seconds" else 1.0
    ratios = order["cost"].to_numpy()[1:] / order["cost"].iloc[0]
    return np.asarray(ratios <= margin)


def _runs(table: pd.DataFrame, row: pd.Series) -> pd.Series:
    mine = table[(table["solver"] == row["solver"]) & (table["configuration"] == row["configuration"])]
    told: pd.Series = mine.set_index("seed")["cost"]
    return told


def _paired(first: pd.Series, second: pd.Series) -> np.ndarray:
    both = pd.concat([first, second], axis=1, join="inner").to_numpy(float)
    return log_ratios(both[:, 0], both[:, 1])


def _edge(table: pd.DataFrame, first: pd.Series) -> str | None:
    """Whether the winner's lr is the last of those tried, where a better one may lie beyond."""
    tried = np.unique(table.loc[table["solver"] == first["solver"], "lr"].dropna())
    if len(tried) < 2 or first["lr"] not in (tried[0], tried[-1]):
        return None
    return "larger" if first["lr"] == tried[-1] else "smaller"


def _counted(pool: pd.DataFrame) -> dict[str, int]:
    status = pool["status"]
    return {
        "runs": len(pool),
        "reached": int(status.eq("target").sum()),
        "broke": int(status.isin(["diverged", "nonfinite"]).sum()),
        "failed": int((~status.isin([*SOUND, "diverged", "nonfinite"])).sum()),
    }
