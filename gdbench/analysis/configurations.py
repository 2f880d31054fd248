"""The rows of a sweep's table, the best first: one a configuration, over its seeds, or one a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.results.costs import name_questions
from gdbench.results.ranking import STATUS_RANK, numbers
from gdbench.results.run_settings import problem_names
from gdbench.results.standings import KEYS, OUTCOMES, standings

__all__ = ["configuration_rows", "run_rows"]

NUMBERS = ("n", "of", "reached", "stayed", "outcome", "seconds", "passed", "tuned_for")
MEDIANS = ("steps", "gradients", "final_gap", "final_loss")
"""Columns of the standings that have a lowest and a highest value too."""
TIMES = ("step_s", "timed", "step_time_ratio", "step_time_ratio_lo", "step_time_ratio_hi", "overhead_bound")


def configuration_rows(runs: pd.DataFrame, told: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """One row a problem and configuration, the best of each problem first; what cannot win is last, by its status.

    Of all runs, and of those that are compared (``problems.compared``); of each problem the first ``most``.

    A row has the columns of the run in the middle of its seeds, the times of the timed one in the middle, and of the
    standings ``n`` (seeds), reached, stayed, outcome and ``seconds``, with ``_lo`` and ``_hi``; and ``median_steps``,
    ``median_gradients``, ``median_final_gap`` and ``median_final_loss``, each with ``_lo`` and ``_hi`` (inf: never).
    ``of`` is how many rows its problem has.
    """
    left_out = runs["shifted_minimum"].fillna(False).astype(bool) | (runs["status"] == "unavailable")
    named = name_questions(runs) if left_out.any() else told
    table = standings(named)
    place = pd.Series(np.arange(len(named)), index=named["run_id"])
    return _with_runs(named, table.assign(middle=place.loc[table["run_id"]].to_numpy()), KEYS, most)


def run_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """The same with one row a run, all of them."""
    named = runs.assign(problem=problem_names(runs), number=np.arange(len(runs)))
    by = ("problem", "number")
    table = standings(named, by=by)
    return _with_runs(named, table.assign(middle=table["number"]), by, None)


def _with_runs(named: pd.DataFrame, table: pd.DataFrame, by: Sequence[str], most: int | None) -> pd.DataFrame:
    """Standings, beside them the columns of each row's run in the middle, at that position among the named runs."""
    status = named["status"].iloc[table["middle"].to_numpy()].map(STATUS_RANK).fillna(9).to_numpy(float)
    last = np.where(table["outcome"] == OUTCOMES[-1], 1 + status, 0)
    order = np.lexsort((np.arange(len(table)), last, pd.factorize(table["problem"])[0]))
    ordered = table.iloc[order].reset_index(drop=True)
    problems = ordered.groupby("problem", sort=False)
    ordered["of"] = problems["problem"].transform("size")
    shown = (ordered if most is None else problems.head(most).assign(of=ordered["of"])).reset_index(drop=True)
    medians = {f"median_{name}{end}": shown[f"{name}{end}"] for name in MEDIANS for end in ("", "_lo", "_hi")}
    rows = named.iloc[shown["middle"].to_numpy()].reset_index(drop=True)
    rows = rows.assign(**{name: shown[name] for name in NUMBERS}, **medians)
    if len(table) < len(named):
        return _with_times(rows, named, by)
    return rows.assign(seconds_lo=rows["seconds"], seconds_hi=rows["seconds"])


def _with_times(rows: pd.DataFrame, named: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows with the times of the run in the middle of those that were timed, and the extremes of time to target."""
    keys = list(by)
    known = named[named["step_s"].notna()].assign(timed=lambda frame: frame["timed"].fillna(False).astype(bool))
    known = known.sort_values(["timed", "step_s"], ascending=[False, True], kind="stable")
    groups = known.groupby(keys, sort=False, observed=True)
    timed = groups["timed"].transform("sum")
    many = timed.where(timed > 0, groups["timed"].transform("size"))
    times = known.loc[groups.cumcount() == many // 2, [*keys, *TIMES]]
    paid = numbers(named, "time_to_target_s").groupby([named[key] for key in keys], observed=True)
    ends = pd.DataFrame({"seconds_lo": paid.min(), "seconds_hi": paid.max()}).reset_index()
    rows = rows.drop(columns=[*TIMES]).merge(times, on=keys, how="left").merge(ends, on=keys, how="left")
    return rows.assign(seconds_hi=rows["seconds_hi"].where(rows["reached"] == rows["n"], np.inf))
