"""Result table of a search: one row per method and objective, best first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.results.columns import COLUMNS
from gdbench.results.run_settings import name_problems

__all__ = ["TUNING_COLUMNS", "build_tuning_table"]

TUNING_COLUMNS: dict[str, str] = {
    "metric": "metric that was tuned for",
    "value": "metric of the best configuration, median over seeds; inf: none reached the target or is eligible",
    "outcome": "stays (ended at or below the target), left (reached it, ended above it), missed or cannot win",
    "plateau_decades": "width in decades of the tried lrs around the best with the same metric",
    "within_2x_decades": "width in decades of the tried lrs around the best with at most twice its metric",
    "spike_lr": "lr with a lower metric that was not chosen, as its neighbours are much worse; null: none",
    "spike_value": "metric at spike_lr",
    "spike_command": "command that reproduces it",
    "edges": "range limits that the best reached, such as `lr larger`: better values may lie beyond",
    "trials": "distinct points tried, each with all seeds; equal for all rows of a search",
    "budget": "number of points to try; trials is lower where a range or list has fewer values",
    "telling": "number of trials from which the first grid is fine enough to locate the optimum",
    "rounds": "number of grids, each finer than the one before",
    "runs": "number of runs, all seeds included",
    "seeds": "number of seeds per point; the median counts",
    "axes": "settings that were tuned",
    "command": "command that reproduces the best run; null: none is eligible",
}
"""Meaning of the columns that a row has beside those of its run."""


def build_tuning_table(rows: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Best configurations grouped by problem, in ranking order: stays, left, missed, the rest."""
    if not rows:  # cut short before the first grid had ended
        return pd.DataFrame()
    table = pd.concat(rows, ignore_index=True)
    named = [name for name in table if not str(name).startswith("tuned.")]
    hyper = [name for name in named if name not in (*COLUMNS, *TUNING_COLUMNS, "score")]
    order = pd.DataFrame(
        {
            "problem": pd.factorize(name_problems(table))[0],
            "score": table["score"],
            "name": table["optimizer"].astype(str) + " " + table["impl"].astype(str),
        }
    ).sort_values(["problem", "score", "name"], kind="stable")
    winners = table.loc[order.index, [*COLUMNS, *hyper, *TUNING_COLUMNS]].reset_index(drop=True)
    won = winners["command"].notna()
    places = won.astype(int).groupby(name_problems(winners), sort=False).cumsum().where(won)
    return winners.assign(tuned_place=places.astype("Int64"), tuned_for=winners["metric"].where(won))
