"""Result table of a search: one row per method and objective, best first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gdbench.results.columns import COLUMNS
from gdbench.results.run_settings import name_problems

__all__ = ["TUNING_COLUMNS", "build_tuning_table"]

TUNING_COLUMNS: dict[str, str] = {
    "metric": "what was sought; lower is better",
    "value": "the metric of the best, the median over seeds; inf where none reached it or may win",
    "outcome": "by a target: stays, left (it hit the target, and ended above), missed or cannot win",
    "plateau_decades": "decades of lr around the best, as tried, that share its metric",
    "within_2x_decades": "decades of lr around the best, as tried, whose metric is at most twice as high",
    "spike_lr": "the lr of a better one that was not chosen, as its neighbours do not come near it; null: none",
    "spike_value": "the metric at that lr",
    "spike_command": "what repeats it",
    "edges": "ends of ranges that the best reached, such as lr larger: there may be better ones beyond",
    "trials": "distinct points that were tried, each with all seeds: as many for all rows of a search",
    "budget": "how many were to be tried; fewer exist where a range or a list has no more numbers",
    "telling": "trials from which on the first grid is fine enough to tell where better ones are: fewer tell little",
    "rounds": "grids that were tried, each finer than the one before",
    "runs": "runs spent, all seeds counted",
    "seeds": "seeds of each point, whose median counts",
    "axes": "what was tuned",
    "command": "what repeats the best run; null where none may win",
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
            "name": table["optimizer"] + " " + table["impl"],
        }
    ).sort_values(["problem", "score", "name"], kind="stable")
    winners = table.loc[order.index, [*COLUMNS, *hyper, *TUNING_COLUMNS]].reset_index(drop=True)
    won = winners["command"].notna()
    places = won.astype(int).groupby(name_problems(winners), sort=False).cumsum().where(won)
    return winners.assign(tuned_place=places.astype("Int64"), tuned_for=winners["metric"].where(won))
