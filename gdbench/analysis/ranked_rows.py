"""Rows of a sweep's table in ranking order: one per configuration (aggregated over seeds), or one per run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gdbench.analysis.training_results import compute_metric_medians
from gdbench.results.costs import add_configuration_names
from gdbench.results.ranking import KEYS, OUTCOMES, rank_configurations
from gdbench.results.run_settings import name_problems
from gdbench.results.statuses import STATUS_RANK
from gdbench.results.values import to_floats

__all__ = ["build_configuration_rows", "build_run_rows"]

RANKING_COLUMNS = ("n", "of", "reached", "stayed", "outcome", "seconds", "passed", "tuned_for")
MEDIAN_COLUMNS = ("steps", "gradients", "final_gap", "final_loss")
"""Ranking columns that have a median, a lowest and a highest value."""
TIME_COLUMNS = ("step_s", "timed", "step_time_ratio", "step_time_ratio_lo", "step_time_ratio_hi", "overhead_bound")


def build_configuration_rows(
    runs: pd.DataFrame, compared: pd.DataFrame, ranking: pd.DataFrame, most: int | None = None
) -> pd.DataFrame:
    """One row per problem and configuration, best first; ineligible configurations come last, ordered by status.

    Input: all runs, the comparable ones (``costs.select_comparable``) and their ranking. ``most`` limits the rows of
    each problem.

    A row has the columns of the run with the median outcome; the times of the timed run with the median step time; of
    the ranking n (seeds), reached, stayed, outcome and ``seconds``, ``_lo``, ``_hi``; and ``median_steps``,
    ``median_gradients``, ``median_final_gap``, ``median_final_loss``, with ``_lo`` and ``_hi`` (inf: never); and those
    of the metrics of training runs, as ``median_best.held_out.accuracy``. ``of`` is the number of rows of its problem.
    """
    left_out = runs["shifted_minimum"].fillna(False).astype(bool) | (runs["status"] == "unavailable")
    named, table = compared, ranking
    if left_out.any():
        named = add_configuration_names(runs)
        table = rank_configurations(named)
    place = pd.Series(np.arange(len(named)), index=named["run_id"])
    return _add_median_runs(named, table.assign(middle=place.loc[table["run_id"]].to_numpy()), KEYS, most)


def build_run_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``build_configuration_rows`` with one row per run, unlimited."""
    named = runs.assign(problem=name_problems(runs), number=np.arange(len(runs)))
    by = ("problem", "number")
    table = rank_configurations(named, by=by)
    return _add_median_runs(named, table.assign(middle=table["number"]), by, None)


def _add_median_runs(named: pd.DataFrame, table: pd.DataFrame, by: Sequence[str], most: int | None) -> pd.DataFrame:
    """Ranking rows joined with the columns of the run at position ``middle`` among the named runs."""
    status = named["status"].iloc[table["middle"].to_numpy()].map(STATUS_RANK).fillna(9).to_numpy(float)
    last = np.where(table["outcome"] == OUTCOMES[-1], 1 + status, 0)
    order = np.lexsort((np.arange(len(table)), last, pd.factorize(table["problem"])[0]))
    ordered = table.iloc[order].reset_index(drop=True)
    problems = ordered.groupby("problem", sort=False)
    ordered["of"] = problems["problem"].transform("size")
    shown = (ordered if most is None else problems.head(most).assign(of=ordered["of"])).reset_index(drop=True)
    medians = {f"median_{name}{end}": shown[f"{name}{end}"] for name in MEDIAN_COLUMNS for end in ("", "_lo", "_hi")}
    rows = named.iloc[shown["middle"].to_numpy()].reset_index(drop=True)
    rows = rows.assign(**{name: shown[name] for name in RANKING_COLUMNS}, **medians)
    metrics = compute_metric_medians(named, by)
    rows = rows.merge(metrics.reset_index(), on=list(by), how="left") if len(metrics) else rows
    if len(table) < len(named):
        return _add_times(rows, named, by)
    return rows.assign(seconds_lo=rows["seconds"], seconds_hi=rows["seconds"])


def _add_times(rows: pd.DataFrame, named: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows with the times of the timed run with the median step time, and the extremes of the time to target."""
    keys = list(by)
    known = named[named["step_s"].notna()].assign(timed=lambda frame: frame["timed"].fillna(False).astype(bool))
    known = known.sort_values(["timed", "step_s"], ascending=[False, True], kind="stable")
    groups = known.groupby(keys, sort=False, observed=True)
    timed = groups["timed"].transform("sum")
    many = timed.where(timed > 0, groups["timed"].transform("size"))
    times = known.loc[groups.cumcount() == many // 2, [*keys, *TIME_COLUMNS]]
    paid = to_floats(named, "time_to_target_s").groupby([named[key] for key in keys], observed=True)
    ends = pd.DataFrame({"seconds_lo": paid.min(), "seconds_hi": paid.max()}).reset_index()
    rows = rows.drop(columns=[*TIME_COLUMNS]).merge(times, on=keys, how="left").merge(ends, on=keys, how="left")
    return rows.assign(seconds_hi=rows["seconds_hi"].where(rows["reached"] == rows["n"], np.inf))
